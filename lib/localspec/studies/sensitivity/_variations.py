"""Variations: other draws, lesions, numbers of clusters and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from localspec.measures import LESIONED, MEASURES
from localspec.pipeline import OTHER_SEED, PROFILE_CHOICES, Choices
from localspec.units import STRATA


@dataclass(frozen=True)
class Variation:
    """One choice made otherwise."""

    name: str
    measures: tuple[str, ...] = MEASURES  # those that the choice concerns
    choices: Choices = PROFILE_CHOICES


BASELINE = Variation("as on the other pages")


def variations(
    other_n_clusters: Sequence[int] = (4, 8), n_strata: int = 4
) -> tuple[Variation, ...]:
    """Return the variations of the sensitivity page, the choices of the other pages first.

    Parameters
    ----------
    other_n_clusters : sequence of int, optional
    n_strata : int, optional
        Quantiles of weight norm or mean activation that draws are matched in.
    """
    matched = [
        Variation(f"draws matched in {name}", choices=Choices(strata=name, n_strata=n_strata))
        for name in STRATA
    ]
    coherence = ("class_coherence",)
    return (
        BASELINE,
        *matched,
        Variation("mean in place of zero", LESIONED, Choices(replacement="mean")),
        Variation("defined draws only", coherence, Choices(check="defined")),
        Variation("at equal damage", coherence, Choices(check="equal_damage")),
        *(Variation(f"k = {k}", choices=Choices(n_clusters=k)) for k in other_n_clusters),
        Variation("other k-means seed", choices=Choices(clustering_seed=OTHER_SEED)),
    )
