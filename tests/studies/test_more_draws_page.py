"""Sequential draws of one tiny network: same p as one draw at a time, resumed, tabulated."""

import numpy as np
import pytest
from helpers.tiny_profile import tiny, write_profile
from safetensors import safe_open
from safetensors.numpy import save_file

from localspec._utils.artifacts import _digest
from localspec._utils.files import results_root
from localspec.clustering import draw_counterparts
from localspec.exceptions import ArtifactError
from localspec.lesions import lesion_accuracies
from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS, MoreDrawsSection, open_replicates, write_figure
from localspec.studies.more_draws import (
    more_draws_table,
    more_draws_test_table,
    newly_decided_table,
    plot_first_against_sequential_p,
)
from localspec.studies.more_draws._rounds import sequential_p_values_of

pytestmark = pytest.mark.integration

PARTITIONING = "activations/global"
SMALL = {"seeds": [0], "n_clusters": 3, "n_draws": 7, "n_steps": 4}
LIMITS = {"max_draws": 40, "max_exceedances": 4}


@pytest.fixture(scope="module")
def opened(tiny_profile):
    """Function that opens the tiny profile's network, with some parameters changed."""

    def make(profile=tiny_profile, **changes):
        section = MoreDrawsSection(profile=profile, **{**SMALL, **LIMITS, **changes})
        (replicate,) = open_replicates(section, progress=False)
        return replicate

    return make


def sequential(replicate, name, **limits):
    return sequential_p_values_of(replicate, name, PARTITIONING, **{**LIMITS, **limits})


def rounds():
    """Return when each stored round was written, by its path."""
    paths = (results_root() / "artifacts" / "more_draws").glob("*.safetensors")
    return {path: path.stat().st_mtime_ns for path in paths}


def test_p_is_that_of_one_draw_at_a_time(opened):
    replicate = opened()
    p_values = sequential(replicate, "importance")
    first = replicate.draws(PARTITIONING)
    data = replicate.dataset.x_test, replicate.dataset.y_test
    seeds = [(0, PARTITIONINGS.index(PARTITIONING), number) for number in (1, 2, 3)]
    for index, part in enumerate(first.subclusters):
        rows = [first.units[index]]
        rows += [
            draw_counterparts(replicate.partition(PARTITIONING), n, seed=seed).units[index]
            for n, seed in zip((7, 14, 12), seeds, strict=True)
        ]
        sets = [{part.layer: units} for units in (part.units, *np.concatenate(rows))]
        true, *null = lesion_accuracies(replicate.trained, *data, sets).mean(axis=1)
        n_exceeding = n_drawn = 0
        for value in null:
            n_drawn += 1
            n_exceeding += value <= true * (1 + 1e-9)
            if n_exceeding == 4 or n_drawn == 40:
                break
        p = 4 / n_drawn if n_exceeding == 4 else (n_exceeding + 1) / 41
        assert (p_values[index].pvalue, p_values[index].n_draws) == (pytest.approx(p), n_drawn)
    assert max(p_value.n_draws for p_value in p_values) > 7  # further rounds took part


def test_further_draws_are_lesioned_on_the_images_of_the_first(opened, tmp_path):
    replicate = opened(profile=write_profile(tmp_path, tiny(n_lesion_images=300)))
    x, y = replicate.lesion_images()
    assert len(x) == 300
    assert replicate.lesioned(PARTITIONING).class_sizes.sum() == 300
    p_values = sequential(replicate, "importance")
    seed = (0, PARTITIONINGS.index(PARTITIONING), 1)
    further = [index for index, p_value in enumerate(p_values) if p_value.n_draws > 7]
    draws = draw_counterparts(replicate.partition(PARTITIONING), 7, seed=seed).chosen(further)
    assert further
    for index, part, rows in zip(further, draws.subclusters, draws.units, strict=True):
        sets = [{part.layer: units} for units in rows]
        expected = lesion_accuracies(replicate.trained, x, y, sets).mean(axis=1)
        values = p_values[index].null_distribution[7:14]
        assert values == pytest.approx(expected[: len(values)])


def test_the_first_draws_are_those_of_the_other_pages(opened):
    replicate = opened()
    for name in MEASURES:
        values = replicate.measure(name, PARTITIONING).values
        for index, p_value in enumerate(sequential(replicate, name)):
            n = min(p_value.n_draws, 7)
            assert np.array_equal(p_value.null_distribution[:n], values[1 : n + 1, index])


def test_a_draw_of_the_true_units_ties_with_them(opened, tmp_path, monkeypatch):
    # of four units each pair is one of six sets: many draws are the true units themselves
    path = write_profile(tmp_path, tiny(hidden=[4, 4]))
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    limits = {"max_draws": 40, "max_exceedances": 30}
    replicate = opened(profile=path, **limits)
    sequential(replicate, "input_coherence", **limits)
    stored = list(rounds())
    assert stored
    for path_of_round in stored:  # no draw reaches the true units in what is stored now
        with safe_open(path_of_round, framework="numpy") as file:
            metadata, shape = file.metadata(), file.get_tensor("scores").shape
        arrays = {"scores": np.full(shape, -1e9), "entropies": np.full(shape, 1e9)}
        metadata["sha256"] = _digest(dict(sorted(arrays.items())), metadata["description"])
        save_file(arrays, path_of_round, metadata)
    again = opened(profile=path, compute="never", **limits)
    n_true = 0
    for name in ("input_coherence", "output_coherence"):
        values = again.measure(name, PARTITIONING).values
        for index, p_value in enumerate(sequential(again, name, **limits)):
            further = p_value.null_distribution[7:]
            assert set(further) <= {values[0, index], -1e9, 1e9}
            n_true += int((further == values[0, index]).sum())
    assert n_true > 0


def test_a_killed_run_goes_on_after_the_last_round(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    p_values = sequential(opened(), "importance")
    written = rounds()
    assert len(written) == 3
    last = max(written, key=written.get)
    last.unlink()  # as if it had been killed before
    with pytest.raises(ArtifactError, match=r"'more_draws' has not been computed .*\"round\": 3"):
        sequential(opened(compute="never"), "importance")
    resumed = sequential(opened(), "importance")
    again = rounds()
    assert again.keys() == written.keys()
    assert [path for path in again if again[path] != written[path]] == [last]
    never = sequential(opened(compute="never"), "importance")  # nothing is left to compute
    for results in (resumed, never):
        assert [p_value.pvalue for p_value in results] == [p_value.pvalue for p_value in p_values]
    with pytest.raises(ArtifactError, match="'more_draws' has not been computed"):
        sequential(opened(compute="never", max_draws=60), "importance", max_draws=60)


def test_tables_and_figure(opened):
    replicate = opened()
    table = more_draws_table(replicate, **LIMITS)
    n_subclusters = [len(replicate.draws(name).subclusters) for name in PARTITIONINGS]
    assert len(table) == sum(n_subclusters) * len(MEASURES)
    stopped = table["n_exceedances"] == 4
    assert (table["draws_used"][~stopped] == 40).all()
    expected = np.where(stopped, 4 / table["draws_used"], (table["n_exceedances"] + 1) / 41)
    assert np.allclose(table["p_sequential"], expected)
    assert (table["bh_sequential"] >= table["p_sequential"] * (1 - 1e-9)).all()

    tests = more_draws_test_table(replicate, table, max_exceedances=4)
    assert list(tests["n_subclusters"]) == [n for n in n_subclusters for _ in MEASURES]
    assert set(tests["chain"]) == {"uncalibrated"}
    assert (tests["permutation_p"] >= 1 / 8).all()
    logs = -np.log(table["p_sequential"])  # plain Fisher: no mid rule, no shift
    by_test = logs.groupby([table["partitioning"], table["measure"]], sort=False).mean()
    assert np.allclose(tests["fisher_statistic"], by_test)

    drawn = plot_first_against_sequential_p(table, n_draws=7, max_draws=40)
    titles = ["Importance", "Class coherence", "Input coherence", "Output coherence"]
    assert [axis.get_title().split(" (")[0] for axis in drawn.axes] == titles
    n_points = sum(len(points.get_offsets()) for axis in drawn.axes for points in axis.collections)
    assert n_points == len(table)
    write_figure(drawn, "more_draws", profile="tiny")
    assert (results_root() / "tiny" / "figures" / "more_draws-narrow.svg").is_file()


def test_rows_whose_verdict_changes(opened):
    table = more_draws_table(opened(), **LIMITS).head(4).copy()
    table["significant"] = ["neither", "more draws only", "both", "first draws only"]
    table["p_sequential"] = [0.5, 0.02, 0.001, 0.01]
    assert newly_decided_table(table)["p_sequential"].tolist() == [0.01, 0.02]
