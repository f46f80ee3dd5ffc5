"""Lesions of branching networks: by hand, and against plain forward passes in float64."""

import numpy as np
import pytest
import torch
from helpers.lesions import class_accuracies, labelled_images, zeroed
from helpers.networks import (
    centred,
    dense,
    dense_block,
    inception,
    inception_forward,
    made,
    pointwise,
    preactivated,
    resnet,
    resnet_forward,
)

from localspec.conventions import Conventions
from localspec.lesions import lesion_accuracies
from localspec.lesions._contributions import subtracting_readers
from localspec.lesions._passes import Part
from localspec.lesions._points import lesion_points
from localspec.units import trace_units

ONE = Conventions(lesion_readers="one")
NORMALIZED = Conventions(lesion_point="normalized")


# --- by hand: units (x, 2 x); b gives (second, twice the first); class 0 if the sum's first
#     is above 7.5
#
#   x = 3, label 0:  a = (3, 6)  b(a) = (6, 6)  sum = (9, 12)   9 > 7.5: class 0, right
#   x = 1, label 1:  a = (1, 2)  b(a) = (2, 2)  sum = (3, 4)    class 1, right, with any lesion

X, Y = torch.tensor([3.0, 1.0]).reshape(2, 1, 1, 1).double(), torch.tensor([0, 1])
A, B = [[1], [2]], [[0, 1], [2, 0]]
HEAD = {"out": dense([[1, 0], [0, 0]], [-7.5, 0])}


def skip():
    def forward(m, x):
        x = m.a(x).relu()
        return m.out((m.b(x) + x).relu().flatten(1))

    return made(forward, a=pointwise(A), b=pointwise(B), **HEAD)


def two_readers():
    def forward(m, x):
        x = m.a(x).relu()
        return m.out((m.b(x) + m.c(x)).relu().flatten(1))

    return made(forward, a=pointwise(A), b=pointwise(B), c=pointwise([[1, 0], [0, 1]]), **HEAD)


def right(network, lesion, conventions):
    """Return whether the first image is classified rightly; the second always is."""
    lesioned = lesion_accuracies(network, X, Y, [lesion], conventions=conventions)[0]
    assert lesioned[1] == 1
    return bool(lesioned[0])


def test_a_lesion_of_a_tensor_reaches_the_skip():
    assert right(skip(), {}, "paper")
    # a = (0, 6): b gives (6, 0), the skip (0, 6): 6
    assert not right(skip(), {"a": [0]}, "paper")
    # a = (3, 0): b gives (0, 6), the skip (3, 0): 3
    assert not right(skip(), {"a": [1]}, "paper")
    assert not right(skip(), {"b": [0]}, "paper")  # the sum itself: 0
    assert right(skip(), {"b": [1]}, "paper")  # 9


def test_a_lesion_of_one_reader_leaves_the_skip():
    # b reads (0, 6) and gives (6, 0), the skip (3, 6): 9
    assert right(skip(), {"a": [0]}, ONE)
    # b reads (3, 0) and gives (0, 6), the skip (3, 6): 3
    assert not right(skip(), {"a": [1]}, ONE)
    assert not right(skip(), {"b": [0]}, ONE)  # the sum has one reader: as ever


def test_lesions_of_a_tensor_with_two_readers():
    network = two_readers()
    assert not right(network, {"a": [0]}, "paper")  # b gives (6, 0), c gives (0, 6): 6
    assert right(network, {"a": [0]}, ONE)  # the first reader is b: (6, 0) + (3, 6): 9
    assert right(network, {"a->b": [0]}, ONE)
    assert not right(network, {"a->c": [0]}, ONE)  # (6, 6) + (0, 6): 6
    assert not right(network, {"a->c": [0]}, "paper")  # "all" lesions the tensor
    assert not right(network, {"a->b": [0], "a->c": [0]}, ONE)
    assert right(network, {"a->c": [1]}, ONE)  # (6, 6) + (3, 0): 9
    assert not right(network, {"a->b": [0], "a->c": [0], "c": [1]}, ONE)
    released = Conventions(lesion_readers="one", residual_units="reader")
    assert right(network, {"a->b": [0]}, released)


def test_means_in_place_of_zero():
    # the mean over the images 3 and 1 is a = (2, 4); where everyone sees it, x = 3 becomes
    # unit 0: a = (2, 6), b gives (6, 4), the sum's first is 8; unit 1: a = (3, 4), 4 + 3 = 7
    options = {"replacement": "mean", "x_mean": X}
    wanted = [{"a": [0]}, {"a": [1]}]
    assert lesion_accuracies(skip(), X, Y, wanted, **options)[:, 0].tolist() == [1, 0]
    # one reader: unit 1: b reads (3, 4) and gives (4, 6), the skip 3: 7
    lesioned = lesion_accuracies(skip(), X, Y, wanted, conventions=ONE, **options)
    assert lesioned[:, 0].tolist() == [1, 0]
    # c alone reads unit 0 as 2: 6 + 2 = 8
    lesioned = lesion_accuracies(two_readers(), X, Y, [{"a->c": [0]}], conventions=ONE, **options)
    assert lesioned[:, 0].tolist() == [1]


def test_a_preactivated_block_is_lesioned_where_the_sum_is_formed():
    # stem 0 silent: norm1 emits its beta, 1, and the skip 0; for one reader conv1 reads 0
    network = preactivated()
    x, y = labelled_images((30, 3, 2, 2), 2)

    def plain(x, unit, reader_only):
        m, start = network, network.stem(x)
        passed = start if reader_only else zeroed(start, [unit])
        read = m.norm1(passed).relu()
        read = zeroed(read, [unit]) if reader_only else read
        inner = m.conv2(m.norm2(m.conv1(read)).relu())
        return m.fc(m.norm3(passed + inner).relu().mean((2, 3)))

    for conventions, reader_only in (("paper", False), (ONE, True)):
        lesioned = lesion_accuracies(
            network, x, y, [{"stem": [0]}, {"stem": [1]}], conventions=conventions
        )
        for row, unit in zip(lesioned, (0, 1), strict=True):
            assert row == pytest.approx(class_accuracies(plain(x, unit, reader_only), y))


# --- against plain forward passes ---

RESNET = [
    {},
    {"stem": [0]},
    {"stem": [1, 2]},
    {"a.conv1": [0, 3]},
    {"a.conv2": [2]},
    {"a.conv2": [0, 1, 3]},
    {"b.conv1": [4]},
    {"b.down": [0, 1]},
    {"b.down": [5], "stem": [3]},
    {"a.conv1": [1], "b.conv1": [0, 1, 2], "a.conv2": [0]},
    {"a.conv2": []},
]
INCEPTION = [
    {},
    {"stem": [0, 1]},
    {"one": [1]},
    {"squeeze": [0, 2]},
    {"three": [0, 1]},
    {"pool": [0]},
    {"pool": [1], "one": [0]},
    {"last": [3], "three": [2], "stem": [2]},
    {"one": [0, 1], "three": [0, 1, 2], "pool": [0, 1]},
]
CASES = [
    pytest.param(resnet, resnet_forward, RESNET, id="resnet"),
    pytest.param(inception, inception_forward, INCEPTION, id="inception"),
]


@pytest.mark.parametrize(("build", "forward", "wanted"), CASES)
@pytest.mark.parametrize("conventions", [Conventions(), NORMALIZED], ids=["unit", "normalized"])
@pytest.mark.parametrize(("max_values", "batch_size"), [(1, 7), (500, 1000), (10**6, 1000)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])  # other convolutions
def test_lesions_equal_plain_passes(
    build, forward, wanted, conventions, max_values, batch_size, dtype
):
    x, y = labelled_images((40, 3, 4, 4))
    network, x = centred(build(), x).to(dtype), x.to(dtype)
    end = " end" if conventions is NORMALIZED else ""
    expected = []
    for lesion in wanted:
        places = {name + end: units for name, units in lesion.items()}

        def at(where, value, places=places):
            return zeroed(value, places[where]) if where in places else value

        expected.append(class_accuracies(forward(network, x, at), y))
    assert len({tuple(row) for row in expected}) >= 6  # the lesions do something
    lesioned = lesion_accuracies(
        network,
        x,
        y,
        wanted,
        conventions=conventions,
        batch_size=batch_size,
        max_values=max_values,
    )
    assert lesioned == pytest.approx(np.array(expected))


@pytest.mark.parametrize("max_values", [500, 10**6])
def test_lesions_of_one_reader_equal_hooks_on_its_input(max_values):
    x, y = labelled_images((40, 3, 4, 4))
    network = centred(resnet(), x)
    pairs = [  # a lesion, and what is hooked
        ({}, {}),
        ({"stem": [0]}, {"a.conv1": [0]}),
        ({"stem": [1, 2]}, {"a.conv1": [1, 2]}),
        ({"a.conv2->b.conv1": [1, 2]}, {"b.conv1": [1, 2]}),
        ({"a.conv2->b.down": [0, 3]}, {"b.down": [0, 3]}),
        ({"a.conv2": [1]}, {"b.conv1": [1]}),
        ({"a.conv2->b.down": [1], "stem": [2]}, {"b.down": [1], "a.conv1": [2]}),
        ({"a.conv2->b.down": [2], "a.conv2->b.conv1": [0]}, {"b.down": [2], "b.conv1": [0]}),
    ]
    expected = [class_accuracies(hooked_inputs(network, x, hook), y) for _, hook in pairs]
    assert len({tuple(row) for row in expected}) >= 5
    wanted = [lesion for lesion, _ in pairs]
    lesioned = lesion_accuracies(network, x, y, wanted, conventions=ONE, max_values=max_values)
    assert lesioned == pytest.approx(np.array(expected))


def hooked_inputs(network, x, hook):
    handles = [
        network.get_submodule(name).register_forward_pre_hook(
            lambda module, inputs, units=units: (zeroed(inputs[0], units),)
        )
        for name, units in hook.items()
    ]
    logits = network(x)
    for handle in handles:
        handle.remove()
    return logits


def test_one_reader_of_a_concatenation_sees_the_right_channels():
    # conv1 (one unit) is conv2's third channel and fc's third feature
    x, y = labelled_images((40, 3, 2, 2), 2)
    network = centred(dense_block(), x)
    wanted = [{"conv1->conv2": [0]}, {"conv1->fc": [0]}, {"conv0->fc": [1]}, {"conv2": [0]}]
    hooks = [{"conv2": [2]}, {"fc": [2]}, {"fc": [1]}, {"fc": [3]}]
    expected = [class_accuracies(hooked_inputs(network, x, hook), y) for hook in hooks]
    lesioned = lesion_accuracies(network, x, y, wanted, conventions=ONE)
    assert lesioned == pytest.approx(np.array(expected))
    assert len({tuple(row) for row in expected}) >= 3


def test_contributions_only_where_a_layer_reads_one_tensor():
    def shortcuts(network):
        unit_map = trace_units(network)
        readers = {layer.name: subtracting_readers(unit_map, layer) for layer in unit_map.layers}
        return {name: [reader.name for reader in each] for name, each in readers.items() if each}

    assert shortcuts(skip()) == {"a": ["b"], "b": ["out"]}
    assert shortcuts(resnet()) == {
        "stem": ["a.conv1"],  # and the skip, where units are set to zero
        "a.conv1": ["a.conv2"],
        "a.conv2": ["b.conv1", "b.down"],
        "b.conv1": ["b.conv2"],
        "b.down": ["fc"],
    }
    assert shortcuts(inception()) == {  # what `last` reads comes from three tensors
        "stem": ["one", "squeeze", "pool"],
        "squeeze": ["three"],
        "last": ["fc"],
    }


def test_only_what_a_lesion_can_change_runs_again():
    unit_map = trace_units(inception())
    names = {layer.name: layer.value.name for layer in unit_map.layers}
    points = {
        layer.name: lesion_points(unit_map, layer, Conventions()) for layer in unit_map.layers
    }

    def rerun(*layers):
        acting = [unit_map.layer(name).value for name in layers]
        part = Part(unit_map, acting[0], points, acting)
        again = {node.name for node in part.needed}
        return {name for name in names if names[name] in again}, {n.name for n in part.same}

    # `squeeze` is subtracted at `three`, beside which the other two ways stay as they are
    assert rerun("squeeze") == ({"last", "fc"}, {"relu_1", "relu_4"})
    assert rerun("one") == ({"last", "fc"}, {"relu_3", "relu_4"})
    # `squeeze` has its value before units are set to zero from the images alone
    assert rerun("one", "squeeze") == ({"three", "last", "fc"}, {"squeeze", "relu_4"})
    assert rerun("squeeze", "three") == ({"last", "fc"}, {"relu_1", "relu_4"})
