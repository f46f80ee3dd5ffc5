"""Tables: which columns and rows, which digits, and what is on disk."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import (
    PARTITIONINGS,
    Replicate,
    clusterability_table,
    format_number,
    format_table,
    network_test_table,
    partition_table,
    subcluster_table,
    training_table,
    write_table,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.966629, "0.9666"),
        (0.00001234567, "1.235e-05"),
        (1234.4999, "1234"),
        (-12.3456, "-12.35"),
        (0.5, "0.5"),
        (0.0, "0"),
        (1.0, "1"),
        (float("nan"), ""),
        (float("inf"), "inf"),
        (np.float64(0.123456), "0.1235"),
        (np.float32(0.1), "0.1"),
        (12345, 12345),
        (np.int64(12345), 12345),
        ("0.123456", "0.123456"),
    ],
)
def test_four_significant_digits(value, expected):
    assert format_number(value) == expected
    assert type(format_number(value)) is type(expected) or isinstance(value, np.integer)


TABLE = pd.DataFrame(
    {"name": ["a", "b, c"], "n": [1, 200000], "p": [0.123456789, np.nan], "z": [1e-20, -3.0]}
)


def test_formatting_leaves_the_table_alone():
    printed = format_table(TABLE)
    assert printed["p"].tolist() == ["0.1235", ""]
    assert printed["n"].tolist() == [1, 200000]
    assert TABLE["p"][0] == 0.123456789


def test_what_is_printed_is_what_is_written(results, tmp_path, monkeypatch):
    record = tmp_path / "record.jsonl"
    monkeypatch.setenv("LOCALSPEC_RECORD", str(record))
    printed = write_table(TABLE, "example", profile="tiny")
    path = results / "tiny" / "tables" / "example.csv"
    content = path.read_bytes()
    assert content == b'name,n,p,z\na,1,0.1235,1e-20\n"b, c",200000,,-3\n'
    read = pd.read_csv(path, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(read, printed.astype(str), check_dtype=False)
    digest = hashlib.sha256(content).hexdigest()
    assert json.loads(record.read_text()) == {"table": "example.csv", "sha256": digest}


def test_rounding_errors_do_not_reach_the_file(results):
    write_table(TABLE, "first", profile="tiny")
    noisy = TABLE.assign(p=TABLE["p"] * (1 + 1e-13), z=TABLE["z"] * (1 - 1e-13))
    write_table(noisy, "second", profile="tiny")
    folder = results / "tiny" / "tables"
    assert (folder / "first.csv").read_bytes() == (folder / "second.csv").read_bytes()


def test_a_profile_given_by_its_path_names_the_folder(results):
    write_table(TABLE, "example", profile="/some/where/mine.yml")
    assert (results / "mine" / "tables" / "example.csv").exists()


@pytest.mark.parametrize(
    "table",
    [training_table, clusterability_table, partition_table, subcluster_table, network_test_table],
)
def test_no_replicates(table):
    with pytest.raises(InvalidInputError, match="there is no replicate"):
        table([])


def test_training_table(replicates):
    table = training_table(replicates)
    trained = table[["network", "seed", "n_epochs"]].to_numpy().tolist()
    assert trained == [["mlp", 0, 6], ["mlp", 1, 6]]
    for row, replicate in zip(table.itertuples(), replicates, strict=True):
        for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
            assert getattr(row, name) == replicate.trained.history[name][-1]


def test_clusterability_table(replicates):
    table = clusterability_table(replicates)
    for row, replicate in zip(table.itertuples(), replicates, strict=True):
        result = replicate.clusterability()
        null = result.null
        # the profile's number of shuffles, which the synthesis notebook does not set
        assert (row.seed, row.n_clusters, row.n_shuffles) == (replicate.seed, 3, 4)
        assert row.ncut == result.statistic
        assert row.inside_to_outside == pytest.approx(3 / (2 * row.ncut) - 1 / 2)
        assert row.shuffled_ncut_mean == pytest.approx(sum(null) / 4)
        spread = (sum((null - sum(null) / 4) ** 2) / 4) ** 0.5
        assert row.shuffled_ncut_std == pytest.approx(spread)
        assert row.z_score == pytest.approx((row.ncut - sum(null) / 4) / spread)
        assert row.p_value == pytest.approx((1 + sum(null <= row.ncut)) / 5)
        assert row.p_floor == pytest.approx(1 / 5)
        counts = (row.n_isolated, row.n_near_dead, row.n_zero_volume, row.n_empty)
        assert counts == (result.n_isolated, result.n_near_dead, 0, 0)


def test_what_a_lower_precision_changes_is_told(replicates):
    tests = network_test_table(replicates[:1], ["importance"])
    assert "other_predictions" not in tests
    profile = replicates[0].profile
    settings = profile.networks["mlp"].model_copy(update={"lesion_precision": "bfloat16"})
    reduced = Replicate(
        profile.model_copy(update={"networks": {"mlp": settings}}), "mlp", 0, progress=False
    )
    assert reduced.trained.module[1].weight.equal(replicates[0].trained.module[1].weight)
    told = network_test_table([reduced], ["importance"]).set_index("partitioning")
    assert 0 < told.loc["weights/global", "other_predictions"] < 0.1
    both = [
        replicate.lesioned("weights/global").lesioned[0] for replicate in (reduced, replicates[0])
    ]
    assert 0 < np.abs(both[0] - both[1]).max() < 0.1


def test_partition_table(replicates):
    table = partition_table(replicates)
    # 2 networks, 4 partitionings, 2 hidden layers
    assert len(table) == 16
    assert set(table["partitioning"]) == set(PARTITIONINGS)
    for row in table.itertuples():
        partition = replicates[row.seed].partition(row.partitioning)
        (layer,) = (layer for layer in partition.tested if layer.name == row.layer)
        labels = partition.of(layer).tolist()
        sizes = sorted((labels.count(k) for k in set(labels) - {-1}), reverse=True)
        assert row.sizes == " ".join(str(size) for size in sizes)
        assert row.n_clusters == len(sizes)
        assert row.n_live == sum(sizes)


def test_subcluster_table(replicates):
    table = subcluster_table(replicates)
    n_tested = [len(r.draws(p).subclusters) for r in replicates for p in PARTITIONINGS]
    assert len(table) == sum(n_tested)
    part = table[(table["seed"] == 1) & (table["partitioning"] == "activations/local")]
    draws = replicates[1].draws("activations/local")
    for name in ("layer", "cluster", "n_units"):
        assert part[name].tolist() == [getattr(each, name) for each in draws.subclusters]
    for name in MEASURES:
        assessment = replicates[1].assessment(name, "activations/local")
        true, null = assessment.measure.values[0], assessment.measure.values[1:]
        assert part[name].to_numpy() == pytest.approx(true, nan_ok=True)
        for column in range(len(part)):
            defined = null[:, column][~np.isnan(null[:, column])]
            expected = defined.mean() if len(defined) else np.nan
            random = part[f"{name}_random"].iloc[column]
            assert random == pytest.approx(expected, nan_ok=True)
        assert part[f"{name}_p"].to_numpy() == pytest.approx(assessment.p_values)
        assert part[f"{name}_effect"].to_numpy() == pytest.approx(
            assessment.effects.effect, nan_ok=True
        )


def test_subcluster_table_of_some_measures(replicates):
    table = subcluster_table(replicates[:1], ["importance"])
    of_subcluster = ["network", "seed", "partitioning", "layer", "cluster", "n_units"]
    of_measure = ["importance", "importance_random", "importance_p", "importance_effect"]
    assert list(table.columns) == of_subcluster + of_measure


def test_network_test_table(replicates):
    table = network_test_table(replicates)
    assert len(table) == 2 * 4 * 4
    first = ["network", "seed", "partitioning", "measure", "permutation_p", "mean_effect"]
    assert list(table.columns[:6]) == first  # what is seen of it on a narrow screen
    for row in table.itertuples():
        assessment = replicates[row.seed].assessment(row.measure, row.partitioning)
        p = assessment.p_values
        assert row.n_subclusters == len(p)
        assert row.n_undefined == np.isnan(assessment.measure.values[0]).sum()
        undefined = np.isnan(assessment.measure.values[1:])
        assert row.undefined_draws == undefined.sum() / undefined.size
        assert row.fisher_statistic == pytest.approx(-np.log(p).mean())
        assert row.fisher_p == assessment.fisher.pvalue
        assert row.permutation_p == assessment.permutation.pvalue
        assert row.draw_overlap == replicates[row.seed].draws(row.partitioning).mean_overlap


def test_tables_are_the_same_when_made_again(replicates):
    for make in (training_table, subcluster_table, network_test_table):
        first, again = (format_table(make(replicates)) for _ in range(2))
        pd.testing.assert_frame_equal(first, again)
