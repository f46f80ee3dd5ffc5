"""The weights graph of branching networks, entry by entry; its shuffles; local clustering."""

import numpy as np
import pytest
import torch
from helpers.graphs import oracle_labels, upper
from helpers.networks import (
    concatenated,
    dense,
    dense_block,
    fire,
    made,
    norm,
    pointwise,
    pooled,
    preactivated,
    residual,
    residual_mlp,
    strided,
)
from sklearn.metrics import adjusted_rand_score

from localspec.clustering import cluster, weight_graph
from localspec.clustering._unit_graph import from_blocks, layer_blocks, layer_ranges, shuffled
from localspec.conventions import Conventions

READER = Conventions(residual_units="reader")


def edges(network, **options):
    """Return the names of the layers and the nonzero entries above the diagonal."""
    graph = weight_graph(network, conventions=Conventions(**options))
    return [layer.name for layer in graph.layers], upper(graph)


def matrices(network, **options):
    """Return the names of the layers and, for each two that are linked, the matrix between them."""
    graph = weight_graph(network, conventions=Conventions(**options))
    blocks = layer_blocks(graph)
    assert graph.adjacency.sum() == 2 * sum(block.sum() for block in blocks)  # no edge elsewhere
    pairs = [(before.name, after.name) for before, after in graph.linked]
    return [layer.name for layer in graph.layers], {
        pair: block.tolist() for pair, block in zip(pairs, blocks, strict=True)
    }


def test_a_skip_makes_no_edge():
    assert matrices(residual()) == (
        ["conv0", "conv1", "conv2"],
        {
            ("conv0", "conv1"): [[1, 0, 1], [2, 3, 1]],
            ("conv1", "conv2"): [[2, 1], [0, 1], [1, 0]],
        },
    )


def test_a_convolution_on_the_skip_makes_edges_around_a_layer():
    assert matrices(strided()) == (
        ["stem", "a.conv1", "a.conv2", "b.conv1", "b.down"],
        {
            ("stem", "a.conv1"): [[1, 0], [2, 1]],
            ("a.conv1", "a.conv2"): [[0, 2], [3, 1]],
            ("a.conv2", "b.conv1"): [[4, 1], [0, 1]],
            ("a.conv2", "b.down"): [[5, 0], [0, 6]],
            ("b.conv1", "b.down"): [[1, 0], [1, 2]],  # b.conv2
        },
    )


def test_one_unit_for_each_reader_and_channel():
    # what writes the sum of a writes it for both of its readers
    assert matrices(strided(), residual_units="reader") == (
        ["stem", "a.conv1", "a.conv2->b.conv1", "a.conv2->b.down", "b.conv1", "b.down"],
        {
            ("stem", "a.conv1"): [[1, 0], [2, 1]],
            ("a.conv1", "a.conv2->b.conv1"): [[0, 2], [3, 1]],
            ("a.conv1", "a.conv2->b.down"): [[0, 2], [3, 1]],
            ("a.conv2->b.conv1", "b.conv1"): [[4, 1], [0, 1]],
            ("a.conv2->b.down", "b.down"): [[5, 0], [0, 6]],
            ("b.conv1", "b.down"): [[1, 0], [1, 2]],
        },
    )


def test_modules_that_connect_the_same_tensors_add_up():
    twice = made(
        lambda m, x: _twice(m, m.first(x).relu()),
        first=dense([[1, 1]]),
        a=dense([[2]]),
        b=dense([[-3]]),
        out=dense([[1]]),
    )
    names, weights = edges(twice)
    assert names == ["input", "first", "b", "out"]
    assert weights == {(0, 2): 1, (1, 2): 1, (2, 3): 2 + 3, (3, 4): 1}


def _twice(m, x):
    return m.out((m.a(x) + m.b(x)).relu())


def test_an_mlp_with_a_skip():
    # the sum is written by second
    assert matrices(residual_mlp()) == (
        ["input", "first", "second", "out"],
        {
            ("input", "first"): [[1, 3], [2, 4]],
            ("first", "second"): [[5, 6], [0, 7]],
            ("second", "out"): [[1, 0], [2, 3]],
        },
    )


@pytest.mark.parametrize(
    ("mode", "first", "inner", "last"),
    [
        ("absolute", (4, 1.5), (2, 1), (3, 1)),
        ("signed", (-4, 1.5), (2, -1), (3, 1)),
        ("none", (1, 1), (1, 1), (1, 1)),
    ],
)
def test_norms_of_a_preactivated_block(mode, first, inner, last):
    # stem 0 1 is passed on by the skip, so norm1 scales the edges out of it; norm2 those into
    # conv1 2 3; norm3, behind the last sum 4 5 and before its ReLU, those into the sum
    names, weights = edges(preactivated(), batch_norm_edges=mode)
    assert names == ["stem", "conv1", "conv2"]
    assert weights == pytest.approx(
        {
            (0, 2): 1 * first[0] * inner[0],
            (1, 2): 2 * first[1] * inner[0],
            (0, 3): 3 * first[0] * inner[1],
            (3, 4): 1 * last[0],
            (2, 5): 5 * last[1],
            (3, 5): 7 * last[1],
        }
    )


def test_norms_before_and_behind_a_concatenation():
    # one 0, two 1 2, mix 3 4; norm2 (4, 1.5) on two only; norm (2, 3, 5) on one, then two
    names, weights = edges(concatenated())
    assert names == ["one", "two", "mix"]
    assert weights == pytest.approx(
        {
            (0, 3): 1 * 2,
            (1, 3): 2 * 4 * 3,
            (2, 3): 3 * 1.5 * 5,
            (1, 4): 1 * 4 * 3,
            (2, 4): 4 * 1.5 * 5,
        }
    )


def test_a_norm_before_a_sum_scales_the_edges_of_its_module_alone():
    # first 0 1; the sum 2 3: a with factors 4 and 1.5, b without
    def forward(m, x):
        x = m.first(x).relu()
        return m.out((m.norm(m.a(x)) + m.b(x)).relu().flatten(1))

    network = made(
        forward,
        first=pointwise([[1], [1]]),
        a=pointwise([[1, 2], [3, 0]]),
        norm=norm(),
        b=pointwise([[5, 0], [0, 7]]),
        out=dense(np.ones((2, 2))),
    )
    expected = {(0, 2): 1 * 4 + 5, (1, 2): 2 * 4, (0, 3): 3 * 1.5, (1, 3): 7}
    assert edges(network)[1] == pytest.approx(expected)
    signed = {(0, 2): -1 * 4 + 5, (1, 2): -2 * 4, (0, 3): 3 * 1.5, (1, 3): 7}
    assert edges(network, batch_norm_edges="signed")[1] == pytest.approx(signed)


def test_a_dense_block_links_all_layers():
    assert matrices(dense_block()) == (
        ["conv0", "conv1", "conv2"],
        {
            ("conv0", "conv1"): [[1], [2]],
            ("conv0", "conv2"): [[3], [4]],
            ("conv1", "conv2"): [[5]],
        },
    )
    # conv0 as conv1, conv2 and fc see it; conv1 as conv2 and fc do
    assert matrices(dense_block(), residual_units="reader") == (
        ["conv0->conv1", "conv0->conv2", "conv0->fc", "conv1->conv2", "conv1->fc", "conv2"],
        {
            ("conv0->conv1", "conv1->conv2"): [[1], [2]],
            ("conv0->conv1", "conv1->fc"): [[1], [2]],
            ("conv0->conv2", "conv2"): [[3], [4]],
            ("conv1->conv2", "conv2"): [[5]],
        },
    )


def test_a_fire_module_reads_its_parts_in_order():
    # stem 0 1, squeeze 2 3, expand1 4 5, expand3 6, last 7 8
    _, weights = edges(fire())
    assert {key: value for key, value in weights.items() if key[0] > 3} == {
        (4, 7): 1,
        (6, 7): 2,
        (5, 8): 3,
        (6, 8): 1,
    }
    kernels = fire().expand3.weight.detach().abs().sum(dim=(2, 3))[0].tolist()
    assert [weights[2, 6], weights[3, 6]] == kernels


def test_a_concatenation_inside_a_sum_is_laid_out_in_it():
    # of the sum's three channels a writes the first, b the others, c all
    network = made(
        lambda m, x: _inside(m, m.first(x)),
        first=pointwise([[1]]),
        a=pointwise([[2]]),
        b=pointwise([[3], [4]]),
        c=pointwise([[10], [20], [30]]),
        out=pointwise([[1, 1, 1]]),
    )
    assert matrices(network) == (
        ["first", "c", "out"],
        {("first", "c"): [[12, 23, 34]], ("c", "out"): [[1], [1], [1]]},
    )


def _inside(m, x):
    return m.out(torch.cat([m.a(x), m.b(x)], 1) + m.c(x))


# --- shuffles ---


@pytest.mark.parametrize("null", ["permute", "permute_nonzero"])
@pytest.mark.parametrize("conventions", ["paper", READER], ids=["tensor", "reader"])
def test_shuffles_keep_the_entries_of_every_pair(null, conventions):
    graph = weight_graph(strided(), conventions=conventions)
    copy = shuffled(graph, np.random.default_rng(0), null=null)
    assert copy.links == graph.links
    pairs = [(first.name, other.name) for first, other in graph.linked]
    assert ("a.conv2", "b.down") in pairs or ("a.conv2->b.down", "b.down") in pairs
    for before, after in zip(layer_blocks(graph), layer_blocks(copy), strict=True):
        assert sorted(before.ravel()) == sorted(after.ravel())
        if null == "permute_nonzero":
            assert ((before > 0) == (after > 0)).all()
    total = 2 * sum(block.sum() for block in layer_blocks(copy))
    assert copy.adjacency.sum() == pytest.approx(total)  # nothing outside the pairs
    assert (copy.adjacency != graph.adjacency).nnz


def test_shuffles_without_isolated_units_keep_the_links():
    graph = weight_graph(strided())
    part = graph.keep(np.arange(graph.n_units) != 4)
    assert [block.shape for block in layer_blocks(part)] == [
        (2, 2),
        (2, 1),
        (1, 2),
        (1, 2),
        (2, 2),
    ]
    shuffled(part, np.random.default_rng(0))


def test_a_subgraph_keeps_the_links_between_its_layers():
    graph = weight_graph(dense_block())
    part = graph.subgraph((graph.layers[0], graph.layers[2]))
    assert part.links == (("conv0", "conv2"),)
    assert [block.tolist() for block in layer_blocks(part)] == [[[3], [4]]]


# --- local clustering ---


def branching_graph(seed=0):
    """Return random blocks of five layers: 0 - 1 - 2, 2 - 3 - 4 and a way around, 2 - 4."""
    rng = np.random.default_rng(seed)
    sizes = (7, 8, 9, 8, 7)
    pairs = [(0, 1), (1, 2), (2, 3), (2, 4), (3, 4)]
    blocks = {pair: rng.exponential(size=[sizes[i] for i in pair]) ** 3 for pair in pairs}
    links = tuple((f"l{i}", f"l{j}") for i, j in pairs)
    ranges = layer_ranges([(f"l{i}", n, True) for i, n in enumerate(sizes)])
    return from_blocks(list(blocks.values()), ranges, links)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_local_clusters_come_from_predecessors_and_successors(seed):
    graph = branching_graph(seed)
    partition, local = cluster(graph, 3, seed=seed), cluster(graph, 3, scope="local", seed=seed)
    windows = {1: (0, 1, 2), 2: (1, 2, 3, 4), 3: (2, 3, 4)}
    centres = {0: 1, 1: 1, 2: 2, 3: 3, 4: 3}  # the ends: first successor, last predecessor
    for index, centre in centres.items():
        layers = [graph.layers[i] for i in windows[centre]]
        nodes = np.concatenate([np.arange(layer.start, layer.stop) for layer in layers])
        adjacency = graph.adjacency.toarray()[np.ix_(nodes, nodes)]
        used = len(set(partition.of(graph.layers[centre]).tolist()))
        labels = oracle_labels(adjacency, used, seed)
        mine = labels[np.isin(nodes, np.arange(graph.n_units)[graph.layers[index].units])]
        assert adjusted_rand_score(local.of(graph.layers[index]), mine) == 1


def test_a_layer_that_nothing_writes_or_reads_in_the_graph():
    # the sum of two layers that are read themselves has no writer; its only reader is dense
    def forward(m, x):
        first = m.a(x)
        second = m.b(first.relu())
        third = m.c(second.relu())
        return m.out(pooled(first + second)) + m.end(pooled(third))

    names = ("a", "b", "c")
    network = made(
        forward,
        **{name: pointwise([[1.0, 2.0], [3.0, 5.0]]) for name in names},
        **{name: dense(np.ones((2, 2))) for name in ("out", "end")},
    )
    graph = weight_graph(network)
    assert [layer.name for layer in graph.layers] == ["a", "b", "c", "add"]
    labels = cluster(graph, 2, scope="local")
    assert labels.of(graph.layers[3]).tolist() == [-1, -1]
    assert (labels.labels >= 0).sum() == 6
