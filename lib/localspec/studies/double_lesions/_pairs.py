"""Pairs of subclusters: what their lesions cost together, apart, and one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from localspec.lesions import LesionedAccuracies, conditional_lesions, joint_lesions
from localspec.measures import Assessment, Measure, assess, importance
from localspec.pipeline import STAGES, Replicate
from localspec.statistics import extremeness

SAME_LAYER, OTHER_LAYER = "same layer", "two layers"
WHERE = (SAME_LAYER, OTHER_LAYER)


@dataclass(frozen=True)
class PairLesions:
    """Losses of accuracy, averaged over classes, of all pairs of subclusters of a partition.

    Attributes
    ----------
    pairs : tuple of (int, int)
        Indices of the tested subclusters.
    where : numpy.ndarray of str, shape (n_pairs,)
        Whether both are of the "same layer" or of "two layers".
    together : numpy.ndarray, shape (n_draws + 1, n_pairs)
        Lost when both are lesioned, row 0 true.
    apart : numpy.ndarray, shape (n_draws + 1, n_pairs)
        Sum of what each loses alone.
    """

    pairs: tuple[tuple[int, int], ...]
    where: np.ndarray
    together: np.ndarray
    apart: np.ndarray

    def excess(self, where: str) -> Measure:
        """Return what pairs lose together beyond apart; high is extreme."""
        chosen = self.where == where
        # rounded: sums of accuracies that are equal would differ in their last digits
        values = np.round(self.together - self.apart, 12)[:, chosen] + 0.0
        return Measure("excess", "high", values, "drop", -values)


def _key(replicate: Replicate, **own: object) -> dict[str, object]:
    return {**own, **replicate.lesion_parameters(), "lesions": STAGES["lesions"]}


def pair_lesions(replicate: Replicate, partitioning: str) -> PairLesions:
    """Return what every pair of subclusters loses together and apart, and so its counterparts.

    Parameters
    ----------
    replicate : Replicate
        With joint draws, of which one gives both of a pair their counterparts, so that these never
        overlap.
    partitioning : str

    Returns
    -------
    PairLesions
        What is lost in lesions of both is stored.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion"; double lesions are those of its companion code,
    without overlaps.
    """
    draws = replicate.draws(partitioning)
    parts = draws.subclusters
    pairs = tuple(combinations(range(len(parts)), 2))

    def compute() -> LesionedAccuracies:
        return joint_lesions(
            replicate.trained,
            *replicate.lesion_images(),
            draws,
            pairs,
            n_classes=replicate.dataset.n_classes,
            conventions=replicate.conventions,
            precision=replicate.settings.lesion_precision,
        )

    stored = replicate.stored(
        "double_lesions",
        LesionedAccuracies,
        compute,
        parameters=_key(replicate, result="joint"),
        inputs=(replicate.draws_key(partitioning),),
    )
    single = -importance(replicate.lesioned(partitioning)).effect_values
    first, second = np.reshape(pairs, (-1, 2)).T.astype(int)
    where = [SAME_LAYER if parts[i].layer == parts[j].layer else OTHER_LAYER for i, j in pairs]
    return PairLesions(
        pairs=pairs,
        where=np.array(where, dtype=str),
        together=-importance(stored).effect_values,
        apart=single[:, first] + single[:, second],
    )


def excess_assessment(replicate: Replicate, partitioning: str, where: str) -> Assessment:
    """Return whether pairs lose more together than apart, compared with their counterparts."""
    measure = pair_lesions(replicate, partitioning).excess(where)
    return assess(measure, conventions=replicate.conventions, seed=replicate.seed)


def second_lesions(replicate: Replicate, partitioning: str, lesioned: int) -> LesionedAccuracies:
    """Return accuracies under lesions of all other subclusters where one is lesioned throughout."""

    def compute() -> LesionedAccuracies:
        return conditional_lesions(
            replicate.trained,
            *replicate.lesion_images(),
            replicate.partition(partitioning),
            replicate.draws(partitioning),
            lesioned,
            seed=replicate.seed,
            n_classes=replicate.dataset.n_classes,
            conventions=replicate.conventions,
            precision=replicate.settings.lesion_precision,
        )

    return replicate.stored(
        "double_lesions",
        LesionedAccuracies,
        compute,
        parameters=_key(replicate, result="conditional", lesioned=lesioned, seed=replicate.seed),
        inputs=(replicate.draws_key(partitioning),),
    )


def losses(accuracies: Sequence[LesionedAccuracies]) -> dict[str, float]:
    """Return mean losses of true and random sets, and how often a true one loses most of all.

    Examples
    --------
    One subcluster of two classes, with one counterpart.

    >>> lesioned = np.array([[[0.5, 0.7]], [[0.9, 0.9]]])
    >>> found = losses([LesionedAccuracies(np.ones(2), lesioned, np.array([10, 10]))])
    >>> {name: round(value, 12) for name, value in found.items()}
    {'loss': 0.4, 'loss_random': 0.1, 'most_of_all': 1.0}
    """
    measures = [importance(each) for each in accuracies]
    true = np.concatenate([-each.effect_values[0] for each in measures])
    random = np.concatenate([-each.effect_values[1:].ravel() for each in measures])
    beyond = [
        (extremeness(each.values[:1], each.values[1:], each.side) > 0).all(axis=0)
        for each in measures
    ]
    if not true.size:
        return {"loss": np.nan, "loss_random": np.nan, "most_of_all": np.nan}
    return {
        "loss": float(true.mean()),
        "loss_random": float(random.mean()),
        "most_of_all": float(np.concatenate(beyond).mean()),
    }
