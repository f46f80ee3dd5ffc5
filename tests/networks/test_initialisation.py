"""Clusterable initialisation, by hand."""

import pytest
import torch
from helpers.networks import conv, dense, stack
from torch import nn

from localspec.networks import NetworkSettings, build_network
from localspec.networks._initialisation import N_MODULES, initialise_clusterable, rescale_modules


def ratios(**changes):
    """Return, for every kernel, the weights of a clusterable network over those of a plain one."""
    settings = {"dataset": "toy", "hidden": (30, 20), **changes}
    plain, rescaled = (
        build_network(NetworkSettings(**settings, **more), (1, 6, 6), 10, seed=3, dtype="float64")
        for more in ({}, {"module_distance": 0.6})
    )
    pairs = zip(plain.parameters(), rescaled.parameters(), strict=True)
    return [(new / old).detach() for old, new in pairs if old.ndim > 1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torchs_default_type_changes_nothing(dtype):
    settings = NetworkSettings(dataset="toy", hidden=(30, 20), module_distance=0.6)
    plain = build_network(settings, (1, 6, 6), 10, seed=3, dtype=dtype)
    torch.set_default_dtype(torch.float64)
    try:
        other = build_network(settings, (1, 6, 6), 10, seed=3, dtype=dtype)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, plain.parameters(), other.parameters()))


def test_a_dense_and_a_convolutional_kernel_by_hand():
    # inside: 1 + 9 (1 - 0.8) = 2.8
    first = torch.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    second = torch.ones(1, 2, 1, 2)
    modules = [torch.tensor([0, 7, 3]), torch.tensor([7, 3]), torch.tensor([3])]
    rescale_modules([first, second], modules, 0.8)
    expected = torch.tensor([[0.8, -5.6, 2.4], [3.2, 4.0, -16.8]])
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(second, torch.tensor([[[[0.8, 0.8]], [[2.8, 2.8]]]]))


def test_two_dense_layers_by_hand():
    network = stack(dense([[1.0, 2.0]] * 3), nn.ReLU(), dense([[1.0, 1.0, 1.0]] * 10))
    initialise_clusterable(network, 0.5, torch.Generator().manual_seed(0))
    assert network[0].weight.tolist() == [[1.0, 2.0]] * 3  # the first is left alone
    # output i is in module i: each of the three units has one output in its own
    inside = network[2].weight == 5.5
    assert inside.sum(dim=0).tolist() == [1, 1, 1]
    assert torch.equal(network[2].weight == 0.5, ~inside)
    drawn = torch.randint(N_MODULES, (3,), generator=torch.Generator().manual_seed(0))
    assert inside.int().argmax(dim=0).tolist() == drawn.tolist()


def test_only_two_factors_and_about_a_tenth_inside():
    first, *others = ratios(hidden=(200, 200, 200))
    assert torch.allclose(first, torch.ones(()).double())
    for ratio in others:
        inside = torch.isclose(ratio, torch.tensor(1 + 9 * 0.4).double())
        assert torch.allclose(ratio[~inside], torch.tensor(0.6).double())
        assert inside.double().mean().item() == pytest.approx(0.1, abs=0.02)


def test_a_units_module_is_the_same_for_what_it_reads_and_for_what_reads_it():
    _, second, output = (ratio > 1 for ratio in ratios(hidden=(60, 30)))
    read_by = output.int().argmax(dim=0)  # of the units of the second layer, by the outputs
    for unit in range(30):
        for other in range(unit):
            together = torch.equal(second[unit], second[other])
            assert together == (read_by[unit] == read_by[other])


def test_of_a_cnn_only_convolutions():
    first, second, *dense_layers = ratios(architecture="cnn", channels=(20, 30), hidden=(20,))
    unchanged = torch.ones(()).double()
    assert torch.allclose(first, unchanged)
    assert not torch.allclose(second, unchanged)
    assert all(torch.allclose(ratio, unchanged) for ratio in dense_layers)
    assert (second == second[:, :, :1, :1]).double().mean() > 0.1  # one factor for a whole slice
    assert torch.allclose(second, second[:, :, :1, :1].expand_as(second))


def test_the_seed_decides():
    kernels = []
    for seed in (0, 0, 1):
        network = stack(conv([[[[1.0]]]] * 40), conv([[[[1.0]]] * 40] * 40))
        initialise_clusterable(network, 0.8, torch.Generator().manual_seed(seed))
        kernels.append(network[1].weight.detach())
    assert torch.equal(kernels[0], kernels[1])
    assert not torch.equal(kernels[0], kernels[2])
