"""Spectral clustering of unit graphs, and n-cut."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import KMeans

from localspec.conventions import Conventions, resolve
from localspec.errors import DegenerateDataWarning, InvalidInputError, choose, whole
from localspec.graphs import LayerRange, UnitGraph
from localspec.partitions import NO_CLUSTER, SCOPES, Partition
from localspec.threads import single_threaded

STAGE_VERSION = 1
VOLUME_EPSILON = 1e-8
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
    live = labels != NO_CLUSTER
    _, names = np.unique(labels[live], return_inverse=True)
    kept = adjacency[live][:, live]
    members = np.equal.outer(names, np.arange(names.max(initial=-1) + 1)).astype(np.float64)
    linked = members.T @ (kept @ members)
    volume = linked.sum(axis=1)
    cut = volume - np.diag(linked)
    return float((cut / (volume + VOLUME_EPSILON)).sum())


def spectral_embedding(adjacency: sparse.sparray | np.ndarray, n_components: int) -> np.ndarray:
    """Return the eigenvectors of the largest eigenvalues of D^-1/2 A D^-1/2, times D^-1/2.

    Parameters
    ----------
    adjacency : scipy.sparse array or numpy.ndarray, shape (n_units, n_units)
        Symmetric, without isolated units.
    n_components : int

    Returns
    -------
    numpy.ndarray, shape (n_units, n_components)
        In descending order of eigenvalue, the trivial one first; each column's entry of
        largest magnitude is positive.

    References
    ----------
    Shi and Malik (2000); von Luxburg (2007), "normalized spectral clustering".
    """
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = 1 / np.sqrt(degrees)
    dense = adjacency.toarray() if sparse.issparse(adjacency) else np.asarray(adjacency)
    normalized = dense * scale[:, None] * scale[None, :]
    n = len(dense)
    _, vectors = linalg.eigh(normalized, subset_by_index=[n - n_components, n - 1])
    embedding = vectors[:, ::-1] * scale[:, None]
    peaks = np.abs(embedding).argmax(axis=0)
    return embedding * np.sign(embedding[peaks, np.arange(n_components)])


def live_units(graph: UnitGraph) -> np.ndarray:
    """Return which units take part: not inactive, and with an edge to one that takes part.

    Returns
    -------
    numpy.ndarray of bool, shape (n_units,)
    """
    live = ~graph.inactive
    degrees = np.asarray(graph.adjacency[live][:, live].sum(axis=1)).ravel()
    live[live] = degrees > 0
    return live


def _renumber(labels: np.ndarray) -> np.ndarray:
    """Renumber clusters in the order in which they first appear."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def spectral_labels(graph: UnitGraph, n_clusters: int, *, seed: int) -> np.ndarray:
    """Cluster the live units of a graph; the others get -1.

    Parameters
    ----------
    graph : UnitGraph
    n_clusters : int
        From 1 to the number of live units.
    seed : int
        Of k-means.

    Returns
    -------
    numpy.ndarray of int, shape (n_units,)

    Raises
    ------
    InvalidInputError
        If there are fewer live units than clusters, or an edge is negative or not finite.

    Warns
    -----
    DegenerateDataWarning
        If the graph has more components than clusters.
    ConvergenceWarning
        From scikit-learn, if fewer points differ than clusters were asked for: then some
        clusters stay empty.
    """
    values = graph.adjacency.data if sparse.issparse(graph.adjacency) else graph.adjacency
    if values.size and not (np.isfinite(values).all() and values.min() >= 0):
        raise InvalidInputError("spectral clustering needs finite edges of at least 0")
    live = live_units(graph)
    if not live.any():
        raise InvalidInputError(
            f"no two units of the {graph.kind} graph have an edge: there is nothing to cluster"
        )
    if not 1 <= n_clusters <= live.sum():
        raise InvalidInputError(
            f"n_clusters must be from 1 to the number of live units ({live.sum()}), "
            f"not {n_clusters}"
        )
    adjacency = graph.adjacency[live][:, live]
    n_components, _ = connected_components(adjacency, directed=False)
    if n_components > n_clusters:
        warnings.warn(
            f"the graph has {n_components} components but {n_clusters} clusters were asked for",
            DegenerateDataWarning,
            stacklevel=2,
        )
    n_starts = N_STARTS if live.sum() <= LARGE else N_STARTS_LARGE
    with single_threaded(live.sum() <= LARGE):
        embedding = spectral_embedding(adjacency, n_clusters)
    with single_threaded():
        kmeans = KMeans(n_clusters, n_init=n_starts, random_state=seed).fit(embedding)
    labels = np.full(graph.n_units, NO_CLUSTER)
    labels[live] = _renumber(kmeans.labels_)
    return labels


def _count_clusters(labels: np.ndarray) -> int:
    """Return how many clusters live units are in."""
    return len(np.unique(labels[labels != NO_CLUSTER]))


def _counts(graph: UnitGraph, labels: np.ndarray, middles: Sequence[LayerRange], count: str):
    """Return the number of clusters that each layer of `middles` gets in its local clustering.

    ``count="from_input"`` slices the global labels as if the first of `middles` began at the
    first node, and every tested layer followed: in an MLP it counts the first hidden layer on the
    input pixels; in a network with convolutions, whose first layer has no triple of its own, it
    counts every layer on the one before it.
    """
    if count == "own":
        return [_count_clusters(labels[layer.units]) for layer in middles]
    sizes = [layer.n_units for layer in graph.tested]
    slices = np.split(labels, np.cumsum(sizes))
    return [_count_clusters(part) for part, _ in zip(slices, middles, strict=False)]


def _split_triple(
    graph: UnitGraph, triple: Sequence[LayerRange], n_clusters: int, seed: int, reading: str
) -> list[np.ndarray]:
    """Cluster the subgraph of three layers; return the labels of each.

    ``reading="second_matrix"`` has only the edges between the second and the third layer. The
    labels of these two layers are then sliced as if the first one were there: what goes by the
    name of the first layer belongs to the second, and what goes by the second's to the third.
    """
    used = triple[1:] if reading == "second_matrix" else triple
    part = graph.subgraph(used)
    n_clusters = min(n_clusters, int(live_units(part).sum()))
    found = np.full(part.n_units, NO_CLUSTER)
    if n_clusters:
        found = spectral_labels(part, n_clusters, seed=seed)
    before, this, after = (layer.n_units for layer in triple)
    slices = [found[:before], found[before : before + this], found[-after:]]
    lacking = [layer.n_units - len(each) for layer, each in zip(triple, slices, strict=True)]
    return [
        np.pad(each, (0, n), constant_values=NO_CLUSTER)
        for each, n in zip(slices, lacking, strict=True)
    ]


def _local_labels(graph: UnitGraph, whole: np.ndarray, seed: int, conventions) -> np.ndarray:
    """Cluster layer by layer; `whole` are the labels of the global clustering."""
    labels = np.full(graph.n_units, NO_CLUSTER)
    layers, count = graph.layers, conventions.cluster_count_layers

    def keep(layer: LayerRange, found: np.ndarray) -> None:
        alive = found != NO_CLUSTER
        found[alive] = _renumber(found[alive])
        labels[layer.units] = found

    if graph.kind == "activations" or len(layers) < 3:
        for layer, n_clusters in zip(layers, _counts(graph, whole, layers, count), strict=True):
            part = graph.subgraph((layer,)) if graph.kind == "activations" else graph
            n_clusters = min(n_clusters, int(live_units(part).sum()))
            if n_clusters:
                found = spectral_labels(part, n_clusters, seed=seed)
                keep(layer, found if graph.kind == "activations" else found[layer.units])
        return labels
    convolutional = layers[0].tested  # the graph begins with channels, not with pixels
    reading = conventions.local_triples if convolutional else "whole"
    middles = layers[1:-1]
    for index, n_clusters in enumerate(_counts(graph, whole, middles, count)):
        triple = layers[index : index + 3]
        before, this, after = _split_triple(graph, triple, n_clusters, seed, reading)
        keep(triple[1], this)
        if index == 0:
            keep(triple[0], before)
        if index == len(middles) - 1:
            keep(triple[2], after)
    return labels


def cluster(
    graph: UnitGraph,
    n_clusters: int,
    *,
    scope: str = "global",
    seed: int = 0,
    conventions: Conventions | str = "paper",
) -> Partition:
    """Cluster the units of a graph.

    Parameters
    ----------
    graph : UnitGraph
    n_clusters : int
        At least 2, at most the number of live units.
    scope : {"global", "local"}
        One clustering of the whole graph; or one for each layer, with as many clusters as the
        global clustering uses there: of the three-layer subgraph around the layer for weights
        (the first and last layer get theirs from the ends of the first and last triple), of the
        layer's own graph for activations.
    seed : int, optional
        Of k-means.
    conventions : Conventions or str
        Uses ``cluster_count_layers`` and ``local_triples``.

    Returns
    -------
    Partition

    Raises
    ------
    InvalidInputError
        If `n_clusters` or `scope` is not allowed.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Spectral clustering and n-cut".
    """
    choose("scope", scope, SCOPES)
    whole("n_clusters", n_clusters, 2)
    whole("seed", seed, 0)
    conventions = resolve(conventions)
    labels = spectral_labels(graph, n_clusters, seed=seed)
    if scope == "local":
        labels = _local_labels(graph, labels, seed, conventions)
    return Partition(labels, graph.layers, int(n_clusters), scope)
