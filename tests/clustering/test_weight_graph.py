"""The weights graph of networks made by hand, entry by entry."""

import numpy as np
import pytest
import torch
from helpers.graphs import upper
from helpers.networks import NORM, batch_norm, conv, dense, norm, stack
from torch import nn

from localspec.clustering import weight_graph
from localspec.clustering._unit_graph import layer_ranges
from localspec.clustering._weight_graph import kernel_norms
from localspec.conventions import Conventions

W1 = [[1, -2], [3, 4]]  # unit 0 reads the inputs with weights 1 and -2
W2 = [[-5, 0], [0.5, 6]]
K1 = np.arange(8).reshape(2, 1, 2, 2) + 1.0  # from the image: must not appear anywhere
# slices by (out, in); sums of absolute values 10 and 5, 3 and 8; largest column sums 6 and 4, 2, 7
K2 = [
    [[[1, -2], [3, 4]], [[0, 2], [-1, 2]]],
    [[[1, 0], [0, 2]], [[-7, 0], [0, 1]]],
]
CHANNEL_EDGES = {(0, 2): 10, (1, 2): 5, (0, 3): 3, (1, 3): 8}


def ranges(graph):
    return [(layer.name, layer.start, layer.stop, layer.tested) for layer in graph.layers]


@pytest.mark.parametrize(("kind", "expected"), [("l1", 10), ("induced", 6)])
def test_norm_of_a_kernel_slice(kind, expected):
    # columns of [[1, 2], [3, 4]] sum to 4 and 6; everything to 10
    slices = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert kernel_norms(slices, kind).tolist() == [[expected]]
    assert kernel_norms(-slices, kind).tolist() == [[expected]]


def test_a_column_runs_over_the_height_of_the_kernel():
    # 3 rows, 2 columns: column sums 1 + 2 + 4 = 7 and 10; the largest row sum would be 14
    tall = torch.tensor([[[[1.0, 0.0], [2.0, 0.0], [4.0, 10.0]]]])
    assert kernel_norms(tall, "induced").item() == 10
    assert kernel_norms(tall, "l1").item() == 17


def test_norms_are_laid_out_from_inputs_to_outputs():
    assert kernel_norms(torch.tensor(K2, dtype=torch.float64)).tolist() == [[10, 3], [5, 8]]
    assert kernel_norms(torch.tensor(W1)).tolist() == [[1, 3], [2, 4]]


def test_mlp_entry_by_entry():
    graph = weight_graph(stack(nn.Flatten(), dense(W1, [9, 9]), nn.ReLU(), dense(W2)))
    assert ranges(graph) == [("input", 0, 2, False), ("1", 2, 4, True), ("3", 4, 6, False)]
    # nodes: pixels 0 1, hidden 2 3, outputs 4 5; the weight 0 from unit 3 to output 4 is no edge
    assert upper(graph) == {
        (0, 2): 1,
        (1, 2): 2,
        (0, 3): 3,
        (1, 3): 4,
        (2, 4): 5,
        (2, 5): 0.5,
        (3, 5): 6,
    }
    assert graph.kind == "weights"
    assert not graph.inactive.any()


def cnn(*between, after=()):
    """Return conv1 - between - conv2 - after - dense; the dense layer is no part of the graph."""
    return stack(conv(K1), *between, conv(K2), *after, nn.Flatten(), dense(np.ones((3, 2))))


@pytest.mark.parametrize(
    ("kind", "edges"),
    [
        ("l1", CHANNEL_EDGES),
        ("induced", {(0, 2): 6, (1, 2): 4, (0, 3): 2, (1, 3): 7}),
    ],
)
def test_cnn_has_channels_only_and_drops_the_first_kernel(kind, edges):
    graph = weight_graph(cnn(nn.ReLU()), conventions=Conventions(kernel_norm=kind))
    assert ranges(graph) == [("0", 0, 2, True), ("2", 2, 4, True)]
    assert upper(graph) == edges


by_mode = pytest.mark.parametrize(
    ("mode", "factors"), [("absolute", (4, 1.5)), ("signed", (-4, 1.5)), ("none", (1, 1))]
)


@by_mode
def test_batch_norm_before_the_activation_scales_edges_into_the_unit(mode, factors):
    # units of conv2 are nodes 2 and 3; the norm behind conv1 scales its dropped kernel only
    first = batch_norm(nn.BatchNorm2d, [7.0, 7.0], [1.0, 1.0])
    network = cnn(first, nn.ReLU(), after=(norm(), nn.ReLU()))
    edges = upper(weight_graph(network, conventions=Conventions(batch_norm_edges=mode)))
    expected = {(i, j): value * factors[j - 2] for (i, j), value in CHANNEL_EDGES.items()}
    assert edges == pytest.approx(expected)


@by_mode
def test_batch_norm_after_the_activation_scales_edges_out_of_the_unit(mode, factors):
    # conv1 - ReLU - pool - norm: units 0 and 1; the norm behind conv2 has no edge to scale
    last = batch_norm(nn.BatchNorm2d, [7.0, 7.0], [1.0, 1.0])
    network = cnn(nn.ReLU(), nn.MaxPool2d(1), norm(), nn.Dropout(), after=(nn.ReLU(), last))
    edges = upper(weight_graph(network, conventions=Conventions(batch_norm_edges=mode)))
    expected = {(i, j): value * factors[i] for (i, j), value in CHANNEL_EDGES.items()}
    assert edges == pytest.approx(expected)


def test_batch_norm_of_an_mlp_scales_edges_from_the_pixels_too():
    norm = batch_norm(nn.BatchNorm1d, **NORM)
    graph = weight_graph(stack(dense(W1), norm, nn.ReLU(), dense(W2)))
    assert upper(graph) == pytest.approx(
        {
            (0, 2): 4,
            (1, 2): 8,
            (0, 3): 4.5,
            (1, 3): 6,  # times 4 and 1.5
            (2, 4): 5,
            (2, 5): 0.5,
            (3, 5): 6,  # not normalized again
        }
    )


@pytest.mark.parametrize(
    ("front", "first", "factors"),
    [
        ([nn.Flatten(), batch_norm(nn.BatchNorm1d, **NORM)], W1, [4, 1.5]),
        ([norm(), nn.Flatten()], np.arange(1.0, 9.0).reshape(2, 4), [4, 4, 1.5, 1.5]),
    ],
    ids=["pixels", "channels of two pixels"],
)
def test_batch_norm_of_the_pixels_scales_the_edges_out_of_them(front, first, factors):
    plain = upper(weight_graph(stack(dense(first), nn.ReLU(), dense(W2))))
    scaled = upper(weight_graph(stack(*front, dense(first), nn.ReLU(), dense(W2))))
    factors = [*factors, 1, 1]  # the units behind
    assert scaled == pytest.approx({edge: plain[edge] * factors[edge[0]] for edge in plain})


def test_batch_norm_without_scale_counts_its_variance():
    norm = nn.BatchNorm1d(2, eps=1e-3, affine=False)
    norm.running_var = torch.tensor(NORM["variance"]).double()  # factors 1 / 0.5 and 1 / 2
    graph = weight_graph(stack(dense(W1), norm, nn.ReLU(), dense(W2)))
    assert upper(graph)[0, 2] == pytest.approx(2)
    assert upper(graph)[1, 3] == pytest.approx(2)


def test_graph_is_in_double_precision():
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    assert weight_graph(network).adjacency.dtype == np.float64


def test_released_reading_takes_the_induced_norm():
    graph = weight_graph(cnn(nn.ReLU()), conventions="released")
    assert upper(graph)[0, 2] == 6


@pytest.mark.parametrize("groups", [2, 4])
def test_grouped_convolution_has_edges_within_groups_only(groups):
    # 4 channels to 4: a unit sees the inputs of its own group, the others have no edge to it
    kernels = torch.arange(1.0, 5.0)[:, None, None, None].expand(4, 4 // groups, 1, 1)
    network = stack(
        conv(np.ones((4, 1, 1, 1))),
        nn.ReLU(),
        conv(kernels.clone(), groups=groups),
        nn.ReLU(),
        nn.Flatten(),
        dense(np.ones((2, 4))),
    )
    size = 4 // groups
    expected = {(i, 4 + j): j + 1 for i in range(4) for j in range(4) if i // size == j // size}
    assert upper(weight_graph(network)) == expected


# --- parts of a graph ---


def test_layer_ranges_lie_one_after_the_other():
    first, second = layer_ranges([("a", 3, False), ("b", 2, True)])
    assert (first.start, first.stop, first.n_units, first.tested) == (0, 3, 3, False)
    assert (second.start, second.stop, second.n_units, second.tested) == (3, 5, 2, True)
    assert np.arange(5)[second.units].tolist() == [3, 4]


def test_the_subgraph_of_tested_layers_keeps_their_edges():
    graph = weight_graph(stack(dense(W1), nn.ReLU(), dense(W2), nn.ReLU(), dense([[1, 1]])))
    assert graph.n_units == 7
    part = graph.subgraph(graph.tested)
    assert ranges(part) == [("0", 0, 2, True), ("2", 2, 4, True)]
    assert upper(part) == {(0, 2): 5, (0, 3): 0.5, (1, 3): 6}


def test_keep_removes_units_and_keeps_the_order_of_the_others():
    graph = weight_graph(stack(dense(W1), nn.ReLU(), dense(W2)))
    part = graph.keep(np.array([True, True, False, True, True, True]))
    assert ranges(part) == [("input", 0, 2, False), ("0", 2, 3, True), ("2", 3, 5, False)]
    assert upper(part) == {(0, 2): 3, (1, 2): 4, (2, 4): 6}
    assert len(part.inactive) == 5
