"""A small screening: a network, images, names of classes that HTML must escape, settings."""

import pandas as pd
import torch
from torch import nn

from helpers.refusals import mlp

IMAGES = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(3))
CLASSES = ["<b>bold</b>", "fish & chips", '"quoted"']
SETTINGS = {"n_clusters": 3, "n_draws": 4, "seed": 1}


def balanced() -> tuple[nn.Sequential, torch.Tensor]:
    """Return a network that names each class for some images, and labels mostly as it says."""
    network = mlp()
    with torch.no_grad():
        for index in (1, 3, 5):  # each unit is on for about half of the images
            network[index].bias -= network[: index + 1](IMAGES).mean(0)
        y = network(IMAGES).argmax(1)
    wrong = torch.arange(len(y)) % 7 == 0
    return network, torch.where(wrong, (y + 1) % 3, y)


class Branching(nn.Module):
    """Branches on a value of its images, which a trace cannot follow."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x.clamp(min=0) if x.max() > 2 else x)


def check_same(found, report, measure="importance"):
    """Check one partitioning and measure of a screening against those of the whole."""
    key, columns = ["layer", "cluster"], ["n_units", measure, f"{measure}_p"]
    whole = report.table[report.table["partitioning"] == "activations/local"]
    tables = [part.set_index(key)[columns].sort_index() for part in (found.table, whole)]
    pd.testing.assert_frame_equal(*tables)
    assert found.baseline == report.baseline
