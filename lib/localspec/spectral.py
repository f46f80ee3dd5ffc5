"""The spectral embedding of a unit graph, k-means on it, and n-cut."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import KMeans

from localspec.errors import DegenerateDataWarning, InvalidInputError
from localspec.graphs import UnitGraph
from localspec.partitions import NO_CLUSTER
from localspec.threads import single_threaded

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


def renumber(labels: np.ndarray) -> np.ndarray:
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
    labels[live] = renumber(kmeans.labels_)
    return labels
