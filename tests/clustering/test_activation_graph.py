"""The activations graph against pandas, scipy and plain hooks."""

import itertools
import operator
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.networks import batch_norm, conv, dense, random_mlp, stack
from helpers.untraced import outputs
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import nn

from localspec._utils.hardware import limited_threads
from localspec.clustering import activation_graph, cluster
from localspec.clustering._activation_graph import (
    BATCH_SIZE,
    MAX_RANKED,
    constant_columns,
    correlation_matrix,
    rounding,
)
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.units import unit_values

KINDS = ["spearman", "pearson", "kendall"]
RATINGS = np.array([[1, 5, 2], [2, 5, 1], [2, 3, 4], [4, 1, 3]], dtype=float)


def squared(matrix):
    matrix = np.array(matrix) ** 2
    np.fill_diagonal(matrix, 0)
    return matrix


# --- correlations ---


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 6), st.sampled_from(KINDS))
def test_correlations_with_ties_equal_pandas(seed, n_units, kind):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (15, n_units)).astype(float)  # many ties
    values[0] += 0.5  # and no constant column
    values[1] -= 0.5
    expected = squared(pd.DataFrame(values).corr(method=kind))
    assert correlation_matrix(values, kind) == pytest.approx(expected, abs=1e-12)


def test_spearman_by_hand():
    # ranks 1, 2.5, 2.5, 4 and 3.5, 3.5, 2, 1, centred -1.5, 0, 0, 1.5 and 1, 1, -0.5, -1.5:
    # (-1.5 - 2.25)^2 / ((2.25 + 2.25) (1 + 1 + 0.25 + 2.25)) = 14.0625 / (4.5 x 4.5)
    assert correlation_matrix(RATINGS)[0, 1] == pytest.approx(14.0625 / 20.25)


def test_spearman_sees_order_only():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 4))
    assert correlation_matrix(np.exp(values)) == pytest.approx(correlation_matrix(values))
    assert correlation_matrix(-values) == pytest.approx(correlation_matrix(values))


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([np.float16, np.float32, np.float64]))
def test_spearman_of_every_precision(seed, precision):
    # in half and single precision the last bits of a double are free to carry places
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.integers(-6, 4, 5)
    values = (rng.normal(size=(40, 5)) * scales).astype(precision).astype(float)
    values[rng.random(values.shape) < 0.3] = 0.0
    values[rng.random(values.shape) < 0.2] = -0.0
    values[:5] = values[5:10]
    values[0] = np.nextafter(0, 1, dtype=precision)  # the smallest number above zero
    expected = squared(stats.spearmanr(values).statistic)
    assert correlation_matrix(values) == pytest.approx(expected, abs=1e-12)


def test_zeros_tie_whatever_their_sign():
    values = np.array([[0.0, 1], [-0.0, 2], [-1.0, 3], [1.0, 4]])
    # ranks 2.5, 2.5, 1, 4 and 1 to 4, centred 0, 0, -1.5, 1.5 and -1.5, -0.5, 0.5, 1.5:
    # (-0.75 + 2.25)^2 / (4.5 x 5)
    assert correlation_matrix(values)[0, 1] == pytest.approx(2.25 / 22.5)


def test_two_images_and_one_unit():
    assert correlation_matrix(np.array([[1.0, 5.0], [2.0, 4.0]]))[0, 1] == pytest.approx(1)
    assert correlation_matrix(RATINGS[:, :1]).tolist() == [[0]]


def test_spearman_is_the_same_number_in_any_order_and_pieces():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 9)).round(1)
    squared = correlation_matrix(values)
    assert (correlation_matrix(values[rng.permutation(300)]) == squared).all()
    for size in (1, 700, 10**6):
        assert (correlation_matrix(values, batch_size=7, max_ranked=size) == squared).all()


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_spearman_is_exact(seed):
    # with ranks as fractions: the doubled ones, less their mean, are whole numbers
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(60, 4)).round(1)
    doubled = [
        [2 * sum(a < b for a in column) + sum(a == b for a in column) - 60 for b in column]
        for column in values.T.tolist()
    ]
    products = [[sum(map(operator.mul, a, b)) for b in doubled] for a in doubled]
    for i, j in itertools.combinations(range(4), 2):
        lengths = np.sqrt(float(products[i][i])), np.sqrt(float(products[j][j]))
        expected = (products[i][j] / (lengths[0] * lengths[1])) ** 2
        assert correlation_matrix(values)[i, j] == expected


def test_threads_do_not_change_correlations():
    values = np.random.default_rng(0).normal(size=(500, 300))
    found = []
    for n_threads in (1, 2, 3):
        with limited_threads(n_threads):
            found.append(correlation_matrix(values))
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()


def test_spearman_keeps_memory_small():
    values = np.random.default_rng(0).normal(size=(4000, 200))
    tracemalloc.start()
    correlation_matrix(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # ranks and products, and what threads rank or multiply at a time, of which scipy keeps seven
    # arrays; a copy of all values in double precision alone would be 6.4 MB more
    bound = 4 * values.size + 24 * 200**2 + 8 * 200 * BATCH_SIZE
    assert peak < bound + torch.get_num_threads() * 56 * MAX_RANKED


def test_single_precision_rounds_more_than_a_constant_may_vary():
    # a unit that reads constant pixels only; the last image goes through the network alone
    rng = np.random.default_rng(0)
    x = torch.full((1001, 1, 30, 30), 0.37)
    x[:, 0, 0, :3] = torch.from_numpy(rng.random((1001, 3))).float()
    weights = rng.normal(size=(3, 900))
    weights[0, :3] = 0
    network = stack(nn.Flatten(), dense(weights), nn.ReLU(), dense(np.ones((2, 3)))).float()
    graph = activation_graph(network, x)
    assert graph.inactive.tolist() == [True, False, False]
    assert (graph.adjacency[0] == 0).all()
    one_off = np.array([[1.0, 1.0], [1.0 + 2e-6, 1.0 + 2e-4]])
    assert constant_columns(one_off, rounding(torch.float32)).tolist() == [True, False]
    assert constant_columns(one_off, rounding(torch.float64)).tolist() == [False, False]
    assert rounding(torch.bfloat16) < 0.02


@pytest.mark.parametrize("kind", KINDS)
def test_constant_units_have_no_edges(kind):
    values = np.column_stack([RATINGS, np.full(4, 0.1), RATINGS[:, 0]])
    squared = correlation_matrix(values, kind)
    assert np.isfinite(squared).all()
    assert not squared[3].any()
    assert not squared[:, 3].any()
    assert squared[0, 4] == pytest.approx(1)
    assert not squared.diagonal().any()
    assert (squared == squared.T).all()


def test_large_values_keep_their_correlation():
    values = np.column_stack([RATINGS[:, 0], RATINGS[:, 1]])
    shifted = correlation_matrix(values + 1e6, "pearson")
    assert shifted == pytest.approx(correlation_matrix(values, "pearson"), rel=1e-6)


# --- values ---


def hooked(network, name, x):
    """Return what a module gave in plain forward passes."""
    return torch.cat(outputs(network, x, name)).numpy()


@pytest.mark.parametrize("max_values", [1, 80, 10**6])  # one image takes 19
def test_values_are_those_before_the_relu(max_values):
    network = random_mlp([3, 5, 4, 2], 0)
    x = torch.randn(11, 3, generator=torch.Generator().manual_seed(0)).double()
    values_by_layer = unit_values(network, x, max_values=max_values)
    assert list(values_by_layer) == ["0", "2"]  # not the logits
    for name, values in values_by_layer.items():
        assert values == pytest.approx(hooked(network, name, x))
        assert values.min() < 0


def test_values_are_those_behind_a_norm_before_the_relu():
    norm = batch_norm(nn.BatchNorm1d, [2.0, -1.0], [0.999, 0.999], mean=[1.0, 0.0])
    network = stack(dense([[1.0], [3.0]]), norm, nn.ReLU(), dense([[1.0, 1.0]] * 2))
    # 2 (x - 1) and -3 x
    values = unit_values(network, torch.tensor([[0.5], [2.0]]).double())["0"]
    assert values == pytest.approx(np.array([[-1, -1.5], [2, -6]]))


def test_values_are_those_in_front_of_a_norm_behind_the_relu():
    norm = batch_norm(nn.BatchNorm1d, [2.0, -1.0], [0.999, 0.999])
    network = stack(dense([[1.0], [3.0]]), nn.ReLU(), norm, dense([[1.0, 1.0]] * 2))
    values = unit_values(network, torch.tensor([[-1.0]]).double())["0"]
    assert values == pytest.approx(np.array([[-1, -3]]))
    # after it, the norm included, which doubles and turns round
    x = torch.tensor([[-1.0], [1.0]]).double()
    values = unit_values(network, x, activation_values="after")["0"]
    assert values == pytest.approx(np.array([[0, 0], [2, -3]]))


def test_values_after_the_relu_by_hand():
    # two units, x and 1 - x, on the images -1, 1, 2: after the ReLU 0, 1, 2 and 2, 0, 0
    network = stack(dense([[1.0], [-1.0]], [0.0, 1.0]), nn.ReLU(), dense([[1.0, 1.0]] * 2))
    x = torch.tensor([[-1.0], [1.0], [2.0]]).double()
    before = unit_values(network, x, activation_values="before")["0"]
    assert before.tolist() == [[-1, 2], [1, 0], [2, -1]]
    after = unit_values(network, x, activation_values="after")["0"]
    assert after.tolist() == [[0, 2], [1, 0], [2, 0]]
    # ranks before: 1 2 3 and 3 2 1, correlation -1; after: 1 2 3 and 3 1.5 1.5:
    # centred (-1, 0, 1) and (1, -0.5, -0.5), product -1.5, squared over 2 x 1.5
    edges = [
        activation_graph(network, x, activation_values=values).adjacency[0, 1]
        for values in ("before", "after")
    ]
    assert edges == pytest.approx([1.0, 0.75])
    with pytest.raises(InvalidInputError, match="activation_values='during'"):
        unit_values(network, x, activation_values="during")
    with pytest.raises(InvalidInputError, match="activation_values='during'"):
        activation_graph(network, x, activation_values="during")


def test_maps_after_the_relu_by_hand():
    # the image [[1, -2], [3, 4]]: 1 + 3 + 4 are left
    network = stack(conv(torch.ones(1, 1, 1, 1)), nn.ReLU(), nn.Flatten(), dense(np.ones((2, 4))))
    x = torch.tensor([[[[1.0, -2.0], [3.0, 4.0]]]]).double()
    assert unit_values(network, x)["0"].tolist() == [[10]]
    assert unit_values(network, x, activation_values="after")["0"].tolist() == [[8]]


def test_relus_that_overwrite_their_input_do_not_reach_back():
    plain = random_mlp([3, 5, 4, 2], 0)
    network = stack(plain[0], nn.ReLU(inplace=True), plain[2], nn.ReLU(inplace=True), plain[4])
    x = torch.randn(11, 3, generator=torch.Generator().manual_seed(0)).double()
    expected = unit_values(plain, x)
    for name, values in unit_values(network, x).items():
        assert values == pytest.approx(expected[name])


@pytest.mark.parametrize(("norm", "expected"), [("l1", [10, 20]), ("induced", [6, 12])])
def test_norms_over_space(norm, expected):
    # the map of the first channel is the image [[1, -2], [3, 4]], of the second -2 times it:
    # sums of absolute values 10 and 20; columns sum to 4 and 6, and twice that
    kernels = torch.tensor([[[[1.0]]], [[[-2.0]]]])
    network = stack(conv(kernels), nn.ReLU(), nn.Flatten(), dense(np.ones((2, 8))))
    x = torch.tensor([[[[1.0, -2.0], [3.0, 4.0]]]]).double()
    values = unit_values(network, x, conventions=Conventions(spatial_norm=norm))
    assert values["0"].tolist() == [expected]


# --- the graph ---


@pytest.mark.parametrize("kind", KINDS)
def test_graph_joins_all_tested_units(kind):
    network = random_mlp([3, 4, 3, 2], 1)
    x = torch.randn(25, 3, generator=torch.Generator().manual_seed(0)).double()
    graph = activation_graph(network, x, correlation=kind)
    values = np.concatenate([hooked(network, name, x) for name in ("0", "2")], axis=1)
    expected = squared(pd.DataFrame(values).corr(method=kind))
    assert graph.adjacency == pytest.approx(expected, abs=1e-12)
    layers = [(layer.name, layer.start, layer.stop, layer.tested) for layer in graph.layers]
    assert layers == [("0", 0, 4, True), ("2", 4, 7, True)]
    assert graph.kind == "activations"


def test_units_that_do_not_vary_are_inactive_and_get_no_cluster():
    network = random_mlp([3, 4, 5, 2], 1)
    network.get_submodule("2").weight.data[[1, 3]] = 0  # always equal to their bias
    x = torch.randn(25, 3, generator=torch.Generator().manual_seed(0)).double()
    graph = activation_graph(network, x)
    assert np.flatnonzero(graph.inactive).tolist() == [5, 7]
    assert not graph.adjacency[[5, 7]].any()
    assert np.flatnonzero(cluster(graph, 2).labels == -1).tolist() == [5, 7]


def test_rounding_is_no_variance():
    # what a matrix product gives for equal rows can differ in the last digit
    network = random_mlp([8, 24, 24, 4], 0)
    network[0].weight.data[:12] = 0  # these twelve are always equal to their bias,
    network[0].bias.data[:12] = torch.linspace(0.1, 1.3, 12)
    network[2].weight.data[:, 12:] = 0  # and the second layer reads no other
    x = torch.randn(37, 8, generator=torch.Generator().manual_seed(0)).double()
    graph = activation_graph(network, x)
    assert np.flatnonzero(graph.inactive).tolist() == [*range(12), *range(24, 48)]
    assert not graph.adjacency[24:].any()
