"""Sequential draws of one tiny network: same p as one draw at a time, resumed, tabulated."""

import numpy as np
import pytest

from localspec import more_draws
from localspec.artifacts import results_root
from localspec.errors import ArtifactError
from localspec.lesions import lesion_accuracies
from localspec.measures import MEASURES
from localspec.more_draws import further_draws
from localspec.more_draws_replicates import open_more_draws
from localspec.pipeline import PARTITIONINGS
from localspec.plots_more_draws import first_against_sequential
from localspec.sections import MoreDrawsSection
from localspec.tables_more_draws import more_draws_table, more_draws_tests, newly_decided

pytestmark = pytest.mark.integration

PARTITIONING = "activations/global"
SMALL = {"seeds": [0], "n_clusters": 3, "n_draws": 7, "n_steps": 4}


@pytest.fixture(scope="module")
def opened(tiny_profile):
    """Function that opens the tiny profile's network, with some parameters changed."""

    def make(**changes):
        small = {**SMALL, "max_draws": 40, "max_exceedances": 4, **changes}
        return open_more_draws(MoreDrawsSection(profile=str(tiny_profile), **small), progress=False)

    return make


def test_p_is_that_of_one_draw_at_a_time(opened):
    replicate = opened()
    found = replicate.sequential("importance", PARTITIONING)
    first = replicate.draws(PARTITIONING)
    data = replicate.dataset.x_test, replicate.dataset.y_test
    seeds = [(0, PARTITIONINGS.index(PARTITIONING), number) for number in (1, 2, 3)]
    for index, part in enumerate(first.subclusters):
        rows = [first.units[index]]
        rows += [
            further_draws(replicate.partition(PARTITIONING), n, [index], seed=seed).units[0]
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
        assert (found[index].pvalue, found[index].n_draws) == (pytest.approx(p), n_drawn)
    assert max(one.n_draws for one in found) > 7  # further rounds took part


def test_further_draws_are_lesioned_on_the_images_of_the_first(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    work, seen = more_draws.further_lesions, []

    def looking(network, x, y, draws, **options):
        seen.append((len(x), len(y)))
        return work(network, x, y, draws, **options)

    monkeypatch.setattr(more_draws, "further_lesions", looking)
    replicate = opened()
    x, y = replicate.dataset.x_test[:300], replicate.dataset.y_test[:300]
    monkeypatch.setattr(replicate, "lesion_images", lambda: (x, y))
    replicate.sequential("importance", PARTITIONING)
    assert set(seen) == {(300, 300)}
    assert replicate.lesioned(PARTITIONING).class_sizes.sum() == 300


def test_the_first_draws_are_those_of_the_other_pages(opened):
    replicate = opened()
    for name in MEASURES:
        values = replicate.measure(name, PARTITIONING).values
        for index, one in enumerate(replicate.sequential(name, PARTITIONING)):
            n = min(one.n_draws, 7)
            assert np.array_equal(one.null_distribution[:n], values[1 : n + 1, index])


def test_a_draw_of_the_true_units_ties_with_them(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    further = more_draws.further_draws

    def true_units(*arguments, **options):
        found = further(*arguments, **options)
        for part, rows in zip(found.subclusters, found.units, strict=True):
            rows[:] = part.units
        return found

    def rounded(network, draws, image_shape, **options):  # as single precision may
        shape = (draws.n_draws, len(draws.subclusters))
        return {"scores": np.full(shape, -1e9), "entropies": np.full(shape, 1e9)}

    monkeypatch.setattr(more_draws, "further_draws", true_units)
    monkeypatch.setattr(more_draws, "further_visualizations", rounded)
    replicate = opened(max_draws=30, max_exceedances=9)
    for name in ("input_coherence", "output_coherence"):
        values = replicate.measure(name, PARTITIONING).values
        for index, one in enumerate(replicate.sequential(name, PARTITIONING)):
            assert one.n_exceedances == 9  # every draw after the first seven is one
            assert (one.null_distribution[7:] == values[0, index]).all()


def test_a_killed_run_goes_on_after_the_last_round(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    computed = []
    work = more_draws.further_lesions

    def killed(network, x, y, draws, **options):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(draws.n_draws)
        return work(network, x, y, draws, **options)

    monkeypatch.setattr(more_draws, "further_lesions", killed)
    with pytest.raises(KeyboardInterrupt):
        opened().sequential("importance", PARTITIONING)
    assert computed == [7, 14]
    assert len(list((results_root() / "artifacts" / "more_draws").glob("*.safetensors"))) == 2
    resumed = []

    def counted(network, x, y, draws, **options):
        resumed.append(draws.n_draws)
        return work(network, x, y, draws, **options)

    monkeypatch.setattr(more_draws, "further_lesions", counted)
    found = opened().sequential("importance", PARTITIONING)
    assert resumed == [12]
    monkeypatch.setattr(more_draws, "further_lesions", killed)  # nothing is left to compute
    again = opened(compute="never").sequential("importance", PARTITIONING)
    assert [one.pvalue for one in again] == [one.pvalue for one in found]
    with pytest.raises(ArtifactError, match="'more_draws' has not been computed"):
        opened(compute="never", max_draws=60).sequential("importance", PARTITIONING)


def test_tables_and_figure(opened):
    replicate = opened()
    table = more_draws_table(replicate)
    n_subclusters = [len(replicate.draws(name).subclusters) for name in PARTITIONINGS]
    assert len(table) == sum(n_subclusters) * len(MEASURES)
    stopped = table["n_exceedances"] == 4
    assert (table["draws_used"][~stopped] == 40).all()
    expected = np.where(stopped, 4 / table["draws_used"], (table["n_exceedances"] + 1) / 41)
    assert np.allclose(table["p_sequential"], expected)
    assert (table["bh_sequential"] >= table["p_sequential"] * (1 - 1e-9)).all()

    tests = more_draws_tests(replicate, table)
    assert list(tests["n_subclusters"]) == [n for n in n_subclusters for _ in MEASURES]
    assert set(tests["chain"]) == {"uncalibrated"}
    assert (tests["permutation_p"] >= 1 / 8).all()
    logs = -np.log(table["p_sequential"])  # plain Fisher: no mid rule, no shift
    by_test = logs.groupby([table["partitioning"], table["measure"]], sort=False).mean()
    assert np.allclose(tests["fisher_statistic"], by_test)

    drawn = first_against_sequential(table, n_draws=7, max_draws=40)
    assert [axis.get_title().split(" (")[0] for axis in drawn.axes] == [
        "Importance",
        "Class coherence",
        "Input coherence",
        "Output coherence",
    ]
    n_points = sum(len(points.get_offsets()) for axis in drawn.axes for points in axis.collections)
    assert n_points == len(table)


def test_rows_whose_verdict_changes(opened):
    table = more_draws_table(opened()).head(4).copy()
    table["significant"] = ["neither", "more draws only", "both", "first draws only"]
    table["p_sequential"] = [0.5, 0.02, 0.001, 0.01]
    assert newly_decided(table)["p_sequential"].tolist() == [0.01, 0.02]
