"""The downstream graph beside plain Jacobians and scipy, and on planted networks."""

import numpy as np
import pytest
import torch
from helpers.networks import dense, random_mlp, stack
from scipy import stats
from torch import nn

from localspec.clustering import cluster, downstream_graph, label_agreement


def test_edges_are_squared_rank_correlations_of_jacobians():
    sizes = (6, 7, 5, 4)
    network = random_mlp(sizes, 1)
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(30, 6)))
    graph = downstream_graph(network, x)
    layers = list(network)
    columns = []
    for end in (2, 4):
        head, tail = nn.Sequential(*layers[:end]), nn.Sequential(*layers[end:])
        rows = [torch.autograd.functional.jacobian(tail, head(image)) for image in x]
        columns.append(torch.cat(rows).detach().numpy())
    columns = np.concatenate(columns, axis=1).round(9)
    assert columns.shape == (30 * 4, 12)
    expected = stats.spearmanr(columns).statistic ** 2
    np.fill_diagonal(expected, 0)
    assert graph.adjacency == pytest.approx(expected, abs=1e-6)
    pearson = downstream_graph(network, x, correlation="pearson").adjacency
    np.testing.assert_allclose(pearson[0, 1:], np.corrcoef(columns.T)[0, 1:] ** 2, atol=1e-6)


def test_units_of_like_and_of_opposite_effect_by_hand():
    # the second unit does twice what the first does, the third the opposite, the fourth nothing
    network = stack(
        dense(np.eye(4)),
        nn.ReLU(),
        dense([[1.0, 2.0, -1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [3.0, 6.0, -3.0, 0.0]]),
    )
    graph = downstream_graph(network, torch.rand(4, 4, dtype=torch.float64))
    expected = np.ones((4, 4)) - np.eye(4)
    expected[3], expected[:, 3] = 0, 0
    np.testing.assert_allclose(graph.adjacency, expected, atol=1e-12)
    assert graph.inactive.tolist() == [False, False, False, True]


def planted(rng, half, n_logits):
    """Two networks side by side, each with logits of its own, and their units shuffled."""
    orders = [rng.permutation(2 * half) for _ in range(2)]
    first = rng.normal(size=(2 * half, 8))
    second = np.zeros((2 * half, 2 * half))
    last = np.zeros((2 * n_logits, 2 * half))
    for part in range(2):
        units = slice(part * half, (part + 1) * half)
        second[units, units] = rng.random((half, half))
        # some logits rise, others fall: else the halves correlate below 0, and edges are squares
        last[part * n_logits : (part + 1) * n_logits, units] = np.outer(
            np.arange(n_logits) - (n_logits - 1) / 2, rng.random(half) + 0.5
        )
    network = stack(
        dense(first[orders[0]]),
        nn.ReLU(),
        dense(second[orders[1]][:, orders[0]]),
        nn.ReLU(),
        dense(last[:, orders[1]]),
    )
    return network, np.concatenate([order // half for order in orders])


@pytest.mark.parametrize("seed", range(3))
def test_planted_halves_of_other_logits_are_recovered(seed):
    rng = np.random.default_rng(seed)
    network, halves = planted(rng, 12, 5)
    graph = downstream_graph(network, torch.from_numpy(rng.normal(size=(60, 8))))
    labels = cluster(graph, 2, seed=0).labels
    assert label_agreement(labels, halves) == 1
    local = cluster(graph, 2, scope="local", seed=0)
    for layer, part in zip(local.tested, np.split(halves, 2), strict=True):
        assert label_agreement(local.of(layer), part) == 1


def test_single_precision_has_the_ties_of_double_precision():
    network = random_mlp((6, 20, 16, 4), 5)
    x = torch.from_numpy(np.random.default_rng(6).normal(size=(50, 6)))
    double = downstream_graph(network, x).adjacency
    single = downstream_graph(network.float(), x.float()).adjacency
    np.testing.assert_allclose(single, double, atol=2e-3)
