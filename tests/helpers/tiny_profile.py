"""A profile so small that all of its stages take seconds, computed once for all tests."""

import pytest
import yaml

from localspec.pipeline import SynthesisSection, open_replicates

TINY = {
    "dtype": "float64",
    "device": "cpu",
    "networks": {
        "mlp": {"dataset": "digits", "hidden": [14, 12], "n_epochs": 6, "batch_size": 32},
    },
    "seeds": [0, 1],
    "method": {"n_clusters": 3, "n_shuffles": 4, "n_images": 150, "n_draws": 7, "n_steps": 4},
}


def write_profile(folder, content, name="small"):
    """Write a profile into a folder; return its path."""
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def tiny(**changes):
    """Return the content of the tiny profile with some settings of its network changed."""
    return TINY | {"networks": {"mlp": TINY["networks"]["mlp"] | changes}}


@pytest.fixture(scope="session")
def tiny_profile(tmp_path_factory):
    """Path of the tiny profile."""
    return write_profile(tmp_path_factory.mktemp("profiles"), TINY, "tiny")


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Folder for results that all integration tests share."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def few_starts():
    """Let k-means start twice only: for tests that are not about how good clusters are.

    What is stored then has the keys of full runs: keep it in a folder for results of its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("localspec.clustering._spectral.N_STARTS", 2)
        yield


@pytest.fixture(autouse=True)
def _integration_results(request, monkeypatch):
    """Let integration tests write to the folder that they share, and leave no record."""
    if request.node.get_closest_marker("integration"):
        monkeypatch.setenv("LOCALSPEC_RESULTS", str(request.getfixturevalue("results")))
        monkeypatch.delenv("LOCALSPEC_RECORD", raising=False)


@pytest.fixture(scope="session")
def section(tiny_profile):
    """Return what makes the synthesis notebook's parameters, with some of them changed."""

    def make(**changes):
        parameters = {"profile": tiny_profile, "seeds": TINY["seeds"], **TINY["method"]}
        parameters.pop("n_shuffles"), parameters.pop("n_images")  # not that notebook's
        return SynthesisSection(**{**parameters, **changes})

    return make


@pytest.fixture(scope="session")
def replicates(section):
    """Both replicates of the tiny profile, which keep what they computed or loaded."""
    return open_replicates(section(), progress=False)
