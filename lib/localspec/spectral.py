"""The spectral embedding of a unit graph, k-means on it, and n-cut."""

from __future__ import annotations

import warnings

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, aslinearoperator, eigsh
from sklearn.cluster import KMeans

from localspec.errors import DegenerateDataWarning, InvalidInputError
from localspec.graphs import UnitGraph
from localspec.partitions import NO_CLUSTER
from localspec.threads import single_threaded

VOLUME_EPSILON = 1e-8
N_STARTS, N_STARTS_LARGE, LARGE = 25, 100, 2000
LARGE_SIDE = 1000  # units above which the largest eigenvectors come from ARPACK
SMALLEST_SQUARE = 1e-12  # of a singular value that the other side's vector is divided by
WEAK = 1e-18  # of all edge weight: units with less get their rows of the embedding from the others
ATTACHED = 1e-8  # of a unit vector's square: weak units with less follow the others


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


def spectral_embedding(
    adjacency: sparse.sparray | np.ndarray, n_components: int, *, side: np.ndarray | None = None
) -> np.ndarray:
    """Return the eigenvectors of the largest eigenvalues of D^-1/2 A D^-1/2, times D^-1/2.

    Parameters
    ----------
    adjacency : scipy.sparse array or numpy.ndarray, shape (n_units, n_units)
        Symmetric, without isolated units.
    n_components : int
    side : numpy.ndarray of bool, shape (n_units,), optional
        Where all edges run between two sides, which unit is on which: then the eigenvectors come
        from singular vectors of the one block between them.

    Returns
    -------
    numpy.ndarray, shape (n_units, n_components)
        In descending order of eigenvalue, the trivial one first; each column's entry of
        largest magnitude is positive.

    Notes
    -----
    With the units of one side first, ``D^-1/2 A D^-1/2 = [[0, B], [B', 0]]``. If ``B v = s u``
    and ``B' u = s v``, then (u, v) is an eigenvector to s, and (u, -v) one to -s. The vectors on
    the smaller side are the eigenvectors of ``B' B``, those on the other follow from them.

    An eigenvector has a rounding error of 1e-16 in each entry, which D^-1/2 magnifies. At units
    with next to no edge weight (below 1e-18 of all, as an L2 penalty leaves) only the error would
    be left. Their rows E_S come from those of the others, E_L, by the same equation: with
    ``P = D^-1 A``, ``(s I - P_SS) E_S = P_SL E_L``.

    References
    ----------
    Shi and Malik (2000); von Luxburg (2007), "normalized spectral clustering"; Dhillon (2001)
    for two sides.
    """
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = 1 / np.sqrt(degrees)
    found = None
    if side is not None:
        if side.sum() < (~side).sum():
            side = ~side
        found = _two_sided(adjacency, scale, side, n_components)
    if found is None:
        dense = adjacency.toarray() if sparse.issparse(adjacency) else np.asarray(adjacency)
        normalized = dense * scale[:, None] * scale[None, :]
        if _is_large(len(scale), n_components):
            normalized = aslinearoperator(normalized)
        found = _largest_eigenvectors(normalized, n_components)
    values, vectors = found
    embedding = vectors * scale[:, None]
    weak = weak_units(degrees)
    if weak.any():
        follows = (vectors[weak] ** 2).sum(axis=0) < ATTACHED
        rows = sparse.csr_array(adjacency)[weak] / degrees[weak, None]
        _follow(embedding, rows, weak, values, np.flatnonzero(follows & (values > ATTACHED)))
    peaks = np.abs(embedding).argmax(axis=0)
    return embedding * np.sign(embedding[peaks, np.arange(n_components)])


def weak_units(degrees: np.ndarray) -> np.ndarray:
    """Return which units have next to no edge weight (but some), given those of all units."""
    return (degrees > 0) & (degrees < WEAK * degrees.sum())


def _follow(
    embedding: np.ndarray, rows, weak: np.ndarray, values: np.ndarray, columns: np.ndarray
) -> None:
    """Write the weak units' entries of some columns, as they follow from the others', in place."""
    inner = sparse.csr_array(rows)[:, weak].toarray()
    outer = sparse.csr_array(rows)[:, ~weak] @ embedding[~weak]
    for column in columns:
        matrix = values[column] * np.eye(len(inner)) - inner
        *_, solution, info = linalg.lapack.dgesv(matrix, outer[:, column])
        if info == 0:  # else the weak units are a part of their own
            embedding[weak, column] = solution


def _largest_eigenvectors(
    matrix: np.ndarray | LinearOperator, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n algebraically largest eigenvalues, in descending order, and their vectors."""
    size = matrix.shape[0]
    if isinstance(matrix, LinearOperator):
        start = np.full(size, size**-0.5)  # ARPACK's own start is random
        values, vectors = eigsh(matrix, n, which="LA", v0=start)
    else:
        values, vectors = linalg.eigh(matrix, subset_by_index=[size - n, size - 1])
    order = np.argsort(-values, kind="stable")
    return values[order], vectors[:, order]


def _is_large(size: int, n: int) -> bool:
    return size > LARGE_SIDE and 10 * n < size


def _two_sided(
    adjacency, scale: np.ndarray, larger: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return eigenvalues and vectors by way of the smaller side; None if too few are positive."""
    weights = [sparse.diags_array(part) for part in (scale[larger], scale[~larger])]
    block = (weights[0] @ sparse.csr_array(adjacency[larger][:, ~larger]) @ weights[1]).tocsr()
    size = block.shape[1]
    if n > size:
        return None
    if _is_large(size, n):
        transposed = block.T.tocsr()
        squared = LinearOperator(
            (size, size), matvec=lambda x: transposed @ (block @ x), dtype=np.float64
        )
    else:
        dense = block.toarray()
        squared = dense.T @ dense
    squares, right = _largest_eigenvectors(squared, n)
    if squares[-1] <= SMALLEST_SQUARE:
        return None
    vectors = np.empty((len(scale), n))
    vectors[~larger] = right
    vectors[larger] = block @ right / np.sqrt(squares)
    return np.sqrt(squares), vectors * np.sqrt(0.5)


def live_units(graph: UnitGraph) -> np.ndarray:
    """Return which units take part: not inactive, and with an edge to one that takes part.

    Returns
    -------
    numpy.ndarray of bool, shape (n_units,)
    """
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
        Of k-means.
    n_starts : int, optional
        Of k-means; by default 25, above 2,000 live units 100.

    Returns
    -------
    numpy.ndarray of int, shape (n_units,)

    Raises
    ------
    InvalidInputError
        If there are fewer live units than clusters, an edge is not finite, or the edges of a
        live unit sum to 0 or less (signed batch normalization can make edges negative).

    Warns
    -----
    DegenerateDataWarning
        If the graph has more components than clusters.
    ConvergenceWarning
        From scikit-learn, if fewer points differ than clusters were asked for: then some
        clusters stay empty.
    """
    values = graph.adjacency.data if sparse.issparse(graph.adjacency) else graph.adjacency
    if values.size and not np.isfinite(values).all():
        raise InvalidInputError("spectral clustering needs finite edges")
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
    n_starts = n_starts or (N_STARTS if live.sum() <= LARGE else N_STARTS_LARGE)
    with single_threaded(live.sum() <= LARGE):
        side = graph_sides(graph)
        embedding = spectral_embedding(
            adjacency, n_clusters, side=None if side is None else side[live]
        )
    with single_threaded():
        kmeans = KMeans(n_clusters, n_init=n_starts, random_state=seed).fit(embedding)
    labels = np.full(graph.n_units, NO_CLUSTER)
    labels[live] = renumber(kmeans.labels_)
    return labels
