"""Profiles that nobody would write by hand: refused in a moment, whatever is in them."""

import os

import pytest
from helpers.refusals import cases, check_refused

from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings, build_network
from localspec.pipeline import (
    CoherenceSection,
    ControlsSection,
    ImportanceSection,
    SynthesisSection,
    YourNetworkSection,
    load_profile,
)

GOOD = "networks: {mlp: {dataset: digits, hidden: [8, 6]}}\nseeds: [0]\nmethod: {n_clusters: 2}\n"
HUGE = f"0x{'f' * 40_000}"  # Python refuses to write such a number
TENFOLD = "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]".replace("*a-1", "x") for i in range(12)
)
MERGED = "\n".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}".replace("*a-1", "{x: 1}")
    for i in range(12)
)
NETWORK = "networks: {mlp: {dataset: digits, hidden: [8, 6], SETTING}}\nseeds: [0]\n"
FILES = {  # content of the file, words of the message
    "150,000 levels": ("[" * 150_000, "line 1", "more than 20 levels deep"),
    "levels of a block": ("- " * 900 + "x", "line 1", "more than 20 levels deep"),
    "mappings inside": ("".join(f"{' ' * i}a:\n" for i in range(50)), "line 20", "20 levels"),
    "lists tenfold": (TENFOLD, "up to line", "more than 10,000 values", "leave some out"),
    "merged tenfold": (MERGED, "up to line", "more than 10,000 values", "leave some out"),
    "a list in itself": ("seeds: &a [*a]", "line 1: *a stands inside of itself"),
    "a mapping in itself": ("networks: &a {<<: *a}", "line 1: *a stands inside of itself"),
    "too many values": (f"seeds: [{'0,' * 20_000}]", "more than 10,000 values"),
    "ten megabytes": ("#" * 10_000_000, "more than 200,000 bytes"),
    "a number too long to read": (f"seeds: [{'9' * 5000}]", "in line 1", "no int", "... (5,002"),
    "a seed too large": (f"{GOOD}your_network: {{seed: {HUGE}}}", "seed = ", "too long", "less"),
    "a page that is a number": (f"{GOOD}pages: [{HUGE}]", "pages.0 = ", "too long to be shown"),
    "a profile inside": (f"{GOOD}sections: {{01_training: {{profile: {HUGE}}}}}", "leave it out"),
    "a base that is a number": (NETWORK.replace("SETTING", f"extends: {HUGE}"), "such as mnist/"),
    "another day": ("name: 2020-13-45", "'2020-13-45' in line 1 is no timestamp", "quotes"),
    "a day for a name": (NETWORK.replace("SETTING", "published: 2020-01-02"), "valid string"),
    "a number for a name": (NETWORK.replace("digits", "1.5"), "dataset = 1.5", "valid string"),
    "a tag that does not fit": ("seeds: [!!int abc]", "'abc' in line 1 is no int"),
    "a tag of nothing": ("seeds: [!!int '']", "'' in line 1 is no int"),
    "no time": ("name: !!timestamp now", "'now' in line 1 is no timestamp"),
    "no truth": ("name: !!bool perhaps", "'perhaps' in line 1 is no bool"),
    "a list as a key": ("? !!str [a]\n: 1", "the key in line 1 is no text"),
    "a day as a key": ("2020-01-01: 1", "the key in line 1 is no text", "quotes"),
    "Python": ("!!python/object/apply:os.getcwd []", "could not determine a constructor"),
    "no character": ("seeds: [0]\x00", "#x0000"),
    "a long name": (
        "networks: {? " + "n" * 3000 + " : {dataset: digits, hidden: [8]}}\nseeds: [0]",
        "at most 100 letters",
        "... (3,002 characters)",
    ),
    "a long name of its own": (f"name: {'n' * 3000}\n{GOOD}", "is not its file's", "(3,002"),
    "many wrong ones": (f"{GOOD}pages: {list(range(50))}", "pages.9 = 9", "and 40 more"),
    "not UTF-8": (b"name: M\xfcller", "byte 0xfc in position 7", "save it as text in UTF-8"),
    "UTF-16": ("seeds: [0]".encode("utf-16"), "byte 0xff", "save it as text in UTF-8"),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("content", "words"), cases(FILES))
def test_files(tmp_path, content, words):
    path = tmp_path / "mine.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInputError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert [word for word in [str(path), *words] if word not in message] == [], message
    assert len(message) < 2_000


def test_what_is_good_in_them(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())  # as some editors begin a text in UTF-8
    assert load_profile(path).seeds == [0]
    path.write_text("a: &a [1, 2]\nb: *a\n")
    with pytest.raises(InvalidInputError, match="a is not a setting of Profile"):
        load_profile(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "it is no file"),
        (os.mkfifo, "it is no file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is no file"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
        (lambda path: (path.touch(), os.truncate(path, 10**11)), "more than 200,000 bytes"),
    ],
    ids=["a folder", "a pipe", "a device", "a loop", "a link to nothing", "a hole"],
)
def test_what_is_no_profile(tmp_path, make, words):
    path = tmp_path / "mine.yml"
    make(path)
    check_refused(lambda: load_profile(path), ["cannot read the profile", str(path), words])


def test_names_that_are_no_path(tmp_path):
    check_refused(lambda: load_profile(tmp_path / f"{'x' * 300}.yml"), ["at most 100 letters"])
    check_refused(lambda: load_profile("a\0b.yml"), ["is not a profile's name"])


def test_profiles_that_extend_each_other_without_end(tmp_path):
    for n in range(40):  # each takes a network of all that follow: without a limit, 2**39 are read
        taken = "".join(f"  n{m}: {{extends: p{m}/mlp}}\n" for m in range(n + 1, 40))
        mlp = "  mlp: {dataset: digits, hidden: [8, 6]}\n"
        (tmp_path / f"p{n}.yml").write_text(f"seeds: [0]\nnetworks:\n{taken}{mlp}")
    check_refused(lambda: load_profile(tmp_path / "p0.yml"), ["p10.yml", "more than 10 files"])


NAN, INF = float("nan"), float("inf")
SETTINGS = [  # of a network: allowed are numbers that a training can use
    *[(name, value) for name in ("learning_rate", "l1", "l2") for value in (NAN, INF, 1e200, -1.0)],
    *[(name, value) for name in ("dropout", "max_rotation", "max_shift") for value in (NAN, INF)],
    *[("module_distance", value) for value in (NAN, INF, 1e200)],
    ("learning_rate", 0.0),
    ("learning_rate", True),
    ("learning_rate", "1e-3"),
    ("n_epochs", 10**12),
    ("n_epochs", 1e3),
    ("n_pruning_epochs", 10**12),
    ("batch_size", 10**30),
    ("n_threads", 10**9),
    ("n_lesion_images", 10**30),
]


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_settings_of_a_network(name, value):
    check_refused(
        lambda: NetworkSettings(dataset="digits", hidden=(8, 6), **{name: value}),
        [f"{name} = {value!r}", "Input should be"],
    )


WIDE = NetworkSettings(dataset="mnist", architecture="cnn", channels=[1024], hidden=[65_536])
LAYERS = {
    "wide": (lambda: NetworkSettings(dataset="digits", hidden=[10**9]), "hidden.0 = 1000000000"),
    "wide and wide": (
        lambda: NetworkSettings(dataset="digits", hidden=[8, 60_000, 60_000]),
        "3,600,000,000 weights",
        "at most 500,000,000",
    ),
    "many channels": (
        lambda: NetworkSettings(
            dataset="digits", architecture="resnet", channels=[16, 8_000, 8_000]
        ),
        "576,000,000 weights",
    ),
    "too many channels": (
        lambda: NetworkSettings(dataset="digits", architecture="cnn", channels=[10**6], hidden=[8]),
        "= 1000000",
        "equal to 8192",
    ),
    "wide after images": (
        lambda: build_network(WIDE, (1, 28, 28), 10, seed=0),
        "802,816 inputs and 65,536 units are joined by 52,613,349,376 weights",
        "at most 500,000,000",
    ),
    "deep": (lambda: NetworkSettings(dataset="digits", hidden=[2] * 5000), "at most 1000 items"),
    "dropouts": (
        lambda: NetworkSettings(dataset="digits", hidden=(8, 6), dropouts=(NAN, 0.5)),
        "dropouts.0 = nan",
    ),
}
PARAMETERS = {
    "draws": (lambda: ImportanceSection(n_draws=10**15), "n_draws", "equal to 1000000"),
    "clusters": (lambda: ImportanceSection(n_clusters=10**15), "n_clusters", "equal to 100000"),
    "steps": (lambda: CoherenceSection(n_steps=10**15), "n_steps", "equal to 1000000"),
    "images": (lambda: YourNetworkSection(n_images=10**30), "n_images", "equal to 10000000"),
    "level": (lambda: SynthesisSection(level=NAN), "level = nan", "finite number"),
    "noise": (lambda: ControlsSection(noises=[INF]), "noises.0 = inf", "finite number"),
    "noises": (lambda: ControlsSection(noises=[NAN]), "noises.0 = nan", "finite number"),
}


@pytest.mark.parametrize(("call", "words"), cases(LAYERS | PARAMETERS))
def test_layers_and_parameters(call, words):
    check_refused(call, words)
