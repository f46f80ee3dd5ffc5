"""Activation graphs: join units by correlations of their activations."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from localspec._utils.hardware import side_by_side
from localspec._utils.validation import check_option
from localspec.clustering._unit_graph import UnitGraph, layer_ranges
from localspec.conventions import Conventions, resolve
from localspec.data import check_images, other_image
from localspec.exceptions import InvalidInputError
from localspec.statistics import RTOL
from localspec.units import (
    ACTIVATION_VALUES,
    MAX_VALUES,
    Network,
    Units,
    count_logits,
    unit_values_traced,
    units_of,
)

CORRELATIONS = ("spearman", "pearson", "kendall")
BATCH_SIZE = 1000  # images whose ranks are multiplied at a time
ROUNDED = 64  # times the precision's epsilon: what sums of thousands of products are rounded by
MAX_RANKED = 2**17  # values ranked by one thread at a time: few enough for its cache


def constant_columns(values: np.ndarray, rtol: float) -> np.ndarray:
    """Return which columns do not vary by more than `rtol` of their magnitude."""
    low, high = values.min(axis=0), values.max(axis=0)
    return high - low <= rtol * np.maximum(np.abs(low), np.abs(high))


def _rank_products(values: np.ndarray, batch_size: int, max_ranked: int) -> np.ndarray:
    """Return inner products of the columns' doubled ranks, without rounding.

    They are whole numbers below 2^53 for up to 300,000 images.
    """
    n_images, n_units = values.shape
    size = max(1, max_ranked // n_images)
    doubled = np.empty((n_units, n_images), np.float32)  # twice the ranks, less their mean

    def rank(begin: int) -> None:
        rows = np.ascontiguousarray(values[:, begin : begin + size].T)
        doubled[begin : begin + size] = 2 * stats.rankdata(rows, axis=1) - (n_images + 1)

    for _ in side_by_side(rank, range(0, n_units, size)):
        pass
    products = np.zeros((n_units, n_units))
    for begin in range(0, n_images, batch_size):
        part = doubled[:, begin : begin + batch_size].astype(np.float64)
        products += part @ part.T
    return products


def rounding(dtype: torch.dtype) -> float:
    """Return what differences between values computed in a precision count as rounding.

    Of their magnitude. The same image in batches of other sizes comes out with other last digits,
    since the products that a value sums are added in another order.
    """
    epsilon = torch.finfo(dtype).eps
    # half precision sums in single
    return max(RTOL, min(ROUNDED * epsilon, max(2 * epsilon, 1e-5)))


def correlation_matrix(
    values: np.ndarray,
    correlation: str = "spearman",
    *,
    rtol: float = RTOL,
    batch_size: int = BATCH_SIZE,
    max_ranked: int = MAX_RANKED,
) -> np.ndarray:
    """Return squared correlations between columns of (n_images, n_units), with a zero diagonal.

    Units that vary by less than `rtol` of their magnitude are constant: their rows and columns are
    zero. Memory is bounded by `batch_size`, the images whose ranks are multiplied at a time, and
    `max_ranked`, the values that one thread ranks at a time (or those of one unit).

    Spearman's ranks are kept in single precision, doubled so that ties are whole numbers too, and
    multiplied in double precision, where their sums of products are exact: neither the order of
    images nor the number of threads can change them. Beside `values` this takes 4 bytes for each of
    them and 24 for each pair of units.

    Hod et al., arXiv:2110.08058, "Activations graph"; ranks with ties and tau-b as in
    :func:`scipy.stats.rankdata` and :func:`scipy.stats.kendalltau`.

    Examples
    --------
    >>> values = np.array([[1.0, 8.0], [2.0, 4.0], [3.0, 0.0]])
    >>> round(float(correlation_matrix(values)[0, 1]), 12)
    1.0
    """
    n_units = values.shape[1]
    if correlation == "kendall":
        squared = np.zeros((n_units, n_units))
        for i in range(n_units):
            for j in range(i):
                tau = stats.kendalltau(values[:, i], values[:, j]).statistic
                squared[i, j] = squared[j, i] = 0.0 if np.isnan(tau) else tau**2
        constant = constant_columns(values, rtol)
        squared[constant], squared[:, constant] = 0.0, 0.0
        return squared
    if correlation == "spearman":
        squared = _rank_products(values, batch_size, max_ranked)
    else:
        centred = values - values.mean(axis=0)
        squared = centred.T @ centred
    length = np.sqrt(squared.diagonal())
    constant = constant_columns(values, rtol) | (length == 0)
    length[constant] = np.inf
    squared /= np.outer(length, length)
    np.clip(squared, -1.0, 1.0, out=squared)
    np.square(squared, out=squared)
    np.fill_diagonal(squared, 0.0)
    return squared


def activation_graph(
    network: Network,
    x: torch.Tensor,
    *,
    correlation: str = "spearman",
    activation_values: str = "before",
    conventions: Conventions | str = "paper",
) -> UnitGraph:
    """Build the graph of squared correlations between the tested units' values.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
        Training images, without augmentation; at least three.
    correlation : {"spearman", "pearson", "kendall"}
    activation_values : {"before", "after"}
        The values that are correlated: before the activation, or after it.
    conventions : Conventions or str
        Uses ``spatial_norm`` and ``residual_units``.

    Returns
    -------
    UnitGraph
        Dense, over the tested units; units that do not vary, but for rounding, are inactive.

    Raises
    ------
    InvalidInputError
        If the images are too few or no unit varies over them.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Activations graph".
    """
    conventions = resolve(conventions)
    check_option("correlation", correlation, CORRELATIONS)
    check_option("activation_values", activation_values, ACTIVATION_VALUES)
    unit_map = units_of(network, conventions=conventions)
    check_images(x)
    count_logits(unit_map, x)
    return activation_graph_traced(
        unit_map,
        x,
        conventions,
        correlation=correlation,
        activation_values=activation_values,
    )


def activation_graph_traced(
    unit_map: Units,
    x: torch.Tensor,
    conventions: Conventions,
    *,
    correlation: str = "spearman",
    activation_values: str = "before",
) -> UnitGraph:
    """Return what :func:`activation_graph` does, of a traced network and images that fit it."""
    if len(x) < 3:
        raise InvalidInputError(f"correlations need at least 3 images, not {len(x)}")
    if other_image(x) is None:
        raise InvalidInputError("no unit varies over these images: they are all the same")
    values = unit_values_traced(unit_map, x, conventions, MAX_VALUES, activation_values)
    layers = layer_ranges([(name, part.shape[1], True) for name, part in values.items()])
    stacked = np.concatenate(list(values.values()), axis=1)
    del values
    rtol = rounding(unit_map.dtype)
    inactive = constant_columns(stacked, rtol)
    if inactive.all():
        raise InvalidInputError("no unit varies over these images: are they all the same?")
    matrix = correlation_matrix(stacked, correlation, rtol=rtol)
    return UnitGraph(matrix, layers, "activations", inactive)
