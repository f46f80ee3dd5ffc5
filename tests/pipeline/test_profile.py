"""Profiles: what is accepted, what is refused with which message, and what notebooks get."""

import re
from pathlib import Path

import pytest
import yaml

from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.networks import NetworkSettings
from localspec.pipeline import (
    ControlsSection,
    ImportanceSection,
    Profile,
    SensitivitySection,
    TrainingSection,
    check_name,
    load_profile,
)
from localspec.pipeline._sections import ALL_PAGES, PAGES, Method, section_of
from localspec.studies.published._compare import published_rows
from localspec.studies.published._diagnosis import changed_settings

ROOT = Path(__file__).resolve().parents[2]
OWN_DEFAULTS = {
    "06_controls": {"n_clusters"},
    "10_published": {"n_clusters"},
    "13_imagenet": {"n_clusters", "n_shuffles"},
    "14_untrained": {"n_clusters"},
    "15_activations": {"n_clusters", "n_images", "n_shuffles"},
    "16_l2": {"n_clusters"},
    "22_penalty": {"n_shuffles"},
    "24_learning_curve": {"n_shuffles"},
    "25_downstream": {"n_shuffles"},
}
MINIMAL = {"networks": {"mlp": {"dataset": "digits", "hidden": [8, 4]}}, "seeds": [0, 3]}


def write(folder, content, name="mine.yml"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def changed(**changes):
    return {**MINIMAL, **changes}


def network(**changes):
    return changed(networks={"mlp": {**MINIMAL["networks"]["mlp"], **changes}})


def vgg(**changes):
    return network(architecture="vgg", channels=[4, "pool"], **changes)


def resnet(**changes):
    return network(architecture="resnet", channels=[4, 4], hidden=[], **changes)


def method(**changes):
    return changed(method=changes)


def test_a_minimal_profile(tmp_path):
    profile = load_profile(write(tmp_path, MINIMAL))
    assert profile.name == "mine"
    assert profile.networks["mlp"].hidden == (8, 4)
    assert profile.seeds == [0, 3]
    assert profile.pages == list(PAGES)
    assert (profile.dtype, profile.device) == ("float32", "auto")
    assert profile.method.n_draws == 19


def test_a_profile_is_named_like_its_file(tmp_path):
    assert load_profile(write(tmp_path, changed(name="mine"))).name == "mine"
    content = yaml.safe_dump(MINIMAL)
    for name in ("010", "1e3", "yes"):  # text, though YAML would take them for something else
        profile = load_profile(write(tmp_path, content, f"{name}.yml"))
        assert profile.parameters("01_training")["profile"] == name
    with pytest.raises(InvalidInputError, match=r"name = 8 is not its file's.*leave it out"):
        load_profile(write(tmp_path, content + "name: 010\n", "010.yml"))


@pytest.mark.parametrize("name", ["other", "/some/where", "../mine", 10, None])
def test_another_name_in_the_file_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match=f"name = {name!r} is not its file's"):
        load_profile(write(tmp_path, changed(name=name)))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/x/y", "a/b", ".run", "-x", "a b", "x\n", "x.yml", "artifacts"]
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(InvalidInputError, match=r"is not a profile's name: .* letters, digits"):
        check_name("profile", name)
    with pytest.raises(InvalidInputError, match="is not a network's name"):
        Profile(name="mine", seeds=[0], networks={name: MINIMAL["networks"]["mlp"]})


def test_names_that_are_allowed():
    for name in ("digits", "digits-2.1_b", "010", "größe", "_x"):
        assert check_name("profile", name) == name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"seeds": [0]}, "networks is missing in Profile"),
        ({"networks": MINIMAL["networks"]}, "seeds is missing in Profile"),
        (changed(networks={"mlp": {"hidden": [4]}}), "dataset is missing in NetworkSettings"),
        (network(width=3), "width is not a setting of NetworkSettings"),
        (
            network(architecture="cnn", channels=["pool", 4]),
            r"channels = \['pool', 4\]: 'pool' stands behind a convolution",
        ),
        (
            network(architecture="cnn", channels=[4, "pool", "pool", 4]),
            "'pool' stands behind a convolution, neither first nor twice in a row",
        ),
        (
            changed(sections={"06_controls": {"profile": "other"}}),
            "sections.06_controls.profile = 'other': .* leave it out",
        ),
        (network(hidden=[8, 0]), "hidden.1 = 0"),
        (network(hidden="8, 4"), "hidden"),
        (network(architecture="transformer"), "architecture = 'transformer'"),
        (network(dropout=1.0), "dropout = 1.0"),
        (network(dropout=-0.1), "dropout = -0.1"),
        (network(dropouts=[0.5]), r"dropouts = \[0.5\]: give one rate for each of the 2 layers"),
        (network(dropouts=[0.5, 1.0]), "dropouts.1 = 1.0"),
        (network(dropout=0.5, dropouts=[0.5, 0.5]), "give dropout or dropouts, not both"),
        (network(conv_dropouts=[0.5]), "one rate for each of the 0 layers"),
        (network(module_distance=0), "module_distance = 0: .* greater than 0"),
        (network(module_distance=1.5), "module_distance = 1.5: .* less than or equal to 1"),
        (network(max_rotation=-1), "max_rotation = -1: .* greater than or equal to 0"),
        (network(max_shift=1.0), "max_shift = 1.0: .* less than 1"),
        (network(flip="maybe"), "flip = 'maybe'"),
        (network(precision="float16"), "precision = 'float16'.*'full' or 'bfloat16'"),
        (network(memory_format="last"), "memory_format = 'last'.*'contiguous' or 'channels_last'"),
        (network(memory_format="channels_last"), "'channels_last' is for convolutions"),
        (network(n_threads=0), "n_threads = 0: .* greater than or equal to 1"),
        (network(architecture="vgg"), "at least one convolution for a cnn, vgg or resnet"),
        (vgg(batch_norm="before"), "batch_norm = 'before' is no option of a vgg"),
        (resnet(module_distance=0.5), "module_distance is no option of a resnet"),
        (resnet(conv_dropouts=[0.5, 0.5]), "a resnet has none"),
        (
            {**network(precision="bfloat16"), "dtype": "float64"},
            "precision 'bfloat16' of network 'mlp' has no effect on float64",
        ),
        (network(initialisation="lecun"), "initialisation = 'lecun'.*'glorot' or 'he'"),
        (network(diagnoses="mlp-l1"), "network that mlp diagnoses='mlp-l1' is not known"),
        (network(learning_rate=0), "learning_rate = 0"),
        (network(l2="0.01"), "l2 = '0.01'"),  # no type is converted
        (network(l2=-1e-5), "l2 = -1e-05"),
        (network(n_epochs=0), "n_epochs = 0"),
        (network(batch_size=2.5), "batch_size = 2.5"),
        (changed(seeds=[2**31]), "seeds.0"),
        (changed(seeds=0), "seeds = 0"),
        (changed(seeds=[True]), "seeds.0 = True"),
        # the same network would count as two replicates, and p would fall by itself
        (changed(seeds=[0, 1, 0]), r"seeds: 0 stands twice in \[0, 1, 0\]"),
        (changed(published_networks=["cnn"]), "network of published_networks='cnn' is not known"),
        (changed(published_seeds=[1]), "seed of published_seeds=1 is not known; .* 0, 3"),
        (changed(dtype="float16"), "dtype = 'float16'.*'float32' or 'float64'"),
        (changed(extends=["mine"]), r"extends=\['mine'\] is not known"),
        (network(extends="mine"), "network 'mlp' of .* extends 'mine': name a profile and one of"),
        (network(extends="digitz/mlp"), "extends='digitz' is not known; choose one of 'mine'"),
        (changed(pages=[]), "pages"),
        (changed(pages=["10_published"]), "no network has any: give one the setting `published`"),
        (method(n_clusters="many"), "n_clusters = 'many'"),
        (method(n_draws=0), "n_draws = 0"),
        (method(n_draws=True), "n_draws = True"),  # `n_draws: yes` in YAML: one draw?
        (method(n_images=2), "n_images = 2"),
        (method(n_steps=0), "n_steps = 0"),
        (method(level=0.0), "level = 0"),
        (method(correlation="cosine"), "'spearman', 'pearson' or 'kendall'"),
    ],
)
def test_refused_with_the_place_and_what_is_allowed(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(InvalidInputError, match=message) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)


def test_a_whole_number_will_do_for_a_rate(tmp_path):
    assert load_profile(write(tmp_path, network(l1=0, learning_rate=1))).networks["mlp"].l1 == 0


@pytest.mark.parametrize("page", [page for page in ALL_PAGES if page != "your_network"])
def test_a_seed_is_refused_twice_on_every_page(page):
    with pytest.raises(InvalidInputError, match="seeds"):
        section_of(page)(seeds=[2, 2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds: [0]\nnetworks: {}\nseeds: [1]\n", "key 'seeds' stands in line 1 and .* line 3"),
        ("method:\n  level: 0.1\n  level: 0.2\n", "key 'level' stands in line 2 and .* line 3"),
        ("seeds: [0]\nno: 1\n", "the key in line 2 is no text"),
        ("networks: {mlp: {1: 2}}\n", "the key in line 1 is no text"),
        ("seeds: [0]\n? [1]\n: 2\n", "the key in line 2 is no text"),
    ],
)
def test_a_key_that_is_no_text_or_stands_twice(tmp_path, text, message):
    with pytest.raises(InvalidInputError, match=f"cannot read the profile .*mine.yml: {message}"):
        load_profile(write(tmp_path, text))


def test_what_stands_beside_a_merged_mapping_wins(tmp_path):
    text = """
networks:
  a: &a {dataset: digits, hidden: [8], l1: 0.1}
  b: &b {<<: *a, l1: 0.2}
  c: {<<: *b, l1: 0.3}
seeds: [0]
"""
    networks = load_profile(write(tmp_path, text)).networks
    assert [network.l1 for network in networks.values()] == [0.1, 0.2, 0.3]


def dense(*hidden, **more):
    return {"dataset": "digits", "hidden": list(hidden), **more}


@pytest.fixture
def base(tmp_path):
    """Content of a profile ``base.yml`` in the folder of ``mine.yml``."""
    content = {
        "networks": {"mlp": dense(8, 4, l1=0.5), "wide": dense(16)},
        "seeds": [7],
        "dtype": "float64",
        "method": {"n_clusters": 3},
        "pages": ["01_training"],
    }
    write(tmp_path, content, "base.yml")
    return content


def test_a_profile_takes_over_the_networks_of_another_and_nothing_else(tmp_path, base):
    profile = load_profile(write(tmp_path, {"extends": "base", "seeds": [0]}))
    assert profile.networks == Profile(**base, name="base").networks
    assert (profile.name, profile.seeds, profile.dtype) == ("mine", [0], "float32")
    assert profile.method == Method()
    assert profile.pages == list(PAGES)


def test_its_own_networks_stand_above_those_of_the_same_name(tmp_path, base):
    own = {"wide": dense(32), "new": dense(9)}
    profile = load_profile(write(tmp_path, {"extends": "base", "networks": own, "seeds": [0]}))
    hidden = {name: network.hidden for name, network in profile.networks.items()}
    assert hidden == {"mlp": (8, 4), "wide": (32,), "new": (9,)}
    assert profile.networks["wide"].l1 == 0.0


def test_a_network_begins_with_another_profiles_and_changes_settings(tmp_path, base):
    networks = {
        "mlp": {"extends": "base/mlp"},
        "less": {"extends": "base/mlp", "l1": 0.1, "n_epochs": 3},
        "other": dense(6),
    }
    profile = load_profile(write(tmp_path, changed(networks=networks)))
    assert profile.networks == {
        "mlp": NetworkSettings(dataset="digits", hidden=(8, 4), l1=0.5),
        "less": NetworkSettings(dataset="digits", hidden=(8, 4), l1=0.1, n_epochs=3),
        "other": NetworkSettings(dataset="digits", hidden=(6,)),
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extends": "base/mpl"}, "network of base that mlp of .*='mpl' is not known; .* 'mlp', "),
        ({"extends": "base/mlp", "width": 3}, "width is not a setting of NetworkSettings"),
        ({"extends": "base/mlp", "hidden": []}, "hidden"),
    ],
)
def test_networks_that_extend_wrongly(tmp_path, base, settings, message):
    path = write(tmp_path, changed(networks={"mlp": settings}))
    with pytest.raises(InvalidInputError, match=message) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)


def test_a_chain_of_profiles(tmp_path, base):
    write(tmp_path, {"extends": "base", "seeds": [1]}, "middle.yml")
    networks = {"mlp": {"extends": "middle/mlp", "l2": 0.1}}
    top = {"extends": "middle", "networks": networks, "seeds": [2]}
    profile = load_profile(write(tmp_path, top))
    assert list(profile.networks) == ["mlp", "wide"]
    assert (profile.networks["mlp"].l1, profile.networks["mlp"].l2) == (0.5, 0.1)


def test_profiles_that_extend_one_another(tmp_path):
    path = write(tmp_path, {"extends": "other", "seeds": [0]})
    write(tmp_path, changed(networks={"mlp": {"extends": "mine/mlp"}}), "other.yml")
    cycle = r"^profile .*mine.yml extends itself: mine -> other -> mine; take one"
    with pytest.raises(InvalidInputError, match=cycle):
        load_profile(path)


def test_an_invalid_profile_below_is_named(tmp_path):
    write(tmp_path, changed(sedes=[1]), "base.yml")
    with pytest.raises(InvalidInputError, match=r"^profile .*base.yml: sedes is not a setting"):
        load_profile(write(tmp_path, {"extends": "base", "seeds": [0]}))


def test_the_example_in_the_book(tmp_path):
    text = (ROOT / "book" / "run.md").read_text(encoding="utf-8")
    resources, example = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    profiles = ROOT / "notebooks" / "profiles"
    for name in ("digits.yml", "mnist.yml"):
        write(tmp_path, (profiles / name).read_text(encoding="utf-8"), name)
    profile = load_profile(write(tmp_path, f"{example}\n{resources}"))
    assert profile.resources["train"].gpu == 1
    networks = profile.networks
    digits = load_profile(profiles / "digits.yml").networks
    assert networks == {
        "mlp": digits["mlp"],
        "cnn": digits["cnn"],
        "mlp-dropout": digits["mlp"].model_copy(update={"dropout": 0.5}),
        "cnn-mnist": load_profile(profiles / "mnist.yml").networks["cnn"],
    }


def test_an_unknown_name_lists_the_profiles(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks" / "profiles"
    folder.mkdir(parents=True)
    write(folder, MINIMAL, "small.yml")
    write(folder, MINIMAL, "large.yml")
    monkeypatch.chdir(folder)
    assert load_profile("small").name == "small"
    with pytest.raises(InvalidInputError, match="'digit' is not known; choose one of 'large', 's"):
        load_profile("digit")


def test_outside_of_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match="no project found"):
        load_profile("digits")


@pytest.mark.parametrize("page", ALL_PAGES)
def test_a_setting_of_the_method_is_declared_once(page):
    section = section_of(page)
    own = {name for name in section.__annotations__ if name in Method.model_fields}
    assert own == OWN_DEFAULTS.get(page, set())


def test_parameters_of_a_profile(tmp_path):
    profile = load_profile(
        write(tmp_path, changed(method={"n_clusters": 9, "n_draws": 5, "conventions": "released"}))
    )
    shared = {"profile": "mine", "networks": ["mlp"], "seeds": [0, 3], "compute": "auto"}
    method = {"n_clusters": 9, "n_draws": 5, "conventions": "released"}
    assert profile.parameters("03_importance") == shared | method
    assert profile.parameters("01_training") == shared


def test_unknown_page():
    with pytest.raises(InvalidInputError, match="page='02' is not known"):
        load_profile("digits").parameters("02")


def test_select_takes_a_notebooks_choices():
    two = {"a": {"dataset": "digits", "hidden": [8]}, "b": {"dataset": "digits", "hidden": [9]}}
    profile = Profile(name="x", networks=two, seeds=[0, 1], method={"n_steps": 7, "n_draws": 9})
    section = ImportanceSection(profile="x", networks=["b"], seeds=[5], n_clusters=3, n_draws=4)
    chosen = profile.select(section)
    assert list(chosen.networks) == ["b"]
    assert chosen.seeds == [5]
    assert (chosen.method.n_clusters, chosen.method.n_draws) == (3, 4)
    assert chosen.method.n_steps == 7  # not among this section's parameters: the profile's
    assert list(profile.networks) == ["a", "b"]
    with pytest.raises(InvalidInputError, match="network='c' is not known; choose one of 'a', 'b'"):
        profile.select(ImportanceSection(networks=["c"]))


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (TrainingSection, {"n_clusters": 3}, "n_clusters is not a setting of TrainingSection"),
        (ControlsSection, {"noises": []}, "noises"),
        (ControlsSection, {"noises": [0.5, 0, 0.5]}, "noises: 0.5 stands twice"),
        (SensitivitySection, {"other_n_clusters": [4, 8, 4]}, "other_n_clusters: 4 stands twice"),
        (SensitivitySection, {"other_n_clusters": [1]}, "other_n_clusters.0 = 1"),
        (SensitivitySection, {"n_steps": "64"}, "n_steps = '64': .* valid integer"),
        (SensitivitySection, {"n_strata": True}, "n_strata = True: .* valid integer"),
    ],
)
def test_sections_refuse_too(section, values, message):
    with pytest.raises(InvalidInputError, match=message):
        section(**values)


def test_every_setting_of_training_is_in_the_key():
    plain = NetworkSettings(dataset="digits", hidden=(8, 4))
    assert set(NetworkSettings.model_fields) - set(plain.training_key()) == {
        "n_pruning_epochs",
        "pruning_penalties",
        "n_lesion_images",
        "lesion_precision",
        "published",
        "diagnoses",
    }
    used = {"dropouts": (0.5, 0.0), "module_distance": 0.6, "flip": True, "n_threads": 1}
    changed = NetworkSettings(dataset="digits", hidden=(8, 4), **used)
    expected = {**plain.training_key(), **used, "dropouts": [0.5, 0.0]}
    assert changed.training_key() == expected


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "polynomials"])
def test_pruned_networks_continue_from_unpruned_ones(name):
    networks = load_profile(name).networks
    pruned = {name for name in networks if name.endswith("-pruned")}
    own = {name: settings for name, settings in networks.items() if settings.diagnoses is None}
    assert pruned == {name for name, settings in own.items() if settings.n_pruning_epochs}
    for name in pruned:
        unpruned = networks[name.removesuffix("-pruned")]
        assert networks[name].training_key() == unpruned.training_key()


WITH_CNNS = {
    (architecture, training)
    for architecture in ("mlp", "cnn")
    for training in ("Control", "Dropout", "L1 Reg", "Halves Diff", "Stacked Diff")
} - {("mlp", "Stacked Diff"), ("cnn", "Halves Diff")}
PUBLISHED = {
    "mnist": WITH_CNNS,
    "fashion-mnist": WITH_CNNS,
    "polynomials": {("mlp", "Control"), ("mlp", "L1 Reg")},
}


def called(network):
    """Return what the published table calls this training."""
    for variant, name in (("-halves", "Halves Diff"), ("-stacked", "Stacked Diff")):
        if network.dataset.endswith(variant):
            return name
    if network.l1:
        return "L1 Reg"
    return "Dropout" if network.dropout else "Control"


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_published_networks_are_there_pruned_and_unpruned(name):
    profile = load_profile(name)
    assert (profile.seeds, profile.dtype) == ([0, 1, 2, 3, 4], "float32")
    assert (profile.method.n_clusters, profile.method.n_shuffles) == (12, 50)
    for is_pruned in (False, True):
        ours = {
            (settings.architecture, called(settings))
            for settings in profile.networks.values()
            if bool(settings.n_pruning_epochs) == is_pruned
        }
        assert ours >= PUBLISHED[name]


def test_a_diagnosis_changes_one_thing():
    networks = load_profile("fashion-mnist").networks
    diagnoses = [settings for settings in networks.values() if settings.diagnoses is not None]
    assert diagnoses
    for diagnosis in diagnoses:
        assert len(changed_settings(diagnosis, networks[diagnosis.diagnoses]).split(", ")) == 1


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "polynomials"])
def test_figures_are_published_of_every_network_that_says_so(name):
    for settings in load_profile(name).networks.values():
        if settings.published is not None:
            rows = published_rows(settings.published, pruned=settings.n_pruning_epochs > 0)
            assert len(rows) >= 5
