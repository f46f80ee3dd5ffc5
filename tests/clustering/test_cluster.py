"""Local clustering: which subgraph a layer's labels come from, and how many clusters it gets."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers.graphs import chain_graph, oracle_labels, unit_graph
from helpers.networks import conv, stack
from sklearn.metrics import adjusted_rand_score
from torch import nn

from localspec.clustering import cluster, weight_graph
from localspec.clustering._spectral import graph_sides
from localspec.clustering._unit_graph import from_blocks, layer_ranges
from localspec.conventions import Conventions
from localspec.exceptions import DegenerateDataWarning


def chain(sizes, seed, ends=True):
    """Return a weights graph of random blocks; with `ends`, first and last layer are untested."""
    rng = np.random.default_rng(seed)
    last = len(sizes) - 1
    layers = [(f"l{i}", n, not ends or 0 < i < last) for i, n in enumerate(sizes)]
    blocks = [rng.exponential(size=shape) ** 3 for shape in pairwise(sizes)]
    return from_blocks(blocks, layer_ranges(layers)), blocks


def n_used(partition, index):
    return len(set(partition.of(partition.layers[index]).tolist()) - {-1})


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("ends", [True, False])
def test_a_layer_gets_its_labels_from_the_three_layers_around_it(seed, ends):
    sizes = (8, 10, 9, 11, 7)
    graph, _ = chain(sizes, seed, ends)
    adjacency, starts = graph.adjacency.toarray(), np.cumsum([0, *sizes])
    partition = cluster(graph, 4, seed=seed)
    local = cluster(graph, 4, scope="local", seed=seed)
    for middle in (1, 2, 3):
        nodes = slice(starts[middle - 1], starts[middle + 2])
        labels = oracle_labels(adjacency[nodes, nodes], n_used(partition, middle), seed)
        parts = np.split(labels, np.cumsum(sizes[middle - 1 : middle + 1]))
        # the first and the last layer come from the ends of the first and the last triple
        taken = {middle: parts[1]} | ({0: parts[0]} if middle == 1 else {})
        taken |= {4: parts[2]} if middle == 3 else {}
        for index, expected in taken.items():
            labels_there = local.of(local.layers[index])
            assert adjusted_rand_score(labels_there, expected) == 1
    assert local.scope == "local"


def test_each_layer_numbers_its_clusters_from_zero():
    graph, _ = chain((8, 10, 9, 11, 7), seed=4)
    local = cluster(graph, 4, scope="local")
    for index, layer in enumerate(local.layers):
        assert sorted(set(local.of(layer).tolist())) == list(range(n_used(local, index)))


def test_activations_cluster_each_layer_on_its_own():
    rng = np.random.default_rng(0)
    values = rng.random((17, 17))
    adjacency = np.triu(values, 1) + np.triu(values, 1).T
    graph = unit_graph(adjacency, 9, 8)
    partition = cluster(graph, 3, seed=1)
    local = cluster(graph, 3, scope="local", seed=1)
    for index, part in enumerate((adjacency[:9, :9], adjacency[9:, 9:])):
        expected = oracle_labels(part, n_used(partition, index), 1)
        assert adjusted_rand_score(local.of(graph.layers[index]), expected) == 1


# Three pieces, which three global clusters are. Layers of 4 units each, then 2:
#
#       input        dense1       dense2       output
#   A   0 1     --   4 5     --   8
#   B   2 3     --   6       --   9
#   C                7       --   10 11    --  12 13
FIRST = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]])
SECOND = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]])


def pieces():
    blocks = [FIRST, SECOND, np.array([[0, 0], [0, 0], [1, 1], [1, 1]])]
    names = [("input", 4, False), ("dense1", 4, True), ("dense2", 4, True), ("output", 2, False)]
    return from_blocks(blocks, layer_ranges(names))


def test_pieces_are_the_global_clusters():
    expected = [0, 0, 1, 1, 0, 0, 1, 2, 0, 1, 2, 2, 2, 2]
    assert cluster(pieces(), 3).labels.tolist() == expected


def test_a_layer_gets_as_many_clusters_as_the_global_clustering_uses_there():
    # own reading: dense1 uses all three pieces, dense2 as well
    local = cluster(pieces(), 3, scope="local")
    assert local.of(local.layers[1]).tolist() == [0, 0, 1, 2]
    assert local.of(local.layers[2]).tolist() == [0, 1, 2, 2]
    assert local.of(local.layers[0]).tolist() == [0, 0, 1, 1]  # A and B, from the first triple
    assert local.of(local.layers[3]).tolist() == [0, 0]  # C, from the last triple


# The same three pieces in a network with convolutions: its graph begins with channels.
#
#       conv1        conv2        conv3        conv4
#   A   0 1     --   0 1     --   0       --   0
#   B   2 3     --   2       --   1       --   1
#   C                3       --   2 3     --   2
def convolutional_pieces():
    return chain_graph(FIRST, SECOND, np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]))


def by_layer(partition):
    return [partition.of(layer).tolist() for layer in partition.layers]


def test_the_plain_reading_of_channels():
    local = cluster(convolutional_pieces(), 3, scope="local")
    assert by_layer(local) == [[0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 2, 2], [0, 1, 2]]


@pytest.mark.parametrize("graph", [pieces(), convolutional_pieces()], ids=["pixels", "channels"])
def test_counting_from_the_input_is_one_layer_off(graph):
    # dense1 is counted on nodes 0-3 (A and B: 2 clusters), dense2 on nodes 4-7 (A, B, C: 3);
    # conv2, the middle of the first triple, is counted on conv1 (A and B) and not on itself, conv3
    # on conv2 (3). The first triple has three pieces for two clusters, so two pieces share one
    reading = Conventions(cluster_count_layers="from_input")
    with pytest.warns(DegenerateDataWarning, match="3 components but 2 clusters"):
        local = cluster(graph, 3, scope="local", conventions=reading)
    assert [n_used(local, index) for index in (1, 2)] == [2, 3]


def test_triples_without_their_first_matrix_are_sliced_one_layer_off():
    # Of the first triple only conv2-conv3 is there: labels 0 0 1 2 | 0 1 2 2. The first four
    # pass for conv1's and the next four for conv2's. Of the second only conv3-conv4:
    # 0 1 2 2 | 0 1 2. What passes for conv3's are the last three, and conv4 gets them too.
    reading = Conventions(local_triples="second_matrix")
    local = cluster(convolutional_pieces(), 3, scope="local", conventions=reading)
    assert by_layer(local) == [[0, 0, 1, 2], [0, 1, 2, 2], [0, 1, 2, -1], [0, 1, 2]]


def test_a_networks_own_graph_is_read_as_a_chain():
    network = stack(*(conv(np.ones((n, m, 1, 1))) for n, m in ((4, 1), (4, 4), (4, 4), (3, 4))))
    network.append(nn.Flatten())
    network.append(nn.Linear(3, 2, dtype=torch.float64))
    graph = weight_graph(network.eval())
    assert graph.is_chain
    assert graph_sides(graph).tolist() == [True] * 4 + [False] * 4 + [True] * 4 + [False] * 3
    # the same edges as above: the fork must take hold here, too
    edges = replace(graph, adjacency=convolutional_pieces().adjacency)
    local = cluster(edges, 3, scope="local", conventions=Conventions(local_triples="second_matrix"))
    assert by_layer(local) == [[0, 0, 1, 2], [0, 1, 2, 2], [0, 1, 2, -1], [0, 1, 2]]


def test_triples_of_dense_layers_keep_both_matrices():
    reading = Conventions(local_triples="second_matrix")
    plain, released = (
        cluster(pieces(), 3, scope="local", conventions=c) for c in ("paper", reading)
    )
    assert plain.labels.tolist() == released.labels.tolist()


def test_isolated_units_take_no_part_in_local_clusters():
    graph, blocks = chain((6, 8, 7, 5), seed=0)
    blocks[0][:, 3] = 0  # unit 3 of the second layer neither reads nor is read
    blocks[1][3, :] = 0
    graph = from_blocks(blocks, graph.layers)
    local = cluster(graph, 3, scope="local")
    assert np.flatnonzero(local.labels == -1).tolist() == [6 + 3]


def test_a_unit_can_be_isolated_in_one_triple_only():
    # unit 0 of the first layer has no edge at all; unit 2 of the third layer is read by the
    # fourth, which its own triple sees
    graph, blocks = chain((6, 8, 7, 5), seed=0)
    blocks[0][0, :] = 0
    blocks[1][:, 2] = 0
    graph = from_blocks(blocks, graph.layers)
    local = cluster(graph, 3, scope="local")
    assert local.of(local.layers[0])[0] == -1
    assert local.of(local.layers[2])[2] != -1


def test_two_layers_are_clustered_together():
    graph, _ = chain((7, 9), seed=3, ends=False)
    partition = cluster(graph, 2)
    local = cluster(graph, 2, scope="local")
    adjacency = graph.adjacency.toarray()
    for index, units in enumerate((slice(0, 7), slice(7, 16))):
        expected = oracle_labels(adjacency, n_used(partition, index), 0)[units]
        assert adjusted_rand_score(local.of(local.layers[index]), expected) == 1


def test_local_clustering_is_deterministic():
    graph, _ = chain((8, 10, 9, 7), seed=0)
    first, again = (cluster(graph, 3, scope="local", seed=2).labels.tolist() for _ in range(2))
    assert first == again
