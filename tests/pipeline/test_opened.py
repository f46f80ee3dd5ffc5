"""A network of torchvision in a profile: opened, never stored, its keys follow file and data."""

import pytest
import torch
import yaml

from localspec.data import Dataset
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings, TorchvisionSettings
from localspec.pipeline import Replicate, load_profile
from localspec.pipeline import _replicate as module

NETWORKS = {
    "random": {"dataset": "imagenet-sample", "architecture": "squeezenet1_1"},
    "file": {
        "dataset": "imagenet-sample",
        "architecture": "squeezenet1_1",
        "weights": "own.pth",
    },
    "mlp": {"dataset": "digits", "hidden": [8]},
}


@pytest.fixture
def profile(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_DATA", str(tmp_path))
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    path = tmp_path / "small.yml"
    path.write_text(yaml.safe_dump({"networks": NETWORKS, "seeds": [0, 1], "device": "cpu"}))
    return load_profile(path)


def test_settings_are_of_their_kind(profile):
    assert type(profile.networks["random"]) is TorchvisionSettings
    assert type(profile.networks["mlp"]) is NetworkSettings
    assert profile.networks["random"].branches


def test_options_of_training_are_refused(tmp_path):
    path = tmp_path / "other.yml"
    bad = {**NETWORKS["random"], "n_epochs": 3}
    path.write_text(yaml.safe_dump({"networks": {"random": bad}, "seeds": [0]}))
    with pytest.raises(InvalidInputError, match="n_epochs is no option of squeezenet1_1"):
        load_profile(path)


def test_a_missing_file_is_an_error_where_it_is_needed(profile):
    replicate = Replicate(profile, "file", 0, progress=False)
    with pytest.raises(InvalidInputError, match="there are no weights"):
        _ = replicate.trained


def test_keys_follow_seed_and_data(profile, monkeypatch, tmp_path):
    x, y = torch.zeros(2, 3, 8, 8), torch.arange(2)
    sums = {"sum": "a"}

    def dataset(*_):
        return Dataset("sample", x, y, x, y, ("a", "b"), fingerprint=sums["sum"])

    monkeypatch.setattr(module, "_dataset", dataset)
    first, other = (Replicate(profile, "random", seed, progress=False) for seed in (0, 1))
    assert first.stored_network().key != other.stored_network().key
    before = first.graph_key("weights"), first.graph_key("activations"), first.lesion_parameters()
    sums["sum"] = "b"
    after = first.graph_key("weights"), first.graph_key("activations"), first.lesion_parameters()
    assert before[0] == after[0]  # weights are the same, whatever the images
    assert before[1] != after[1]
    assert before[2] != after[2]
    assert not (tmp_path / "results").exists()
