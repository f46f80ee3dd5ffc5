"""Tested sets of units, and their random counterparts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from localspec.conventions import Conventions, resolve
from localspec.errors import InvalidInputError
from localspec.partitions import NO_CLUSTER, Partition

STAGE_VERSION = 1
MOST_OF_LAYER = 0.99
Lesion = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Subcluster:
    """The units of one cluster in one layer.

    Attributes
    ----------
    layer : str
    cluster : int
    units : numpy.ndarray of int, shape (n_units,)
        Indices within the layer, ascending.
    """

    layer: str
    cluster: int
    units: np.ndarray

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.units)

    def as_lesion(self) -> Lesion:
        """Return the mapping of layer name to unit indices that lesions and images take."""
        return {self.layer: self.units}


@dataclass(frozen=True)
class Draws:
    """Random counterparts of the tested subclusters of a partition.

    Attributes
    ----------
    subclusters : tuple of Subcluster
    units : tuple of numpy.ndarray of int, shape (n_draws, n_units of the subcluster)
        Row i holds the counterpart in draw i.
    """

    subclusters: tuple[Subcluster, ...]
    units: tuple[np.ndarray, ...]

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(self.units[0]) if self.units else 0

    @property
    def mean_overlap(self) -> float:
        """Mean share of a true subcluster's units that its counterparts hold."""
        shares = [
            np.isin(rows, subcluster.units).mean()
            for subcluster, rows in zip(self.subclusters, self.units, strict=True)
        ]
        return float(np.mean(shares)) if shares else float("nan")

    def lesions(self) -> list[Lesion]:
        """Return true and random sets as one list: subcluster by subcluster, true one first."""
        listed: list[Lesion] = []
        for subcluster, rows in zip(self.subclusters, self.units, strict=True):
            listed.append(subcluster.as_lesion())
            listed += [{subcluster.layer: row} for row in rows]
        return listed

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """Return values of :meth:`lesions` as (n_draws + 1, n_subclusters, ...), row 0 true."""
        shape = (len(self.subclusters), self.n_draws + 1, *np.shape(values)[1:])
        return np.moveaxis(np.reshape(values, shape), 1, 0)


def subclusters(
    partition: Partition, *, conventions: Conventions | str = "paper"
) -> tuple[Subcluster, ...]:
    """Return the subclusters that are tested.

    Parameters
    ----------
    partition : Partition
    conventions : Conventions or str
        Uses ``min_units``.

    Returns
    -------
    tuple of Subcluster
        By layer, then by cluster: those of at least two units and at most 99 % of their
        layer's live units (``min_units="three"``: more than two, and fewer than 99 % of the
        whole layer).

    References
    ----------
    Hod et al., arXiv:2110.08058, "Units, layers, partitions".

    Examples
    --------
    >>> partition = Partition.from_labels({"dense1": np.array([0, 0, 1, 1, 1, 2, -1])})
    >>> [(part.cluster, part.units.tolist()) for part in subclusters(partition)]
    [(0, [0, 1]), (1, [2, 3, 4])]
    """
    three = resolve(conventions).min_units == "three"
    tested = []
    for layer in partition.tested:
        labels = partition.of(layer)
        n_live = int((labels != NO_CLUSTER).sum())
        for label in np.unique(labels[labels != NO_CLUSTER]):
            units = np.flatnonzero(labels == label)
            if three:
                kept = 2 < len(units) < MOST_OF_LAYER * layer.n_units
            else:
                kept = 2 <= len(units) <= MOST_OF_LAYER * n_live
            if kept:
                tested.append(Subcluster(layer.name, int(label), units))
    return tuple(tested)


def _permuted(partition: Partition, rng: np.random.Generator) -> np.ndarray:
    labels = partition.labels.copy()
    for layer in partition.tested:
        live = layer.start + np.flatnonzero(partition.of(layer) != NO_CLUSTER)
        labels[live] = rng.permutation(labels[live])
    return labels


def draw(
    partition: Partition,
    n_draws: int,
    *,
    seed: int | Sequence[int] = 0,
    conventions: Conventions | str = "paper",
) -> Draws:
    """Draw random counterparts of every tested subcluster.

    Parameters
    ----------
    partition : Partition
    n_draws : int
        At least 1.
    seed : int or sequence of int, optional
    conventions : Conventions or str
        Uses ``draws`` and ``min_units``. ``draws="joint"``: one draw permutes the labels among
        a layer's live units, which gives every subcluster its counterpart at once;
        ``"independent"``: every subcluster draws as many live units of its layer on its own.

    Returns
    -------
    Draws

    Raises
    ------
    InvalidInputError
        If `n_draws` is not positive.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Random counterparts".
    """
    if not isinstance(n_draws, int | np.integer) or n_draws < 1:
        raise InvalidInputError(f"n_draws must be a whole number of at least 1, not {n_draws!r}")
    conventions = resolve(conventions)
    rng = np.random.default_rng(seed)
    tested = subclusters(partition, conventions=conventions)
    ranges = {layer.name: layer for layer in partition.tested}
    if conventions.draws == "independent":
        rows = []
        for part in tested:
            live = np.flatnonzero(partition.of(ranges[part.layer]) != NO_CLUSTER)
            chosen = [rng.choice(live, part.n_units, replace=False) for _ in range(n_draws)]
            rows.append(np.sort(np.array(chosen), axis=1))
        return Draws(tested, tuple(rows))
    copies = [_permuted(partition, rng) for _ in range(n_draws)]
    rows = []
    for part in tested:
        units = ranges[part.layer].units
        rows.append(np.array([np.flatnonzero(copy[units] == part.cluster) for copy in copies]))
    return Draws(tested, tuple(rows))
