"""Spectral clustering: cut a unit graph into clusters, and measure the n-cut."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import KMeans

from localspec._utils.hardware import limited_threads
from localspec._utils.validation import as_array, check_integer, check_seed, require
from localspec.clustering._embedding import spectral_embedding
from localspec.clustering._partition import NO_CLUSTER, as_cluster_labels
from localspec.clustering._unit_graph import UnitGraph, as_adjacency, check_edges, check_graph
from localspec.exceptions import DegenerateDataWarning, InvalidInputError
from localspec.statistics import RTOL

VOLUME_EPSILON = 1e-8
MAX_STARTS = 10**6
N_STARTS, N_STARTS_LARGE, LARGE = 25, 100, 2000


def ncut(adjacency: sparse.sparray | np.ndarray, labels: np.ndarray) -> float:
    """Return the normalized cut of a partition, over its live units.

    Parameters
    ----------
    adjacency : scipy.sparse array or numpy.ndarray, shape (n_units, n_units)
        Symmetric, with a zero diagonal.
    labels : numpy.ndarray of int, shape (n_units,)
        -1 for units that take no part: they are removed from the graph first.

    Returns
    -------
    float
        Sum over clusters of ``cut / (volume + 1e-8)``; a cluster of zero volume adds 0.

    Raises
    ------
    InvalidInputError
        If edges are no square matrix, not finite or not symmetric, there is not one label a
        unit, or a label is below -1.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Spectral clustering and n-cut"; Shi and Malik (2000).

    Examples
    --------
    Two triangles joined by one edge: each cuts 1 of its volume of 7.

    >>> adjacency = np.zeros((6, 6))
    >>> for i, j in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5), (2, 3)]:
    ...     adjacency[i, j] = adjacency[j, i] = 1
    >>> round(ncut(adjacency, np.array([0, 0, 0, 1, 1, 1])), 4)
    0.2857
    """
    adjacency = as_adjacency(adjacency if sparse.issparse(adjacency) else as_array(adjacency))
    check_edges(adjacency)
    labels = as_cluster_labels("labels", labels)
    if labels.shape != adjacency.shape[:1]:
        raise InvalidInputError(
            f"labels must be {adjacency.shape[0]} whole numbers, one a unit of adjacency, not of "
            f"shape {labels.shape}"
        )
    return ncut_checked(adjacency, labels)


def ncut_checked(adjacency: sparse.csr_array | np.ndarray, labels: np.ndarray) -> float:
    """Return what :func:`ncut` does, of checked input."""
    live = labels != NO_CLUSTER
    _, names = np.unique(labels[live], return_inverse=True)
    live_adjacency = adjacency[live][:, live]
    members = np.equal.outer(names, np.arange(names.max(initial=-1) + 1)).astype(np.float64)
    linked = members.T @ (live_adjacency @ members)
    volume = linked.sum(axis=1)
    cut = volume - np.diag(linked)
    return float((cut / (volume + VOLUME_EPSILON)).sum())


def live_units(graph: UnitGraph) -> np.ndarray:
    """Return which units take part: not inactive, and with an edge to one that takes part.

    Returns
    -------
    numpy.ndarray of bool, shape (n_units,)
    """
    check_graph(graph)
    live = ~graph.inactive
    edges = np.asarray(abs(graph.adjacency[live][:, live]).sum(axis=1)).ravel()
    live[live] = edges > 0
    return live


def graph_sides(graph: UnitGraph) -> np.ndarray | None:
    """Return which units are in even layers, if edges join consecutive layers only."""
    if graph.kind != "weights" or not graph.is_chain:
        return None
    sizes = [layer.n_units for layer in graph.layers]
    return np.repeat(np.arange(len(sizes)) % 2 == 0, sizes)


def renumber(labels: np.ndarray) -> np.ndarray:
    """Renumber clusters in the order in which they first appear."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _check_degrees(adjacency: sparse.sparray | np.ndarray) -> None:
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    n_outweighed = int((degrees <= 0).sum())
    if n_outweighed:
        raise InvalidInputError(
            f"the edges of {n_outweighed} unit(s) sum to 0 or less: spectral clustering needs "
            "more positive than negative weight at every unit; with signed batch normalization "
            "use batch_norm_edges='absolute'"
        )


def _all_equal(graph: UnitGraph, live: np.ndarray, adjacency) -> bool:
    """Whether live units have all edges that they can have, and all as heavy but for rounding."""
    edges = adjacency.data if sparse.issparse(adjacency) else adjacency
    edges = edges[edges != 0]
    n_possible = adjacency.shape[0] * (adjacency.shape[0] - 1)
    if graph.kind == "weights":
        n_live = {layer: int(live[layer.units].sum()) for layer in graph.layers}
        n_possible = 2 * sum(n_live[before] * n_live[after] for before, after in graph.linked)
    return len(edges) == n_possible and bool(np.ptp(edges) <= RTOL * np.abs(edges).max())


def spectral_labels(
    graph: UnitGraph, n_clusters: int, *, seed: int, n_starts: int | None = None
) -> np.ndarray:
    """Cluster the live units of a graph; the others get -1.

    Parameters
    ----------
    graph : UnitGraph
    n_clusters : int
        From 1 to the number of live units.
    seed : int
        Of k-means, below 2^32.
    n_starts : int, optional
        Of k-means; by default 25, above 2,000 live units 100.

    Returns
    -------
    numpy.ndarray of int, shape (n_units,)

    Raises
    ------
    InvalidInputError
        If `seed` is too large, there are fewer live units than clusters, an edge is not finite,
        or the edges of a live unit sum to 0 or less (signed batch normalization can make edges
        negative).

    Warns
    -----
    DegenerateDataWarning
        If the graph has more components than clusters, or all edges are equal, so that any
        exchange of units makes a partition that is as good.
    ConvergenceWarning
        From scikit-learn, if fewer points differ than clusters were asked for: then some
        clusters stay empty.
    """
    check_graph(graph)
    n_clusters, seed = check_integer("n_clusters", n_clusters, 1), check_seed(seed)
    if n_starts is not None:
        n_starts = check_integer("n_starts", n_starts, 1, MAX_STARTS)
    check_edges(graph.adjacency)
    return spectral_labels_checked(graph, n_clusters, seed=seed, n_starts=n_starts)


def spectral_labels_checked(
    graph: UnitGraph, n_clusters: int, *, seed: int, n_starts: int | None = None
) -> np.ndarray:
    """Return what :func:`spectral_labels` does, of a graph whose edges are checked."""
    values = graph.adjacency.data if sparse.issparse(graph.adjacency) else graph.adjacency
    live = live_units(graph)
    if not live.any():
        why = " (of a network with convolutions it joins their channels, and takes two of them)"
        raise InvalidInputError(
            f"no two units of the {graph.kind} graph have an edge: there is nothing to cluster"
            + (why if graph.kind == "weights" else "")
        )
    if not 1 <= n_clusters <= live.sum():
        raise InvalidInputError(
            f"n_clusters must be from 1 to the number of live units ({live.sum()}), "
            f"not {n_clusters}"
        )
    adjacency = graph.adjacency[live][:, live]
    if values.min(initial=0.0) < 0:
        _check_degrees(adjacency)
    n_components, _ = connected_components(adjacency, directed=False)
    if n_components > n_clusters:
        warnings.warn(
            f"the graph has {n_components} components but {n_clusters} clusters were asked for",
            DegenerateDataWarning,
            stacklevel=2,
        )
    if 1 < n_clusters < live.sum() and _all_equal(graph, live, adjacency):
        warnings.warn(
            "all edges are equal: nothing tells the units of a layer apart, and other partitions "
            "are as good as this one",
            DegenerateDataWarning,
            stacklevel=2,
        )
    n_starts = n_starts or (N_STARTS if live.sum() <= LARGE else N_STARTS_LARGE)
    with limited_threads(1 if live.sum() <= LARGE else None):
        side = graph_sides(graph)
        embedding = spectral_embedding(
            adjacency, n_clusters, side=None if side is None else side[live]
        )
    with limited_threads(1):
        kmeans = KMeans(n_clusters, n_init=n_starts, random_state=seed).fit(embedding)
    labels = np.full(graph.n_units, NO_CLUSTER)
    labels[live] = renumber(kmeans.labels_)
    return labels


def eigengaps(graph: UnitGraph, k_max: int) -> np.ndarray:
    """Return the gap below each of the largest eigenvalues of D^-1/2 A D^-1/2.

    Parameters
    ----------
    graph : UnitGraph
    k_max : int
        Fewer than the live units.

    Returns
    -------
    numpy.ndarray, shape (k_max - 1,)
        Eigenvalue k less eigenvalue k + 1, for k = 2, ..., k_max. The eigengap heuristic takes
        the k of the largest.

    Raises
    ------
    InvalidInputError
        If edges are not finite or not symmetric, or `k_max` does not fit.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Spectral clustering and n-cut"; von Luxburg (2007), "the
    eigengap heuristic".

    Examples
    --------
    Three pairs of units, joined within pairs only: eigenvalues 1, 1, 1, -1, -1, -1.

    >>> from localspec.clustering._unit_graph import layer_ranges
    >>> pairs = sparse.csr_array(np.kron(np.eye(3), [[0, 1], [1, 0]]))
    >>> graph = UnitGraph(pairs, layer_ranges([("a", 6, True)]), "weights", np.zeros(6, bool))
    >>> (eigengaps(graph, 4).round(6) + 0.0).tolist()
    [0.0, 2.0, 0.0]
    """
    live = live_units(graph)
    check_edges(graph.adjacency)
    n = int(live.sum())
    require(n > 2, f"eigengaps need a graph of at least 3 units that take part, not {n}")
    k_max = check_integer("k_max", k_max, 2, n - 1)
    adjacency = graph.adjacency[live][:, live]
    _check_degrees(adjacency)
    dense = adjacency if isinstance(adjacency, np.ndarray) else adjacency.toarray()
    scale = 1 / np.sqrt(dense.sum(axis=1))
    values = linalg.eigvalsh(
        dense * scale[:, None] * scale[None, :], subset_by_index=[n - k_max - 1, n - 1]
    )[::-1]
    return values[1:-1] - values[2:]
