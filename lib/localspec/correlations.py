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
from localspec.units import trace_units

CORRELATIONS = ("spearman", "pearson", "kendall")
BATCH_SIZE = 1000


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
    with torch.inference_mode():
        for batch in x.to(unit_map.device, unit_map.dtype).split(BATCH_SIZE):
            stops = tuple(layer.pre_activation for layer in unit_map.tested)
            values = unit_map.run(batch, stops=stops)
            parts.append([_collapse(value, conventions.spatial_norm) for value in values])
    joined = [torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True)]
    return {layer.name: values for layer, values in zip(unit_map.tested, joined, strict=True)}


def _collapse(value: torch.Tensor, norm: str) -> torch.Tensor:
    if value.ndim == 2:
        return value
    columns = value.abs().sum(dim=2)
    return columns.sum(dim=2) if norm == "l1" else columns.amax(dim=2)


def constant_columns(values: np.ndarray) -> np.ndarray:
    """Return which columns do not vary, but for rounding (1e-9 of their magnitude).

    Parameters
    ----------
    values : numpy.ndarray, shape (n_images, n_units)

    Returns
    -------
    numpy.ndarray of bool, shape (n_units,)
    """
    return np.ptp(values, axis=0) <= RTOL * np.abs(values).max(axis=0)


def correlation_matrix(values: np.ndarray, correlation: str = "spearman") -> np.ndarray:
    """Return squared correlations between columns.

    Parameters
    ----------
    values : numpy.ndarray, shape (n_images, n_units)
    correlation : {"spearman", "pearson", "kendall"}

    Returns
    -------
    numpy.ndarray, shape (n_units, n_units)
        In [0, 1], with a zero diagonal; rows and columns of constant units are zero.

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
        return squared
    data = stats.rankdata(values, axis=0) if correlation == "spearman" else values
    constant = constant_columns(values)
    centred = data - data.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    standard = centred / np.where(constant | (length == 0), 1.0, length)
    standard[:, constant] = 0.0
    squared = np.clip(standard.T @ standard, -1.0, 1.0) ** 2
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
        Dense, over the tested units; units of zero variance are inactive.

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
    inactive = constant_columns(stacked)
    if inactive.all():
        raise InvalidInputError("no unit varies over these images: are they all the same?")
    return UnitGraph(correlation_matrix(stacked, correlation), layers, "activations", inactive)
