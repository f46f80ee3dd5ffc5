"""Downstream graphs: join units by correlations of what they do to the logits."""

from __future__ import annotations

import numpy as np
import torch

from localspec._utils.validation import check_option, require
from localspec.clustering._activation_graph import (
    CORRELATIONS,
    constant_columns,
    correlation_matrix,
    rounding,
)
from localspec.clustering._unit_graph import UnitGraph, layer_ranges
from localspec.conventions import Conventions, resolve
from localspec.units import Network, logit_gradients, units_of


def downstream_graph(
    network: Network,
    x: torch.Tensor,
    *,
    correlation: str = "spearman",
    conventions: Conventions | str = "paper",
) -> UnitGraph:
    """Build the graph of squared correlations between the tested units' effects on the logits.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
        Training images, without augmentation.
    correlation : {"spearman", "pearson", "kendall"}
    conventions : Conventions or str
        Uses ``residual_units``.

    Returns
    -------
    UnitGraph
        Made as an activations graph, and so of that kind, with the derivatives of
        :func:`localspec.units.logit_gradients` over all images and logits in place of values over
        images. Units whose derivatives do not vary, but for rounding, are inactive.

    Raises
    ------
    InvalidInputError
        If the network has one logit or two and the images are too few, or no derivative varies.

    Notes
    -----
    A ReLU network has the same derivatives on all images that silence the same units. So that such
    ties are ties whatever the order of sums, each unit's derivatives are rounded to multiples of
    what counts as rounding at its largest one.

    References
    ----------
    Lange et al., arXiv:2203.11815, who set similarities of units by their effects on outputs beside
    those by their responses to inputs; Hod et al., arXiv:2110.08058, "Activations graph".
    """
    check_option("correlation", correlation, CORRELATIONS)
    unit_map = units_of(network, conventions=resolve(conventions))
    gradients = logit_gradients(unit_map, x, conventions=conventions)
    columns = [part.reshape(-1, part.shape[2]) for part in gradients.values()]
    stacked = np.concatenate(columns, axis=1)
    require(
        len(stacked) >= 3,
        f"correlations need at least 3 derivatives, not {len(stacked)}: add images",
    )
    rtol = rounding(unit_map.dtype)
    largest = np.abs(stacked).max(axis=0)
    stacked = np.round(stacked / (rtol * np.where(largest > 0, largest, 1.0)))
    inactive = constant_columns(stacked, rtol)
    require(not inactive.all(), "no unit's effect on the logits varies over images and logits")
    layers = layer_ranges([(name, part.shape[2], True) for name, part in gradients.items()])
    matrix = correlation_matrix(stacked, correlation, rtol=rtol)
    return UnitGraph(matrix, layers, "activations", inactive)
