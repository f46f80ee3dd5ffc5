"""Engines against the straightforward way, as ratios measured in the same run.

`make bench` prints a table for each group; the first line of a group is the faster one and the
numbers in brackets are ratios to it.
"""

import numpy as np
import pytest
import torch
from torch import nn

from localspec.lesions import lesion_accuracies
from localspec.networks import initialise, mlp

HIDDEN = (256, 256, 256, 256)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    module = mlp(784, HIDDEN, 10)
    initialise(module, torch.Generator().manual_seed(0))
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2000, 1, 28, 28, generator=generator)
    return x, torch.arange(len(x)) % 10


@pytest.fixture(scope="module")
def lesions() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    names = [f"dense{index + 1}" for index in range(len(HIDDEN))]
    return [{names[i % 4]: rng.choice(256, 16, replace=False)} for i in range(80)]


def hook_and_forward(network, images, lesions) -> None:
    """Zero the units by a hook and run every image through the whole network."""
    for lesion in lesions:
        ((name, units),) = lesion.items()
        indices = torch.from_numpy(units)

        def zero(module, inputs, output, indices=indices):
            return output.index_fill(1, indices, 0)

        handle = network.get_submodule(name).register_forward_hook(zero)
        with torch.inference_mode():
            for part in images[0].split(1000):
                network(part).argmax(1)
        handle.remove()


@pytest.mark.benchmark(group="lesions: 80 of an MLP, 2,000 images")
@pytest.mark.parametrize("way", ["engine", "loop"])
def test_lesions(benchmark, network, images, lesions, way):
    if way == "engine":
        benchmark(lesion_accuracies, network, *images, lesions)
    else:
        benchmark(hook_and_forward, network, images, lesions)
