"""Choices: what is done with a trained network otherwise than its profile says."""

from __future__ import annotations

from dataclasses import dataclass

from localspec._utils.validation import check_integer, check_option, check_type
from localspec.conventions import PAPER, Conventions
from localspec.units import STRATA

CHECKS = ("defined", "equal_damage")
REPLACEMENTS = ("zero", "mean")


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

    def __post_init__(self) -> None:
        if self.conventions is not None:
            cure = "Conventions.preset('paper') or Conventions(...) makes one"
            check_type("conventions", self.conventions, Conventions, cure)
        if self.n_clusters is not None:
            check_integer("n_clusters", self.n_clusters, 2)
        check_integer("clustering_seed", self.clustering_seed, 0)
        check_integer("draws_seed", self.draws_seed, 0)
        check_option("strata", self.strata, (None, *STRATA))
        check_integer("n_strata", self.n_strata, 1)
        check_option("replacement", self.replacement, REPLACEMENTS)
        check_option("check", self.check, (None, *CHECKS))


PROFILE_CHOICES = Choices()
PAPER_CHOICES = Choices(conventions=PAPER)  # whatever conventions the profile names
