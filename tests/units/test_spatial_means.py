"""Means over space without a convolution's values, against the convolution itself."""

import pytest
import torch
from helpers.networks import conv, dense, stack
from torch import nn

from localspec.units import spatial_means, trace_units

GENERATOR = torch.Generator().manual_seed(0)


def random(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def means_of(network, x, name="0"):
    """Return means by `spatial_means`, and by a plain pass; with the node the pass ends at."""
    unit_map = trace_units(network)
    target = unit_map.layer(name).pre_activation
    node, means = spatial_means(unit_map, target)
    (read,) = unit_map.run(x, stops=(node,))
    (value,) = unit_map.run(x, stops=(target,))
    return node, means(read), value


def check_means(network, x):
    """Compare with the convolution's own values; return the node the pass ends at."""
    node, means, value = means_of(network, x)
    assert torch.allclose(means, value.mean(dim=(2, 3)), rtol=1e-12, atol=1e-12)
    return node


def one_convolution(layer, x):
    """Return a convolution of random weights, and a head for its values on these images."""
    layer.weight.data = random(*layer.weight.shape)
    network = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).double().eval()
    network(x)
    return network


def test_by_hand():
    # 2 x 2 windows of [[1, 2, 3], [4, 5, 6]]: two places, of which the upper left entry meets 1
    # and 2 (mean 1.5), then 2 and 3, 4 and 5, 5 and 6
    network = stack(
        conv([[[[1.0, 10.0], [100.0, 1000.0]]]], [7.0]), nn.ReLU(), nn.Flatten(), dense([[1.0, 1]])
    )
    x = torch.tensor([[[[1.0, 2, 3], [4, 5, 6]]]], dtype=torch.float64)
    _, means, _ = means_of(network, x)
    assert means.tolist() == [[1.5 + 25 + 450 + 5500 + 7]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": 1},
        {"padding": (0, 2)},
        {"stride": 2, "padding": 1},
        {"stride": (1, 3)},
        {"dilation": 2, "padding": 2},
        {"padding": "same", "kernel_size": 3},
        {"padding": "valid"},
        {"bias": False, "padding": 1},
    ],
)
@pytest.mark.parametrize("size", [(6, 7), (5, 5)])
def test_means_are_those_of_the_convolution(options, size):
    x = random(3, 2, *size)
    network = one_convolution(nn.Conv2d(2, 4, **{"kernel_size": (3, 2), **options}), x)
    assert check_means(network, x).op == "placeholder"


def test_maps_with_the_channels_last_in_memory():
    layer = conv(random(4, 2, 3, 3), random(4), padding=1)
    network = stack(layer, nn.ReLU(), nn.Flatten(), dense(random(2, 120)))
    x = random(3, 2, 5, 6).to(memory_format=torch.channels_last)
    check_means(network, x)


def test_gradients_are_those_of_the_convolution():
    network = stack(
        conv(random(4, 2, 3, 3), random(4), padding=1),
        nn.ReLU(),
        nn.Flatten(),
        dense(random(2, 120)),
    )
    x = random(3, 2, 5, 6).requires_grad_(True)
    _, means, value = means_of(network, x)
    weights = random(3, 4)
    gradients = [
        torch.autograd.grad((average * weights).sum(), x)[0]
        for average in (means, value.mean(dim=(2, 3)))
    ]
    assert torch.allclose(*gradients, rtol=1e-12, atol=1e-12)


def test_batch_normalization_behind_a_convolution():
    norm = nn.BatchNorm2d(4, dtype=torch.float64)
    norm.running_mean, norm.running_var = random(4), random(4).abs()
    norm.weight.data, norm.bias.data = random(4), random(4)
    network = stack(conv(random(4, 2, 3, 3)), norm, nn.ReLU(), nn.Flatten(), dense(random(2, 48)))
    assert check_means(network, random(3, 2, 5, 6)).op == "placeholder"


@pytest.mark.parametrize("options", [{"groups": 2}, {"padding": 1, "padding_mode": "circular"}])
def test_other_convolutions_run_as_they_are(options):
    x = random(3, 2, 5, 5)
    network = one_convolution(nn.Conv2d(2, 4, 3, **options), x)
    assert check_means(network, x).target == "0"


def test_dense_layers_have_no_space():
    network = stack(nn.Flatten(), dense(random(3, 4)), nn.ReLU(), dense(random(2, 3)))
    node, means, value = means_of(network, random(5, 1, 2, 2), "1")
    assert node.target == "1"
    assert torch.equal(means, value)
