"""Clustering: partition a unit graph, as a whole or layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from localspec._utils.validation import check_integer, check_option, check_seed
from localspec.clustering._partition import NO_CLUSTER, SCOPES, Partition
from localspec.clustering._spectral import live_units, renumber, spectral_labels_checked
from localspec.clustering._unit_graph import LayerRange, UnitGraph, check_edges, check_graph
from localspec.conventions import Conventions, resolve


def _count_clusters(labels: np.ndarray) -> int:
    """Return how many clusters live units are in."""
    return len(np.unique(labels[labels != NO_CLUSTER]))


def _counts(graph: UnitGraph, labels: np.ndarray, centres: Sequence[LayerRange], count: str):
    """Return the number of clusters that each local clustering finds, around each of `centres`.

    ``count="from_input"`` slices the global labels as if the first centre began at the first
    node, and every tested layer followed: in an MLP it counts the first hidden layer on the input
    pixels; in a network with convolutions, whose first layer is no centre, it counts every layer
    on the one before it.
    """
    if count == "own":
        return [_count_clusters(labels[layer.units]) for layer in centres]
    sizes = [layer.n_units for layer in graph.tested]
    slices = np.split(labels, np.cumsum(sizes))
    return [_count_clusters(part) for part, _ in zip(slices, centres, strict=False)]


def _local_centres(graph: UnitGraph) -> list[tuple[LayerRange, list[LayerRange]]]:
    """Return the layers around which local clustering looks, each with the layers it labels.

    A layer without predecessors is labelled from around its first successor, one without
    successors from around its last predecessor; in a chain these are the ends of the first and
    the last triple. Layers of activations, and two layers alone, are looked at each in turn.
    """
    wanted: dict[LayerRange, list[LayerRange]] = {layer: [] for layer in graph.layers}
    for layer in graph.layers:
        before, after = graph.around(layer)
        centre = layer
        if graph.kind == "weights" and len(graph.layers) > 2:
            if not before and after:
                centre = after[0]
            elif before and not after:
                centre = before[-1]
        wanted[centre].append(layer)
    return [(layer, labelled) for layer, labelled in wanted.items() if labelled]


def _window_labels(
    graph: UnitGraph, window: Sequence[LayerRange], n_clusters: int, seed: int, reading: str
) -> list[np.ndarray]:
    """Cluster the subgraph of some layers; return the labels of each.

    ``reading="second_matrix"`` keeps of a triple only the edges between the second and the third
    layer. Labels are then sliced as if the first one were there: what goes by the name of the
    first layer belongs to the second, and what goes by the second's to the third.
    """
    second = reading == "second_matrix" and len(window) == 3
    part = graph.subgraph(window[1:] if second else window)
    n_clusters = min(n_clusters, int(live_units(part).sum()))
    labels = np.full(part.n_units, NO_CLUSTER)
    if n_clusters:
        labels = spectral_labels_checked(part, n_clusters, seed=seed)
    sizes = [layer.n_units for layer in window]
    if not second:
        return np.split(labels, np.cumsum(sizes)[:-1])
    before, this, after = sizes
    slices = [labels[:before], labels[before : before + this], labels[-after:]]
    return [
        np.pad(each, (0, size - len(each)), constant_values=NO_CLUSTER)
        for each, size in zip(slices, sizes, strict=True)
    ]


def _local_labels(
    graph: UnitGraph, global_labels: np.ndarray, seed: int, conventions: Conventions
) -> np.ndarray:
    """Cluster layer by layer, into as many clusters as the global clustering uses there."""
    labels = np.full(graph.n_units, NO_CLUSTER)
    begins_with_channels = graph.kind == "weights" and graph.layers[0].tested
    reading = conventions.local_triples if begins_with_channels and graph.is_chain else "whole"
    centres = _local_centres(graph)
    counts = _counts(
        graph,
        global_labels,
        [centre for centre, _ in centres],
        conventions.cluster_count_layers,
    )
    for (centre, labelled), n_clusters in zip(centres, counts, strict=True):
        window = [centre]
        if graph.kind == "weights":
            before, after = graph.around(centre)
            window = [layer for layer in graph.layers if layer in (*before, centre, *after)]
        window_labels = _window_labels(graph, window, n_clusters, seed, reading)
        for layer in labelled:
            own = window_labels[window.index(layer)]
            live = own != NO_CLUSTER
            own[live] = renumber(own[live])
            labels[layer.units] = own
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
        (its predecessors, itself, its successors; the first and last layer get theirs from the
        ends of the first and last triple), of the layer's own graph for activations.
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
    check_option("scope", scope, SCOPES)
    n_clusters, seed = check_integer("n_clusters", n_clusters, 2), check_seed(seed)
    conventions = resolve(conventions)
    check_graph(graph)
    check_edges(graph.adjacency)
    labels = spectral_labels_checked(graph, n_clusters, seed=seed)
    if scope == "local":
        labels = _local_labels(graph, labels, seed, conventions)
    return Partition(labels, graph.layers, n_clusters, scope)
