"""Subclusters: list the tested sets of units, and draw their random counterparts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from localspec._utils.validation import (
    as_array,
    as_floats,
    as_integers,
    check_integer,
    check_type,
    require,
    shown,
)
from localspec.clustering._partition import NO_CLUSTER, Partition, check_partition
from localspec.conventions import Conventions, resolve
from localspec.exceptions import InvalidInputError

MOST_OF_LAYER = 0.99
MAX_DRAWS = 10**6  # all are kept in memory
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
    n_asked : int
        Draws asked for: their number even where there is no subcluster to draw for.
    """

    subclusters: tuple[Subcluster, ...]
    units: tuple[np.ndarray, ...]
    n_asked: int = 0

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(self.units[0]) if self.units else self.n_asked

    @property
    def mean_overlap(self) -> float:
        """Mean share of a true subcluster's units that its counterparts hold."""
        shares = [
            np.isin(rows, subcluster.units).mean()
            for subcluster, rows in zip(self.subclusters, self.units, strict=True)
        ]
        return float(np.mean(shares)) if shares else float("nan")

    @property
    def are_true(self) -> np.ndarray:
        """Which draws are the true subcluster itself: bool, shape (n_draws, n_subclusters)."""
        same = [
            (np.sort(rows, axis=1) == subcluster.units).all(axis=1)
            for subcluster, rows in zip(self.subclusters, self.units, strict=True)
        ]
        return np.reshape(same, (len(self.subclusters), self.n_draws)).T.astype(bool)

    def chosen(self, positions: Sequence[int]) -> Draws:
        """Return the draws of some of the subclusters, in the order of their positions.

        Examples
        --------
        >>> partition = Partition.from_labels({"dense1": np.array([0, 0, 1, 1, 1])})
        >>> draws = draw_counterparts(partition, 4).chosen([1])
        >>> [part.cluster for part in draws.subclusters], draws.units[0].shape
        ([1], (4, 3))
        """
        n_tested, listed = len(self.subclusters), as_integers("positions", positions)
        require(listed.ndim == 1, f"positions must be a list of them, not {shown(positions)}")
        positions = listed.tolist()
        for position in positions:
            require(
                0 <= position < n_tested,
                f"there is no subcluster {position}: positions are from 0 to {n_tested - 1}",
            )
        return replace(
            self,
            subclusters=tuple(self.subclusters[position] for position in positions),
            units=tuple(self.units[position] for position in positions),
        )

    def lesions(self) -> list[Lesion]:
        """Return true and random sets as one list: subcluster by subcluster, true one first."""
        listed: list[Lesion] = []
        for subcluster, rows in zip(self.subclusters, self.units, strict=True):
            listed.append(subcluster.as_lesion())
            listed += [{subcluster.layer: row} for row in rows]
        return listed

    def random_lesions(self) -> list[Lesion]:
        """Return the random sets alone, subcluster by subcluster."""
        pairs = zip(self.subclusters, self.units, strict=True)
        return [{subcluster.layer: row} for subcluster, rows in pairs for row in rows]

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """Return values of :meth:`lesions` as (n_draws + 1, n_subclusters, ...), row 0 true.

        A draw that is the true subcluster itself takes its value: rounding, which can hang on what
        is computed beside it, does not part them.
        """
        n_lesions = len(self.subclusters) * (self.n_draws + 1)
        values = as_array(values)
        require(
            values.ndim > 0 and len(values) == n_lesions,
            f"values of shape {values.shape} must have a row for each of the {n_lesions} sets "
            "of lesions()",
        )
        shape = (len(self.subclusters), self.n_draws + 1, *values.shape[1:])
        arranged = np.moveaxis(np.reshape(values, shape), 1, 0).copy()
        for index, subcluster in np.argwhere(self.are_true):
            arranged[index + 1, subcluster] = arranged[0, subcluster]
        return arranged


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

    Raises
    ------
    InvalidInputError
        If `partition` is none.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Units, layers, partitions".

    Examples
    --------
    >>> partition = Partition.from_labels({"dense1": np.array([0, 0, 1, 1, 1, 2, -1])})
    >>> [(part.cluster, part.units.tolist()) for part in subclusters(partition)]
    [(0, [0, 1]), (1, [2, 3, 4])]
    """
    check_partition(partition)
    return _subclusters(partition, resolve(conventions))


def _subclusters(partition: Partition, conventions: Conventions) -> tuple[Subcluster, ...]:
    tested = []
    for layer in partition.tested:
        labels = partition.of(layer)
        n_live = int((labels != NO_CLUSTER).sum())
        for label in np.unique(labels[labels != NO_CLUSTER]):
            units = np.flatnonzero(labels == label)
            if conventions.min_units == "three":
                is_tested = 2 < len(units) < MOST_OF_LAYER * layer.n_units
            else:
                is_tested = 2 <= len(units) <= MOST_OF_LAYER * n_live
            if is_tested:
                tested.append(Subcluster(layer.name, int(label), units))
    return tuple(tested)


def permuted_labels(
    partition: Partition, rng: np.random.Generator, strata: Mapping[str, np.ndarray] | None = None
) -> np.ndarray:
    """Return a partition's labels, permuted among the live units of each tested layer.

    Where `strata` gives a layer's units a stratum, labels are permuted within each stratum only.
    """
    check_partition(partition)
    check_type("rng", rng, np.random.Generator, "numpy.random.default_rng(seed)")
    if strata is not None:
        _check_strata(strata, partition)
    return _permuted_labels(partition, rng, strata)


def _permuted_labels(
    partition: Partition, rng: np.random.Generator, strata: Mapping[str, np.ndarray] | None
) -> np.ndarray:
    labels = partition.labels.copy()
    for layer in partition.tested:
        live = np.flatnonzero(partition.of(layer) != NO_CLUSTER)
        stratum = np.asarray(np.zeros(layer.n_units) if strata is None else strata[layer.name])
        for name in np.unique(stratum[live]):
            units = layer.start + live[stratum[live] == name]
            labels[units] = rng.permutation(labels[units])
    return labels


def quantile_strata(values: np.ndarray, n_strata: int) -> np.ndarray:
    """Return which of `n_strata` groups of (almost) equal size each value falls into, by rank.

    Examples
    --------
    >>> quantile_strata(np.array([5.0, 1.0, 9.0, 2.0]), 2).tolist()
    [1, 0, 1, 0]
    """
    values = as_floats("values", values)
    require(
        values.ndim == 1 and not np.isnan(values).any(),
        f"values must be one number a unit, without NaN, not {shown(values)}",
    )
    n_strata = check_integer("n_strata", n_strata, 1)
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return ranks * n_strata // len(values)


def _check_strata(strata: Mapping[str, np.ndarray], partition: Partition) -> None:
    require(
        isinstance(strata, Mapping),
        f"strata must map every layer to its units' strata, not be {shown(strata)}",
    )
    for layer in partition.tested:
        require(
            layer.name in strata,
            f"strata of layer {layer.name!r} are missing: name every tested layer",
        )
        values = as_array(strata[layer.name])
        if values.shape != (layer.n_units,):
            raise InvalidInputError(
                f"strata of layer {layer.name!r} must be a vector of {layer.n_units} values, one a "
                f"unit, not of shape {values.shape}"
            )
        values = as_array(values.tolist())  # text in an array of objects, too
        require(
            values.dtype.kind in "biufU",
            f"strata of layer {layer.name!r} must be numbers or text, not {shown(values)}",
        )
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise InvalidInputError(
                f"strata of layer {layer.name!r} hold NaN: give every unit a stratum"
            )


def draw_counterparts(
    partition: Partition,
    n_draws: int,
    *,
    seed: int | Sequence[int] = 0,
    strata: Mapping[str, np.ndarray] | None = None,
    conventions: Conventions | str = "paper",
) -> Draws:
    """Draw random counterparts of every tested subcluster.

    Parameters
    ----------
    partition : Partition
    n_draws : int
        From 1 to 1,000,000.
    seed : int or sequence of int, optional
    strata : mapping of layer name to array, shape (n_units of the layer,), optional
        Permute labels only among units of the same stratum, so that every counterpart has as many
        units of each as the true subcluster; for ``draws="joint"``.
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
        If `strata` do not cover a layer or are given for independent draws, or `seed` or `n_draws`
        is out of range.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Random counterparts".
    """
    check_partition(partition)
    n_draws = check_integer("n_draws", n_draws, 1, MAX_DRAWS)
    parts = np.asarray(seed, dtype=object)
    entropy = [check_integer("seed", part, 0) for part in np.atleast_1d(parts)]
    conventions = resolve(conventions)
    rng = np.random.default_rng(entropy if parts.ndim else entropy[0])
    tested = _subclusters(partition, conventions)
    ranges = {layer.name: layer for layer in partition.tested}
    if strata is not None:
        require(
            conventions.draws == "joint",
            'strata need draws="joint": independent draws know no strata',
        )
        _check_strata(strata, partition)
    if conventions.draws == "independent":
        rows = []
        for part in tested:
            live = np.flatnonzero(partition.of(ranges[part.layer]) != NO_CLUSTER)
            chosen = [rng.choice(live, part.n_units, replace=False) for _ in range(n_draws)]
            rows.append(np.sort(np.array(chosen), axis=1))
        return Draws(tested, tuple(rows), n_draws)
    copies = [_permuted_labels(partition, rng, strata) for _ in range(n_draws)]
    rows = []
    for part in tested:
        units = ranges[part.layer].units
        rows.append(np.array([np.flatnonzero(copy[units] == part.cluster) for copy in copies]))
    return Draws(tested, tuple(rows), n_draws)
