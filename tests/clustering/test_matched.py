"""Matched counterparts: searches by hand, and what a search may never do."""

from itertools import combinations

import numpy as np
import pytest
import torch
from helpers.graphs import unit_graph
from helpers.networks import random_mlp
from scipy import sparse, stats

from localspec.clustering import (
    Partition,
    activation_graph,
    draw_matched,
    layer_correlations,
    mean_correlation,
)
from localspec.clustering._matched import _search


def pairs(n_units, **values):
    """Return a symmetric matrix of 0.1 with other values at pairs such as u01=0.9."""
    matrix = np.full((n_units, n_units), 0.1)
    for name, value in values.items():
        i, j = int(name[1]), int(name[2])
        matrix[i, j] = matrix[j, i] = value
    np.fill_diagonal(matrix, 0.0)
    return matrix


def test_the_mean_over_pairs_by_hand():
    matrix = pairs(4, u01=0.9, u12=0.5)
    assert mean_correlation(matrix, np.array([0, 1])) == pytest.approx(0.9)
    # pairs 01, 02, 12
    assert mean_correlation(matrix, np.array([2, 0, 1])) == pytest.approx((0.9 + 0.1 + 0.5) / 3)


def test_one_exchange_that_reaches_the_target_by_hand():
    # from 23 (0.1) to a mean of 0.5: of the pairs one exchange away only 12 is nearer
    matrix = pairs(4, u12=0.5)
    units = _search(matrix, np.array([2, 3]), 0.5, 0.01, np.random.default_rng(0))
    assert units.tolist() == [1, 2]


def test_a_search_ends_where_no_exchange_comes_nearer():
    # 01 has the target, but from 23 all pairs one exchange away are as far as 23 itself
    matrix = pairs(4, u01=0.9)
    units = _search(matrix, np.array([2, 3]), 0.9, 0.01, np.random.default_rng(0))
    assert units.tolist() == [2, 3]


def test_what_no_other_set_can_match_is_said():
    partition = Partition.from_labels({"1": np.array([0, 0, 1, 1, 1, 1])})
    found = draw_matched(partition, {"1": pairs(6, u01=0.9)}, 40, seed=1)
    sets = [tuple(row) for row in found.draws.units[0].tolist()]
    assert found.correlations[0].tolist() == pytest.approx([0.9, 0.1])
    # only the subcluster itself is as correlated; a search that starts with 0 or 1 reaches it
    assert found.matched[:, 0].tolist() == [units == (0, 1) for units in sets]
    assert 0 < found.matched[:, 0].sum() < 40
    assert not {0, 1} & {
        i for units, ok in zip(sets, found.matched[:, 0], strict=True) if not ok for i in units
    }
    assert found.correlations[1:, 0][~found.matched[:, 0]] == pytest.approx(0.1)


def random_case(seed, n_units=14):
    rng = np.random.default_rng(seed)
    half = np.triu(rng.random((n_units, n_units)), 1)
    labels = rng.integers(-1, 3, n_units)
    labels[:6] = [0, 0, 1, 1, 2, 2]
    return half + half.T, Partition.from_labels({"1": labels})


@pytest.mark.parametrize("seed", range(5))
def test_draws_are_live_sets_of_the_same_size_whose_means_are_as_said(seed):
    matrix, partition = random_case(seed)
    found = draw_matched(partition, {"1": matrix}, 7, tolerance=0.03, seed=seed)
    live = set(np.flatnonzero(partition.labels >= 0).tolist())
    for column, part in enumerate(found.draws.subclusters):
        for row, units in enumerate([part.units, *found.draws.units[column]]):
            assert sorted(set(units.tolist())) == units.tolist()
            assert len(units) == part.n_units
            assert set(units.tolist()) <= live
            # the oracle takes the mean pair by pair
            mean = np.mean([matrix[i, j] for i, j in combinations(units.tolist(), 2)])
            assert found.correlations[row, column] == pytest.approx(mean)
            if row:
                off = abs(mean - found.correlations[0, column])
                assert found.matched[row - 1, column] == (off <= 0.03)


def test_matched_sets_are_nearer_than_random_ones():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), 10)  # six groups of ten units that are correlated
    matrix = np.where(groups[:, np.newaxis] == groups, 0.7, 0.1) + 0.05 * rng.random((60, 60))
    matrix = (matrix + matrix.T) / 2
    np.fill_diagonal(matrix, 0.0)
    labels = np.where(rng.random(60) < 0.8, groups // 3, 1 - groups // 3)
    partition = Partition.from_labels({"1": labels})
    found = draw_matched(partition, {"1": matrix}, 19, tolerance=0.01)
    random = [
        mean_correlation(matrix, rng.permutation(60)[: part.n_units])
        for part in found.draws.subclusters
        for _ in range(19)
    ]
    assert found.matched.all()
    assert found.correlations[0].min() > np.max(random)


def test_the_same_seed_draws_the_same():
    matrix, partition = random_case(3)
    first, again, other = (
        draw_matched(partition, {"1": matrix}, 9, seed=seed).draws.units for seed in (4, 4, 5)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_correlations_of_layers_by_hand():
    adjacency = np.array([[0, 0.25, 0.09], [0.25, 0, 0.01], [0.09, 0.01, 0]])
    for matrix in (adjacency, sparse.csr_array(adjacency)):
        correlations = layer_correlations(unit_graph(matrix, 2, 1))
        assert correlations["0"].tolist() == [[0, 0.5], [0.5, 0]]
        assert correlations["1"].tolist() == [[0]]


def test_correlations_of_a_network_are_those_of_scipy():
    network = random_mlp([6, 5, 3], 0)
    x = torch.from_numpy(np.random.default_rng(0).random((50, 6)))
    graph = activation_graph(network, x)
    expected = np.abs(stats.spearmanr(network[0](x).detach().numpy()).statistic)
    np.fill_diagonal(expected, 0.0)
    (correlations,) = layer_correlations(graph).values()
    assert np.allclose(correlations, expected)
