"""The images that excite sets of units most: by hand, and against a loop over images."""

import numpy as np
import pytest
import torch
from helpers.networks import conv, dense, random_mlp, stack
from torch import nn

from localspec._utils.hardware import limited_threads
from localspec.visualization import exciting_images
from localspec.visualization._exciting_images import leading_bits, top_images

# two units: a pixel each, the second one negated
NETWORK = stack(dense([[1, 0], [0, -1]]), nn.ReLU(), dense([[1, 1], [0, 1]]))
IMAGES = torch.tensor([[1, 1], [0, 3], [-4, 0], [2, 1], [1, -2]], dtype=torch.float64)
BOTH, FIRST, SECOND = ({"0": np.array(units)} for units in ([0, 1], [0], [1]))


def test_by_hand():
    exciting = exciting_images(NETWORK, IMAGES, [FIRST, BOTH, SECOND], n_images=3)
    # |first|: 1 0 4 2 1; |second|: 1 3 0 1 2; their sums: 2 3 4 3 3
    assert exciting.scores.tolist() == [[4, 2, 1], [4, 3, 3], [3, 2, 1]]
    assert exciting.indices.tolist() == [[2, 3, 0], [2, 1, 3], [1, 4, 0]]


def test_a_channel_counts_as_the_magnitude_of_its_mean_before_the_relu():
    network = stack(conv([[[[1.0]]]]), nn.ReLU(), nn.Flatten(), dense([[1, 1, 1, 1]]))
    images = torch.tensor(
        [[[[4, -4], [4, -4]]], [[[-1, -1], [-1, -1]]], [[[3, 0], [0, 0]]]], dtype=torch.float64
    )
    exciting = exciting_images(network, images, [{"0": np.array([0])}], n_images=3)
    assert exciting.indices.tolist() == [[1, 2, 0]]
    assert exciting.scores.tolist() == [[1, 0.75, 0]]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 7, 500])
def test_like_a_loop_over_images(batch_size, n_threads):
    network = random_mlp([5, 8, 6, 3], seed=1)
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    targets = [
        {"2": np.array([0, 5])},
        {"0": np.array([1, 2, 7])},
        {"2": np.array([3])},
        {"4": np.array([0, 2])},
    ]
    with limited_threads(n_threads):
        exciting = exciting_images(network, x, targets, n_images=4, batch_size=batch_size)
    for row, target in enumerate(targets):
        ((name, units),) = target.items()
        scored = []
        for index, image in enumerate(x):
            value = network[: int(name) + 1](image[None])[0].detach()
            scored.append((-float(value[units].abs().sum()), index))
        best = sorted(scored)[:4]
        assert exciting.indices[row].tolist() == [index for _, index in best]
        assert exciting.scores[row] == pytest.approx([-score for score, _ in best], rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 500])
def test_of_equal_images_the_first_ones_come_first(batch_size):
    images = IMAGES[[4, 0, 4, 0, 4, 0]].repeat(2, 1)
    exciting = exciting_images(NETWORK, images, [BOTH], n_images=5, batch_size=batch_size)
    assert exciting.indices.tolist() == [[0, 2, 4, 6, 8]]


def test_rounding_breaks_no_tie():
    scores = np.array([[1.0, 1.0 + 1e-12, 1.0 - 1e-12, 1.0 + 1e-6]])
    assert top_images(scores, np.arange(4)[None], 4)[1].tolist() == [[3, 0, 1, 2]]
    assert top_images(scores, np.arange(4)[None], 4, n_bits=16)[1].tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("value", "n_bits", "expected"), [(5.0, 2, 4.0), (7.0, 2, 8.0), (-7.0, 2, -8.0), (0.1, 53, 0.1)]
)
def test_leading_bits(value, n_bits, expected):
    assert leading_bits(np.array(value), n_bits) == expected


def test_no_targets():
    exciting = exciting_images(NETWORK, IMAGES, [], n_images=2)
    assert exciting.indices.shape == exciting.scores.shape == (0, 2)
