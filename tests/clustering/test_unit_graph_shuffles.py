"""Shuffled copies of a weights graph: what moves and what stays."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from helpers.graphs import chain_graph, unit_graph
from hypothesis import given
from hypothesis import strategies as st

from localspec.clustering._unit_graph import layer_blocks, shuffled

sizes = st.lists(st.integers(1, 5), min_size=2, max_size=4)
seeds = st.integers(0, 2**31 - 1)
nulls = st.sampled_from(["permute", "permute_nonzero"])


def random_graph(sizes, seed):
    """Return a chain of layers whose weights are distinct, about a third of them zero."""
    rng = np.random.default_rng(seed)
    blocks = [rng.random(shape) * (rng.random(shape) > 0.33) for shape in pairwise(sizes)]
    return chain_graph(*blocks)


def test_blocks_are_what_the_graph_was_made_of():
    # layers of 2, 1 and 2 units: node 2 is the one in the middle
    blocks = [np.array([[3.0], [4.0]]), np.array([[0.0, 5.0]])]
    graph = chain_graph(*blocks)
    expected = np.zeros((5, 5))
    expected[0, 2] = expected[2, 0] = 3
    expected[1, 2] = expected[2, 1] = 4
    expected[2, 4] = expected[4, 2] = 5
    assert graph.adjacency.toarray().tolist() == expected.tolist()
    assert [block.tolist() for block in layer_blocks(graph)] == [[[3], [4]], [[0, 5]]]


@given(sizes, seeds, nulls)
def test_each_block_keeps_its_entries_and_the_graph_its_shape(sizes, seed, null):
    graph = random_graph(sizes, seed)
    copy = shuffled(graph, np.random.default_rng(seed), null=null)
    for before, after in zip(layer_blocks(graph), layer_blocks(copy), strict=True):
        assert np.sort(before, axis=None).tolist() == np.sort(after, axis=None).tolist()
    matrix = copy.adjacency.toarray()
    assert (matrix == matrix.T).all()
    # nothing outside the blocks: both triangles together hold every entry twice
    assert matrix.sum() == pytest.approx(2 * sum(block.sum() for block in layer_blocks(graph)))
    assert copy.layers == graph.layers


@given(sizes, seeds)
def test_permuting_nonzeros_leaves_zeros_where_they_are(sizes, seed):
    graph = random_graph(sizes, seed)
    copy = shuffled(graph, np.random.default_rng(seed), null="permute_nonzero")
    same = (graph.adjacency.toarray() == 0) == (copy.adjacency.toarray() == 0)
    assert same.all()


def test_every_order_of_the_entries_is_equally_likely():
    # three distinct entries: 6 orders, 1,200 shuffles, 200 of each; standard deviation 12.9
    graph = chain_graph(np.array([[1.0, 2.0, 3.0]]))
    rng = np.random.default_rng(0)
    orders = [tuple(layer_blocks(shuffled(graph, rng))[0].ravel()) for _ in range(1200)]
    counts = {order: orders.count(order) for order in set(orders)}
    assert len(counts) == 6
    assert all(abs(count - 200) < 4 * 12.9 for count in counts.values())


@pytest.fixture
def one_row():
    """Return a block whose first row holds 1 to 6; the others are zero."""
    block = np.zeros((6, 6))
    block[0] = np.arange(1, 7)
    return chain_graph(block)


def test_zeros_move_unless_only_nonzeros_are_permuted(one_row):
    moved = layer_blocks(shuffled(one_row, np.random.default_rng(0)))[0]
    assert (moved[0] == 0).any()


def test_resampled_weights_lie_near_old_ones_and_zeros_stay():
    block = np.zeros((40, 50))
    block[:20] = np.random.default_rng(0).choice([1.0, 3.0], (20, 50))
    graph = chain_graph(block)
    drawn = layer_blocks(shuffled(graph, np.random.default_rng(1), null="resample_nonzero"))[0]
    assert ((drawn == 0) == (block == 0)).all()
    distance = np.abs(drawn[:20, :, None] - np.array([1.0, 3.0])).min(axis=-1)
    # noise of standard deviation 0.01, over 1,000 entries; each value about as often as before
    assert distance.max() < 0.06
    assert np.sqrt((distance**2).mean()) == pytest.approx(0.01, rel=0.1)
    assert (drawn > 2).sum() == pytest.approx((block > 2).sum(), abs=4 * np.sqrt(250))


def test_resampled_weights_are_never_negative():
    # a weight of 0.001 plus noise of 0.01 is negative almost half of the time: |w| is the edge
    graph = chain_graph(np.full((30, 30), 0.001))
    drawn = layer_blocks(shuffled(graph, np.random.default_rng(0), null="resample_nonzero"))[0]
    assert (drawn > 0).all()


def test_permuted_and_resampled(one_row):
    drawn = layer_blocks(shuffled(one_row, np.random.default_rng(0), null="permute_resample"))[0]
    assert (drawn != 0).sum() == 6
    assert (drawn[0] == 0).any()  # moved
    assert np.abs(drawn[drawn != 0] - drawn[drawn != 0].round()).max() < 0.06


def test_the_original_is_left_alone_and_the_generator_decides():
    graph = random_graph([4, 5, 3], seed=1)
    before = graph.adjacency.toarray()
    first, again, other = (
        shuffled(graph, np.random.default_rng(seed)).adjacency.toarray() for seed in (1, 1, 2)
    )
    assert (graph.adjacency.toarray() == before).all()
    assert (first == again).all()
    assert (first != other).any()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=3), seeds)
def test_correlations_stay_between_the_same_two_layers_or_go_anywhere(sizes, seed):
    n = sum(sizes)
    upper = np.triu(np.arange(1.0, n * n + 1).reshape(n, n), 1)
    graph = unit_graph(upper + upper.T, *sizes)
    rng = np.random.default_rng(seed)
    within, anywhere = (shuffled(graph, rng, null=null) for null in ("permute", "permute_all"))
    for copy in (within, anywhere):
        assert copy.adjacency.tolist() == copy.adjacency.T.tolist()
        assert not copy.adjacency.diagonal().any()
        assert sorted(copy.adjacency.ravel()) == sorted(graph.adjacency.ravel())
    for first, second in product(graph.layers, repeat=2):
        before = graph.adjacency[first.units, second.units]
        after = within.adjacency[first.units, second.units]
        assert sorted(after.ravel()) == sorted(before.ravel())


def test_all_correlations_are_permuted_among_each_other():
    # a strong pair in the first layer, and nothing else
    edges = np.zeros((6, 6))
    edges[0, 1] = edges[1, 0] = 1
    graph = unit_graph(edges, 3, 3)
    rng = np.random.default_rng(0)
    places = [set(), set()]
    for _ in range(300):
        for place, null in zip(places, ("permute", "permute_all"), strict=True):
            row, column = np.argwhere(np.triu(shuffled(graph, rng, null=null).adjacency))[0]
            place.add((int(row), int(column)))
    assert places[0] == {(0, 1), (0, 2), (1, 2)}
    assert len(places[1]) == 15  # every pair of six


def test_whole_weights_are_drawn_from_a_density_like_others():
    # in an array of whole numbers the noise would be cut off
    graph = random_graph((4, 5), 0)
    whole = replace(graph, adjacency=(graph.adjacency * 9).astype(int))
    (block,) = layer_blocks(shuffled(whole, np.random.default_rng(0), null="resample_nonzero"))
    drawn = block[block != 0]
    assert len(drawn)
    assert (drawn != np.round(drawn)).all()
