"""Graphs whose nodes are units, and the graph made from weights.

The weights graph of consecutive layers a, b, c is a chain of blocks::

          a    b    c
    a  [  0   |W1|  0  ]
    b  [ |W1|' 0  |W2| ]
    c  [  0  |W2|'  0  ]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse

from localspec.conventions import Conventions, resolve
from localspec.errors import InvalidInputError, choose
from localspec.units import UnitLayer, trace_units

STAGE_VERSION = 1
INPUT = "input"
NULLS = ("permute", "permute_nonzero")


@dataclass(frozen=True)
class LayerRange:
    """Where a layer's units stand among the nodes: ``start <= node < stop``."""

    name: str
    start: int
    stop: int
    tested: bool

    @property
    def n_units(self) -> int:
        """Number of units in the layer."""
        return self.stop - self.start

    @property
    def units(self) -> slice:
        """The layer's nodes, as an index."""
        return slice(self.start, self.stop)


@dataclass(frozen=True)
class UnitGraph:
    """A weighted undirected graph over units.

    Attributes
    ----------
    adjacency : scipy.sparse.csr_array or numpy.ndarray, shape (n_units, n_units)
        Symmetric, with a zero diagonal.
    layers : tuple of LayerRange
        In order, covering all nodes.
    kind : {"weights", "activations"}
    inactive : numpy.ndarray of bool, shape (n_units,)
        Units that take no part although they may have a row: activation variance zero.
    """

    adjacency: sparse.csr_array | np.ndarray
    layers: tuple[LayerRange, ...]
    kind: str
    inactive: np.ndarray

    @property
    def n_units(self) -> int:
        """Number of nodes."""
        return self.adjacency.shape[0]

    @property
    def tested(self) -> tuple[LayerRange, ...]:
        """Layers whose subclusters are tested."""
        return tuple(layer for layer in self.layers if layer.tested)

    def subgraph(self, layers: Sequence[LayerRange]) -> UnitGraph:
        """Return the graph over some of the layers, given in order."""
        mask = np.zeros(self.n_units, dtype=bool)
        for layer in layers:
            mask[layer.units] = True
        part = self.keep(mask)
        kept = tuple(layer for layer in part.layers if layer.n_units)
        return replace(part, layers=kept)

    def keep(self, mask: np.ndarray) -> UnitGraph:
        """Return the graph over the units where `mask` is true; a layer may end up empty."""
        ranges = layer_ranges(
            [(layer.name, int(mask[layer.units].sum()), layer.tested) for layer in self.layers]
        )
        return UnitGraph(self.adjacency[mask][:, mask], ranges, self.kind, self.inactive[mask])


def layer_ranges(layers: Sequence[tuple[str, int, bool]]) -> tuple[LayerRange, ...]:
    """Lay layers given as (name, n_units, tested) out one after the other."""
    stops = np.cumsum([n_units for _, n_units, _ in layers])
    return tuple(
        LayerRange(name, int(stop) - n_units, int(stop), tested)
        for (name, n_units, tested), stop in zip(layers, stops, strict=True)
    )


def kernel_norms(weight: torch.Tensor, norm: str = "l1") -> torch.Tensor:
    """Collapse each kernel slice to one non-negative number.

    Parameters
    ----------
    weight : torch.Tensor, shape (n_out, n_in) or (n_out, n_in, height, width)
    norm : {"l1", "induced"}
        Sum of absolute values, or the matrix norm of order 1 (largest column sum).

    Returns
    -------
    torch.Tensor, shape (n_in, n_out)

    References
    ----------
    Hod et al., arXiv:2110.08058, "Weights graph".

    Examples
    --------
    >>> kernel = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> float(kernel_norms(kernel, "l1")), float(kernel_norms(kernel, "induced"))
    (10.0, 6.0)
    """
    choose("kernel_norm", norm, ("l1", "induced"))
    absolute = weight.abs()
    if weight.ndim == 4:
        columns = absolute.sum(dim=2)
        absolute = columns.sum(dim=2) if norm == "l1" else columns.amax(dim=2)
    return absolute.T


def _batch_norm_scale(layer: UnitLayer, before: bool, mode: str) -> torch.Tensor | float:
    scale: torch.Tensor | float = 1.0
    if mode == "none":
        return scale
    for norm in layer.batch_norms:
        if norm.before_activation == before:
            gamma = norm.module.weight.detach() if norm.module.affine else 1.0
            factor = gamma / torch.sqrt(norm.module.running_var + norm.module.eps)
            scale = scale * (factor.abs() if mode == "absolute" else factor)
    return scale


def _collapsed(layer: UnitLayer, norm: str) -> torch.Tensor:
    """Return a layer's units x units matrix; in a grouped convolution groups do not meet."""
    norms = kernel_norms(layer.module.weight.detach(), norm)
    groups = layer.module.groups if layer.is_conv else 1
    if groups == 1:
        return norms
    return torch.block_diag(*norms.chunk(groups, dim=1))


def from_blocks(blocks: Sequence[np.ndarray], layers: tuple[LayerRange, ...]) -> UnitGraph:
    """Build a weights graph from the matrices between consecutive layers.

    Parameters
    ----------
    blocks : sequence of numpy.ndarray, shape (n_units of layer, n_units of the next)
    layers : tuple of LayerRange
    """
    n = layers[-1].stop
    upper = sparse.lil_array((n, n), dtype=np.float64)
    for before, after, block in zip(layers, layers[1:], blocks, strict=False):
        upper[before.units, after.units] = block
    upper = upper.tocsr()
    return UnitGraph((upper + upper.T).tocsr(), layers, "weights", np.zeros(n, dtype=bool))


def layer_blocks(graph: UnitGraph) -> list[np.ndarray]:
    """Return the dense matrices between consecutive layers of a weights graph."""
    return [
        graph.adjacency[before.units][:, after.units].toarray()
        for before, after in zip(graph.layers, graph.layers[1:], strict=False)
    ]


def weight_graph(network, *, conventions: Conventions | str = "paper") -> UnitGraph:
    """Build the graph of absolute weights between units of consecutive layers.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    conventions : Conventions or str
        Uses ``kernel_norm`` and ``batch_norm_edges``.

    Returns
    -------
    UnitGraph
        With ``n_units`` nodes. For an MLP these are the input pixels, the hidden units and the
        output units; for a network with convolutions the convolutional channels only.

    Raises
    ------
    InvalidInputError
        If the network cannot be traced.

    Notes
    -----
    A batch normalization scales the edges that carry the normalized value: those into the unit
    when it stands before the activation, those out of it when after.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Weights graph".

    Examples
    --------
    >>> module = torch.nn.Sequential(
    ...     torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)
    ... ).eval()
    >>> weight_graph(module).n_units
    6
    """
    conventions = resolve(conventions)
    unit_map = trace_units(network)
    convolutions = any(layer.is_conv for layer in unit_map.layers)
    chain = unit_map.tested if convolutions else unit_map.layers
    names = {layer.name for layer in unit_map.tested}
    sizes = [(layer.name, layer.n_units, layer.name in names) for layer in chain]
    if not convolutions:
        sizes.insert(0, (INPUT, chain[0].module.in_features, False))
    blocks = []
    for index, layer in enumerate(chain):
        if convolutions and index == 0:
            continue
        block = _collapsed(layer, conventions.kernel_norm)
        block = block * _batch_norm_scale(layer, True, conventions.batch_norm_edges)
        if index:
            out = _batch_norm_scale(chain[index - 1], False, conventions.batch_norm_edges)
            block = block * (out[:, None] if isinstance(out, torch.Tensor) else out)
        blocks.append(block.double().cpu().numpy())
    return from_blocks(blocks, layer_ranges(sizes))


def shuffled(graph: UnitGraph, rng: np.random.Generator, *, null: str = "permute") -> UnitGraph:
    """Return the graph with the entries of each layer's matrix permuted.

    Parameters
    ----------
    graph : UnitGraph
        A weights graph.
    rng : numpy.random.Generator
    null : {"permute", "permute_nonzero"}
        Permute all entries of the unit x unit matrix, or the non-zero ones among their places.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Clusterability".
    """
    choose("null", null, NULLS)
    if graph.kind != "weights":
        raise InvalidInputError("only a weights graph has layer matrices to shuffle")
    blocks = []
    for block in layer_blocks(graph):
        flat = block.ravel().copy()
        places = np.flatnonzero(flat) if null == "permute_nonzero" else np.arange(flat.size)
        flat[places] = rng.permutation(flat[places])
        blocks.append(flat.reshape(block.shape))
    return replace(graph, adjacency=from_blocks(blocks, graph.layers).adjacency)
