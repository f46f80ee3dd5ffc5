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
    Choices,
    ClusteringSection,
    MoreDrawsSection,
    Profile,
    Replicate,
    SynthesisSection,
    TrainingSection,
    YourNetworkSection,
    checked_coherence,
    coherence_checks_table,
    corrected_table,
    load_profile,
    network_test_table,
    open_replicates,
    subcluster_table,
    synthesis_table,
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
    "a misspelt key": (changed("sedes", [1]), "sedes is not a setting of Profile"),
    "a misspelt key inside": (
        changed("method.n_cluster", 4),
        "n_cluster is not a setting of Method",
    ),
    "negative draws": (changed("method.n_draws", -5), "n_draws = -5", "greater than or equal to 1"),
    "text for a number": (changed("method.n_draws", "19"), "n_draws = '19'", "valid integer"),
    "k = 1": (changed("method.n_clusters", 1), "n_clusters = 1", "greater than or equal to 2"),
    "k above the units": (
        changed("method.n_clusters", 15),
        "n_clusters = 15",
        "'mlp' has 14 units",
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
        "hidden = []",
        "at least one dense layer",
    ),
    "a device": (changed("device", "tpu"), "device = 'tpu'", "'auto', 'cpu' or 'cuda'"),
    "a list": ("- digits\n- mnist\n", "must hold a mapping", "['digits', 'mnist']"),
    "empty": ("", "must hold a mapping", "None"),
    "a key twice": ("seeds: [0]\nseeds: [1]\n", "key 'seeds'", "line 1", "line 2", "remove one"),
    "another profile": (changed("extends", "digitz"), "extends='digitz'", "choose one of 'mine'"),
    "itself": (changed("extends", "mine"), "extends itself: mine -> mine"),
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


@pytest.mark.parametrize(
    ("content", "words"),
    [pytest.param(content, words, id=name) for name, (content, *words) in PROFILES.items()],
)
@pytest.mark.usefixtures("no_long_work", "untouched_results")
def test_profiles(profile, content, words):
    path = profile(content)
    check_refused(lambda: load_profile(path), [path, *words])


@pytest.mark.usefixtures("no_long_work")
def test_a_profile_that_is_not_there(tmp_path):
    with pytest.raises(
        InvalidInputError, match=r"cannot read the profile .*mine.yml.*No such file"
    ):
        load_profile(tmp_path / "mine.yml")
    with pytest.raises(InvalidInputError, match=r"profile='digit' is not known; .*'digits'"):
        load_profile("digit")


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
        "max_draws = 9",
        "at least max_exceedances = 10",
    ),
    "fewer draws than it starts with": (
        lambda: MoreDrawsSection(max_draws=12),
        "max_draws = 12",
        "n_draws = 19",
    ),
    "no exceedance": (
        lambda: MoreDrawsSection(max_exceedances=0),
        "max_exceedances = 0",
        "greater than or equal to 1",
    ),
    "two networks": (
        lambda: MoreDrawsSection(networks=["mlp", "cnn"]),
        "networks = ['mlp', 'cnn']",
        "at most 1 item",
    ),
    "two seeds": (lambda: MoreDrawsSection(seeds=[0, 1]), "seeds = [0, 1]", "at most 1 item"),
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


def stored(seed=0, network="mlp", **options):
    """Return a replicate that may only be loaded, and is not there."""
    return Replicate(load_profile("digits"), network, seed, compute="never", **options)


CALLS = {  # of a replicate, and of what tables and openers are given
    "a choice of no strata": (
        lambda: Choices(strata="norm"),
        "strata='norm'",
        "'weight norm', 'mean activation'",
    ),
    "a choice of no replacement": (
        lambda: Choices(replacement="median"),
        "replacement='median'",
        "'zero', 'mean'",
    ),
    "a choice of no check": (
        lambda: Choices(check="equal"),
        "check='equal'",
        "'defined', 'equal_damage'",
    ),
    "a choice of one cluster": (lambda: Choices(n_clusters=1), "n_clusters", "at least 2", "not 1"),
    "a choice of conventions by name": (
        lambda: Choices(conventions="released"),
        "conventions must be a Conventions, not str",
        "Conventions.preset",
    ),
    "a choice of a negative seed": (lambda: Choices(draws_seed=-1), "draws_seed", "not -1"),
    "other choices": (
        lambda: stored().with_choices(check="damage"),
        "check='damage'",
        "'defined', 'equal_damage'",
    ),
    "choices in a dict": (
        lambda: stored(choices={"n_clusters": 4}),
        "choices must be a Choices, not dict",
        "Choices(n_clusters=4)",
    ),
    "a profile by name": (
        lambda: Replicate("digits", "mlp", 0),
        "profile must be a Profile, not str",
        "load_profile(name)",
    ),
    "a network of no profile": (lambda: stored(network="vgg"), "network='vgg'", "'mlp'"),
    "a seed of text": (lambda: stored(seed="0"), "seed", "whole number", "not '0'"),
    "progress by text": (lambda: stored(progress="no"), "progress must be True or False", "'no'"),
    "a graph of no kind": (
        lambda: stored().graph("weight"),
        "kind='weight'",
        "'weights', 'activations'",
    ),
    "a partitioning of no scope": (
        lambda: stored().partition("weights"),
        "partitioning='weights'",
        "'weights/global'",
    ),
    "lesions of no partitioning": (
        lambda: stored().lesioned("weights/both"),
        "partitioning='weights/both'",
        "'weights/local'",
    ),
    "images of no partitioning": (lambda: stored().visualizations(0), "partitioning=0"),
    "a measure by another name": (
        lambda: stored().measure("damage", "weights/global"),
        "measure='damage'",
        "'importance'",
    ),
    "parameters in a dict": (
        lambda: open_replicates({"profile": "digits"}),
        "section must be a Section, not dict",
        "TrainingSection",
    ),
    "one replicate": (
        lambda: training_table(stored()),
        "replicates must be a list",
        "open_replicates",
        "Replicate",
    ),
    "no replicate": (lambda: training_table([]), "no replicate", "name a network and a seed"),
    "a measure, no list": (
        lambda: network_test_table([stored()], measures="importance"),
        "measures must be a list of some of 'importance'",
        "not 'importance'",
    ),
    "an unknown measure": (
        lambda: subcluster_table([stored()], measures=["damage"]),
        "measures='damage'",
        "'importance'",
    ),
    "an unknown partitioning": (
        lambda: subcluster_table([stored()], partitionings=["weights"]),
        "partitionings='weights'",
        "'weights/global'",
    ),
    "synthesis of one replicate": (
        lambda: synthesis_table(stored()),
        "replicates must be a list",
        "open_replicates",
    ),
    "synthesis of none": (lambda: synthesis_table([]), "no replicate", "a network and a seed"),
    "synthesis at a level of text": (
        lambda: synthesis_table([stored()], level="0.05"),
        "level",
        "between 0 and 1",
        "'0.05'",
    ),
    "correction of nothing": (lambda: corrected_table([]), "rows must be a list", "combined_rows"),
    "checks without a synthesis": (
        lambda: coherence_checks_table([stored()], None),
        "synthesis must be a DataFrame, not NoneType",
        "synthesis_table(replicates)",
    ),
    "a check by another name": (
        lambda: checked_coherence(stored(), "damage", "weights/global"),
        "check='damage'",
        "'defined', 'equal_damage'",
    ),
    "rows for a table": (
        lambda: write_table([{"ncut": 5.5}], "clusterability", profile="digits"),
        "table must be a DataFrame, not list",
        "pandas.DataFrame(rows)",
    ),
}


@pytest.mark.parametrize(("call", "words"), cases(CALLS))
@pytest.mark.usefixtures("no_long_work", "untouched_results")
def test_calls(call, words):
    check_refused(call, words)


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
