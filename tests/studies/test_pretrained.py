"""Networks of ImageNet beside the published figures of their architecture."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers.graphs import plain_ncut
from helpers.tiny_profile import write_profile

from localspec.data import import_torchvision
from localspec.pipeline import ImageNetSection, open_replicates
from localspec.studies.published import (
    has_published_figures,
    plot_pretrained,
    pretrained_table,
    weights_are_there,
)

RUNS = Path(__file__).parents[2] / "book" / "runs"
VGG = {"dataset": "imagenet-sample", "architecture": "vgg16", "published": "VGG-16"}


@pytest.fixture
def replicates(tmp_path, monkeypatch):
    """A network with random weights and one whose file of weights is not there."""
    monkeypatch.setenv("LOCALSPEC_DATA", str(tmp_path))
    networks = {"random": VGG, "absent": {**VGG, "weights": "vgg16.pth"}}
    path = write_profile(tmp_path, {"networks": networks, "seeds": [0], "device": "cpu"})
    section = ImageNetSection(profile=path, networks=["random", "absent"])
    return open_replicates(section, only=has_published_figures)


def test_what_is_not_run_says_so(replicates):
    table = pretrained_table(replicates[1:])
    assert table["run"].tolist() == ["not run here"]
    assert table["weights"].tolist() == ["vgg16.pth"]
    assert table["published_ncut"].tolist() == pytest.approx([7.79976])
    assert table["published_z_score"].tolist() == pytest.approx([-22.1362])
    assert plot_pretrained(table).axes


def test_weights_are_looked_for(replicates, tmp_path):
    random, absent = (replicate.settings for replicate in replicates)
    assert weights_are_there(random)
    assert not weights_are_there(absent)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "vgg16.pth").write_bytes(b"")
    assert weights_are_there(absent)


@pytest.mark.integration
def test_a_published_number_by_a_plain_implementation():
    path = RUNS / "imagenet-ncuts" / "tables" / "imagenet_ncuts.csv"
    table = pd.read_csv(path).set_index("network")
    torch.manual_seed(0)
    module = import_torchvision().models.vgg16(weights=None)
    kernels = [
        layer.weight.detach().abs().sum(dim=(2, 3)).double().numpy()
        for layer in module.features
        if isinstance(layer, torch.nn.Conv2d)
    ]
    assert table.loc["vgg16-random", "n_units"] == sum(len(kernel) for kernel in kernels)
    value = plain_ncut(kernels[1:])  # the first one reads the image
    assert float(table.loc["vgg16-random", "ncut"]) == pytest.approx(value, rel=5e-3)
