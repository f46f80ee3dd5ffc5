"""The page on forks: every other reading, and what it changes."""

import numpy as np
import pytest
from helpers.tiny_profile import TINY, write_profile

from localspec.conventions import PAPER, RELEASED, Conventions
from localspec.measures import LESIONED, VISUALIZED
from localspec.networks import NetworkSettings
from localspec.pipeline import ForksSection, Reading, readings
from localspec.pipeline._readings import REDRAWN
from localspec.studies.forks import fork_replicates, fork_table, fork_test_table, plot_changes_of_p
from localspec.studies.forks._tables import CHANNELS, ChannelsReading, networks_in_three_channels

pytestmark = pytest.mark.integration

MLP = TINY["networks"]["mlp"] | {"n_lesion_images": 150}
KEYS = ["network", "option", "reading"]
NETWORKS = {
    "mlp": MLP,
    "mlp-squeezed": {**MLP, "image_channels": "squeezed", "n_epochs": 3},
    "cnn": {
        "dataset": "digits",
        "architecture": "cnn",
        "channels": [4, 5, "pool", 6],
        "hidden": [6],
        "n_epochs": 2,
        "batch_norm": "before",
        "n_lesion_images": 150,
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("forks")


@pytest.fixture(scope="module")
def opened(few_starts, tmp_path_factory):
    content = {"dtype": "float64", "device": "cpu", "networks": NETWORKS, "seeds": [0, 1]}
    path = write_profile(tmp_path_factory.mktemp("profiles"), content, "forks")
    section = ForksSection(
        profile=path, networks=["mlp", "cnn"], seeds=[0, 1], n_clusters=3, n_draws=5,
        n_images=100, n_steps=2,
    )  # fmt: skip
    return fork_replicates(section, progress=False)


@pytest.fixture(scope="module")
def tests(opened, results):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALSPEC_RESULTS", str(results))
        return fork_test_table(opened)


def of(network):
    return {(reading.option, reading.value) for reading in readings(NetworkSettings(**network))}


def test_every_fork_is_read_otherwise_where_it_can_matter():
    everything = {"dataset": "digits", "architecture": "resnet", "channels": [4, 4]}
    mlp = {**NETWORKS["mlp"], "l2": 1e-4, "n_pruning_epochs": 1}
    options = {option for option, _ in of(everything) | of(NETWORKS["cnn"]) | of(mlp)}
    assert options == set(Conventions.model_fields)
    assert ("p_rule", "conservative") in of(NETWORKS["mlp"])
    assert ("p_rule", "mid") not in of(NETWORKS["mlp"])
    assert not {"kernel_norm", "l2_first_layer", "residual_units", "dropped_weights"} & {
        o for o, _ in of(NETWORKS["mlp"])
    }
    assert ("l2_first_layer", "l1") in of({**NETWORKS["mlp"], "l2": 1e-4})
    assert "lesion_point" in {option for option, _ in of(NETWORKS["cnn"])}


def test_a_reading_changes_one_option_only():
    reading = Reading("p_rule", "strict")
    changed = reading.conventions.model_dump()
    assert changed.pop("p_rule") == "strict"
    assert changed == {k: v for k, v in PAPER.model_dump().items() if k != "p_rule"}
    assert reading.is_released == (RELEASED.p_rule == "strict")
    assert not Reading("p_rule", "conservative").is_released


def test_tests_of_every_reading_beside_the_plain_one(opened, tests):
    n_readings = sum(len(by_reading) - 1 for by_reading in opened.values())
    assert len(tests) == 16 * n_readings
    # the plain columns do not depend on the reading
    plain = tests.groupby(["network", "partitioning", "measure"])["p_plain"].nunique(dropna=False)
    assert (plain == 1).all()
    # what a rule for ties can and cannot touch
    rule = tests[(tests["option"] == "p_rule") & (tests["reading"] == "conservative")]
    assert np.allclose(rule["effect"], rule["effect_plain"], equal_nan=True)
    ranges = tests[tests["option"] == "undefined_ranges"]
    other = ranges[ranges["measure"] != "class_coherence"]
    assert (other["p"] == other["p_plain"]).all()


def test_the_table(opened, tests):
    table = fork_table(opened, tests).set_index(KEYS)
    rule = table.loc[("mlp", "p_rule", "conservative")]
    assert rule["adjusted_rand"] == pytest.approx(1)
    assert rule["ncut"] == rule["ncut_plain"]
    assert rule["n_subclusters"] == rule["n_subclusters_plain"]
    norm = table.loc[("cnn", "kernel_norm", "induced")]
    assert norm["ncut"] != norm["ncut_plain"]
    assert norm["released"] == "yes"
    fewer = table.loc[("mlp", "min_units", "three")]
    assert fewer["n_subclusters"] <= fewer["n_subclusters_plain"]
    biggest = tests.assign(change=(tests["p"] - tests["p_plain"]).abs())
    for key, row in table.iterrows():
        part = biggest[(biggest[KEYS] == list(key)).all(axis=1)]
        assert row["largest_change_of_p"] == pytest.approx(part["change"].max())
        assert (row["where"] == "") == (part["change"].max() == 0)


def test_the_control_draws_again_and_changes_nothing_else(opened, tests):
    assert next(reading for reading in opened["mlp"] if reading is not None) == REDRAWN
    assert REDRAWN.conventions == PAPER
    assert not REDRAWN.is_released
    plain, redrawn = opened["mlp"][None][0], opened["mlp"][REDRAWN][0]
    before, after = plain.draws("weights/global"), redrawn.draws("weights/global")
    pairs = zip(before.subclusters, after.subclusters, strict=True)
    assert all(np.array_equal(a.units, b.units) for a, b in pairs)
    assert not all(np.array_equal(a, b) for a, b in zip(before.units, after.units, strict=True))
    moved = tests[tests["reading"] == REDRAWN.value]
    assert (moved["p"] - moved["p_plain"]).abs().max() > 0
    table = fork_table(opened, tests).set_index(KEYS)
    row = table.loc[("mlp", REDRAWN.option, REDRAWN.value)]
    assert (row["adjusted_rand"], row["tests_gained"], row["tests_lost"]) == (1, 0, 0)


def test_a_test_that_exists_under_one_reading_only_is_no_unchanged_one(opened, tests):
    key = ("mlp", "p_rule", "conservative")
    of_it = (tests[KEYS] == list(key)).all(axis=1) & tests["p"].notna()
    lost, gained = tests.index[of_it][:2]
    fewer = tests.copy()
    fewer.loc[lost, "p"] = np.nan
    fewer.loc[gained, "p_plain"] = np.nan
    for table, counts in ((tests, (0, 0)), (fewer, (1, 1))):
        row = fork_table(opened, table).set_index(KEYS).loc[key]
        assert (row["tests_gained"], row["tests_lost"]) == counts


def test_the_figure_has_a_row_for_every_reading(opened, tests):
    figure = plot_changes_of_p(tests)
    rows = [[label.get_text() for label in axis.get_yticklabels()] for axis in figure.axes]
    for labels, (name, by_reading) in zip(rows, opened.items(), strict=True):
        axis = figure.axes[list(opened).index(name)]
        assert name in (axis.get_title(), axis.get_title(loc="left"))
        others = [reading for reading in by_reading if reading is not None]
        assert labels == [f"{reading.option}: {reading.value}" for reading in others]


SQUEEZED = ChannelsReading(CHANNELS, "squeezed")


def test_networks_in_three_channels_are_found_by_their_settings():
    networks = {name: NetworkSettings(**settings) for name, settings in NETWORKS.items()}
    assert networks_in_three_channels(networks, "mlp") == {SQUEEZED: "mlp-squeezed"}
    assert networks_in_three_channels(networks, "cnn") == {}
    assert networks_in_three_channels(networks, "mlp-squeezed") == {}
    narrower = {**networks, "mlp": networks["mlp"].model_copy(update={"hidden": (14, 10)})}
    assert networks_in_three_channels(narrower, "mlp") == {}


def test_another_network_is_visualized_and_the_first_one_lesioned(opened, tests):
    others = opened["mlp"][SQUEEZED]
    assert [replicate.network for replicate in others] == ["mlp-squeezed"] * 2
    assert others[0].dataset.image_shape == (3, 8, 8)
    assert others[0].trained.module[1].in_features == 3 * 64
    of_it = tests[tests["option"] == CHANNELS]
    assert set(of_it["network"]) == {"mlp"}
    assert len(of_it) == 16
    # lesions speak of the network itself, images of the other one
    assert (of_it["p"] == of_it["p_plain"])[of_it["measure"].isin(LESIONED)].all()
    for row in of_it[of_it["measure"].isin(VISUALIZED)].itertuples():
        assessments = [replicate.assessment(row.measure, row.partitioning) for replicate in others]
        p = [assessment.permutation.pvalue for assessment in assessments]
        mean = np.mean(p)
        assert row.p == pytest.approx(2 * mean**2 if mean <= 0.5 else 1 - 2 * (1 - mean) ** 2)
    # sixteen tests of one family
    order = of_it["p"].rank(method="max")
    adjusted = of_it["p"] * 16 / order
    significant = [(adjusted[of_it["p"] >= p]).min() <= 0.05 for p in of_it["p"]]
    assert (of_it["verdict"] == "significant").tolist() == significant
    table = fork_table(opened, tests).set_index(KEYS)
    row = table.loc[("mlp", CHANNELS, "squeezed")]
    assert (row["released"], row["adjusted_rand"]) == ("yes", 1)
    assert row["n_subclusters"] == row["n_subclusters_plain"]
    assert row["ncut"] == row["ncut_plain"]


def test_forks_come_in_the_order_of_the_options(opened):
    first, *others = [reading.option for reading in opened["mlp"] if reading is not None]
    assert first == REDRAWN.option
    assert others[others.index(CHANNELS) - 1] == "min_units"
    assert others[-1] == CHANNELS
    without = [option for option in others if option != CHANNELS]
    positions = [list(Conventions.model_fields).index(option) for option in without]
    assert positions == sorted(positions)
    options = [reading.option for reading in opened["cnn"] if reading is not None]
    assert CHANNELS not in options
