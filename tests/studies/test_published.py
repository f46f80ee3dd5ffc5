"""Published figures beside small networks that were trained here and need not agree."""

import pytest
from helpers.tiny_profile import write_profile

from localspec.exceptions import InvalidInputError
from localspec.pipeline import PublishedSection, open_replicates
from localspec.studies.published import (
    diagnosis_table,
    has_published_figures,
    is_diagnosis,
    means_table,
    plot_differences_from_published,
    plot_moved_quantities,
    plot_ncuts,
    plot_published_beside_ours,
    published_table,
    replicates_table,
    stands_alone,
    under_every_reading,
)
from localspec.studies.published._compare import DROPPED_WEIGHTS, QUANTITIES
from localspec.studies.published._data import load_published
from localspec.studies.published._diagnosis import AS_ON_THIS_PAGE

pytestmark = pytest.mark.integration

MLP = {"dataset": "digits", "hidden": [14, 12], "n_epochs": 2, "published": "MNIST"}
CNN = {
    "dataset": "digits",
    "architecture": "cnn",
    "channels": [6, 8],
    "hidden": [6],
    "n_epochs": 1,
    "n_pruning_epochs": 4,
    "published": "CNN-MNIST",
    "l1": 0.01,
    "learning_rate": 0.05,  # weights near zero, and steps as large as they are
}
LONGER = {**MLP, "published": None, "diagnoses": "mlp", "n_epochs": 4}
NETWORKS = {
    "mlp": MLP,
    "mlp-unpublished": {**MLP, "published": None},
    "cnn": CNN,
    "mlp-longer": LONGER,
    "cnn-plain": {**CNN, "l1": 0.0, "learning_rate": 0.001},
}
PUBLISHED = ["mlp", "mlp-unpublished", "cnn", "mlp-longer"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


@pytest.fixture(scope="module")
def section(few_starts, tmp_path_factory):
    content = {"dtype": "float64", "device": "cpu", "networks": NETWORKS, "seeds": [0, 1]}
    content["method"] = {"n_clusters": 12}
    path = write_profile(tmp_path_factory.mktemp("profiles"), content, "published")

    def make(**changes):
        parameters = {"profile": path, "networks": PUBLISHED, "seeds": [0, 1], **changes}
        return PublishedSection(**parameters)

    return make


def opened(section, which=has_published_figures):
    return open_replicates(section, only=which, progress=False)


def test_untrained_networks_are_left_out_if_asked(section):
    assert opened(section(untrained="leave out")) == []
    (first, *_) = opened(section(networks=["mlp"]))
    assert first.stored_path is None
    _ = first.trained
    assert first.stored_path.is_file()
    assert opened(section(untrained="leave out")) == []  # seed 1 is not trained
    with pytest.raises(InvalidInputError, match=r"trained for every seed: .*localspec train"):
        published_table([])


def test_the_table(section):
    replicates = opened(section())
    assert {replicate.network for replicate in replicates} == {"mlp", "cnn"}
    table = published_table(replicates)
    keys = table[["network", "reading", "quantity"]].apply(tuple, axis=1).tolist()
    readings = [
        ("mlp", "paper"),
        ("cnn", "paper"),
        ("cnn", "kernel_norm: induced"),
        ("cnn", "dropped_weights: return"),
    ]
    assert keys == [(*reading, quantity) for reading in readings for quantity in QUANTITIES]
    rows = table.set_index(["network", "reading", "quantity"])
    row = rows.loc[("mlp", "paper", "ncut")]
    values = [mlp.clusterability().statistic for mlp in replicates if mlp.network == "mlp"]
    assert row["ours"] == pytest.approx(sum(values) / 2)
    assert 10.0 < row["published"] < 10.05  # MNIST control, five published replicates
    assert row["allowed_low"] < row["published_min"] < row["published_max"] < row["allowed_high"]
    assert rows.loc[("mlp", "paper", "test_accuracy"), "verdict"] == "differs"  # two epochs
    # a pruned network is compared with pruned ones
    accuracy = rows.loc[("cnn", "paper", "test_accuracy")]
    assert accuracy["published"] == pytest.approx(0.9932, abs=1e-6)
    assert accuracy["verdict"] == "differs"
    # only the graph is read otherwise
    assert rows.loc[("cnn", "kernel_norm: induced", "test_accuracy"), "ours"] == accuracy["ours"]
    assert (
        rows.loc[("cnn", "kernel_norm: induced", "ncut"), "ours"]
        != rows.loc[("cnn", "paper", "ncut"), "ours"]
    )
    # here the network itself is another
    returned = table[table["reading"] == "dropped_weights: return"]["ours"].tolist()
    assert returned != table[table["reading"] == "paper"]["ours"].tolist()[-len(QUANTITIES) :]
    labels = [
        text.get_text() for text in plot_published_beside_ours(table).axes[0].get_yticklabels()
    ]
    assert labels == ["mlp", "cnn", "cnn, kernel_norm: induced", "cnn, dropped_weights: return"]
    # drawn where the table has them, hollow where the interval leaves out zero
    accuracies = rows.xs("test_accuracy", level="quantity")
    panel = plot_differences_from_published(table).axes[list(QUANTITIES).index("test_accuracy")]
    points = panel.collections[-1]
    assert points.get_offsets()[:, 0].tolist() == accuracies["difference"].tolist()
    without_zero = (accuracies["difference_low"] > 0) | (accuracies["difference_high"] < 0)
    hollow = [colour[:3].tolist() == [1, 1, 1] for colour in points.get_facecolor()]
    assert hollow == without_zero.tolist()
    assert any(hollow)


def test_every_replicate_has_the_columns_of_the_published_table(section):
    replicates = opened(section())
    unpublished = opened(section(), stands_alone)
    assert {replicate.network for replicate in unpublished} == {"mlp-unpublished"}
    table = replicates_table([*replicates, *unpublished])
    counts = ["n_isolated", "n_near_dead", "n_zero_volume", "n_empty"]
    assert list(table) == [*load_published("clusterability"), *counts, "reading"]
    assert set(table["reading"]) == {"paper"}
    assert table["training"].tolist() == ["mlp"] * 2 + ["cnn"] * 2 + ["mlp-unpublished"] * 2
    assert table["replicate"].tolist() == [0, 1] * 3
    assert table["model"].tolist() == ["MNIST"] * 2 + ["CNN-MNIST"] * 2 + [""] * 2
    assert table["pruned"].tolist() == [False] * 2 + [True] * 2 + [False] * 2
    row, replicate = table.iloc[3], replicates[3]
    cut = replicate.clusterability()
    assert (row["ncut"], row["p_value"]) == (cut.statistic, cut.pvalue)
    assert row["test_accuracy"] == replicate.trained.history["test_accuracy"][-1]
    every = under_every_reading(replicates)
    otherwise = ["kernel_norm: induced", "dropped_weights: return"]
    assert [(replicate.network, replicate.reading) for replicate in every[::2]] == [
        ("mlp", "paper"),
        *(("cnn", reading) for reading in ("paper", *otherwise)),
    ]
    induced = replicates_table(every).query("reading == 'kernel_norm: induced'")["ncut"]
    compared = published_table(replicates).query("reading == 'kernel_norm: induced'")
    assert induced.mean() == pytest.approx(compared.iloc[0]["ours"])
    both = replicates_table(under_every_reading([*replicates, *unpublished]))
    axis = plot_ncuts(both).axes[0]
    names = ["mlp", "cnn", *(f"cnn, {reading}" for reading in otherwise), "mlp-unpublished"]
    assert [label.get_text() for label in axis.get_yticklabels()] == names
    copies, networks = axis.collections[4:6]  # of the second row of networks read otherwise
    rows = both[both["reading"] == "kernel_norm: induced"]
    assert copies.get_offsets()[:, 0].tolist() == rows["shuffled_ncut_mean"].tolist()
    assert networks.get_offsets()[:, 0].tolist() == rows["ncut"].tolist()
    means = means_table(both)
    names = means["training"] + ", " + means["reading"]
    assert names.tolist() == [
        "mlp, paper",
        "cnn, paper",
        *(f"cnn, {reading}" for reading in otherwise),
        "mlp-unpublished, paper",
    ]
    assert means["n_networks"].tolist() == [2] * 5
    assert (means["inside_to_outside"] + 1 / 2).tolist() == pytest.approx(6 / means["ncut"])
    assert means["ncut"].tolist()[2] == pytest.approx(induced.mean())
    assert means["test_accuracy"].tolist()[1] == pytest.approx(table["test_accuracy"][2:4].mean())


def test_settings_that_are_not_those_of_the_published_figures(section):
    words = "n_clusters = 8, but the published figures have 12"
    with pytest.raises(InvalidInputError, match=words):
        published_table(opened(section(n_clusters=8)))


def test_the_diagnosis_changes_one_thing_at_a_time(section):
    replicates = opened(section(networks=["mlp", "cnn"]))
    others = opened(section(), is_diagnosis)
    assert {replicate.network for replicate in others} == {"mlp-longer"}
    table = published_table(replicates)
    table["verdict"] = "holds"
    at = table.set_index(["network", "reading", "quantity"]).index.get_loc
    for network, quantity in [("mlp", "test_accuracy"), ("mlp", "ncut"), ("cnn", "ncut")]:
        table.loc[at((network, "paper", quantity)), "verdict"] = "differs"
    diagnosis = diagnosis_table(replicates, others, table)
    rows = diagnosis.set_index(["network", "quantity", "changed"]).sort_index()
    assert (rows.xs(AS_ON_THIS_PAGE, level="changed")["change"] == 0).all()
    accuracy = rows.loc[("mlp", "test_accuracy")]
    assert set(accuracy.index) == {AS_ON_THIS_PAGE, "n_epochs: 4"}  # graphs have no accuracy
    values = [replicate.trained.history["test_accuracy"][-1] for replicate in others]
    assert accuracy.loc["n_epochs: 4", "mean"] == pytest.approx(sum(values) / 2)
    assert {"kernel_norm: induced", "dropped_weights: return"} <= set(
        rows.loc[("cnn", "ncut")].index
    )
    assert "kernel_norm: induced" not in rows.loc[("mlp", "ncut")].index
    other = table.set_index(["network", "reading", "quantity"]).loc[
        ("cnn", "kernel_norm: induced", "ncut"), "ours"
    ]
    assert rows.loc[("cnn", "ncut", "kernel_norm: induced"), "mean"] == pytest.approx(other)
    table.loc[at(("cnn", "paper", "shuffled_ncut_mean")), "verdict"] = "differs"
    shuffled = diagnosis_table(replicates, others, table)
    shuffled = shuffled[shuffled["quantity"] == "shuffled_ncut_mean"].set_index("changed")["mean"]
    readings = {"kernel_norm: induced", "dropped_weights: return"}
    assert set(shuffled.index) == {AS_ON_THIS_PAGE, *readings}
    assert shuffled["kernel_norm: induced"] == pytest.approx(
        table.loc[at(("cnn", "kernel_norm: induced", "shuffled_ncut_mean")), "ours"]
    )
    figures = plot_moved_quantities(diagnosis)
    moved = diagnosis.groupby(["network", "quantity"], sort=False).groups
    assert list(figures) == [f"{network}-{quantity}" for network, quantity in moved]
    assert diagnosis_table(replicates, others, table.assign(verdict="holds")).empty
    assert plot_moved_quantities(diagnosis.iloc[:0]) == {}


def test_the_diagnosis_trains_nothing_where_untrained_networks_are_left_out(section):
    # without l1 the table has no row for dropped weights that return
    replicates = opened(section(networks=["cnn-plain"]))
    table = published_table(replicates)
    at = table.set_index(["reading", "quantity"]).index.get_loc
    table["verdict"] = "holds"
    table.loc[at(("paper", "ncut")), "verdict"] = "differs"

    def changes() -> set[str]:
        diagnosis = diagnosis_table(replicates, [], table, untrained="leave out")
        return set(diagnosis["changed"])

    assert "kernel_norm: induced" in changes()
    assert "dropped_weights: return" not in changes()
    for replicate in replicates:
        _ = replicate.with_choices(conventions=DROPPED_WEIGHTS.conventions).trained
    assert {"kernel_norm: induced", "dropped_weights: return"} <= changes()
