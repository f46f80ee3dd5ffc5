"""Convolutions of small maps as matrix products: the same values, and put back afterwards."""

from itertools import pairwise

import pytest
import torch
from helpers.networks import conv, made, stack
from torch import nn

from localspec.units import fast_convolutions, is_channels_last, trace_units


def network(**options):
    """Return a convolution of 4 x 4 maps with these options, and a dense layer."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 2 // options.get("groups", 1), 3, 3, generator=generator)
    return stack(
        conv(weight, [0.5, -1.0, 2.0], **options), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    )


MANY = 1000  # images
IMAGES = torch.rand(5, 2, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def kinds(unit_map):
    return [type(module).__name__ for module in unit_map.graph_module.children()]


@pytest.mark.parametrize(
    "options", [{}, {"padding": 1}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2}]
)
def test_values_are_those_of_the_convolution(options):
    module = network(**options)
    expected = module(IMAGES)
    unit_map = trace_units(module)
    with fast_convolutions(unit_map, IMAGES[:1], MANY, kept=()), torch.inference_mode():
        assert kinds(unit_map)[0] == "_DenseConvolution"
        (logits,) = unit_map.run(IMAGES)
    assert torch.allclose(logits, expected, rtol=1e-12, atol=1e-12)
    assert kinds(unit_map)[0] == "Conv2d"


def test_the_matrix_by_hand():
    # kernel 1 2 on a row of three: outputs x0 + 2 x1 and x1 + 2 x2, plus the bias 10
    module = stack(conv([[[[1.0, 2.0]]]], [10.0]), nn.Flatten(), nn.LazyLinear(2))
    row = torch.tensor([[[[3.0, 5.0, 7.0]]]], dtype=torch.float64)
    module(row)
    unit_map = trace_units(module)
    with fast_convolutions(unit_map, row, MANY, kept=()):
        dense = unit_map.graph_module.get_submodule("0")
        assert dense.matrix.tolist() == [[1, 0], [2, 1], [0, 2]]
        assert dense(row).tolist() == [[[[23, 29]]]]


def test_put_back_after_an_error():
    module = network(padding=1)
    module(IMAGES)
    unit_map = trace_units(module)
    with pytest.raises(KeyError), fast_convolutions(unit_map, IMAGES[:1], MANY, kept=()):
        raise KeyError
    assert kinds(unit_map)[0] == "Conv2d"


def stacked(*channels, kernel=3):
    """Return convolutions of these channels one after the other, and a head."""
    layers = [
        nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2) for n_in, n_out in pairwise(channels)
    ]
    return stack(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], 2))


@pytest.mark.parametrize(
    ("channels", "size", "n_images", "expected"),
    [
        ((2, 4), 6, MANY, ["_DenseConvolution"]),  # 36 pixels, 4 times a kernel of 9: small
        ((2, 4), 7, MANY, ["Conv2d"]),  # 49 are more
        ((16, 32), 4, MANY, ["_DenseConvolution"]),  # 256 x 512 entries, 16 pixels: below 2 x 9
        ((16, 32), 5, MANY, ["Conv2d"]),
        ((16, 32), 4, 199, ["Conv2d"]),  # making it would take longer than it saves
        ((2, 1024, 1024), 4, MANY, ["_DenseConvolution", "Conv2d"]),  # 2 GiB
    ],
)
def test_a_matrix_where_it_pays(channels, size, n_images, expected):
    unit_map = trace_units(stacked(*channels))
    image = torch.zeros(1, channels[0], size, size, dtype=torch.float64)
    with fast_convolutions(unit_map, image, n_images, kept=()):
        assert kinds(unit_map)[: len(expected)] == expected


def test_single_precision_has_its_channels_last_in_memory():
    module = network(padding=1)
    module(IMAGES)
    unit_map, images = trace_units(module.float()), IMAGES.float()
    expected = module(images)
    with fast_convolutions(unit_map, images[:1], MANY, kept=()), torch.inference_mode():
        assert is_channels_last(unit_map.graph_module.get_submodule("0"))
        (logits,) = unit_map.run(images)
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-6)
    assert unit_map.graph_module.get_submodule("0") is module[0]
    assert not is_channels_last(module[0])


def test_maps_that_are_viewed_may_have_their_channels_last():
    def forward(m, x):
        return m.out(m.layer(x).relu().view(-1, 12))

    module = made(forward, layer=nn.Conv2d(2, 3, 3), out=nn.Linear(12, 2)).float()
    unit_map = trace_units(module)
    images = IMAGES.float()
    with fast_convolutions(unit_map, images[:1], MANY, kept=()):
        assert is_channels_last(unit_map.graph_module.get_submodule("layer"))
        assert torch.allclose(unit_map.run(images)[0], module(images), rtol=1e-5, atol=1e-6)


def test_a_convolution_takes_in_the_normalization_that_reads_it_by_hand():
    # 2 x + 1, then (value - 3) / 4 * 5 + 6: 2.5 x + 3.5
    norm = nn.BatchNorm2d(1, eps=0.0)
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(16.0)
    with torch.no_grad():
        norm.weight.fill_(5.0)
        norm.bias.fill_(6.0)
    module = stack(conv([[[[2.0]]]], [1.0]), norm, nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    image = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64)
    module(image)
    unit_map, image = trace_units(module.float()), image.float()
    (expected,) = unit_map.run(image)
    nodes = list(unit_map.graph_module.graph.nodes)
    with fast_convolutions(unit_map, image, MANY, kept=()):
        assert unit_map.run(image, stops=(nodes[1],))[0].tolist() == [[[[6.0, 8.5]]]]
        assert torch.allclose(unit_map.run(image)[0], expected)
        assert kinds(unit_map)[1] == "Identity"
    assert kinds(unit_map)[1] == "BatchNorm2d"
    with fast_convolutions(unit_map, image, MANY, kept={nodes[1]}):
        assert unit_map.run(image, stops=(nodes[1],))[0].tolist() == [[[[3.0, 5.0]]]]


def test_a_convolution_with_another_reader_keeps_its_value():
    def forward(m, x):
        maps = m.layer(x)
        return m.out((m.norm(maps) + maps).relu().mean((2, 3)))

    parts = {"layer": nn.Conv2d(2, 2, 1), "norm": nn.BatchNorm2d(2), "out": nn.Linear(2, 2)}
    module = made(forward, parts).float()
    unit_map = trace_units(module)
    images = IMAGES.float()
    with fast_convolutions(unit_map, images[:1], MANY, kept=()), torch.inference_mode():
        assert isinstance(unit_map.graph_module.get_submodule("norm"), nn.BatchNorm2d)
        assert torch.allclose(unit_map.run(images)[0], module(images), rtol=1e-5, atol=1e-6)
