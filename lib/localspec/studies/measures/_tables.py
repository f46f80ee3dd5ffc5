"""Tables of the measures' forms: what each finds, and what speaks for or against the paper's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.clustering import layer_correlations, mean_correlation
from localspec.pipeline import (
    FORMS,
    PARTITIONINGS,
    Replicate,
    by_network,
    check_replicates,
    form_row,
    matched_scores,
    with_findings,
)
from localspec.statistics import benjamini_hochberg

TINY = 1e-6  # nats; where an effect of entropies is 0 or 2 and says no more how far they differ
SHOWN = ["network", "partitioning", "measure", "form", "p", "effect_ratio", "finding"]


def forms_table(replicates: Sequence[Replicate], *, level: float = 0.05) -> pd.DataFrame:
    """Return what every measure finds in each of its forms.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    level : float, optional
        False discovery rate of the family: all networks, partitionings and measures in the paper's
        form. Another form takes the place of the paper's of its measure.

    Returns
    -------
    pandas.DataFrame
        One row a network, partitioning, measure and form; the columns are those of
        :func:`localspec.pipeline.form_row`, with ``bh``, p adjusted by Benjamini-Hochberg, and
        ``finding``, which goes by it, see :func:`localspec.pipeline.form_finding`.

    Raises
    ------
    InvalidInputError
        If there is no replicate.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Families"; the forms are this project's.
    """
    check_real("level", level, 0, 1)
    check_replicates(replicates)
    rows = [
        {"network": group[0].network, **form_row(group, name, form, partitioning)}
        for group in by_network(replicates)
        for partitioning in PARTITIONINGS
        for name, forms in FORMS.items()
        for form in forms
    ]
    table = pd.DataFrame(rows)
    table = with_findings(table, adjusted(table), level=level)
    return table[SHOWN + [name for name in table if name not in SHOWN]]


def adjusted(table: pd.DataFrame) -> np.ndarray:
    """Return p of every row adjusted in the family in which it stands for its measure.

    Examples
    --------
    Two tests in the paper's form; the second one has another form, too.

    >>> table = pd.DataFrame({"network": "mlp", "partitioning": "weights/global"}, index=range(3))
    >>> table["measure"] = ["importance", "class_coherence", "class_coherence"]
    >>> table["form"] = ["paper's", "paper's", "at equal damage"]
    >>> adjusted(table.assign(p=[0.02, 0.5, 0.01])).tolist()
    [0.04, 0.5, 0.02]
    """
    values = np.full(len(table), np.nan)
    papers = [FORMS[name][0] == form for name, form in zip(table.measure, table.form, strict=True)]
    family = table[papers]
    for name, forms in FORMS.items():
        for form in forms:
            chosen = ((table["measure"] == name) & (table["form"] == form)).to_numpy()
            own = family["measure"] == name
            p_values = np.concatenate([family.loc[~own, "p"], table.loc[chosen, "p"]])
            values[chosen] = benjamini_hochberg(p_values).adjusted[(~own).sum() :]
    return values


def forms_evidence_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return how far entropies tell sets apart, and how correlated the units of each set are.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.

    Returns
    -------
    pandas.DataFrame
        One row a network and partitioning, over all subclusters and seeds. ``tiny_entropies``:
        share of the entropies of true and random sets below 1e-6 nats. ``correlation_true``,
        ``correlation_random``, ``correlation_matched``: mean over sets of the mean magnitude of the
        correlation between their units; ``undefined_matched``: share of counterparts for which no
        set as correlated was reached; ``overlap_matched``: mean share of a subcluster's units that
        the other counterparts hold.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Input coherence", "Output coherence".
    """
    return pd.DataFrame(
        [
            _evidence(group, partitioning)
            for group in by_network(replicates)
            for partitioning in PARTITIONINGS
        ]
    )


def _evidence(group: Sequence[Replicate], partitioning: str) -> dict:
    entropies, true, random, matched, overlaps = [], [], [], [], []
    for replicate in group:
        entropies.append(replicate.visualizations(partitioning).entropies.ravel())
        correlations = layer_correlations(replicate.graph("activations"))
        draws = replicate.draws(partitioning)
        for part, rows in zip(draws.subclusters, draws.units, strict=True):
            true.append(mean_correlation(correlations[part.layer], part.units))
            random += [mean_correlation(correlations[part.layer], units) for units in rows]
        scores = matched_scores(replicate, partitioning)
        matched.append(scores.correlations[1:].ravel())
        overlaps.append(scores.overlaps.ravel())
    entropies, matched = np.concatenate(entropies), np.concatenate(matched)
    return {
        "network": group[0].network,
        "partitioning": partitioning,
        "tiny_entropies": pd.Series(entropies < TINY).mean(),
        "correlation_true": pd.Series(true).mean(),
        "correlation_random": pd.Series(random).mean(),
        "correlation_matched": pd.Series(matched).mean(),
        "undefined_matched": pd.Series(np.isnan(matched)).mean(),
        "overlap_matched": pd.Series(np.concatenate(overlaps)).mean(),
    }
