"""The graph made from correlations of activations."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from localspec.compatibility import count_logits
from localspec.conventions import Conventions, resolve
from localspec.data import check_images
from localspec.errors import InvalidInputError, choose
from localspec.graphs import UnitGraph, layer_ranges
from localspec.statistics import RTOL
from localspec.threads import side_by_side
from localspec.units import trace_units

CORRELATIONS = ("spearman", "pearson", "kendall")
BATCH_SIZE = 1000  # images whose ranks are multiplied at a time
ROUNDED = 64  # times the precision's epsilon: what sums of thousands of products are rounded by
MAGNITUDE = 2**63 - 1  # all bits but the sign
MAX_RANKED = 2**17  # values ranked by one thread at a time: few enough for its cache


def unit_values(
    network, x: torch.Tensor, *, conventions: Conventions | str = "paper"
) -> dict[str, np.ndarray]:
    """Return the pre-ReLU values of the tested units on images.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    x : torch.Tensor, shape (n_images, ...)
    conventions : Conventions or str
        Uses ``spatial_norm``, which collapses a channel's map to one number, and
        ``residual_units``.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_images, n_units)
        By layer.
    """
    conventions = resolve(conventions)
    unit_map = trace_units(network, conventions=conventions)
    check_images(x)
    count_logits(unit_map, x[:1])
    parts = []
    stops = tuple(layer.pre_activation for layer in unit_map.tested)
    with torch.inference_mode():
        for batch in x.split(unit_map.n_together(x, stops)):
            batch = batch.to(unit_map.device, unit_map.dtype)
            values = unit_map.run(batch, stops=stops)
            parts.append([_collapse(value, conventions.spatial_norm) for value in values])
    joined = [torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True)]
    return {layer.name: values for layer, values in zip(unit_map.tested, joined, strict=True)}


def _collapse(value: torch.Tensor, norm: str) -> torch.Tensor:
    if value.ndim == 2:
        return value
    columns = value.abs().sum(dim=2)
    return columns.sum(dim=2) if norm == "l1" else columns.amax(dim=2)


def constant_columns(values: np.ndarray, rtol: float = RTOL) -> np.ndarray:
    """Return which columns do not vary, but for rounding.

    Parameters
    ----------
    values : numpy.ndarray, shape (n_images, n_units)
    rtol : float, optional
        What counts as rounding, of a column's magnitude.

    Returns
    -------
    numpy.ndarray of bool, shape (n_units,)
    """
    low, high = values.min(axis=0), values.max(axis=0)
    return high - low <= rtol * np.maximum(np.abs(low), np.abs(high))


def _sorted(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the order that sorts each row, and where runs of equal values begin.

    Sorting plain integers takes half the time of finding an order: where the last bits of all
    values are zero, as those of single precision are, these bits can carry the place::

        sign, exponent, first part of the mantissa | place in the row
    """
    n_bits = (rows.shape[1] - 1).bit_length()
    places = (1 << n_bits) - 1
    bits = (rows + 0.0).view(np.int64)  # of 0.0 and -0.0 the same
    if (bits & places).any():
        order = rows.argsort(axis=1)
        ordered = np.take_along_axis(rows, order, axis=1)
    else:
        bits ^= (bits >> 63) & MAGNITUDE  # integers in the order of the values
        keys = (bits & ~places) | np.arange(rows.shape[1])
        keys.sort(axis=1)
        order, ordered = keys & places, keys >> n_bits
    begins = np.ones(rows.shape, bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=begins[:, 1:])
    return order, begins


def _doubled_ranks(rows: np.ndarray) -> torch.Tensor:
    """Return twice the ranks within each row, less their mean: whole numbers, also for ties."""
    n_images = rows.shape[1]
    order, begins = _sorted(rows)
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=rows.size)
    # a run of ranks from s + 1 to s + l has the mean s + (l + 1) / 2; of all it is (n + 1) / 2
    doubled = (2 * (starts % n_images) + lengths - n_images).astype(np.float32)
    repeated = torch.from_numpy(np.repeat(doubled, lengths).reshape(rows.shape))
    return torch.empty_like(repeated).scatter_(1, torch.from_numpy(order), repeated)


def _rank_products(values: np.ndarray) -> np.ndarray:
    """Return inner products of the columns' doubled ranks, without rounding.

    They are whole numbers below 2^53 for up to 300,000 images.
    """
    n_images, n_units = values.shape
    size = max(1, MAX_RANKED // n_images)
    ranks = np.empty((n_units, n_images), np.float32)

    def rank(begin: int) -> None:
        rows = np.ascontiguousarray(values[:, begin : begin + size].T)
        ranks[begin : begin + size] = _doubled_ranks(rows)

    for _ in side_by_side(rank, range(0, n_units, size)):
        pass
    products = np.zeros((n_units, n_units))
    for begin in range(0, n_images, BATCH_SIZE):
        part = ranks[:, begin : begin + BATCH_SIZE].astype(np.float64)
        products += part @ part.T
    return products


def _centred_products(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=0)
    return centred.T @ centred


def rounding(dtype: torch.dtype) -> float:
    """Return what differences between values computed in a precision count as rounding.

    Of their magnitude. The same image in batches of other sizes comes out with other last digits,
    since the products that a value sums are added in another order.
    """
    epsilon = torch.finfo(dtype).eps
    return max(
        RTOL, min(ROUNDED * epsilon, max(2 * epsilon, 1e-5))
    )  # half precision sums in single


def correlation_matrix(
    values: np.ndarray, correlation: str = "spearman", *, rtol: float = RTOL
) -> np.ndarray:
    """Return squared correlations between columns.

    Parameters
    ----------
    values : numpy.ndarray, shape (n_images, n_units)
    correlation : {"spearman", "pearson", "kendall"}
    rtol : float, optional
        Units that vary by less of their magnitude are constant.

    Returns
    -------
    numpy.ndarray, shape (n_units, n_units)
        In [0, 1], with a zero diagonal; rows and columns of constant units are zero.

    Notes
    -----
    Spearman's ranks are kept in single precision, doubled so that ties are whole numbers too, and
    multiplied in double precision, where their sums of products are exact: neither the order of
    images nor the number of threads can change them. Beside `values` this takes 4 bytes for each
    of them and 24 for each pair of units.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Activations graph"; ranks with ties and tau-b as in
    :func:`scipy.stats.rankdata` and :func:`scipy.stats.kendalltau`.

    Examples
    --------
    >>> values = np.array([[1.0, 8.0], [2.0, 4.0], [3.0, 0.0]])
    >>> round(float(correlation_matrix(values)[0, 1]), 12)
    1.0
    """
    choose("correlation", correlation, CORRELATIONS)
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
    squared = _rank_products(values) if correlation == "spearman" else _centred_products(values)
    length = np.sqrt(squared.diagonal())
    constant = constant_columns(values, rtol) | (length == 0)
    length[constant] = np.inf
    squared /= np.outer(length, length)
    np.clip(squared, -1.0, 1.0, out=squared)
    np.square(squared, out=squared)
    np.fill_diagonal(squared, 0.0)
    return squared


def activation_graph(
    network,
    x: torch.Tensor,
    *,
    correlation: str = "spearman",
    conventions: Conventions | str = "paper",
) -> UnitGraph:
    """Build the graph of squared correlations between the tested units' pre-ReLU values.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    x : torch.Tensor, shape (n_images, ...)
        Training images, without augmentation; at least three.
    correlation : {"spearman", "pearson", "kendall"}
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
    check_images(x)
    if len(x) < 3:
        raise InvalidInputError(f"correlations need at least 3 images, not {len(x)}")
    if (x == x[:1]).all():
        raise InvalidInputError("no unit varies over these images: they are all the same")
    values = unit_values(network, x, conventions=conventions)
    layers = layer_ranges([(name, part.shape[1], True) for name, part in values.items()])
    stacked = np.concatenate(list(values.values()), axis=1)
    del values
    rtol = rounding(trace_units(network).dtype)
    inactive = constant_columns(stacked, rtol)
    if inactive.all():
        raise InvalidInputError("no unit varies over these images: are they all the same?")
    matrix = correlation_matrix(stacked, correlation, rtol=rtol)
    return UnitGraph(matrix, layers, "activations", inactive)
