"""Double lesions: silence two subclusters, jointly or conditionally on the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch

from localspec._utils.validation import as_integers, check_integer, check_type, require, shown
from localspec.clustering import NO_CLUSTER, Draws, Lesion, Partition
from localspec.exceptions import InvalidInputError
from localspec.lesions._accuracies import (
    LesionedAccuracies,
    check_draws,
    check_lesions,
    checked_class_sizes,
    lesion_accuracies_traced,
)
from localspec.lesions._options import checked_options
from localspec.units import Network

Pair = tuple[int, int]


def union(first: Lesion, second: Lesion) -> Lesion:
    """Return the lesion of all units of two lesions.

    They must not share a unit.
    """
    joined = {name: np.asarray(units) for name, units in first.items()}
    for name, units in second.items():
        shared = np.intersect1d(joined.get(name, []), units)
        if shared.size:
            raise InvalidInputError(
                f"two lesions share unit {int(shared[0])} of layer {name!r}: double lesions must "
                'not overlap (counterparts drawn with draws="joint" never do)'
            )
        joined[name] = np.sort(np.concatenate([joined.get(name, []), units])).astype(np.int64)
    return joined


def joint_lesions(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    pairs: Sequence[Pair] | None = None,
    *,
    n_classes: int | None = None,
    **options,
) -> LesionedAccuracies:
    """Lesion pairs of subclusters together, and the counterparts that one draw gives both.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
    y : torch.Tensor of int, shape (n_images,)
    draws : Draws
        With joint draws, where the counterparts of two subclusters never overlap.
    pairs : sequence of (int, int), optional
        Indices of ``draws.subclusters``; by default every pair.
    n_classes : int, optional
        By default one more than the largest label.
    **options
        Those of :func:`localspec.lesions.lesion_predictions`.

    Returns
    -------
    LesionedAccuracies
        ``lesioned`` has a column for each pair, in the order of `pairs`.

    Raises
    ------
    InvalidInputError
        If a pair names no two subclusters, two lesions overlap, or images and labels do not fit.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion"; double lesions are those of its companion code,
    without overlaps.
    """
    check_draws(draws)
    n_subclusters = len(draws.subclusters)
    if pairs is None:
        pairs = list(combinations(range(n_subclusters), 2))
    listed = as_integers("pairs", pairs)
    require(
        listed.size == 0 or (listed.ndim == 2 and listed.shape[1] == 2),
        f"pairs must be a list of two subclusters each, such as [(0, 1)], not {shown(pairs)}",
    )
    pairs = [tuple(pair) for pair in listed.tolist()]
    for pair in pairs:
        if pair[0] == pair[1] or not all(0 <= index < n_subclusters for index in pair):
            raise InvalidInputError(
                f"pair {pair} must hold two different subclusters from 0 to {n_subclusters - 1}"
            )
    unit_map, checked = checked_options(network, **options)
    sizes = checked_class_sizes(unit_map, x, y, n_classes)
    single_lesions = draws.lesions()
    check_lesions(unit_map, single_lesions)
    n_rows = draws.n_draws + 1
    by_draw = [single_lesions[row::n_rows] for row in range(n_rows)]  # each: of all subclusters
    lesions: list[Lesion] = [{}]
    lesions += [union(row[i], row[j]) for row in by_draw for i, j in pairs]
    accuracies = lesion_accuracies_traced(unit_map, x, y, lesions, sizes, checked)
    return LesionedAccuracies(
        baseline=accuracies[0],
        lesioned=accuracies[1:].reshape(draws.n_draws + 1, len(pairs), len(sizes)),
        class_sizes=sizes,
    )


def check_of_partition(draws: Draws, partition: Partition) -> None:
    """Refuse draws of a subcluster that a partition does not have."""
    check_type(
        "partition",
        partition,
        Partition,
        "cluster(...) or Partition.from_labels(...) makes one",
    )
    labels = {layer.name: partition.of(layer) for layer in partition.tested}
    for part in draws.subclusters:
        units = np.flatnonzero(labels.get(part.layer, np.empty(0)) == part.cluster)
        require(
            np.array_equal(units, part.units),
            f"draws are of another partition: cluster {part.cluster} of layer {part.layer!r} has "
            f"the units {shown(part.units.tolist())} there, and {shown(units.tolist())} here; pass "
            "draw_counterparts(partition, n_draws)",
        )


def draw_beside(partition: Partition, draws: Draws, lesioned: int, *, seed: int) -> Draws:
    """Draw counterparts of all other subclusters that leave the units of one, `lesioned`, alone.

    In its layer each subcluster gets as many of the other live units as it has; one draw gives all
    of them their counterparts, without overlap. The number of draws is that of `draws`.
    """
    tested = draws.subclusters
    if not 0 <= lesioned < len(tested):
        raise InvalidInputError(
            f"lesioned={lesioned} must be one of the subclusters, from 0 to {len(tested) - 1}"
        )
    rng = np.random.default_rng(seed)
    others = [index for index in range(len(tested)) if index != lesioned]
    rows: dict[int, list[np.ndarray]] = {index: [] for index in others}
    ranges = {layer.name: layer for layer in partition.tested}
    for _ in range(draws.n_draws):
        for name, layer in ranges.items():
            labels = partition.of(layer).copy()
            free = labels != NO_CLUSTER
            if tested[lesioned].layer == name:
                free[tested[lesioned].units] = False
            labels[free] = rng.permutation(labels[free])
            for index in others:
                if tested[index].layer == name:
                    chosen = np.flatnonzero(free & (labels == tested[index].cluster))
                    rows[index].append(chosen)
    return replace(
        draws,
        subclusters=tuple(tested[index] for index in others),
        units=tuple(np.array(rows[index]) for index in others),
    )


def conditional_lesions(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    partition: Partition,
    draws: Draws,
    lesioned: int,
    *,
    seed: int = 0,
    n_classes: int | None = None,
    **options,
) -> LesionedAccuracies:
    """Lesion every other subcluster in a network in which one is lesioned already.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
    y : torch.Tensor of int, shape (n_images,)
    partition : Partition
    draws : Draws
    lesioned : int
        Index of the subcluster that is lesioned throughout.
    seed : int, optional
        Of the counterparts, which leave that subcluster alone.
    n_classes : int, optional
        By default one more than the largest label.
    **options
        Those of :func:`localspec.lesions.lesion_predictions`.

    Returns
    -------
    LesionedAccuracies
        ``baseline`` is with that subcluster lesioned; ``lesioned`` has a column for each of
        the others.

    Raises
    ------
    InvalidInputError
        If there is no such subcluster, the draws are none of the partition's, or images and labels
        do not fit.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion"; double lesions are those of its companion code,
    without overlaps.
    """
    check_draws(draws)
    check_of_partition(draws, partition)
    lesioned = check_integer("lesioned", lesioned, 0)
    others = draw_beside(partition, draws, lesioned, seed=check_integer("seed", seed, 0))
    first = draws.subclusters[lesioned].as_lesion()
    joined = [union(first, lesion) for lesion in others.lesions()]
    lesions = [first, *joined]
    unit_map, checked = checked_options(network, **options)
    sizes = checked_class_sizes(unit_map, x, y, n_classes)
    check_lesions(unit_map, lesions)
    accuracies = lesion_accuracies_traced(unit_map, x, y, lesions, sizes, checked)
    return LesionedAccuracies(
        baseline=accuracies[0], lesioned=others.arrange(accuracies[1:]), class_sizes=sizes
    )
