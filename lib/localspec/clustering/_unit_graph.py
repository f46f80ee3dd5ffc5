"""Unit graphs: weighted graphs over units, their parts and their shuffled copies.

The weights graph of consecutive layers a, b, c is a chain of blocks; where c's module reads a and
b side by side (a concatenation), a and c are linked as well::

          a    b    c                   a    b    c
    a  [  0   |W1|  0  ]          a  [  0   |W1| |W3| ]
    b  [ |W1|' 0  |W2| ]          b  [ |W1|' 0   |W2| ]
    c  [  0  |W2|'  0  ]          c  [ |W3|'|W2|'  0  ]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import linalg, sparse

from localspec._utils.validation import as_array, check_option, check_type, require, shown
from localspec.exceptions import InvalidInputError
from localspec.statistics import RTOL

INPUT = "input"
KINDS = ("weights", "activations")
NULLS = ("permute", "permute_nonzero", "resample_nonzero", "permute_resample")
ACTIVATION_NULLS = ("permute", "permute_all")
BANDWIDTH = 0.01  # of the kernel density that non-zero weights are drawn from


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
        Symmetric, with a zero diagonal; kept in double precision, sparse ones in rows.
    layers : tuple of LayerRange
        In order, covering all nodes.
    kind : {"weights", "activations"}
    inactive : numpy.ndarray of bool, shape (n_units,)
        Units that take no part although they may have a row: activation variance zero.
    links : tuple of (str, str), optional
        Names of the layers that edges of a weights graph may join, the earlier one first; by
        default those of consecutive layers.
    """

    adjacency: sparse.csr_array | np.ndarray
    layers: tuple[LayerRange, ...]
    kind: str
    inactive: np.ndarray
    links: tuple[tuple[str, str], ...] | None = None

    def __post_init__(self) -> None:
        check_option("kind", self.kind, KINDS)
        object.__setattr__(self, "adjacency", as_adjacency(self.adjacency))
        n_units = self.adjacency.shape[0]
        require(
            sparse.issparse(self.adjacency) or self.kind == "activations",
            "adjacency of a weights graph must be sparse: scipy.sparse.csr_array(adjacency)",
        )
        check_layers(self.layers, n_units)
        names = {layer.name for layer in self.layers}
        unknown = [pair for pair in self.links or () if not names.issuperset(pair)]
        require(not unknown, f"links must join two of {sorted(names)}, not {shown(unknown[:1])}")
        inactive = as_array(self.inactive)
        object.__setattr__(self, "inactive", inactive)
        require(
            inactive.shape == (n_units,) and inactive.dtype == bool,
            f"inactive must be {n_units} values, true or false, one a unit, not {inactive.dtype} "
            f"of shape {inactive.shape}",
        )

    @property
    def n_units(self) -> int:
        """Number of nodes."""
        return self.adjacency.shape[0]

    @property
    def tested(self) -> tuple[LayerRange, ...]:
        """Layers whose subclusters are tested."""
        return tuple(layer for layer in self.layers if layer.tested)

    @property
    def linked(self) -> tuple[tuple[LayerRange, LayerRange], ...]:
        """Pairs of layers that edges of a weights graph may join."""
        return _linked(self.layers, self.links)

    @property
    def is_chain(self) -> bool:
        """Whether edges join consecutive layers only, and all of these."""
        return self.linked == _linked(self.layers, None)

    def around(self, layer: LayerRange) -> tuple[tuple[LayerRange, ...], tuple[LayerRange, ...]]:
        """Return a layer's predecessors and successors in a weights graph, in order."""
        before = tuple(first for first, second in self.linked if second == layer)
        return before, tuple(second for first, second in self.linked if first == layer)

    def subgraph(self, layers: Sequence[LayerRange]) -> UnitGraph:
        """Return the graph over some of the layers, given in order."""
        mask = np.zeros(self.n_units, dtype=bool)
        for layer in layers:
            mask[layer.units] = True
        part = self.keep(mask)
        remaining = tuple(layer for layer in part.layers if layer.n_units)
        names = {layer.name for layer in remaining}
        links = tuple(
            (first.name, second.name)
            for first, second in self.linked
            if first.name in names and second.name in names
        )
        return replace(part, layers=remaining, links=links)

    def keep(self, mask: np.ndarray) -> UnitGraph:
        """Return the graph over the units where `mask` is true; a layer may end up empty."""
        ranges = layer_ranges(
            [(layer.name, int(mask[layer.units].sum()), layer.tested) for layer in self.layers]
        )
        adjacency, inactive = self.adjacency[mask][:, mask], self.inactive[mask]
        return UnitGraph(adjacency, ranges, self.kind, inactive, self.links)


def check_layers(layers: Sequence[LayerRange], n_units: int) -> None:
    """Refuse anything but ranges that follow each other and cover so many units."""
    listed = isinstance(layers, tuple | list)
    require(
        listed and all(isinstance(layer, LayerRange) for layer in layers),
        f"layers must be a tuple of LayerRange, as those of a graph are, not {shown(layers)}",
    )
    n_laid_out = sum(layer.n_units for layer in layers)
    require(
        n_laid_out == n_units,
        f"layers have {n_laid_out} units in all, but there are {n_units}: they must agree",
    )
    laid_out = layer_ranges([(layer.name, layer.n_units, layer.tested) for layer in layers])
    require(
        tuple(layers) == laid_out,
        f"layers must follow each other from unit 0 on, not {shown(layers)}",
    )


def as_adjacency(adjacency: sparse.sparray | np.ndarray) -> sparse.csr_array | np.ndarray:
    """Return a square matrix of numbers in double precision, of sparse ones in rows (CSR)."""
    is_matrix = sparse.issparse(adjacency) or isinstance(adjacency, np.ndarray)
    if not is_matrix or adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
        given = f"of shape {adjacency.shape}" if is_matrix else type(adjacency).__name__
        raise InvalidInputError(
            "adjacency must be a square numpy.ndarray or scipy.sparse array (n_units, n_units), "
            f"not {given}"
        )
    if adjacency.dtype.kind not in "iuf":
        raise InvalidInputError(
            f"adjacency must hold numbers, not {adjacency.dtype}: adjacency.astype(float)"
        )
    require(
        not np.ma.is_masked(adjacency),
        "adjacency must not be masked in part: adjacency.filled(0) where there is no edge",
    )
    rows = sparse.csr_array(adjacency) if sparse.issparse(adjacency) else np.asarray(adjacency)
    return rows.astype(np.float64, copy=False)


def check_edges(adjacency: sparse.sparray | np.ndarray) -> None:
    """Refuse edges that are not finite, not the same in both directions, or from a unit to itself.

    The library's own graphs have none of these.
    """
    values = adjacency.data if sparse.issparse(adjacency) else adjacency
    if values.size and not np.isfinite(values).all():
        raise InvalidInputError(
            "spectral clustering needs finite edges, but adjacency holds NaN or infinite ones"
        )
    if adjacency.diagonal().any():
        raise InvalidInputError(
            "adjacency must have a zero diagonal, no edges from units to themselves: set it to 0"
        )
    if sparse.issparse(adjacency):
        differences = abs(adjacency - adjacency.T)
        symmetric = differences.max() <= RTOL * abs(adjacency).max() if adjacency.nnz else True
    else:
        symmetric = linalg.issymmetric(adjacency) or linalg.issymmetric(adjacency, rtol=RTOL)
    if not symmetric:
        raise InvalidInputError(
            "adjacency must be symmetric, the same edge from i to j and from j to i: "
            "(adjacency + adjacency.T) / 2"
        )


def check_graph(graph: UnitGraph) -> None:
    """Refuse anything but a graph of units."""
    check_type("graph", graph, UnitGraph, "make one by weight_graph or activation_graph")


def layer_ranges(layers: Sequence[tuple[str, int, bool]]) -> tuple[LayerRange, ...]:
    """Lay layers given as (name, n_units, tested) out one after the other."""
    stops = np.cumsum([n_units for _, n_units, _ in layers])
    return tuple(
        LayerRange(name, int(stop) - n_units, int(stop), tested)
        for (name, n_units, tested), stop in zip(layers, stops, strict=True)
    )


def _linked(
    layers: tuple[LayerRange, ...], links: tuple[tuple[str, str], ...] | None
) -> tuple[tuple[LayerRange, LayerRange], ...]:
    if links is None:
        return tuple(pairwise(layers))
    named = {layer.name: layer for layer in layers}
    return tuple((named[first], named[second]) for first, second in links)


def from_blocks(
    blocks: Sequence[np.ndarray],
    layers: tuple[LayerRange, ...],
    links: tuple[tuple[str, str], ...] | None = None,
) -> UnitGraph:
    """Build a weights graph from the matrices between linked layers.

    `links` names the layers that each block joins; by default they are consecutive ones.
    """
    n = layers[-1].stop
    edges, rows, columns = [np.empty(0)], [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    for (before, after), block in zip(_linked(layers, links), blocks, strict=False):
        part = sparse.coo_array(block)  # without zeros
        edges.append(part.data)
        rows.append(part.coords[0].astype(np.int32) + before.start)
        columns.append(part.coords[1].astype(np.int32) + after.start)
    coordinates = (np.concatenate(rows), np.concatenate(columns))
    upper = sparse.csr_array((np.concatenate(edges), coordinates), shape=(n, n), dtype=np.float64)
    inactive = np.zeros(n, dtype=bool)
    return UnitGraph((upper + upper.T).tocsr(), layers, "weights", inactive, links)


def layer_blocks(graph: UnitGraph) -> list[np.ndarray]:
    """Return the dense matrices between linked layers of a weights graph."""
    return [
        graph.adjacency[before.units][:, after.units].toarray() for before, after in graph.linked
    ]


def nulls_of(graph: UnitGraph) -> tuple[str, ...]:
    """Return the ways to shuffle a graph of this kind."""
    return NULLS if graph.kind == "weights" else ACTIVATION_NULLS


def shuffled(graph: UnitGraph, rng: np.random.Generator, *, null: str = "permute") -> UnitGraph:
    """Return the graph with the entries of the matrix between each two layers drawn anew.

    Parameters
    ----------
    graph : UnitGraph
    rng : numpy.random.Generator
    null : {"permute", "permute_nonzero", "resample_nonzero", "permute_resample", "permute_all"}
        Permute all entries of the unit x unit matrix; or the non-zero ones among their places; or
        leave all in place and draw the non-zero ones from a Gaussian kernel density of them
        (bandwidth 0.01); or permute all, then draw. Of an activations graph: permute the entries
        between each two layers and those within each layer ("permute"), or all entries among each
        other, whatever their layers ("permute_all").

    Raises
    ------
    InvalidInputError
        If graphs of this kind have no such null.

    Notes
    -----
    The density is that of signed weights. The absolute value of a signed weight plus symmetric
    noise has the same distribution as that of its absolute value plus the noise, so that edges
    are all it takes.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Clusterability"; how activations graphs are shuffled is this
    project's reading.
    """
    check_graph(graph)
    check_type("rng", rng, np.random.Generator, "numpy.random.default_rng(seed)")
    check_option(f"null of {graph.kind}", null, nulls_of(graph))
    if graph.kind == "activations":
        return replace(graph, adjacency=_shuffled_pairs(graph, rng, null))
    blocks = []
    for block in layer_blocks(graph):
        flat = block.ravel().copy()
        if null in ("permute", "permute_resample"):
            flat = rng.permutation(flat)
        places = np.flatnonzero(flat)
        if null == "permute_nonzero":
            flat[places] = rng.permutation(flat[places])
        elif null != "permute" and len(places):
            noise = rng.normal(0.0, BANDWIDTH, len(places))
            flat[places] = np.abs(rng.choice(flat[places], len(places)) + noise)
        blocks.append(flat.reshape(block.shape))
    return replace(graph, adjacency=from_blocks(blocks, graph.layers, graph.links).adjacency)


def _shuffled_pairs(graph: UnitGraph, rng: np.random.Generator, null: str) -> np.ndarray:
    """Return an activations graph's matrix with its pairs of units permuted."""
    adjacency = graph.adjacency
    dense = adjacency.toarray() if sparse.issparse(adjacency) else np.asarray(adjacency)
    rows, columns = np.triu_indices(len(dense), 1)
    values = dense[rows, columns]
    if null == "permute_all":
        values = rng.permutation(values)
    else:
        layer = np.repeat(np.arange(len(graph.layers)), [part.n_units for part in graph.layers])
        pair = layer[rows] * len(graph.layers) + layer[columns]
        for each in np.unique(pair):
            values[pair == each] = rng.permutation(values[pair == each])
    matrix = np.zeros_like(dense)
    matrix[rows, columns] = values
    return matrix + matrix.T
