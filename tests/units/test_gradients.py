"""Derivatives of logits by hand, by finite differences, and beside hooks."""

import numpy as np
import torch
from helpers.networks import batch_norm, conv, dense, stack
from torch import nn

from localspec.units import hook_units, logit_gradients


def test_a_linear_chain_by_hand():
    network = stack(
        dense([[1.0, 0.0], [0.0, 1.0]]),
        dense([[1.0, 2.0], [3.0, 4.0]]),
        dense([[5.0, 0.0], [6.0, 7.0]]),
    )
    found = logit_gradients(network, torch.ones(1, 2, dtype=torch.float64))
    # the second layer's are the last matrix; the first layer's [[5, 0], [6, 7]] [[1, 2], [3, 4]]
    assert found["1"][0].tolist() == [[5, 0], [6, 7]]
    assert found["0"][0].tolist() == [[5, 10], [27, 40]]


def test_gates_behind_a_unit_count_and_its_own_does_not():
    # both first units pass x = -1 or 1 on to one second unit, which is silent for x = -1
    network = stack(
        dense([[1.0], [2.0]]),
        nn.ReLU(),
        dense([[1.0, -1.0]], [1.5]),
        nn.ReLU(),
        dense([[1.0], [-3.0]]),
    )
    x = torch.tensor([[-1.0], [1.0], [2.0]], dtype=torch.float64)
    found = logit_gradients(network, x)
    # second unit: x = -1: 1.5; x = 1: 1 - 2 + 1.5 = 0.5; x = 2: 2 - 4 + 1.5 < 0, silent
    assert found["0"][0].tolist() == [[1, -1], [-3, 3]]  # both first units are silent here
    assert found["0"][1].tolist() == [[1, -1], [-3, 3]]
    assert found["0"][2].tolist() == [[0, 0], [0, 0]]
    assert found["2"][2].tolist() == [[1], [-3]]


def test_finite_differences_of_channels():
    rng = np.random.default_rng(3)
    network = stack(
        conv(rng.normal(size=(3, 1, 3, 3)), rng.normal(size=3)),
        nn.ReLU(inplace=True),
        batch_norm(nn.BatchNorm2d, rng.random(3) + 0.5, rng.random(3) + 0.5),
        nn.AvgPool2d(2),
        conv(rng.normal(size=(4, 3, 2, 2))),
        nn.ReLU(),
        nn.Flatten(),
        dense(rng.normal(size=(3, 4 * 1))),
    )
    x = torch.from_numpy(np.random.default_rng(4).normal(size=(5, 1, 6, 6)))
    layers = list(network)
    found, step = logit_gradients(network, x), 1e-6
    for name, end in {"0": 2, "4": 5}.items():  # behind the normalization that follows the ReLU
        value = x
        for layer in layers[: end + 1]:
            value = layer(value)
        for unit in range(value.shape[1]):
            moved = []
            for sign in (1, -1):
                other = value.clone()
                other[:, unit] += sign * step
                for layer in layers[end + 1 :]:
                    other = layer(other)
                moved.append(other)
            expected = ((moved[0] - moved[1]) / (2 * step)).detach().numpy()
            np.testing.assert_allclose(found[name][:, :, unit], expected, atol=1e-6)


def test_batches_and_hooks_change_nothing():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)
    )
    network = network.double().eval()
    x = torch.rand(7, 6, dtype=torch.float64)
    whole = logit_gradients(network, x)
    one_by_one = logit_gradients(network, x, max_values=1)
    hooked = logit_gradients(hook_units(network, x, ["1", "3"]), x)
    with torch.inference_mode():
        inside = logit_gradients(network, x)
    for traced, named in (("0", "1"), ("2", "3")):
        assert whole[traced].shape == (7, 3, {"0": 5, "2": 4}[traced])
        for other in (one_by_one[traced], hooked[named], inside[traced]):
            np.testing.assert_allclose(other, whole[traced], rtol=1e-12)
