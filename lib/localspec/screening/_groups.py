"""Groups: gather what a card says of one tested group, in reports and in galleries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from localspec.measures import Assessment
from localspec.statistics import at_most


@dataclass(frozen=True, eq=False)
class Finding:
    """One measure of one group.

    Attributes
    ----------
    value : float
        NaN where undefined.
    side : {"low", "high"}
        The extreme side.
    draws : numpy.ndarray, shape (n_draws,)
        Values of its random counterparts; NaN where undefined.
    p_value : float
    effect : float
        NaN where undefined.
    stands_out : bool
        Whether p is at most the level.
    """

    value: float
    side: str
    draws: np.ndarray
    p_value: float
    effect: float
    stands_out: bool

    @classmethod
    def from_assessment(cls, assessment: Assessment, index: int, level: float) -> Finding:
        """Return what was found of one group; it stands out where p is at most the level."""
        values, p_value = assessment.measure.values[:, index], float(assessment.p_values[index])
        return cls(
            value=float(values[0]),
            side=assessment.measure.side,
            draws=values[1:],
            p_value=p_value,
            effect=float(assessment.effects.effect[index]),
            stands_out=bool(at_most(p_value, level)),
        )

    @property
    def defined(self) -> bool:
        """Whether it has a value; only class coherence may have none."""
        return not np.isnan(self.value)

    @property
    def random_mean(self) -> float:
        """Mean over the random counterparts whose value is defined; NaN without any."""
        defined = self.draws[~np.isnan(self.draws)]
        return float(defined.mean()) if len(defined) else float("nan")


@dataclass(frozen=True, eq=False)
class Group:
    """One tested group of units, with what every card says.

    Attributes
    ----------
    partitioning, layer : str
    cluster : int
    units : numpy.ndarray of int, shape (n_units,)
        Within the layer, ascending.
    findings : mapping of str to Finding
        By measure.
    lost, random_lost : numpy.ndarray, shape (n_classes,)
        Accuracy lost by each class that has images, by this lesion and by those of the random
        counterparts on average.
    picture, random_picture : numpy.ndarray, shape (n_channels, height, width)
        Visualizations of the group and of its first random counterpart.
    exciting : numpy.ndarray of int, shape (n_exciting,)
        Images that excite it most, the strongest first.
    """

    partitioning: str
    layer: str
    cluster: int
    units: np.ndarray
    findings: Mapping[str, Finding]
    lost: np.ndarray
    random_lost: np.ndarray
    picture: np.ndarray
    random_picture: np.ndarray
    exciting: np.ndarray

    @property
    def title(self) -> str:
        """What its card is called."""
        return f"{self.layer}, cluster {self.cluster}"

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.units)

    @property
    def stands_out_in(self) -> list[str]:
        """Measures in which it stands out."""
        return [name for name, finding in self.findings.items() if finding.stands_out]

    @property
    def most_damaged(self) -> int | None:
        """Position of the class that loses most; None where none loses."""
        return int(self.lost.argmax()) if self.lost.size and self.lost.max() > 0 else None


@dataclass(frozen=True, eq=False)
class ScreenedGroup(Group):
    """One group of a report.

    Attributes
    ----------
    rank : int
        Its row in the table, from 0.
    n_in_layer : int
        Units of the layer.
    edges : numpy.ndarray, shape (2,)
        Lowest and highest excitation in the histograms.
    counts, random_counts : numpy.ndarray of int, shape (n_bins,)
    """

    rank: int
    n_in_layer: int
    edges: np.ndarray
    counts: np.ndarray
    random_counts: np.ndarray
