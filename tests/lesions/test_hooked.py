"""Lesions of hooked units against a plain loop over lesions and images, with hooks of its own."""

import numpy as np
import pytest
import torch
from helpers.networks import batch_norm, conv, dense, random_mlp, stack
from helpers.untraced import (
    NETWORKS,
    SHAPE,
    VisionTransformer,
    images,
    lesioned_logits,
    made,
    outputs,
)
from torch import nn

import localspec as ls
from localspec.lesions import lesion_predictions, other_predictions
from localspec.lesions._double import joint_lesions
from localspec.units import hook_units


def some_lesions(layers, seed=0):
    """Return no lesion, three of each layer, all units of the first, and one of two layers."""
    rng = np.random.default_rng(seed)
    lesions = [{}]
    for name, (n_units, _) in layers.items():
        lesions += [{name: rng.choice(n_units, n, replace=False)} for n in (1, 2, n_units // 2)]
    first, last = next(iter(layers)), [*layers][-1]
    return [*lesions, {first: np.arange(layers[first][0])}, {last: [0, 1], first: [1]}]


@pytest.mark.parametrize("name", NETWORKS)
def test_each_lesion_against_a_plain_loop(name):
    make, shape, layers = NETWORKS[name]
    network, x, lesions = make(), images((12, *shape), seed=1), some_lesions(layers)
    axes = {layer: axis for layer, (_, axis) in layers.items()}
    logits = torch.stack([lesioned_logits(network, x, lesion, axes) for lesion in lesions])
    best = logits.topk(2, dim=2).values
    assert (best[..., 0] - best[..., 1]).min() > 1e-9  # no tie that rounding decides
    expected = logits.argmax(2).numpy()
    units = hook_units(network, x)
    for bounds in ({}, {"batch_size": 5}, {"max_values": 1}):
        predicted = lesion_predictions(units, x, lesions, **bounds)
        np.testing.assert_array_equal(predicted, expected)
    assert (expected != expected[0]).any(), "no lesion changes anything: the test cannot fail"


def test_lesioned_logits_are_those_of_the_plain_loop():
    make, shape, _ = NETWORKS["bidirectional LSTM"]
    network, x = make(), images((4, *shape))
    units = hook_units(network, x)

    def zero(values):
        values = values.clone()
        values[:, [1, 7]] = 0
        return values

    (logits,) = units.run(x, edits={"layer": zero})
    expected = lesioned_logits(network, x, {"layer": [1, 7]}, {"layer": 2})
    torch.testing.assert_close(logits, expected)
    assert not torch.allclose(logits, network(x))


def test_means_in_the_place_of_units():
    network, x = made(VisionTransformer), images((9, *SHAPE))
    mean = torch.cat(outputs(network, x, "mlp.0")).mean(0)

    def replace(module, inputs, output):
        output = output.clone()
        output[:, :, [2, 5]] = mean[:, [2, 5]]
        return output

    units, lesions = hook_units(network, x), [{}, {"mlp.0": [2, 5]}]
    predicted = lesion_predictions(units, x, lesions, replacement="mean")
    plain = network(x).argmax(1).tolist()
    network.mlp[0].register_forward_hook(replace)
    assert predicted.tolist() == [plain, network(x).argmax(1).tolist()]
    others = images((5, *SHAPE), seed=8)
    assert lesion_predictions(units, x, lesions, replacement="mean", x_mean=others).shape == (2, 9)


def chain(act):
    """Return a network of convolutions with an activation, and a batch normalization."""
    rng = np.random.default_rng(1)
    n = rng.normal
    norm = batch_norm(nn.BatchNorm2d, n(size=3), rng.random(3), n(size=3), n(size=3))
    return stack(
        conv(n(size=(3, 1, 3, 3)), n(size=3), padding=1),
        norm,
        act(),
        nn.MaxPool2d(2),
        conv(n(size=(4, 3, 3, 3)), n(size=4), padding=1),
        act(),
        nn.Flatten(),
        dense(n(size=(3, 64)), n(size=3)),
    )


@pytest.mark.parametrize(
    ("network", "shape", "layers"),
    [
        (random_mlp((6, 9, 8, 4), seed=4), (6,), ["0", "2"]),
        (chain(nn.ReLU), (1, 8, 8), ["0", "4"]),
        (chain(nn.Sigmoid), (1, 8, 8), ["0", "4"]),
    ],
    ids=["MLP", "convolutions", "sigmoids"],
)
def test_both_doors_lesion_alike(network, shape, layers):
    x, y = images((40, *shape)), torch.arange(40) % 3
    units = hook_units(network, x, layers)
    for name in layers:
        partition = ls.Partition.from_labels({name: np.arange(units.layer(name).n_units) % 2})
        draws = ls.draw_counterparts(partition, 5, seed=1)
        hooked, traced = (ls.lesion_draws(door, x, y, draws) for door in (units, network))
        np.testing.assert_array_equal(hooked.lesioned, traced.lesioned)
        np.testing.assert_array_equal(hooked.baseline, traced.baseline)
        assert (hooked.lesioned != hooked.baseline).any()


def test_zero_before_a_relu_is_zero_behind_it():
    network, x = random_mlp((6, 9, 8, 4), seed=4), images((40, 6))
    units = hook_units(network, x, ["0", "1", "2", "3"])
    for before, behind in (("0", "1"), ("2", "3")):
        lesions = [{before: [unit]} for unit in range(8)] + [{behind: [unit]} for unit in range(8)]
        predicted = lesion_predictions(units, x, lesions)
        np.testing.assert_array_equal(predicted[:8], predicted[8:])
    network = chain(nn.Sigmoid)  # hands on 1/2 for a unit set to zero before it
    units = hook_units(network, images((9, 1, 8, 8)), ["4", "5"])
    x, both = images((60, 1, 8, 8)), [{"4": [0, 1]}, {"5": [0, 1]}]
    assert len(np.unique(lesion_predictions(units, x, both), axis=0)) == 2


def test_measures_joint_lesions_and_reduced_precision():
    network, x, y = made(VisionTransformer), images((30, *SHAPE)), torch.arange(30) % 3
    units = hook_units(network, x)
    partition = ls.cluster(ls.activation_graph(units, x), 3)
    draws = ls.draw_counterparts(partition, 3)
    accuracies = ls.lesion_draws(units, x, y, draws)
    assert accuracies.lesioned.shape == (4, len(draws.subclusters), 3)
    assert len(ls.assess(ls.importance(accuracies)).p_values) == len(draws.subclusters)
    ls.assess(ls.coherence(accuracies, "class"))
    pairs = joint_lesions(units, x, y, draws, [(0, 1)])
    row = ls.lesion_accuracies(units, x, y, [{**draws.lesions()[0]}])
    assert pairs.lesioned.shape == (4, 1, 3)
    np.testing.assert_array_equal(row[0], accuracies.lesioned[0, 0])
    changed, n = other_predictions(units, x, draws.lesions(), precision="bfloat16")
    assert n == len(draws.lesions()) * len(x)
    assert changed < n / 4
