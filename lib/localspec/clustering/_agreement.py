"""Agreement: compare two partitions of the same units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from localspec._utils.validation import as_floats, as_integers, check_option, require, shown
from localspec.clustering._partition import (
    NO_CLUSTER,
    Partition,
    as_cluster_labels,
    check_partition,
)
from localspec.statistics import RTOL

UNITS = ("live", "all")


def label_agreement(first: ArrayLike, second: ArrayLike, *, units: str = "live") -> float:
    """Return the adjusted Rand score of two labellings of the same units.

    Parameters
    ----------
    first, second : array_like of int, shape (n_units,)
        Clusters of the units; -1 where a unit has none.
    units : {"live", "all"}, optional
        Compare the units that have a cluster in both; or all of them, where those without a
        cluster are one more group.

    Returns
    -------
    float
        1 for the same partition, about 0 for independent ones; NaN if no unit is left.

    Raises
    ------
    InvalidInputError
        If the labellings differ in length, a label is below -1, or the option is unknown.

    References
    ----------
    Hubert and Arabie (1985), "Comparing partitions".

    Examples
    --------
    >>> label_agreement([0, 0, 1, 1, -1], [1, 1, 0, 0, 0])
    1.0
    """
    check_option("units", units, UNITS)
    first, second = as_cluster_labels("first", first), as_cluster_labels("second", second)
    require(
        first.ndim == 1 and first.shape == second.shape,
        f"labels of shapes {first.shape} and {second.shape} must be of the same units, one a unit",
    )
    if units == "live":
        live = (first != NO_CLUSTER) & (second != NO_CLUSTER)
        first, second = first[live], second[live]
    return float(adjusted_rand_score(first, second)) if len(first) else float("nan")


def partition_agreement(first: Partition, second: Partition) -> float:
    """Return the adjusted Rand score of two partitions over all tested layers together.

    Parameters
    ----------
    first, second : Partition

    Returns
    -------
    float
        Over the units that have a cluster in both; NaN if the partitions have other layers.

    Raises
    ------
    InvalidInputError
        If one of them is no partition.

    Examples
    --------
    >>> partition = Partition.from_labels({"a": np.array([0, 0, 1, 1])})
    >>> partition_agreement(partition, Partition.from_labels({"a": np.array([1, 1, 0, 0])}))
    1.0
    >>> partition_agreement(partition, Partition.from_labels({"a": np.array([0, 0, 1])}))
    nan
    """
    check_partition(first, "first")
    check_partition(second, "second")
    if first.layers != second.layers:
        return float("nan")
    tested = np.repeat(
        [layer.tested for layer in first.layers], [layer.n_units for layer in first.layers]
    )
    return label_agreement(first.labels[tested], second.labels[tested])


def layer_agreement(
    first: Partition, second: Partition, order: dict[str, np.ndarray] | None = None
) -> float:
    """Return the adjusted Rand score of two partitions, averaged over tested layers.

    Units without a cluster in either are left out, and so is a layer that has no others.

    Parameters
    ----------
    first, second : Partition
        Of the same layers.
    order : dict of str to numpy.ndarray of int, shape (n_units of the layer,), optional
        Which unit of the second stands for each unit of the first.

    Returns
    -------
    float
        NaN if no layer has units with a cluster in both.

    Raises
    ------
    InvalidInputError
        If the partitions are of other layers, or `order` leaves a unit out.

    Examples
    --------
    >>> partition = Partition.from_labels({"a": np.array([0, 0, 1, 1])})
    >>> other = Partition.from_labels({"a": np.array([1, 1, 0, 0])})
    >>> layer_agreement(partition, other)
    1.0
    """
    check_partition(first, "first")
    check_partition(second, "second")
    sizes = [[layer.n_units for layer in part.tested] for part in (first, second)]
    require(
        sizes[0] == sizes[1],
        f"the partitions must be of the same layers, not of {sizes[0]} and {sizes[1]} units",
    )
    if order is not None:
        _check_order(order, first)
    scores = []
    for layer, other_layer in zip(first.tested, second.tested, strict=True):
        labels = second.of(other_layer)
        if order is not None:
            labels = labels[order[layer.name]]
        scores.append(label_agreement(first.of(layer), labels))
    defined = [score for score in scores if not np.isnan(score)]
    return float(np.mean(defined)) if defined else float("nan")


def _check_order(order: dict[str, np.ndarray], partition: Partition) -> None:
    require(
        isinstance(order, Mapping),
        f"order must map every layer to its units' order, not be {shown(order)}",
    )
    for layer in partition.tested:
        units = as_integers(f"order of layer {layer.name!r}", order.get(layer.name, ()))
        require(
            units.ndim == 1 and np.array_equal(np.sort(units), np.arange(layer.n_units)),
            f"order of layer {layer.name!r} must name each unit from 0 to {layer.n_units - 1} "
            "once, as match_units returns them",
        )


def match_units(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Match the units of two networks' layers by their values on the same images.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (n_images, n_units)

    Returns
    -------
    numpy.ndarray of int, shape (n_units,)
        Which column of the second each column of the first is matched with: one to one, with
        the largest sum of correlations. That with a unit that does not vary counts as 0.

    Raises
    ------
    InvalidInputError
        If values are not finite, or not of as many images and units.

    Examples
    --------
    >>> values = np.array([[1.0, 0.0, 5.0], [2.0, 3.0, 0.0], [4.0, 1.0, 1.0]])
    >>> match_units(values, values[:, [2, 0, 1]]).tolist()
    [1, 2, 0]
    """
    first, second = as_floats("first", first), as_floats("second", second)
    require(
        first.ndim == 2 and first.shape == second.shape and first.size > 0,
        f"values of shapes {first.shape} and {second.shape} must be of as many images and units",
    )
    require(
        bool(np.isfinite(first).all() and np.isfinite(second).all()),
        "values must be finite, without NaN",
    )
    standard = []
    for values in (first, second):
        centred = values - values.mean(axis=0)
        length = np.sqrt((centred**2).sum(axis=0))
        # the mean of equal values can be another number by rounding
        varies = (np.ptp(values, axis=0) > RTOL * np.abs(values).max(axis=0)) & (length > 0)
        standard.append(np.where(varies, centred / np.where(varies, length, 1.0), 0.0))
    return linear_sum_assignment(standard[0].T @ standard[1], maximize=True)[1]
