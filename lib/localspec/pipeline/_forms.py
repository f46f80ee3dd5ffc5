"""Forms of the measures: the paper's, and others that mend what is known to be wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from localspec._utils.validation import check_option, check_type
from localspec.clustering import MatchedDraws, draw_matched, layer_correlations
from localspec.measures import LOGIT_FORMS, MEASURES, Assessment, Measure, assess, logit_coherence
from localspec.pipeline._findings import form_columns
from localspec.pipeline._replicate import PARTITIONINGS, Replicate, checked_coherence
from localspec.pipeline._stages import STAGES
from localspec.visualization import visualize

PAPERS, EQUAL_DAMAGE, MATCHED = "paper's", "at equal damage", "matched draws"
FORMS = {  # of each measure, the paper's first
    "importance": (PAPERS,),
    "class_coherence": (PAPERS, EQUAL_DAMAGE),
    "input_coherence": (PAPERS, MATCHED),
    "output_coherence": (PAPERS, *LOGIT_FORMS),
}
CORRELATION_TOLERANCE = 0.01  # fixed before the first run


@dataclass(frozen=True)
class MatchedScores:
    """Scores of subclusters and of counterparts matched in mean correlation.

    Attributes
    ----------
    scores : numpy.ndarray, shape (n_draws + 1, n_subclusters)
        Of feature visualization, row 0 true; NaN where no counterpart matched.
    correlations : numpy.ndarray, shape (n_draws + 1, n_subclusters)
        Mean magnitude of the correlation over the pairs of units of each set; NaN likewise.
    overlaps : numpy.ndarray, shape (n_draws, n_subclusters)
        Share of the subcluster's units that each counterpart holds; NaN likewise.
    """

    scores: np.ndarray
    correlations: np.ndarray
    overlaps: np.ndarray


def matched_scores(replicate: Replicate, partitioning: str) -> MatchedScores:
    """Return the scores of subclusters beside those of sets of units that are as correlated.

    Parameters
    ----------
    replicate : Replicate
    partitioning : str

    Returns
    -------
    MatchedScores
        As many counterparts as the profile has draws, from
        :func:`localspec.clustering.draw_matched`. Stored.
    """
    check_type("replicate", replicate, Replicate, "open_replicates(section) returns a list of them")
    check_option("partitioning", partitioning, PARTITIONINGS)
    method = replicate.profile.method
    seed = replicate.seed * len(PARTITIONINGS) + PARTITIONINGS.index(partitioning)

    def compute() -> MatchedScores:
        found = draw_matched(
            replicate.partition(partitioning),
            layer_correlations(replicate.graph("activations")),
            method.n_draws,
            tolerance=CORRELATION_TOLERANCE,
            seed=seed,
            conventions=replicate.conventions,
        )
        images = visualize(
            replicate.trained,
            found.draws.lesions(),
            replicate.dataset.image_shape,
            n_steps=method.n_steps,
            seed=replicate.seed,
            progress=replicate.progress,
        )
        return _only_matched(found, images.arranged(found.draws).scores)

    return replicate.stored(
        "matched_draws",
        MatchedScores,
        compute,
        parameters={
            "n_draws": method.n_draws,
            "tolerance": CORRELATION_TOLERANCE,
            "seed": seed,
            "n_steps": method.n_steps,
            "image_seed": replicate.seed,
            "feature_visualization": STAGES["feature_visualization"],
            **replicate.conventions.subset("min_units"),
        },
        inputs=(
            replicate.stored_partition(partitioning).key,
            replicate.graph_key("activations"),
        ),
    )


def _only_matched(found: MatchedDraws, scores: np.ndarray) -> MatchedScores:
    parts = found.draws.subclusters
    overlaps = [
        np.isin(rows, part.units).mean(axis=1)
        for part, rows in zip(parts, found.draws.units, strict=True)
    ]
    overlaps = np.reshape(overlaps, (len(parts), found.draws.n_draws)).T
    all_matched = np.concatenate([np.ones((1, len(parts)), dtype=bool), found.matched])
    return MatchedScores(
        scores=np.where(all_matched, scores, np.nan),
        correlations=np.where(all_matched, found.correlations, np.nan),
        overlaps=np.where(found.matched, overlaps, np.nan),
    )


def form_assessment(replicate: Replicate, name: str, form: str, partitioning: str) -> Assessment:
    """Assess a measure of one partitioning in one of its forms.

    Parameters
    ----------
    replicate : Replicate
    name : str
        The measure.
    form : str
        One of the measure's forms in `FORMS`. ``"paper's"``: as on the other pages. ``"at equal
        damage"``: see :func:`localspec.measures.conditioned_ranges`. ``"matched draws"``: the score
        against those of sets of units that are as correlated; counterparts that do not match are
        left out. ``"log-entropy"`` and ``"logit margin"``: see
        :func:`localspec.measures.logit_coherence`.
    partitioning : str

    Returns
    -------
    Assessment
        Of matched draws, of which every subcluster has its own, permutation Fisher is no longer
        sure to keep its level.

    Raises
    ------
    InvalidInputError
        If the measure has no such form.
    """
    check_option("measure", name, MEASURES)
    check_option("form", form, FORMS[name])
    if form == EQUAL_DAMAGE:
        return checked_coherence(replicate, "equal_damage", partitioning)
    conventions = replicate.conventions
    if form == MATCHED:
        if conventions.p_rule == "strict":  # which counts all draws, undefined or not
            conventions = conventions.model_copy(update={"p_rule": "mid"})
        scores = matched_scores(replicate, partitioning).scores
        measure = Measure("input_coherence", "high", scores, "score", scores, "left_out")
    elif form in LOGIT_FORMS:
        measure = logit_coherence(replicate.image_logits(partitioning), form)
    else:
        measure = replicate.measure(name, partitioning)
    return assess(measure, conventions=conventions, seed=replicate.seed)


def form_row(group: Sequence[Replicate], name: str, form: str, partitioning: str) -> dict:
    """Combine the replicates of one network: p, effect and what is undefined of one form.

    Parameters
    ----------
    group : sequence of Replicate
        All seeds of one network.
    name, form, partitioning : str
        As in :func:`form_assessment`.

    Returns
    -------
    dict
        ``p``: permutation Fisher, combined by the Bates distribution; ``effect`` over its null mean
        is ``effect_ratio``, which speaks for specialization on the side ``favourable`` of 1;
        ``undefined_draws``: share of counterparts without a value.
    """
    assessments = [form_assessment(replicate, name, form, partitioning) for replicate in group]
    row = {"partitioning": partitioning, "measure": name, "form": form}
    return {**row, **form_columns(assessments)}
