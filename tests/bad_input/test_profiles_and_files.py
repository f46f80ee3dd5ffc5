"""What is said to bad profiles, notebook parameters, and files of one's own network."""

import copy

import pytest
import torch
import yaml

from localspec._utils import files
from localspec.data import load_dataset
from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.networks import open_network_file
from localspec.pipeline import (
    ClusteringSection,
    MoreDrawsSection,
    SynthesisSection,
    TrainingSection,
    YourNetworkSection,
    load_profile,
    open_replicates,
    training_table,
)

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
def test_profiles(profile, content, words):
    path = profile(content)
    with pytest.raises(InvalidInputError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert [word for word in [path, *words] if word not in message] == [], message


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


@pytest.mark.parametrize(
    ("call", "words"),
    [pytest.param(call, words, id=name) for name, (call, *words) in SECTIONS.items()],
)
def test_parameters_of_notebooks(call, words):
    with pytest.raises(InvalidInputError) as caught:
        call()
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message


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
def test_nothing_is_trained_where_something_does_not_fit(
    profile, content, parameters, words, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    given = {"profile": profile(yaml.safe_dump(content)), "n_clusters": 3, "seeds": [0]}
    with pytest.raises(InvalidInputError) as caught:
        open_replicates(ClusteringSection(**{**given, **parameters}))
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message


def test_never_names_the_missing_job(profile):
    section = TrainingSection(profile=profile(yaml.safe_dump(PROFILE)), seeds=[0], compute="never")
    with pytest.raises(ArtifactError, match=r"'training' has not been computed.*compute='auto'"):
        training_table(open_replicates(section))


GOOD = """
import torch
def network():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
def data():
    return {"x": torch.rand(6, 1, 2, 2), "y": torch.arange(6) % 2}
"""
FILES = {
    "not Python": ("mine.txt", GOOD, "not a Python file", ".py"),
    "a syntax error": ("mine.py", "def network(:", "cannot be imported", "SyntaxError"),
    "an error of its own": ("mine.py", "import nothing_like_it", "ModuleNotFoundError"),
    "no data()": ("mine.py", GOOD.replace("def data", "def datum"), "must define data()"),
    "network() fails": ("mine.py", GOOD.replace("(4, 3)", "()"), "network()", "TypeError"),
    "network() returns a list": (
        "mine.py",
        GOOD.replace("return torch.nn.Sequential", "return list"),
        "network()",
        "failed with TypeError",
    ),
    "network() returns nothing": (
        "mine.py",
        GOOD.replace("return torch.nn", "torch.nn"),
        "must return a torch.nn.Module",
        "not NoneType",
    ),
    "data() returns a pair": (
        "mine.py",
        GOOD.replace('{"x":', "(").replace('"y": ', "").replace("% 2}", "% 2)"),
        "must return a dict with 'x', 'y'",
        "not tuple",
    ),
    "data() lacks labels": (
        "mine.py",
        GOOD.replace('"y"', '"labels"'),
        "must return a dict with 'x', 'y'",
        "not 'x', 'labels'",
    ),
}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [pytest.param(n, c, words, id=name) for name, (n, c, *words) in FILES.items()],
)
def test_files_of_ones_own_network(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInputError) as caught:
        open_network_file(path)
    message = str(caught.value)
    assert [word for word in [str(path), *words] if word not in message] == [], message


def test_a_file_that_is_right_or_not_there(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD, encoding="utf-8")
    network, data = open_network_file(tmp_path / "mine.py")
    assert not network.training
    assert sorted(data) == ["x", "y"]
    with pytest.raises(InvalidInputError, match=r"there is no file .*network\(\) and data\(\)"):
        open_network_file(tmp_path / "missing.py")


RAW, ARCHIVE = "MNIST/raw/train-images-idx3-ubyte", "cifar-10-python.tar.gz"
MNIST_HEADER = bytes.fromhex("00000803 0000ea60 0000001c 0000001c")
DATA_SETS = {  # files in the folder for data sets -> what is said when the data set is loaded
    "nothing there": ("mnist", {}, "is not in", "train-images-idx3-ubyte", "download=True"),
    "nothing to derive from": ("mnist-halves", {}, "MNIST/raw", "LOCALSPEC_DATA"),
    "no CIFAR-10": ("cifar10", {}, "is not in", ARCHIVE, "CIFAR10/train/<class>"),
    "a file of nothing": (
        "mnist",
        {f"{RAW}.gz": b"", "MNIST/raw/train-labels-idx1-ubyte": b""},
        "t10k-images-idx3-ubyte",
        "not found",
    ),
    "an archive of something else": ("cifar10", {ARCHIVE: b"PK"}, ARCHIVE, "MD5", "delete it"),
    "batches in part": (
        "cifar10",
        {"cifar-10-batches-py/data_batch_2": b"no pickle"},
        "cannot read",
        "data_batch_1 of CIFAR-10",
        "delete",
    ),
    "images of other classes": (
        "cifar10",
        {"CIFAR10/train/ant/1.jpg": b""},
        "CIFAR10/train are not those expected",
        "'airplane'",
        "not expected ['ant']",
        "delete",
    ),
}


@pytest.mark.parametrize(
    ("name", "files", "words"),
    [pytest.param(n, files, words, id=key) for key, (n, files, *words) in DATA_SETS.items()],
)
def test_data_sets_that_are_missing_or_damaged(tmp_path, name, files, words):
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    with pytest.raises(InvalidInputError) as caught:
        load_dataset(name, root=tmp_path, download=False)
    message = str(caught.value)
    assert [word for word in [str(tmp_path), *words] if word not in message] == [], message


def test_a_data_set_that_is_cut_off(tmp_path):
    sizes = {"train": 60_000, "t10k": 10_000}
    for split, n in sizes.items():
        for kind, header in (("images-idx3", MNIST_HEADER), ("labels-idx1", b"")):
            path = tmp_path / "MNIST" / "raw" / f"{split}-{kind}-ubyte"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(header + bytes(n))
    with pytest.raises(InvalidInputError, match=r"\(60,016 bytes\), not 6bbc9ace.*cut off"):
        load_dataset("mnist", root=tmp_path, download=False)


def test_results_outside_of_a_project(tmp_path, monkeypatch):
    monkeypatch.delenv(files.RESULTS_VARIABLE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"no project found.*set LOCALSPEC_RESULTS"):
        files.results_root()
