"""Weights graphs: join units by the absolute weights between them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from localspec.clustering._unit_graph import INPUT, UnitGraph, from_blocks, layer_ranges
from localspec.conventions import Conventions, resolve
from localspec.exceptions import InvalidInputError
from localspec.units import (
    BatchNormScale,
    ChannelNorm,
    Network,
    Reader,
    Scaling,
    UnitLayer,
    UnitMap,
    precise,
    trace_units,
)


def kernel_norms(weight: torch.Tensor, norm: str = "l1") -> torch.Tensor:
    """Collapse each kernel slice to one non-negative number.

    From shape (n_out, n_in) or (n_out, n_in, height, width) to (n_in, n_out). "l1" sums absolute
    values; "induced" is the matrix norm of order 1, the largest column sum.

    Examples
    --------
    >>> kernel = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> float(kernel_norms(kernel, "l1")), float(kernel_norms(kernel, "induced"))
    (10.0, 6.0)
    """
    absolute = weight.abs()
    if weight.ndim == 4:
        columns = absolute.sum(dim=2)
        absolute = columns.sum(dim=2) if norm == "l1" else columns.amax(dim=2)
    return absolute.T


def _factor(module: nn.Module, mode: str) -> torch.Tensor | float:
    """Return gamma / sqrt(var + eps) of every channel, or its magnitude, or that of a constant."""
    if isinstance(module, Scaling):
        return abs(float(torch.as_tensor(module.factor, dtype=torch.float64).detach()))
    if mode == "none":
        return 1.0
    gamma = precise(module.weight.detach()) if module.affine else 1.0
    factor = gamma / torch.sqrt(precise(module.running_var) + module.eps)
    return factor.abs() if mode == "absolute" else factor


def _scale(
    norms: tuple[ChannelNorm | BatchNormScale, ...],
    start: int,
    n_units: int,
    mode: str,
    *,
    pixels: bool = False,
) -> torch.Tensor | float:
    """Return the product of what normalizations multiply some units by.

    Units ``start .. start + n_units - 1`` of a layer, of which a ChannelNorm sees the first one
    as its own `start`. A normalization of images counts their channels, of which each unit is one
    or, in a network that reads them as a row, a pixel.
    """
    scale: torch.Tensor | float = 1.0
    for norm in norms:
        begin = start + (norm.start if isinstance(norm, ChannelNorm) else 0)
        factor = _factor(norm.module, mode)
        if isinstance(factor, torch.Tensor):
            if pixels:
                factor = factor.repeat_interleave(n_units // len(factor))
            factor = factor[begin : begin + n_units]
        scale = scale * factor
    return scale


def _collapsed(reader: Reader, norm: str) -> torch.Tensor:
    """Return a reader's inputs x outputs matrix; in a grouped convolution groups do not meet."""
    norms = kernel_norms(precise(reader.module.weight.detach()), norm)
    groups = reader.module.groups if isinstance(reader.module, nn.Conv2d) else 1
    if groups == 1:
        return norms
    return torch.block_diag(*norms.chunk(groups, dim=1))


def edges_into(
    unit_map: UnitMap, layer: UnitLayer, sizes: dict[str | None, int], conventions: Conventions
) -> dict[str | None, np.ndarray]:
    """Return the edges into a layer's units from every layer that its writers read.

    By name of the layer read (None: the images), shape (n_units read, n_units of the layer);
    `sizes` has the number of units of the layers that take part. Where several modules connect the
    same two layers, their edges are added up.

    The edge from unit i to unit j is ``|w_ij|``, the norm of the kernel slice, times

    - what normalizations between tensor and reader multiply unit i by,
    - what normalizations between the module and the sum that it writes into multiply unit j by,
    - what normalizations of the layer itself, before its activation, multiply unit j by;

    constants that values are multiplied by count as normalizations, under every convention.
    """
    mode = conventions.batch_norm_edges
    own = tuple(norm for norm in layer.batch_norms if norm.before_activation)
    edges: dict[str | None, np.ndarray] = {}
    for writer in layer.writers:
        reader = writer.reader
        n_written, columns = reader.n_written, slice(writer.start, writer.start + reader.n_written)
        weights = _collapsed(reader, conventions.kernel_norm)
        for reading in reader.readings:
            name = unit_map.name_seen_by(reading.tensor, reader)
            if name not in sizes:
                continue
            gate = reading.gate or writer.gate
            if gate is not None:
                raise InvalidInputError(
                    f"the weights graph is undefined behind a gate: node {gate!r} multiplies units "
                    "by a sigmoid of other values, so that edges have no weight of their own; "
                    "cluster the activations graph, or pass partitions of your own"
                )
            n_read = sizes[name]
            block = weights[reading.start : reading.start + n_read]
            block = block * _scale(writer.norms, 0, n_written, mode)
            block = block * _scale(own, writer.start, n_written, mode)
            out = _scale(reading.norms, 0, n_read, mode, pixels=name is None)
            block = block * (out[:, None] if isinstance(out, torch.Tensor) else out)
            total = edges.setdefault(name, np.zeros((n_read, layer.n_units)))
            total[:, columns] += block.double().cpu().numpy()
    return edges


def weight_graph(network: Network, *, conventions: Conventions | str = "paper") -> UnitGraph:
    """Build the graph of absolute weights between units of layers that follow each other.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    conventions : Conventions or str
        Uses ``kernel_norm``, ``batch_norm_edges`` and ``residual_units``.

    Returns
    -------
    UnitGraph
        With ``n_units`` nodes. For an MLP these are the input pixels, the hidden units and the
        output units; for a network with convolutions the convolutional channels only.

    Raises
    ------
    InvalidInputError
        If the network cannot be traced, or has gates (products with a sigmoid) between units.

    Notes
    -----
    A batch normalization scales the edges that carry the normalized value: those into the unit
    when it stands before the activation, those out of it when after; in a branching network see
    :func:`localspec.units.trace_units`.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Weights graph".

    Examples
    --------
    >>> from torch import nn
    >>> module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).eval()
    >>> weight_graph(module).n_units
    6
    """
    conventions = resolve(conventions)
    unit_map = trace_units(network, conventions=conventions)
    return weight_graph_traced(unit_map, conventions)


def weight_graph_traced(unit_map: UnitMap, conventions: Conventions) -> UnitGraph:
    """Return what :func:`weight_graph` does, of a traced network."""
    convolutions = tuple(layer for layer in unit_map.layers if layer.is_conv)
    chosen = convolutions or unit_map.layers
    names = {layer.name for layer in unit_map.tested}
    ranges = [(layer.name, layer.n_units, layer.name in names) for layer in chosen]
    sizes: dict[str | None, int] = {layer.name: layer.n_units for layer in chosen}
    if not convolutions:
        ranges.insert(0, (INPUT, unit_map.n_inputs, False))
        sizes = {None: unit_map.n_inputs, **sizes}
    blocks, links = [], []
    for layer in chosen:
        edges = edges_into(unit_map, layer, sizes, conventions)
        for before in sizes:
            if before in edges:
                blocks.append(edges[before])
                links.append((INPUT if before is None else before, layer.name))
    return from_blocks(blocks, layer_ranges(ranges), tuple(links))
