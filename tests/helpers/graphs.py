"""Graphs made by hand, and oracles: what clustering must give, by another way."""

import numpy as np
from scipy import linalg
from sklearn.cluster import KMeans

from localspec.clustering import UnitGraph
from localspec.clustering._unit_graph import from_blocks, layer_ranges


def tested_layers(*sizes):
    """Return layers 0, 1, ... of these sizes, all of them tested."""
    return layer_ranges([(str(index), size, True) for index, size in enumerate(sizes)])


def unit_graph(adjacency, *sizes, kind="activations", inactive=None):
    """Return a graph of tested layers of these sizes, or of one layer."""
    n = adjacency.shape[0]
    inactive = np.zeros(n, dtype=bool) if inactive is None else inactive
    return UnitGraph(adjacency, tested_layers(*(sizes or [n])), kind, inactive)


def chain_graph(*blocks):
    """Return the weights graph of a chain of tested layers with these blocks between them."""
    return from_blocks(blocks, tested_layers(len(blocks[0]), *(b.shape[1] for b in blocks)))


def upper(graph):
    """Return the nonzero entries above the diagonal as {(i, j): value}."""
    matrix = graph.adjacency.toarray()
    assert (matrix == matrix.T).all()
    rows, columns = np.nonzero(np.triu(matrix))
    return {(int(i), int(j)): matrix[i, j] for i, j in zip(rows, columns, strict=True)}


def oracle_labels(adjacency, n_clusters, seed):
    """Cluster a graph without isolated units by the generalised eigenproblem and k-means."""
    _, vectors = linalg.eigh(adjacency, np.diag(adjacency.sum(axis=1)))
    points = vectors[:, ::-1][:, :n_clusters]
    return KMeans(n_clusters, n_init=25, random_state=seed).fit_predict(points)


def plain_ncut(kernels):
    """Return the n-cut of a chain of kernels in 12 clusters."""
    starts = np.cumsum([0, *(kernel.shape[1] for kernel in kernels), len(kernels[-1])])
    edges = np.zeros((starts[-1], starts[-1]))
    for layer, kernel in enumerate(kernels):
        rows = slice(starts[layer + 1], starts[layer + 2])
        columns = slice(starts[layer], starts[layer + 1])
        edges[rows, columns], edges[columns, rows] = abs(kernel), abs(kernel).T
    return graph_ncut(edges)


def graph_ncut(edges):
    """Cut a graph into 12 clusters by dense eigenvectors of the whole; return the n-cut."""
    degrees = edges.sum(axis=1)
    scale = degrees**-0.5
    _, vectors = linalg.eigh(
        scale[:, None] * edges * scale, subset_by_index=[len(edges) - 12, len(edges) - 1]
    )
    labels = KMeans(12, n_init=25, random_state=1).fit_predict(vectors * scale[:, None])
    inside = [
        edges[labels == c][:, labels == c].sum() / degrees[labels == c].sum() for c in range(12)
    ]
    return 12 - sum(inside)
