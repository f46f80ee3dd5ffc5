"""Following units through sums, concatenations and several readers of one tensor."""

import numpy as np
import pytest
import torch
from helpers.networks import (
    X,
    batch_norm,
    concatenated,
    conv,
    dense,
    dense_block,
    fire,
    made,
    preactivated,
    residual,
    residual_mlp,
    strided,
)
from torch import nn
from torch.nn import functional as F

from localspec.conventions import Conventions
from localspec.data._torchvision import import_torchvision
from localspec.exceptions import InvalidInputError
from localspec.units import trace_units

READER = Conventions(residual_units="reader")


def layers(network, conventions=None):
    unit_map = trace_units(network, conventions=conventions)
    return [(layer.name, layer.n_units, layer.is_conv) for layer in unit_map.layers]


def written(unit_map):
    """Return, for every layer, what writes it: (module, first unit)."""
    return {
        layer.name: [(writer.reader.name, writer.start) for writer in layer.writers]
        for layer in unit_map.layers
    }


def read(unit_map):
    """Return, for every module, what it reads: (tensor, first input channel)."""
    return {
        reader.name: [(reading.tensor, reading.start) for reading in reader.readings]
        for reader in unit_map.readers
    }


# --- residual networks ---


def test_a_sum_is_one_tensor_named_after_its_nearest_writer():
    unit_map = trace_units(residual())
    assert layers(residual()) == [
        ("conv0", 2, True),
        ("conv1", 3, True),
        ("conv2", 2, True),
        ("fc", 2, False),
    ]
    assert written(unit_map)["conv2"] == [("conv2", 0)]  # the skip carries no weights
    assert read(unit_map) == {
        "conv0": [(None, 0)],
        "conv1": [("conv0", 0)],
        "conv2": [("conv1", 0)],
        "fc": [("conv2", 0)],
    }
    assert [layer.name for layer in unit_map.tested] == ["conv0", "conv1", "conv2"]


def test_a_tensor_that_is_passed_on_ends_where_its_consumers_part():
    # conv0 - ReLU - (conv1, sum); the sum's value is taken before its ReLU
    unit_map = trace_units(residual())
    first, _, total, _ = unit_map.layers
    network = residual()
    x = X.double()
    stops = (first.value, first.end, total.value, total.pre_activation, total.end)
    values = unit_map.run(x, stops=stops)
    start = network.conv0(x)
    summed = network.conv2(network.conv1(start.relu()).relu()) + start.relu()
    for value, expected in zip(
        values, (start, start.relu(), summed, summed, summed.relu()), strict=True
    ):
        assert torch.allclose(value, expected)


def test_a_strided_block_is_written_by_two_convolutions():
    unit_map = trace_units(strided())
    writers = written(unit_map)
    assert list(writers) == ["stem", "a.conv1", "a.conv2", "b.conv1", "b.down", "fc"]
    assert writers["b.down"] == [("b.conv2", 0), ("b.down", 0)]  # as near: the last one names it
    assert read(unit_map)["b.conv1"] == read(unit_map)["b.down"] == [("a.conv2", 0)]


def test_one_layer_for_each_reader():
    names = [name for name, _, _ in layers(strided(), READER)]
    assert names == [
        "stem",
        "a.conv1",
        "a.conv2->b.conv1",
        "a.conv2->b.down",
        "b.conv1",
        "b.down",
        "fc",
    ]
    unit_map = trace_units(strided(), conventions=READER)
    assert unit_map.layer("a.conv2").name == "a.conv2"  # tensors are known by name as well
    assert trace_units(strided()).layer("a.conv2->b.down").reader == "b.down"
    assert trace_units(unit_map) is unit_map
    assert trace_units(unit_map, conventions="paper").layers == unit_map.tensors


def test_chains_have_the_same_layers_under_every_reading():
    network = made(lambda m, x: m.b(torch.relu(m.a(x))), a=dense(np.eye(2)), b=dense(np.eye(2)))
    assert layers(network, READER) == layers(network) == [("a", 2, False), ("b", 2, False)]


def test_sums_of_sums_are_one_tensor():
    parts = {name: dense(np.eye(2)) for name in ("a", "b", "c", "out")}
    network = made(lambda m, x: m.out(torch.add(m.a(x) + m.b(x), m.c(x)).relu()), parts)
    assert written(trace_units(network)) == {
        "c": [("a", 0), ("b", 0), ("c", 0)],
        "out": [("out", 0)],
    }


def test_a_sum_of_layers_that_are_read_themselves_is_a_layer_without_writers():
    def forward(m, x):
        first = m.a(x)
        second = m.b(first)
        third = m.c(second)
        return m.out(first + second) + third

    parts = {name: dense(np.eye(2)) for name in ("a", "b", "c", "out")}
    writers = written(trace_units(made(forward, parts)))
    assert writers == {
        "a": [("a", 0)],
        "b": [("b", 0)],
        "add": [],
        "out": [("out", 0), ("c", 0)],
    }


def test_residual_layers_of_an_mlp_are_tested_but_for_the_logits():
    unit_map = trace_units(residual_mlp())
    assert [layer.name for layer in unit_map.layers] == ["first", "second", "out"]
    assert [layer.name for layer in unit_map.tested] == ["first", "second"]


# --- concatenations ---


def test_parts_of_a_concatenation_are_layers_side_by_side():
    unit_map = trace_units(concatenated())
    assert layers(concatenated())[:3] == [("one", 1, True), ("two", 2, True), ("mix", 2, True)]
    assert read(unit_map)["mix"] == [("one", 0), ("two", 1)]


def test_dense_blocks_read_all_that_came_before():
    assert read(trace_units(dense_block())) == {
        "conv0": [(None, 0)],
        "conv1": [("conv0", 0)],
        "conv2": [("conv0", 0), ("conv1", 2)],
        "fc": [("conv0", 0), ("conv1", 2), ("conv2", 3)],
    }


def test_a_fire_module():
    unit_map = trace_units(fire(), conventions=READER)
    assert [layer.name for layer in unit_map.layers] == [
        "stem",
        "squeeze->expand1",
        "squeeze->expand3",
        "expand1",
        "expand3",
        "last",
    ]
    assert read(unit_map)["last"] == [("expand1", 0), ("expand3", 2)]


def test_a_concatenation_inside_a_sum():
    # the sum's units: 0 from a, 1 and 2 from b; c writes all three
    network = made(
        lambda m, x: m.out(torch.cat([m.a(x), m.b(x)], dim=-1) + m.c(x)),
        a=dense(np.ones((1, 2))),
        b=dense(np.ones((2, 2))),
        c=dense(np.ones((3, 2))),
        out=dense(np.ones((2, 3))),
    )
    assert written(trace_units(network))["c"] == [("a", 0), ("b", 1), ("c", 0)]


def test_images_can_be_joined_to_layers():
    network = made(
        lambda m, x: m.out(torch.cat([m.a(x).relu(), x], 1)),
        a=dense(np.ones((3, 2))),
        out=dense(np.ones((2, 5))),
    )
    assert read(trace_units(network))["out"] == [("a", 0), (None, 3)]


# --- live nodes ---


@pytest.mark.parametrize(
    "network", [residual, preactivated, strided, concatenated, dense_block, fire, residual_mlp]
)
def test_going_on_behind_any_node_gives_the_same_logits(network):
    module = network()
    unit_map = trace_units(module)
    x = X.double() if network is not residual_mlp else X.double().flatten(1)[:, :2]
    expected = module(x)
    assert torch.allclose(unit_map.run(x)[0], expected)
    inner = [node for node in unit_map.graph_module.graph.nodes if node.op != "output"]
    for node in inner:
        nodes = unit_map.live_nodes(node)
        values = unit_map.run(x, stops=nodes)
        stacked = [value.repeat(3, *(1,) * (value.ndim - 1)) for value in values]
        (logits,) = unit_map.run(stacked, start=node)
        assert torch.allclose(logits, expected.repeat(3, 1))


def test_live_nodes_of_a_block():
    unit_map = trace_units(residual())
    first, inner, total, _ = unit_map.layers
    assert unit_map.live_nodes(inner.value) == (first.end, inner.value)
    assert unit_map.live_nodes(total.value) == (total.value,)
    with pytest.raises(InvalidInputError, match="takes the values of relu, conv1: pass 2, not 1"):
        unit_map.run(torch.ones(1, 3, 2, 2).double(), start=inner.value)


def test_only_what_is_needed_runs():
    # the other branch, which the stop does not depend on, would fail on one value
    unit_map = trace_units(fire())
    calls = []
    edits = {unit_map.layer("expand3").value: lambda value: calls.append(1) or value}
    unit_map.run(X.double(), stops=(unit_map.layer("expand1").value,), edits=edits)
    assert not calls


# --- operations that overwrite their input ---


@pytest.mark.parametrize(
    "forward",
    [
        # what reads x behind relu_(x) sees the rectified values, as the network itself does
        lambda m, x: _overwriting_skip(m, x, lambda value: F.relu(value, inplace=True)),
        lambda m, x: _overwriting_skip(m, x, lambda value: F.relu(value, True)),
        lambda m, x: _overwriting_skip(m, x, m.relu),
        lambda m, x: m.out(m.a(x).add_(m.b(x))),
        lambda m, x: _overwriting_alone(m, m.a(x)),
    ],
)
def test_networks_that_overwrite_values(forward):
    rng = np.random.default_rng(0)
    network = made(
        forward,
        **{name: dense(rng.normal(size=(2, 2))) for name in ("a", "b", "out")},
        relu=nn.ReLU(inplace=True),
    )
    x = torch.tensor([[1.0, -2.0], [-0.5, 3.0]]).double()
    unit_map = trace_units(network)
    expected = network(x)
    assert torch.allclose(unit_map.run(x)[0], expected)
    for layer in unit_map.layers:
        nodes = unit_map.live_nodes(layer.value)
        values = unit_map.run(x, stops=nodes)
        assert torch.allclose(unit_map.run(values, start=layer.value)[0], expected)
        assert torch.allclose(unit_map.run(values, start=layer.value)[0], expected)


def _overwriting_skip(m, x, relu):
    hidden = m.a(x)
    skip = hidden
    hidden = m.b(relu(hidden))
    hidden += skip
    return m.out(hidden)


def _overwriting_alone(m, x):
    m.relu(x)
    x.add_(m.b(x))
    return m.out(x)


def test_blocks_as_people_write_them():
    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)]
    # one ReLU that overwrites, called twice, and `+=`
    block = import_torchvision().models.resnet.BasicBlock
    shortcut = nn.Sequential(nn.Conv2d(4, 6, 1, 2, bias=False), nn.BatchNorm2d(6))
    blocks = [block(4, 4), block(4, 6, 2, shortcut)]
    network = nn.Sequential(*stem, *blocks, *head).double().eval()
    unit_map = trace_units(network)
    assert [layer.name for layer in unit_map.layers] == [
        "0",
        "3.conv1",
        "3.conv2",
        "4.conv1",
        "4.downsample.0",
        "7",
    ]
    x = torch.rand(2, 3, 8, 8).double()
    assert torch.allclose(unit_map.run(x)[0], network(x))
    for layer in unit_map.layers:
        values = unit_map.run(x, stops=unit_map.live_nodes(layer.value))
        for _ in range(2):  # nothing was overwritten the first time
            assert torch.allclose(unit_map.run(values, start=layer.value)[0], network(x))


def test_overwriting_a_value_that_is_read_in_another_shape():
    def forward(m, x):
        hidden = m.a(x)
        flat = hidden.flatten(1)
        m.relu(hidden)
        return m.out(flat + m.relu(hidden))

    parts = {"a": dense(np.eye(2)), "out": dense(np.eye(2)), "relu": nn.ReLU(inplace=True)}
    with pytest.raises(InvalidInputError, match="overwrites the value that 'add' reads"):
        trace_units(made(forward, **parts))


# --- errors ---


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda m, x: m.a(x) * m.b(x), r"call of mul \(node 'mul'\)"),
        (lambda m, x: torch.cat([m.a(x), m.b(x)], 0), r"call of cat .* along dimension 0"),
        (lambda m, x: torch.cat([m.a(x), m.b(x)]), r"call of cat .* along dimension 0"),
        (lambda m, x: m.a(x) + m.one(x), r"call of add \(node 'add'\).* have 2 and 1 units"),
        (lambda m, x: m.a(x) + 1, r"call of add .* something else than two tensors"),
        (lambda m, x: m.a(x) + m.b(x).flatten(1), r"call of add .* \[4, 2\] dimensions: flatten"),
        (lambda m, x: m.a(x).view(-1, 1, 4, 2), r"call of view .* anew, as \(-1, 1, 4, 2\)"),
        (lambda m, x: m.four(m.a(x).view(-1, 4, 2, 1)), r"call of view .* lays units out anew"),
        (lambda m, x: m.four(m.a(x).relu()), r"module 'four' .* 4 .* 2 units arrive"),
        (lambda m, x: m.wide(torch.cat([m.a(x), m.b(x)], 1)), r"module 'wide' .* 3 .* 4 units"),
        (lambda m, x: m.norm(m.a(x)), r"module 'norm' .* reads 3 channels where 2 units arrive"),
        (lambda m, x: m.a(x) + x.mean(), "call of mean"),
        (lambda m, x: torch.cat([m.a(x), torch.ones(1, 2, 2, 2)], 1), "call of cat .* than units"),
    ],
)
def test_what_cannot_be_followed_is_named(forward, message):
    network = made(
        lambda m, x: m.out(forward(m, x)),
        a=conv(np.ones((2, 1, 1, 1))),
        b=conv(np.ones((2, 1, 1, 1))),
        one=conv(np.ones((1, 1, 1, 1))),
        wide=conv(np.ones((2, 3, 1, 1))),
        four=conv(np.ones((2, 4, 1, 1))),
        norm=batch_norm(nn.BatchNorm2d, np.ones(3), np.ones(3)),
        out=conv(np.ones((2, 2, 1, 1))),
    )
    with pytest.raises(InvalidInputError, match=message) as caught:
        trace_units(network)
    assert "allowed are Linear, Conv2d" in str(caught.value)
