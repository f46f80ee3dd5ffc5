"""Architectures, initial weights, devices, and networks from files."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from localspec._utils.hardware import resolve_device
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings, build_network
from localspec.networks._architectures import ResidualBlock, mlp
from localspec.networks._initialisation import initialise

SETTINGS = NetworkSettings(dataset="digits", hidden=(200, 100))


def kinds(network):
    return " ".join(type(module).__name__ for module in network)


def test_mlp():
    network = mlp(12, (5, 4), 3)
    assert kinds(network) == "Flatten Linear ReLU Linear ReLU Linear"
    widths = [(m.in_features, m.out_features) for m in network if isinstance(m, nn.Linear)]
    assert widths == [(12, 5), (5, 4), (4, 3)]
    assert network(torch.ones(2, 1, 3, 4)).shape == (2, 3)


def test_dropout_follows_every_hidden_layer():
    network = mlp(12, (5, 4), 3, dropout=0.25)
    assert kinds(network) == "Flatten Linear ReLU Dropout Linear ReLU Dropout Linear"
    assert [module.p for module in network if isinstance(module, nn.Dropout)] == [0.25, 0.25]


LAST = [512, 512, 512, "pool"]
VGG = NetworkSettings(
    dataset="cifar10",
    architecture="vgg",
    channels=[64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", *LAST, *LAST],
    hidden=(512, 512),
    conv_dropouts=(0.3, 0, 0.4, 0, 0.4, 0.4, 0, 0.4, 0.4, 0, 0.4, 0.4, 0.5),
    dropouts=(0.5, 0),
)


def test_vgg():
    network = build_network(VGG, (3, 32, 32), 10, seed=0)
    names = {
        nn.Conv2d: "conv",
        nn.Linear: "dense",
        nn.ReLU: "relu",
        nn.MaxPool2d: "pool",
        nn.BatchNorm2d: "norm",
        nn.BatchNorm1d: "norm",
        nn.Flatten: "flatten",
    }
    plain, last = "conv relu norm", "conv relu pool norm"
    three = f"{plain} drop-0.4 {plain} drop-0.4 {last}"
    head = "drop-0.5 flatten dense relu norm drop-0.5 dense relu dense"
    parts = [f"{plain} drop-0.3 {last}", f"{plain} drop-0.4 {last}", three, three, three, head]
    order = [names.get(type(module)) or f"drop-{module.p}" for module in network]
    assert " ".join(order) == " ".join(parts)
    convolutions = [module for module in network if isinstance(module, nn.Conv2d)]
    widths = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert [conv.out_channels for conv in convolutions] == widths
    assert {(conv.kernel_size, conv.padding) for conv in convolutions} == {((3, 3), (1, 1))}
    dense = [(m.in_features, m.out_features) for m in network if isinstance(m, nn.Linear)]
    assert dense == [(512, 512), (512, 512), (512, 10)]
    assert VGG.n_tested_units == 4224
    with torch.no_grad():
        assert network.eval()(torch.ones(2, 3, 32, 32)).shape == (2, 10)


def test_the_cnn_of_the_paper():
    options = {"channels": (64, 64, "pool", 64, "pool"), "hidden": (128,)}
    settings = NetworkSettings(dataset="mnist", architecture="cnn", **options)
    network = build_network(settings, (1, 28, 28), 10, seed=0)
    assert kinds(network) == (
        "Conv2d ReLU Conv2d ReLU MaxPool2d Conv2d ReLU MaxPool2d Flatten Linear ReLU Linear"
    )
    shapes = [tuple(p.shape) for p in network.parameters() if p.ndim > 1]
    assert shapes == [(64, 1, 3, 3), (64, 64, 3, 3), (64, 64, 3, 3), (128, 3136), (10, 128)]


@pytest.mark.parametrize("kernels", ["glorot", "he"])
def test_uniform_kernels_and_zero_biases(kernels):
    settings = SETTINGS.model_copy(update={"initialisation": kernels})
    network = build_network(settings, (1, 20, 20), 10, seed=0)
    for layer in (module for module in network if isinstance(module, nn.Linear)):
        mean_width = (layer.in_features + layer.out_features) / 2
        bound = math.sqrt(3 / mean_width if kernels == "glorot" else 6 / layer.in_features)
        weights = layer.weight.detach()
        assert 0.98 * bound < weights.abs().max() <= bound
        # a uniform number has mean 0 and variance bound^2 / 3
        assert weights.mean().abs() < 4 * bound / math.sqrt(3 * weights.numel())
        assert weights.var().item() == pytest.approx(bound**2 / 3, rel=0.1)
        assert not layer.bias.any()


def test_glorot_counts_the_area_of_a_kernel():
    layer = nn.Conv2d(16, 32, 3)
    initialise(nn.Sequential(layer), torch.Generator().manual_seed(0))
    bound = math.sqrt(6 / (9 * 16 + 9 * 32))
    assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()


def test_the_seed_alone_decides_the_weights():
    first, again, other = (
        build_network(SETTINGS, (1, 8, 8), 10, seed=seed)[1].weight for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_building_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    build_network(SETTINGS, (1, 8, 8), 10, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_precision():
    network = build_network(SETTINGS, (1, 8, 8), 10, seed=0, dtype="float64")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float64}


# --- devices ---


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("cpu").type == resolve_device("auto").type == "cpu"
    with pytest.raises(InvalidInputError, match="device 'cuda' is not there: use 'cpu' or 'auto'"):
        resolve_device("cuda")
    with pytest.raises(InvalidInputError, match="choose one of 'auto', 'cpu', 'cuda'"):
        resolve_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == resolve_device("cuda").type == "cuda"
    assert resolve_device("cpu").type == "cpu"


# --- residual networks ---

RESNET = {"dataset": "digits", "architecture": "resnet", "channels": [3, 3, 5]}


def test_a_residual_block_adds_its_input():
    block = ResidualBlock(2, 2).double().eval()
    with torch.no_grad():
        block.conv1.weight.zero_()
        block.conv2.weight.zero_()
    x = torch.tensor([[[[1.0, -2.0]], [[3.0, 0.5]]]], dtype=torch.float64)
    # the convolutions give 0, which normalization leaves (mean 0, variance 1, no shift)
    assert block(x).tolist() == [[[[1.0, 0.0]], [[3.0, 0.5]]]]


def test_a_block_of_other_channels_halves_the_image():
    settings = NetworkSettings(**RESNET)
    module = build_network(settings, (1, 8, 8), 4, seed=0)
    module.eval()
    assert module.block1(torch.zeros(2, 3, 8, 8)).shape == (2, 3, 8, 8)
    assert module.block2(torch.zeros(2, 3, 8, 8)).shape == (2, 5, 4, 4)
    assert module(torch.zeros(2, 1, 8, 8)).shape == (2, 4)
    # the first convolution; block 1: inner and sum; block 2: inner and sum
    assert settings.n_tested_units == 3 + 3 + 3 + 5 + 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": [3]}, "one or more blocks"),
        ({"channels": [3, "pool", 5]}, "without 'pool'"),
        ({"hidden": [4]}, "none for a resnet"),
        ({"batch_norm": "after"}, "always has batch normalization"),
        ({"dropout": 0.5}, "never dropout"),
    ],
)
def test_what_a_resnet_has_no_option_for(changes, said):
    with pytest.raises(InvalidInputError, match=said):
        NetworkSettings(**{**RESNET, **changes})


@pytest.mark.parametrize("kind", [list, torch.tensor, partial(np.array, dtype=np.int8)])
def test_a_shape_of_numbers_of_any_type(kind):
    settings = NetworkSettings(dataset="made", hidden=(2,))
    network = build_network(settings, kind([1, 28, 28]), 3, seed=0)  # 784 is no int8
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 3)
