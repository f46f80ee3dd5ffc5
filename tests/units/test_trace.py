"""Tracing networks: layers of units, where their values stand, and running parts of a network."""

import numpy as np
import pytest
import torch
from helpers.networks import batch_norm, conv, dense, made, random_mlp, stack
from helpers.refusals import cases, check_refused
from torch import nn
from torch.nn import functional as F

from localspec.clustering import weight_graph
from localspec.exceptions import InvalidInputError
from localspec.networks import TrainedNetwork
from localspec.units import trace_units, unit_values

X = torch.tensor([[1.0, 2.0], [-3.0, 0.5]]).double()


def square():
    return dense(np.eye(2))


def layers(network):
    return [(layer.name, layer.n_units, layer.is_conv) for layer in trace_units(network).layers]


def cnn():
    return stack(
        conv(np.ones((3, 1, 3, 3))),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(np.ones((2, 3, 1, 1))),
        nn.ReLU(),
        nn.Dropout2d(),
        nn.Flatten(),
        dense(np.ones((4, 8))),
        nn.ReLU(),
        dense(np.ones((5, 4))),
    )


# --- layers ---


def test_hidden_dense_layers_of_an_mlp_are_tested():
    unit_map = trace_units(random_mlp([2, 3, 4, 5], 0))
    assert layers(unit_map) == [("0", 3, False), ("2", 4, False), ("4", 5, False)]
    assert [layer.name for layer in unit_map.tested] == ["0", "2"]


def test_convolutions_of_a_cnn_are_tested():
    assert layers(cnn()) == [("0", 3, True), ("3", 2, True), ("7", 4, False), ("9", 5, False)]
    assert [layer.name for layer in trace_units(cnn()).tested] == ["0", "3"]


def test_a_convolution_that_writes_the_logits_is_not_tested():
    network = stack(
        conv(np.ones((3, 1, 3, 3))),
        nn.ReLU(),
        conv(np.ones((2, 3, 1, 1))),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    assert layers(network) == [("0", 3, True), ("2", 2, True)]
    assert [layer.name for layer in trace_units(network).tested] == ["0"]
    graph = weight_graph(network)  # its logits are nodes, as those of an MLP
    assert [(layer.name, layer.n_units, layer.tested) for layer in graph.layers] == [
        ("0", 3, True),
        ("2", 2, False),
    ]
    assert list(unit_values(network, torch.ones(4, 1, 5, 5).double())) == ["0"]


@pytest.mark.parametrize(
    "last", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1), lambda x: torch.softmax(x, 1), None]
)
def test_a_final_softmax_is_left_out(last):
    def forward(m, x):
        logits = m.b(torch.relu(m.a(x)))
        return logits if last is None else last(logits)

    parts = {"last": last} if isinstance(last, nn.Module) else {}
    network = made(forward, a=square(), b=square(), **parts)
    (logits,) = trace_units(network).run(X)
    assert logits.tolist() == torch.relu(X).tolist()


def test_dropout_that_is_off():
    network = joined(lambda m, x: m.b(F.dropout(torch.relu(m.a(x)), 0.5, training=False)))
    assert trace_units(network).run(X)[0].tolist() == torch.relu(X).tolist()


def test_layers_are_named_by_their_path():
    network = nn.Sequential()
    network.add_module("features", nn.Sequential(nn.Flatten(), dense([[1.0, 2.0]]), nn.ReLU()))
    network.add_module("head", dense([[1.0], [2.0]]))
    assert [name for name, _, _ in layers(network.eval())] == ["features.1", "head"]
    assert trace_units(network).layer("head").n_units == 2


def test_a_trained_network_and_a_traced_one_are_taken_too():
    network = random_mlp([2, 3, 2], 0)
    unit_map = trace_units(TrainedNetwork(network, {}))
    assert layers(unit_map) == layers(network)
    assert trace_units(unit_map) is unit_map


def test_precision_and_device_of_the_weights():
    assert trace_units(random_mlp([2, 3, 2], 0)).dtype == torch.float64
    unit_map = trace_units(random_mlp([2, 3, 2], 0).float())
    assert (unit_map.dtype, unit_map.device.type) == (torch.float32, "cpu")


# --- where values stand: dense x, norm 2x (+ 1), ReLU ---

NORM = {"gamma": [2.0], "variance": [0.999], "beta": [1.0]}


@pytest.mark.parametrize(
    ("order", "value", "pre_activation", "end", "before"),
    [
        ("dense relu", [2, -3], [2, -3], [2, 0], []),
        ("dense norm relu", [2, -3], [5, -5], [5, 0], [True]),
        ("dense relu norm", [2, -3], [2, -3], [5, 1], [False]),
        ("dense relu dropout norm dropout", [2, -3], [2, -3], [5, 1], [False]),
        ("dense norm relu norm", [2, -3], [5, -5], [11, 1], [True, False]),
        ("dense norm", [2, -3], [5, -5], [5, -5], [True]),
        ("dense", [2, -3], [2, -3], [2, -3], []),
    ],
)
def test_values_before_and_behind_norms_and_activations(order, value, pre_activation, end, before):
    make = {
        "dense": lambda: dense([[1.0]]),
        "norm": lambda: batch_norm(nn.BatchNorm1d, **NORM),
        "relu": nn.ReLU,
        "dropout": nn.Dropout,
    }
    network = stack(*[make[name]() for name in order.split()], dense([[1.0], [2.0]]))
    unit_map = trace_units(network)
    layer = unit_map.layers[0]
    stops = (layer.value, layer.pre_activation, layer.end)
    values = unit_map.run(torch.tensor([[2.0], [-3.0]]).double(), stops=stops)
    for part, expected in zip(values, (value, pre_activation, end), strict=True):
        assert part.ravel().tolist() == pytest.approx(expected)
    assert [norm.before_activation for norm in layer.batch_norms] == before


# --- run ---


def test_run_returns_the_logits():
    network = random_mlp([2, 3, 4, 2], 0)
    assert torch.equal(trace_units(network).run(X)[0], network(X))


def test_run_stops_at_several_places_in_any_order():
    network = random_mlp([2, 3, 4, 2], 0)
    unit_map = trace_units(network)
    first, second, third = unit_map.layers
    values = unit_map.run(X, stops=(third.value, first.value, second.end, first.value))
    assert torch.equal(values[0], network(X))
    assert torch.equal(values[1], network[0](X))
    assert torch.equal(values[2], network[:4](X))
    assert torch.equal(values[3], values[1])


def test_images_together_are_as_many_as_bounded_memory_takes():
    unit_map = trace_units(random_mlp([2, 3, 4, 2], 0))
    first, second, third = unit_map.layers
    assert unit_map.n_together(X, (third.value,)) == 1000
    assert unit_map.n_together(X, (third.value,), max_images=7) == 7
    # on the way: 2 values of the image, 3 before and behind a ReLU, 4 before and behind, 2 logits
    for n_values, stop in (
        (5, first.value),
        (16, second.end),
        (18, third.value),
    ):
        for most in (n_values - 1, n_values, 7 * n_values + 1):
            together = unit_map.n_together(X, (stop,), max_values=most)
            assert together == max(1, most // n_values), (n_values, most)


def test_values_do_not_depend_on_how_many_images_go_together():
    network = cnn()
    x = torch.rand(7, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    together = unit_values(network, x)
    one_by_one = unit_values(network, x, max_values=1)
    for name, values in together.items():
        assert np.allclose(values, one_by_one[name], rtol=1e-12)


def test_run_goes_on_from_any_place():
    network = random_mlp([2, 3, 4, 2], 0)
    unit_map = trace_units(network)
    for layer, n_modules in zip(unit_map.layers, (1, 3, 5), strict=True):
        value = network[:n_modules](X)
        (logits,) = unit_map.run(value, start=layer.value)
        assert torch.equal(logits, network(X))


def test_run_edits_values_on_the_way_and_at_the_start():
    network = random_mlp([2, 3, 4, 2], 0)
    unit_map = trace_units(network)
    first, second, _ = unit_map.layers
    edits = {first.value: lambda value: value + 1, second.end: lambda value: 2 * value}
    expected = network[4](2 * network[1:4](network[0](X) + 1))
    assert torch.allclose(unit_map.run(X, edits=edits)[0], expected)
    (logits,) = unit_map.run(network[0](X), start=first.value, edits=edits)
    assert torch.allclose(logits, expected)
    (seen,) = unit_map.run(X, stops=(first.value,), edits=edits)
    assert torch.allclose(seen, network[0](X) + 1)


def test_run_replaces_every_relu():
    network = random_mlp([2, 3, 4, 2], 0)
    (logits,) = trace_units(network).run(X, relu=torch.abs)
    hidden = network[2](network[0](X).abs()).abs()
    assert torch.allclose(logits, network[4](hidden))
    # and the network itself is as before
    assert torch.equal(trace_units(network).run(X)[0], network(X))


# --- errors ---


def joined(forward):
    return made(forward, a=square(), b=square())


def partly_in_training_mode():
    network = stack(square(), nn.BatchNorm1d(2), nn.ReLU(), square())
    network[1].train()
    return network


def between(part):
    """Return a module or a call between two dense layers."""
    if isinstance(part, nn.Module):
        return stack(square(), part, square())
    return joined(lambda m, x: m.b(part(m.a(x))))


REFUSED = {
    # its units would stand at two places of the network under one name
    "a layer that is used twice": (
        lambda: joined(lambda m, x: m.b(m.a(m.a(x).relu()).relu())),
        "'a'",
    ),
    # what the next layer reads would not be the units of the layer before
    "a part of the units": (
        lambda: made(lambda m, x: m.b(m.a(x).relu()[:, :1]), a=square(), b=dense([[1.0], [2.0]])),
        "cannot follow units",
    ),
    # its normalization would depend on the batch, and running it would change the network
    "a part in training mode": (partly_in_training_mode, "training mode"),
    "one layer": (lambda: stack(square()), "no hidden layer"),
    "no layer": (lambda: stack(nn.ReLU(), nn.Flatten()), "no hidden layer"),
    "units mixed by a softmax": (lambda: between(nn.Softmax(dim=1)), "through module Softmax"),
    "images mixed by their statistics": (
        lambda: between(nn.BatchNorm1d(2, track_running_stats=False)),
        "cannot follow units through module",
    ),
    "a layer norm": (lambda: between(nn.LayerNorm(2)), "units through module LayerNorm ('1')"),
    "a row to convolve": (lambda: between(nn.Conv1d(2, 2, 1)), "through module Conv1d ('1')"),
    "halves that gate": (lambda: between(nn.GLU()), "cannot follow units through module GLU ('1')"),
    "a square": (lambda: between(lambda x: x * x), "cannot follow units through call of mul"),
    "constants beside units": (
        lambda: between(lambda x: torch.cat([x, torch.ones(2, 1)], 1)),
        "cannot follow units through call of cat",
    ),
    "units in order": (
        lambda: between(lambda x: torch.sort(x, 1).values),
        "cannot follow units through call of sort",
    ),
    "dropout that stays on": (
        lambda: between(lambda x: F.dropout(x.relu(), 0.5)),
        "stays on",
        "training=self.training",
    ),
    "dropout that is on": (
        lambda: between(lambda x: F.dropout(x.relu(), 0.5, training=True)),
        "stays on",
        "training=self.training",
    ),
    "a branch on values": (
        lambda: joined(lambda m, x: m.b(m.a(x) if x.sum() > 0 else m.b(x))),
        "torch.fx cannot trace Made",
    ),
}


@pytest.mark.parametrize(("make", "words"), cases(REFUSED))
def test_networks_that_cannot_be_followed(make, words):
    network = make()
    check_refused(lambda: trace_units(network), words)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("where", ["weight", "bias"])
def test_weights_that_are_not_finite(value, where):
    network = random_mlp([2, 3, 2], 0)
    getattr(network[2], where).data.view(-1)[0] = value
    with pytest.raises(InvalidInputError, match="layer '2' holds NaN or infinite weights"):
        trace_units(network)


def test_unknown_layer_lists_the_names():
    with pytest.raises(InvalidInputError, match="no layer 'fc'; the network has: 0, 2"):
        trace_units(random_mlp([2, 3, 2], 0)).layer("fc")
