"""The lesion engine against one plain forward pass a lesion, with hooks or changed weights."""

import copy

import numpy as np
import pytest
import torch
from helpers.lesions import class_accuracies, hooked, labelled_images
from helpers.networks import batch_norm, centred, conv, dense, random_mlp, stack
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from localspec._utils.hardware import limited_threads
from localspec.clustering import Partition, draw_counterparts
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.lesions import class_sizes, lesion_accuracies, lesion_draws, other_predictions
from localspec.lesions._accuracies import lesion_predictions
from localspec.measures import assess, importance

NORMALIZED = Conventions(lesion_point="normalized")


def by_hooks(network, x, y, wanted, ends=None):
    """Return accuracies by class, of one pass a lesion; `ends` names other modules to hook."""
    places = [
        {ends[name] if ends else name: units for name, units in lesion.items()} for lesion in wanted
    ]
    return np.array([class_accuracies(hooked(network, x, lesion), y) for lesion in places])


def small_cnn(seed=1):
    """Return conv, norm, ReLU, pool; conv, ReLU, pool, norm, dropout; dense, ReLU; dense."""
    rng = np.random.default_rng(seed)
    n = rng.normal
    before = batch_norm(nn.BatchNorm2d, n(size=3), rng.random(3), n(size=3), n(size=3))
    after = batch_norm(nn.BatchNorm2d, n(size=4), rng.random(4), n(size=4), n(size=4))
    network = stack(
        conv(n(size=(3, 1, 3, 3)), n(size=3), padding=1),
        before,
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(n(size=(4, 3, 3, 3)), n(size=4), padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        after,
        nn.Dropout(),
        nn.Flatten(),
        dense(n(size=(5, 16)), n(size=5)),
        nn.ReLU(),
        dense(n(size=(3, 5)), n(size=3)),
    )
    return centred(network, labelled_images((100, 1, 8, 8), 3)[0])


CNN_LESIONS = [
    {},
    {"0": [1]},
    {"4": [0, 3]},
    {"10": [2, 4]},
    {"0": [0, 2], "10": [1]},
    {"4": [1], "0": [0], "10": [0, 1, 2, 3, 4]},
    {"0": [0, 1, 2]},
    {"4": []},
]
# module whose output is zeroed behind the normalization: ReLU, second norm, ReLU
CNN_ENDS = {"0": "2", "4": "7", "10": "11"}


@settings(max_examples=30)
@given(st.data())
def test_mlp_lesions_equal_hooks(data):
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=3, max_size=5), label="sizes")
    sizes[-1] = 3
    seed = data.draw(st.integers(0, 1000), label="seed")
    network = random_mlp(sizes, seed)
    x, y = labelled_images((17, sizes[0]), 3, seed)
    units = {
        str(2 * index): st.lists(st.integers(0, n - 1), unique=True)
        for index, n in enumerate(sizes[1:-1])
    }
    lesion = st.fixed_dictionaries({}, optional=units)
    wanted = data.draw(st.lists(lesion, min_size=1, max_size=5), label="lesions")
    max_values = data.draw(st.sampled_from([1, 60, 400, 10**6]), label="max_values")
    accuracies = lesion_accuracies(network, x, y, wanted, max_values=max_values)
    assert accuracies == pytest.approx(by_hooks(network, x, y, wanted))


@pytest.mark.parametrize("max_values", [1, 300, 10**6])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])  # other places in memory
def test_cnn_lesions_equal_hooks_whatever_the_batches(max_values, batch_size, dtype):
    network = small_cnn().to(dtype)
    x, y = labelled_images((40, 1, 8, 8), 3, seed=1)
    x = x.to(dtype)
    expected = by_hooks(network, x, y, CNN_LESIONS)
    assert len({tuple(row) for row in expected}) >= 6  # the lesions do something
    accuracies = lesion_accuracies(
        network, x, y, CNN_LESIONS, batch_size=batch_size, max_values=max_values
    )
    assert accuracies == pytest.approx(expected)


def test_threads_do_not_change_predictions():
    x, _ = labelled_images((40, 1, 8, 8), 3, seed=1)
    predicted = []
    for n_threads in (1, 2, 3):
        with limited_threads(n_threads):
            predicted.append(lesion_predictions(small_cnn(), x, CNN_LESIONS, batch_size=7).tolist())
    assert predicted[0] == predicted[1] == predicted[2]


def test_bfloat16_is_that_of_the_network_in_bfloat16():
    network = small_cnn().float()
    x, _ = labelled_images((40, 1, 8, 8), 3, seed=1)
    predictions = lesion_predictions(network, x, CNN_LESIONS, precision="bfloat16")
    assert network[0].weight.dtype == torch.float32  # left as it is
    reduced = copy.deepcopy(network).bfloat16()
    assert np.array_equal(predictions, lesion_predictions(reduced, x, CNN_LESIONS))
    full = lesion_predictions(network, x, CNN_LESIONS)
    n_other, n_predictions = other_predictions(network, x, CNN_LESIONS, precision="bfloat16")
    assert (n_other, n_predictions) == (int((predictions != full).sum()), len(CNN_LESIONS) * 40)
    assert 0 < n_other < 0.1 * n_predictions  # seven bits decide otherwise here and there
    assert other_predictions(network, x, CNN_LESIONS, precision="full")[0] == 0
    with pytest.raises(InvalidInputError, match="precision='float16'"):
        lesion_predictions(network, x, CNN_LESIONS, precision="float16")


@pytest.mark.parametrize("max_values", [1, 10**6])
def test_lesions_behind_the_normalization_equal_hooks_there(max_values):
    network = small_cnn()
    x, y = labelled_images((40, 1, 8, 8), 3, seed=1)
    accuracies = lesion_accuracies(
        network, x, y, CNN_LESIONS, conventions=NORMALIZED, max_values=max_values
    )
    expected = by_hooks(network, x, y, CNN_LESIONS, CNN_ENDS)
    assert accuracies == pytest.approx(expected)
    assert (expected != by_hooks(network, x, y, CNN_LESIONS)).any()  # the readings differ here


def test_a_lesion_equals_zeroed_incoming_weights_and_biases():
    network = small_cnn(seed=26)
    x, y = labelled_images((40, 1, 8, 8), 3, seed=26)
    expected = []
    for lesion in CNN_LESIONS:
        changed = copy.deepcopy(network)
        for name, units in lesion.items():
            changed.get_submodule(name).weight.data[units] = 0
            changed.get_submodule(name).bias.data[units] = 0
        expected.append(class_accuracies(changed(x), y))
    assert lesion_accuracies(network, x, y, CNN_LESIONS) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("order", ["norm, ReLU", "ReLU, norm"])
def test_lesion_points_by_hand(order):
    # both units are 1 on every image; the norm adds 2 to unit 0: (3, 1) is class 0.
    # Unit 0 set to zero before the norm comes out as 2: still class 0; behind it as 0: class 1.
    norm = batch_norm(nn.BatchNorm1d, [1.0, 1.0], [0.999, 0.999], beta=[2.0, 0.0])
    between = (norm, nn.ReLU()) if order == "norm, ReLU" else (nn.ReLU(), norm)
    network = stack(dense([[1], [1]]), *between, dense([[1, 0], [0, 1]]))
    x, y = torch.ones(2, 1).double(), torch.tensor([0, 1])
    wanted = [{}, {"0": [0]}, {"0": [1]}, {"0": [0, 1]}]
    unit = lesion_accuracies(network, x, y, wanted)
    assert unit.tolist() == [[1, 0], [1, 0], [1, 0], [1, 0]]
    normalized = lesion_accuracies(network, x, y, wanted, conventions=NORMALIZED)
    assert normalized.tolist() == [[1, 0], [0, 1], [1, 0], [1, 0]]  # a tie is class 0


def test_accuracies_by_hand():
    # the unit copies the input; logits (0, input - 1): class 1 above 1. Without the unit: class 0
    network = stack(dense([[1]]), nn.ReLU(), dense([[0], [1]], [0, -1]))
    x = torch.tensor([[0.0], [2.0], [3.0], [0.5], [5.0]]).double()
    y = torch.tensor([0, 0, 1, 1, 1])
    accuracies = lesion_accuracies(network, x, y, [{}, {"0": [0]}])
    # class 0: right on 0, wrong on 2; class 1: right on 3 and 5, wrong on 0.5
    assert accuracies == pytest.approx(np.array([[1 / 2, 2 / 3], [1, 0]]))


@pytest.mark.parametrize("max_values", [1, 10**6])
def test_activations_that_overwrite_their_input(max_values):
    plain = random_mlp([3, 5, 4, 3], 4)
    network = stack(
        plain[0],
        nn.LeakyReLU(0.3, inplace=True),
        plain[2],
        nn.LeakyReLU(0.3, inplace=True),
        plain[4],
    )
    x, y = labelled_images((40, 3), 3)
    wanted = [
        {},
        {"0": [0]},
        {},
        {"0": [2]},
        {"2": [1]},
        {"0": []},
        {"2": []},
        {"0": [1], "2": [3]},
    ]
    accuracies = lesion_accuracies(network, x, y, wanted, max_values=max_values)
    assert accuracies == pytest.approx(by_hooks(network, x, y, wanted))


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2},
        {"padding": (2, 1)},
        {"dilation": 2},
        {"padding": "same"},
        {"groups": 3},
        {"padding": 1, "padding_mode": "circular"},
        {"padding": 1, "padding_mode": "reflect", "stride": (1, 2)},
    ],
)
@pytest.mark.parametrize("reading", [Conventions(), NORMALIZED], ids=["unit", "normalized"])
def test_lesions_before_every_kind_of_convolution(options, reading):
    rng = np.random.default_rng(5)
    n = rng.normal
    norm = batch_norm(nn.BatchNorm2d, n(size=3), rng.random(3), n(size=3), n(size=3))
    kernels = n(size=(3, 3 // options.get("groups", 1), 3, 3))
    head = [conv(n(size=(3, 1, 3, 3)), n(size=3)), norm, nn.LeakyReLU(), nn.MaxPool2d(2, stride=1)]
    body = [conv(kernels, n(size=3), **options), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    x, y = labelled_images((40, 1, 8, 8), 3, seed=5)
    network = centred(stack(*head, *body, dense(n(size=(3, 12)), n(size=3))), x)
    wanted = [{}, {"0": [0]}, {"0": [1, 2]}, {"4": [0]}, {"0": [2], "4": [1, 2]}, {"0": [0, 1, 2]}]
    accuracies = lesion_accuracies(network, x, y, wanted, conventions=reading, max_values=500)
    ends = {"0": "2", "4": "5"} if reading is NORMALIZED else None
    expected = by_hooks(network, x, y, wanted, ends)
    assert accuracies == pytest.approx(expected)
    assert len({tuple(row) for row in expected}) >= 3


def test_nothing_is_left_of_a_lesioned_layer():
    # without biases a network whose first layer is silent gives 0, 0, 0: class 0, as any tie
    n = np.random.default_rng(0).normal
    network = stack(
        conv(n(size=(4, 1, 3, 3))),
        nn.ReLU(),
        conv(n(size=(5, 4, 3, 3))),
        nn.ReLU(),
        nn.Flatten(),
        dense(n(size=(3, 80))),
    )
    x, y = labelled_images((30, 1, 8, 8), 3)
    accuracies = lesion_accuracies(network, x, y, [{"0": range(4)}, {"2": range(5)}])
    assert accuracies.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_rows_follow_the_order_of_the_lesions():
    network = small_cnn()
    x, y = labelled_images((30, 1, 8, 8), 3)
    order = [5, 2, 0, 7, 1, 3, 6, 4]
    straight = lesion_accuracies(network, x, y, CNN_LESIONS)
    shuffled = lesion_accuracies(network, x, y, [CNN_LESIONS[index] for index in order])
    assert shuffled.tolist() == straight[order].tolist()


def test_no_lesions():
    x, y = labelled_images((5, 2), 2)
    assert lesion_accuracies(random_mlp([2, 3, 2], 0), x, y, []).shape == (0, 2)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64])
def test_labels_of_any_integer_type(dtype):
    network = random_mlp([2, 3, 3], 0)
    x, y = labelled_images((12, 2), 3)
    accuracies = lesion_accuracies(network, x, y.to(dtype), [{}, {"0": [0]}])
    assert accuracies == pytest.approx(by_hooks(network, x, y, [{}, {"0": [0]}]))


def test_single_precision_images_are_taken_as_the_network_is():
    network = random_mlp([2, 3, 3], 0)
    x, y = labelled_images((12, 2), 3)
    rounded = x.float()
    accuracies = lesion_accuracies(network, rounded, y, [{"0": [1]}])
    assert accuracies == pytest.approx(by_hooks(network, rounded.double(), y, [{"0": [1]}]))


def test_the_network_is_left_as_it_was():
    network = small_cnn()
    before = copy.deepcopy(network.state_dict())
    x, y = labelled_images((10, 1, 8, 8), 3)
    lesion_accuracies(network, x, y, CNN_LESIONS)
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(not module._forward_hooks for module in network.modules())


def test_draws_are_lesioned_in_their_places():
    network = random_mlp([3, 6, 5, 3], 1)
    x, y = labelled_images((50, 3), 3)
    labels = {"0": np.array([0, 0, 1, 1, 1, -1]), "2": np.array([0, 0, 0, 1, 1])}
    draws = draw_counterparts(Partition.from_labels(labels), 4, seed=3)
    result = lesion_draws(network, x, y, draws)
    assert result.lesioned.shape == (5, 4, 3)
    assert result.baseline == pytest.approx(by_hooks(network, x, y, [{}])[0])
    assert result.class_sizes.tolist() == np.bincount(y).tolist()
    for column, part in enumerate(draws.subclusters):
        rows = [part.units, *draws.units[column]]
        expected = by_hooks(network, x, y, [{part.layer: row} for row in rows])
        assert result.lesioned[:, column] == pytest.approx(expected)


def test_class_sizes():
    assert class_sizes(torch.tensor([2, 0, 2, 1]), 3).tolist() == [1, 1, 2]


def test_lesions_of_a_partition_without_subclusters_can_be_assessed():
    # three units, three clusters: nothing is tested, which must not end the run of a page
    draws = draw_counterparts(Partition.from_labels({"0": [0, 1, 2]}), 4)
    x, y = labelled_images((12, 2), 3)
    result = lesion_draws(random_mlp([2, 3, 3], 0), x, y, draws)
    assert result.baseline.shape == (3,)
    assessed = assess(importance(result))
    assert assessed.p_values.shape == (0,)
    assert np.isnan(assessed.permutation.pvalue)


def test_accuracies_of_groups_are_judged_by_the_class():
    network = random_mlp([4, 6, 5], 0)
    x, y = labelled_images((12, 4), 5)
    groups = torch.tensor([1, 0, 0, 1, 2])[y]
    wanted = [{}, {"0": [0, 3, 4]}]
    accuracies = lesion_accuracies(network, x, y, wanted, n_classes=3, groups=groups)
    for lesion, row in zip(wanted, accuracies, strict=True):
        right = hooked(network, x, lesion).argmax(dim=1) == y
        assert row == pytest.approx(
            [float(right[groups == group].double().mean()) for group in range(3)]
        )
    partition = Partition.from_labels({"0": np.array([0, 0, 0, 1, 1, 1])})
    draws = draw_counterparts(partition, 2)
    lesioned = lesion_draws(network, x, y, draws, groups=groups)
    assert lesioned.lesioned.shape == (3, 2, 3)
    assert lesioned.class_sizes.tolist() == np.bincount(groups).tolist()


def test_units_in_any_order_in_memory(recwarn):
    network = random_mlp((5, 8, 3), seed=3)
    x, y = labelled_images((30, 5), 3)
    flipped, frozen = np.array([6, 3, 1])[::-1], np.array([1, 3, 6])
    frozen.flags.writeable = False
    lesions = [{"0": units} for units in ([1, 3, 6], flipped, frozen)]
    first, *others = lesion_accuracies(network, x, y, lesions)
    assert all(np.array_equal(other, first) for other in others)
    assert not recwarn.list


def test_bounds_of_a_small_type_do_not_overflow():
    network, (x, _) = random_mlp([4, 5, 3], seed=0), labelled_images((300, 4), 3)
    wanted = lesion_predictions(network, x, [{}, {"0": [0]}])
    bounds = {"batch_size": np.uint8(100), "max_values": np.int8(100)}
    assert np.array_equal(lesion_predictions(network, x, [{}, {"0": [0]}], **bounds), wanted)
