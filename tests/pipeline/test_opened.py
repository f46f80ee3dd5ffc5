"""A network of torchvision in a profile: opened, never stored, its keys follow file and data."""

import pytest
import torch
from helpers.tiny_profile import write_profile

from localspec.data import Dataset
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings, TorchvisionSettings
from localspec.pipeline import _replicate as module
from localspec.pipeline import load_profile, open_replicate

NETWORKS = {
    "random": {"dataset": "imagenet-sample", "architecture": "squeezenet1_1"},
    "mlp": {"dataset": "digits", "hidden": [8]},
}
NETWORKS["file"] = NETWORKS["random"] | {"weights": "own.pth"}


@pytest.fixture
def profile(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_DATA", str(tmp_path))
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    content = {"networks": NETWORKS, "seeds": [0, 1], "device": "cpu"}
    return load_profile(write_profile(tmp_path, content))


def test_settings_are_of_their_kind(profile):
    assert type(profile.networks["random"]) is TorchvisionSettings
    assert type(profile.networks["mlp"]) is NetworkSettings
    assert profile.networks["random"].branches


def test_options_of_training_are_refused(tmp_path):
    bad = {**NETWORKS["random"], "n_epochs": 3}
    path = write_profile(tmp_path, {"networks": {"random": bad}, "seeds": [0]})
    with pytest.raises(InvalidInputError, match="n_epochs is no option of squeezenet1_1"):
        load_profile(path)


def test_a_missing_file_is_an_error_where_it_is_needed(profile):
    replicate = open_replicate(profile, "file", 0, progress=False)
    with pytest.raises(InvalidInputError, match="there are no weights"):
        _ = replicate.trained


def test_keys_follow_seed_and_data(profile, monkeypatch, tmp_path):
    x, y = torch.zeros(2, 3, 8, 8), torch.arange(2)
    sums = {"sum": "a"}

    def dataset(*_):
        return Dataset("sample", x, y, x, y, ("a", "b"), fingerprint=sums["sum"])

    monkeypatch.setattr(module, "_dataset", dataset)
    first, other = (open_replicate(profile, "random", seed, progress=False) for seed in (0, 1))
    assert first.stored_network().key != other.stored_network().key
    before = first.stored_network().key
    sums["sum"] = "b"
    assert first.stored_network().key != before
    assert first.stored_path is None
    assert not (tmp_path / "results").exists()
