"""Choices: what is done with a trained network otherwise than its profile says."""

from __future__ import annotations

from dataclasses import dataclass

from localspec.conventions import PAPER, Conventions


@dataclass(frozen=True)
class Choices:
    """What is done otherwise than the profile says.

    Attributes
    ----------
    conventions : Conventions, optional
        Reading of the method; by default that of the profile.
    n_clusters : int, optional
        Clusters of the whole network; by default those of the profile.
    clustering_seed, draws_seed : int
        Of k-means and of random counterparts, added to the network's seed.
    strata : {"weight norm", "mean activation"}, optional
        Random counterparts match the subcluster in how many units of each quantile of this it has.
    n_strata : int
        Quantiles that units are parted into where there are strata.
    replacement : {"zero", "mean"}
        What lesioned units are set to.
    check : {"defined", "equal_damage"}, optional
        How class coherence is checked, see :func:`checked_coherence`.
    """

    conventions: Conventions | None = None
    n_clusters: int | None = None
    clustering_seed: int = 0
    draws_seed: int = 0
    strata: str | None = None
    n_strata: int = 4
    replacement: str = "zero"
    check: str | None = None


PROFILE_CHOICES = Choices()
PAPER_CHOICES = Choices(conventions=PAPER)  # whatever conventions the profile names
