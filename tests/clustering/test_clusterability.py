"""Clusterability: n-cut against n-cuts of shuffled copies."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.graphs import chain_graph, unit_graph

from localspec.clustering import cluster, clusterability, inside_to_outside, ncut
from localspec.exceptions import DegenerateDataWarning, InvalidInputError


def random_blocks(sizes, seed):
    rng = np.random.default_rng(seed)
    return [rng.exponential(size=shape) for shape in pairwise(sizes)]


def test_figures_follow_from_the_null():
    graph = chain_graph(*random_blocks((9, 8, 7), 0))
    result = clusterability(graph, 3, n_shuffles=12, seed=5)
    mean = sum(result.null) / 12
    spread = (sum((value - mean) ** 2 for value in result.null) / 12) ** 0.5  # not / 11
    assert result.z_score == pytest.approx((result.statistic - mean) / spread)
    n_low = sum(value <= result.statistic for value in result.null)
    assert result.pvalue == pytest.approx((1 + n_low) / 13)
    assert result.floor == pytest.approx(1 / 13)
    assert result.null.shape == (12,)
    # the figure of the network is that of its own clustering
    labels = cluster(graph, 3, seed=5).labels
    assert result.statistic == pytest.approx(ncut(graph.adjacency, labels))


def test_copies_that_differ_by_rounding_alone_have_no_spread():
    # each unit is a cluster of its own: all n-cuts are the number of units, and edges are so heavy
    # that the epsilon of volumes is rounding, too
    blocks = [1e6 * block for block in random_blocks((3, 2, 3), 0)]
    result = clusterability(chain_graph(*blocks), 8, n_shuffles=5)
    assert result.null == pytest.approx(np.full(5, 8.0))
    assert np.isnan(result.z_score)
    assert result.pvalue == 1


def test_numbers_of_a_small_type_do_not_overflow():
    graph = chain_graph(*random_blocks((3, 2, 3), 0))
    result = clusterability(graph, np.int8(2), n_shuffles=np.int8(127), seed=np.uint8(3))
    assert result.floor == 1 / 128
    assert 1 / 128 <= result.pvalue <= 1


def test_copies_with_too_few_units_that_take_part():
    pairs = [np.diag([1.0, 2.0, 3.0, 4.0])]  # shuffled, some of the units have no edge
    with pytest.raises(InvalidInputError, match=r"a shuffled copy cannot be clustered: .*not 8"):
        clusterability(chain_graph(*pairs), 8, n_shuffles=5)


def test_weight_inside_for_each_that_leaves():
    # a triangle and a square with a diagonal, joined by two edges: 3 and 5 edges inside
    inside, leaving, clusters = np.array([3, 5]), 2, 2
    shares = leaving / (2 * inside + leaving)
    ratio = inside_to_outside(shares.sum(), clusters)
    assert ratio == pytest.approx((1 - shares.mean()) / (2 * shares.mean()))
    assert min(inside / leaving) < ratio < max(inside / leaving)
    assert inside_to_outside(12 * 0.5, 12) == 0.5  # half of what every cluster's units have leaves
    assert inside_to_outside(0.0, 12) == np.inf
    assert inside_to_outside(12.0, 12) == 0.0  # nothing inside


def test_a_modular_network_is_clusterable():
    # unit i belongs to module i mod 3; weights between modules are weak
    sizes = (12, 15, 12)
    modules = pairwise(np.arange(n) % 3 for n in sizes)
    blocks = [
        block * np.where(np.equal.outer(before, after), 1, 0.05)
        for block, (before, after) in zip(random_blocks(sizes, 1), modules, strict=True)
    ]
    result = clusterability(chain_graph(*blocks), 3, n_shuffles=19)
    assert result.pvalue == result.floor == pytest.approx(1 / 20)
    assert result.z_score < -5
    assert result.null.min() > result.statistic


def test_random_networks_usually_are_not():
    p_values = [
        clusterability(chain_graph(*random_blocks((6, 6, 6), seed)), 2, n_shuffles=9).pvalue
        for seed in range(6)
    ]
    # under the null 1/10 of them are at the floor: 4 or more of 6 in 1 of 800 cases
    assert sum(p <= 0.1 for p in p_values) < 4


def test_copies_that_equal_the_network_tie_with_it():
    # all weights alike: every copy is the network itself
    graph = chain_graph(np.ones((4, 5)), np.ones((5, 4)))
    with pytest.warns(DegenerateDataWarning, match="all edges are equal"):
        result = clusterability(graph, 2, n_shuffles=5)
    assert result.pvalue == 1
    assert np.isnan(result.z_score)


def test_isolated_units_are_removed_before_shuffling():
    # their zeros would otherwise be shuffled among the weights
    blocks = random_blocks((8, 9, 7), 3)
    small = clusterability(chain_graph(*blocks), 3, n_shuffles=5, seed=2)
    wide = [np.zeros((8, 11)), np.zeros((11, 7))]
    wide[0][:, [*range(4), *range(6, 11)]] = blocks[0]  # units 4 and 5 of the middle are dead
    wide[1][[*range(4), *range(6, 11)]] = blocks[1]
    large = clusterability(chain_graph(*wide), 3, n_shuffles=5, seed=2)
    assert large.statistic == pytest.approx(small.statistic)
    assert large.null == pytest.approx(small.null)


@pytest.mark.parametrize("null", ["permute", "permute_nonzero"])
def test_isolated_units_are_removed_after_shuffling(null):
    # one weight a unit: a shuffle leaves many units without any, which must take no part
    blocks = [np.eye(12) + 0.1 * np.eye(12, k=1), np.eye(12) + 0.1 * np.eye(12, k=-1)]
    result = clusterability(chain_graph(*blocks), 2, n_shuffles=8, null=null)
    assert np.isfinite(result.null).all()
    assert ((result.null >= 0) & (result.null <= 2)).all()


def test_the_seed_decides():
    graph = chain_graph(*random_blocks((6, 7, 6), 0))
    first, again, other = (clusterability(graph, 2, n_shuffles=4, seed=s) for s in (1, 1, 2))
    assert first.null.tolist() == again.null.tolist()
    assert first.null.tolist() != other.null.tolist()


def test_permuting_nonzeros_is_another_null():
    blocks = random_blocks((8, 8, 8), 0)
    blocks[0][:4, :4] = blocks[1][4:, 4:] = 0
    everything = clusterability(chain_graph(*blocks), 2, n_shuffles=6)
    nonzeros = clusterability(chain_graph(*blocks), 2, n_shuffles=6, null="permute_nonzero")
    assert nonzeros.statistic == pytest.approx(everything.statistic)
    # the zeros' pattern, which makes the network clusterable, stays
    assert nonzeros.null.mean() < everything.null.mean()


def test_a_graph_of_activations_is_compared_with_its_shuffled_copies():
    # two groups of four units that are joined within the group alone, two of each in each layer;
    # the last unit never varies
    group = np.array([0, 0, 1, 1, 0, 0, 1, 1, 0])
    edges = np.equal.outer(group, group).astype(float)
    np.fill_diagonal(edges, 0)
    edges[8], edges[:, 8] = 0, 0
    graph = unit_graph(edges, 4, 5, inactive=np.arange(9) == 8)
    for null in ("permute", "permute_all"):
        result = clusterability(graph, 2, n_shuffles=9, null=null)
        assert result.statistic == pytest.approx(0, abs=1e-6)
        assert result.n_isolated == 1
        assert (result.null > 0.1).all()
        assert result.pvalue == pytest.approx(0.1)


def test_results_do_not_depend_on_the_number_of_jobs():
    graph = chain_graph(*random_blocks((9, 8, 7), 0))
    serial, parallel = (
        clusterability(graph, 3, n_shuffles=6, n_jobs=n).null.tolist() for n in (1, 2)
    )
    assert serial == parallel


def test_isolated_and_near_dead_units_are_counted():
    blocks = random_blocks((6, 7, 5), 1)
    blocks[0][2] = 0  # the third unit of the first layer has no edge
    blocks[0][:, 4] = 0  # the fifth of the second layer has edges of 1e-10 only, to the third
    blocks[1][4] = 1e-10
    result = clusterability(chain_graph(*blocks), 2, n_shuffles=3)
    assert (result.n_isolated, result.n_near_dead) == (1, 1)
    assert (result.n_zero_volume, result.n_empty) == (0, 0)


def test_a_cluster_of_almost_no_volume_is_counted():
    # two pieces that are not joined, one of which is almost nothing: a cluster of its own
    blocks = [np.zeros((4, 4))]
    blocks[0][:2, :2], blocks[0][2:, 2:] = 1, 1e-10
    result = clusterability(chain_graph(*blocks), 2, n_shuffles=3)
    assert (result.n_near_dead, result.n_zero_volume) == (4, 1)
    assert result.statistic == pytest.approx(0, abs=1e-6)
