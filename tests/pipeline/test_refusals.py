"""Profiles and parameters of notebooks that are refused."""

import copy
import os

import pandas as pd
import pytest
import yaml
from helpers.refusals import cases, check_refused, disk_full

from localspec._utils.artifacts import Artifact
from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.networks import NetworkSettings
from localspec.pipeline import (
    ClusteringSection,
    GallerySection,
    MoreDrawsSection,
    Profile,
    Replicate,
    SynthesisSection,
    TrainingSection,
    YourNetworkSection,
    load_profile,
    open_replicates,
    training_table,
    write_table,
)

pytestmark = pytest.mark.usefixtures("own_results")

PROFILE = {
    "networks": {"mlp": {"dataset": "digits", "hidden": [8, 6], "n_epochs": 1}},
    "seeds": [0],
    "device": "cpu",
    "method": {"n_clusters": 3},
}


def changed(where: str, value: object) -> str:
    """Return the profile with one setting changed; dots lead inwards."""
    content = copy.deepcopy(PROFILE)
    *path, last = where.split(".")
    inner = content
    for name in path:
        inner = inner[name]
    inner[last] = value
    return yaml.safe_dump(content)


WITH_A_TYPO = {"dataset": "digitz", "hidden": [8, 6]}
PROFILES = {
    "a misspelt key inside": (
        changed("method.n_cluster", 4),
        "n_cluster is not a setting of Method",
    ),
    "text for a number": (changed("method.n_draws", "19"), "n_draws = '19'", "valid integer"),
    "k = 1": (changed("method.n_clusters", 1), "n_clusters = 1", "greater than or equal to 2"),
    "k above the units": (
        changed("method.n_clusters", 15),
        "n_clusters = 15, but network 'mlp' has 14 units",
        "at most",
    ),
    "no shuffles": (changed("method.n_shuffles", 0), "n_shuffles = 0", "equal to 1"),
    "level 1": (changed("method.level", 1), "level = 1", "less than 1"),
    "conventions": (changed("method.conventions", "peper"), "'peper'", "'paper' or 'released'"),
    "no seeds": (changed("seeds", []), "seeds = []", "at least 1 item"),
    "a negative seed": (changed("seeds", [0, -1]), "seeds.1 = -1", "greater than or equal to 0"),
    "a page": (changed("pages", ["02_clusters"]), "page='02_clusters'", "'02_clustering'"),
    "no network": (changed("networks", {}), "networks", "at least 1 item"),
    "no hidden layers": (
        changed("networks.mlp.hidden", []),
        "hidden = []: name at least one dense layer",
    ),
    "a device": (changed("device", "tpu"), "device = 'tpu'", "'auto', 'cpu' or 'cuda'"),
    "a list": ("- digits\n- mnist\n", "must hold a mapping", "['digits', 'mnist']"),
    "empty": ("", "must hold a mapping", "None", "it is empty"),
    "a key that is near one": (changed("seedz", [1]), "seedz is not", "is 'seeds' meant?"),
    "a key that is near none": (
        changed("colour", 1),
        "colour is not a setting of Profile",
        "Profile has the settings name, dtype, device, pages",
    ),
    "a tab": ("seeds:\n\t- 0\n", "line 2, column 1: ", "for a tab", "indentation"),
    "a bracket": ("seeds: [0\nnetworks: {}\n", "line 2", "begins in line 1", "not closed"),
    "a comma in a number": ("method: {level: 0,05}\n", "line 1 is no text but '05'", "quotes"),
    "a data set": (
        changed("networks.mlp.dataset", "digitz"),
        "network 'mlp': data set='digitz'",
        "choose one of 'digits'",
    ),
    "a page twice": (changed("pages", ["01_training"] * 2), "01_training stands twice", "once"),
    "a page's network": (
        changed("sections", {"02_clustering": {"networks": ["cnn"]}}),
        "page 02_clustering: network='cnn' is not known; choose one of 'mlp'",
    ),
    "a page's network twice": (
        changed("sections", {"02_clustering": {"networks": ["mlp", "mlp"]}}),
        "page 02_clustering: networks: mlp stands twice",
    ),
    "a page's k above the units": (
        changed("sections", {"02_clustering": {"n_clusters": 15}}),
        "page 02_clustering: n_clusters = 15, but network 'mlp' has 14 units",
    ),
    "two seeds for a page of one": (
        changed("seeds", [0, 1]) + "pages: [11_more_draws]\n",
        "page 11_more_draws: seeds = [0, 1]",
        "at most 1 item",
        "sections.11_more_draws",
    ),
    "another profile": (changed("extends", "digitz"), "extends='digitz'", "choose one of 'mine'"),
    "not YAML": ("seeds: [0, 1\n", "cannot read the profile", "line"),
}


@pytest.fixture
def profile(tmp_path):
    """Function that writes a profile and returns its path."""

    def write(content: str) -> str:
        path = tmp_path / "mine.yml"
        path.write_text(content, encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize(("content", "words"), cases(PROFILES))
@pytest.mark.usefixtures("no_long_work", "untouched_results")
def test_profiles(profile, content, words):
    path = profile(content)
    check_refused(lambda: load_profile(path), [path, *words])


def test_a_refusal_is_one_line(profile):
    for content in ("seeds:\n\t- 0\n", "a: b: c", "seeds: [0\n", "seeds: [0]\x00"):
        path = profile(content)
        assert "\n" not in check_refused(lambda path=path: load_profile(path), [path])


@pytest.mark.usefixtures("no_long_work")
def test_a_profile_that_is_not_there(tmp_path):
    path = tmp_path / "mine.yml"
    check_refused(lambda: load_profile(path), [f"cannot read the profile {path}", "No such file"])


SECTIONS = {
    "a number as text": (lambda: ClusteringSection(n_clusters="six"), "n_clusters = 'six'"),
    "k = 0": (lambda: ClusteringSection(n_clusters=0), "n_clusters = 0", "equal to 2"),
    "no networks": (lambda: TrainingSection(networks=[]), "networks = []", "at least 1 item"),
    "one seed, no list": (lambda: TrainingSection(seeds=0), "seeds = 0", "valid list"),
    "compute": (lambda: TrainingSection(compute="no"), "compute = 'no'", "'auto', 'never'"),
    "level": (lambda: SynthesisSection(level=5), "level = 5", "less than 1"),
    "a name": (lambda: ClusteringSection(n_cluster=6), "n_cluster is not a setting"),
    "n_images": (lambda: YourNetworkSection(n_images=-1), "n_images = -1", "equal to 3"),
    "stopping never": (
        lambda: MoreDrawsSection(n_draws=5, max_draws=9, max_exceedances=10),
        "max_draws = 9 must be at least max_exceedances = 10",
    ),
    "fewer draws than it starts with": (
        lambda: MoreDrawsSection(max_draws=12),
        "max_draws = 12",
        "n_draws = 19",
    ),
    "no exceedance": (
        lambda: MoreDrawsSection(max_exceedances=0),
        "max_exceedances = 0: Input should be greater than or equal to 1",
    ),
    "two networks": (
        lambda: MoreDrawsSection(networks=["mlp", "cnn"]),
        "networks = ['mlp', 'cnn']: List should have at most 1 item",
    ),
    "two seeds": (lambda: MoreDrawsSection(seeds=[0, 1]), "seeds = [0, 1]", "at most 1 item"),
    "gallery: two networks": (
        lambda: GallerySection(networks=["mlp", "cnn"]),
        "networks = ['mlp', 'cnn']: List should have at most 1 item",
    ),
    "gallery: no network": (
        lambda: GallerySection(networks=[]),
        "networks = []: List should have at least 1 item",
    ),
    "gallery: two seeds": (
        lambda: GallerySection(seeds=[0, 1]),
        "seeds = [0, 1]: List should have at most 1 item",
    ),
    "gallery: no seed": (lambda: GallerySection(seeds=[]), "seeds = []", "at least 1 item"),
    "gallery: a negative seed": (
        lambda: GallerySection(seeds=[-1]),
        "seeds.0 = -1: Input should be greater than or equal to 0",
    ),
    "gallery: no exciting image": (
        lambda: GallerySection(n_exciting=0),
        "n_exciting = 0: Input should be greater than or equal to 1",
    ),
    "gallery: half an image": (
        lambda: GallerySection(n_exciting=2.5),
        "n_exciting = 2.5: Input should be a valid integer",
    ),
    "gallery: text for a switch": (
        lambda: GallerySection(show_images="no"),
        "show_images = 'no': Input should be a valid boolean",
    ),
    "gallery: no steps": (
        lambda: GallerySection(n_steps=0),
        "n_steps = 0: Input should be greater than or equal to 1",
    ),
    "gallery: a misspelt name": (
        lambda: GallerySection(n_excited=3),
        "n_excited is not a setting of GallerySection",
    ),
}


@pytest.mark.parametrize(("call", "words"), cases(SECTIONS))
@pytest.mark.usefixtures("no_long_work", "untouched_results")
def test_parameters_of_notebooks(call, words):
    check_refused(call, words)


REPLICATES = {  # a profile that is allowed, parameters of a notebook that do not fit it
    "unknown network": (PROFILE, {"networks": ["cnn"]}, "network='cnn'", "choose one of 'mlp'"),
    "k above the units": (PROFILE, {"n_clusters": 15}, "n_clusters = 15", "14 units"),
    "unknown data set": (
        {**PROFILE, "networks": {**PROFILE["networks"], "late": WITH_A_TYPO}},
        {"networks": ["mlp", "late"]},
        "data set='digitz'",
        "'digits'",
    ),
    "no CUDA device": ({**PROFILE, "device": "cuda"}, {}, "'cuda' is not there", "'cpu'"),
}


@pytest.mark.parametrize(
    ("content", "parameters", "words"),
    [pytest.param(c, p, words, id=name) for name, (c, p, *words) in REPLICATES.items()],
)
@pytest.mark.usefixtures("no_cuda", "no_long_work", "untouched_results")
def test_nothing_is_trained_where_something_does_not_fit(profile, content, parameters, words):
    fitting = {"profile": profile(yaml.safe_dump(content)), "n_clusters": 3, "seeds": [0]}
    check_refused(lambda: open_replicates(ClusteringSection(**(fitting | parameters))), words)


@pytest.mark.usefixtures("no_long_work")
def test_never_names_the_missing_job(profile):
    section = TrainingSection(profile=profile(yaml.safe_dump(PROFILE)), seeds=[0], compute="never")
    with pytest.raises(ArtifactError, match=r"'training' has not been computed.*compute='auto'"):
        training_table(open_replicates(section))


def test_a_stored_network_that_is_another(profile):
    replicate = Replicate(load_profile(profile(yaml.safe_dump(PROFILE))), "mlp", 0)
    words = ["mlp, seed 0, artifact abc", "missing ['dense1.bias'", "with git", "compute='always'"]
    check_refused(lambda: replicate._load(Artifact({}, {}, "abc")), words, ArtifactError)


@pytest.mark.usefixtures("no_long_work")
def test_a_full_disk_leaves_the_older_table(tmp_path, monkeypatch):
    table = pd.DataFrame({"ncut": [5.5]})
    write_table(table, "clusterability", profile="digits")
    (path,) = tmp_path.glob("results/digits/tables/*.csv")
    monkeypatch.setattr(os, "replace", disk_full)
    with pytest.raises(ArtifactError, match=r"clusterability\.csv: .*No space left"):
        write_table(table * 2, "clusterability", profile="digits")
    assert path.read_text() == "ncut\n5.5\n"
    assert [stored.name for stored in path.parent.iterdir()] == ["clusterability.csv"]


def test_a_network_that_diverged_is_not_stored(tmp_path):
    settings = NetworkSettings(dataset="digits", hidden=(6, 4), n_epochs=2)
    diverging = settings.model_copy(update={"learning_rate": 1e200})  # no profile may say so
    profile = Profile(
        name="mine", networks={"mlp": diverging}, seeds=[0], dtype="float64", device="cpu"
    )
    with pytest.raises(InvalidInputError, match="training diverged in epoch 1"):
        _ = Replicate(profile, "mlp", 0, progress=False).trained
    assert not list(tmp_path.rglob("*.safetensors"))
