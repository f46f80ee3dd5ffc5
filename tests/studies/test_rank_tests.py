"""The chi-squared test on ranks and what importance goes with: by hand, and by plain loops."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.networks import layer_values
from scipy import stats

from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES, Measure
from localspec.pipeline import (
    PAPER_CHOICES,
    PARTITIONINGS,
    NullEvidence,
    RankTestsSection,
    load_profile,
    open_replicates,
    stored_evidence,
)
from localspec.studies.published import load_published
from localspec.studies.rank_tests import (
    PROPERTIES,
    disagreements_table,
    null_rates_table,
    plot_chi2_against_fisher,
    plot_null_rates,
    plot_property_correlations,
    properties_table,
    published_tests,
    rank_tests_table,
)
from localspec.studies.rank_tests._null_values import null_tests, p_values_of, simulated_measure
from localspec.studies.rank_tests._properties import beyond_others, set_properties

RUNS = Path(__file__).resolve().parents[2] / "book" / "runs"


def plain_chi2(values, side):
    """Count how many draws are more extreme, subcluster by subcluster, and test the counts."""
    n_draws = len(values) - 1
    counts = [0] * (n_draws + 1)
    for column in values.T:
        true, draws = column[0], column[1:]
        undefined = np.isnan(true)
        beats = [
            not np.isnan(draw) and (undefined or (draw < true if side == "low" else draw > true))
            for draw in draws
        ]
        counts[sum(beats)] += 1
    return stats.chisquare(counts).pvalue


def test_all_tests_of_one_partition_by_hand():
    # one draw and two subclusters that both beat it: ranks 1, 1 of two; (2 - 1)^2 + (0 - 1)^2 = 2
    values = np.array([[[5.0, 5.0], [1.0, 1.0]]])
    p_values = p_values_of(Measure("score", "high", values, "score", values))
    assert p_values["chi-squared"] == pytest.approx(stats.chi2.sf(2, 1))
    assert p_values["chi-squared, ties spread"] == pytest.approx(stats.chi2.sf(2, 1))
    # p of a subcluster is 1/4 by the mid rule; -2 (ln 1/4 + ln 1/4) with four degrees of freedom
    assert p_values["plain Fisher"] == pytest.approx(stats.chi2.sf(8 * np.log(2), 4))
    assert p_values["permutation Fisher"] == pytest.approx(0.5)


def test_ties_stand_at_the_most_extreme_rank_or_spread():
    values = np.array([[[1.0, 1.0], [1.0, 1.0]]])
    p_values = p_values_of(Measure("score", "high", values, "score", values))
    assert p_values["chi-squared"] == pytest.approx(stats.chi2.sf(2, 1))
    assert p_values["chi-squared, ties spread"] == pytest.approx(1)


def test_null_tests_with_own_draws_need_enough_partitions():
    rng = np.random.default_rng(0)
    shape = (4, 3, 2)  # partitions, draws and one, subclusters

    def evidence(n_partitions):
        return NullEvidence(
            n_units=np.array([2, 2]),
            layer_sizes=np.array([9, 9]),
            baseline=np.ones(2),
            class_sizes=np.array([5, 5]),
            lesioned=rng.random((n_partitions, *shape[1:], 2)),
            scores=rng.random((n_partitions, *shape[1:])),
            entropies=rng.random((n_partitions, *shape[1:])),
        )

    four = evidence(4)
    p_values = null_tests(four, "input_coherence")
    assert all(each.shape == (4,) for each in p_values.values())
    expected = [plain_chi2(part, "high") for part in four.scores]
    assert p_values["chi-squared"] == pytest.approx(expected)
    # null partition 3 takes its second subcluster's draws from partition 3 + 2 - 4 = 1
    own = np.stack([four.scores[3, :, 0], four.scores[3, :, 1]], axis=1)
    own[1:, 0], own[1:, 1] = four.scores[0, 1:, 0], four.scores[1, 1:, 1]
    assert p_values["chi-squared, own draws"][3] == pytest.approx(plain_chi2(own, "high"))
    assert "chi-squared, own draws" not in null_tests(evidence(2), "input_coherence")


def test_disagreements_by_hand():
    table = pd.DataFrame(
        {
            "network": "mlp",
            "measure": "importance",
            "chi2_p": [0.01, 0.05, 0.2, 0.04, np.nan],
            "plain_p": [0.01, 0.9, 0.03, 0.3, 0.01],
            "permutation_p": [0.05, 0.5, 0.2, 0.05, 0.5],
        }
    )
    rows = disagreements_table(table).set_index("beside")
    counts = ["both", "only_chi2", "only_beside", "n_tests", "less_extreme"]
    assert rows.loc["plain Fisher", counts].tolist() == [1, 2, 1, 4, 1]
    assert rows.loc["permutation Fisher", counts].tolist() == [2, 1, 0, 4, 1]
    without = disagreements_table(table.drop(columns="permutation_p"))
    assert without["beside"].tolist() == ["plain Fisher"]
    with pytest.raises(InvalidInputError, match="level"):
        disagreements_table(table, level=2)


def test_published_tests_are_those_of_the_files():
    lesions, images = load_published("lesions"), load_published("feature_visualization")
    table = published_tests(lesions, images)
    assert len(table) == 2 * (len(lesions) + len(images))
    low = (lesions["chi2_p_class_range"] <= 0.05) & (lesions["fisher_p_class_range"] > 0.05)
    rows = disagreements_table(table).set_index("measure")
    assert rows.loc["class_coherence", "only_chi2"] == low.sum()
    both = (images["chi2_p_score"] <= 0.05) & (images["fisher_p_score"] <= 0.05)
    assert rows.loc["input_coherence", "both"] == both.sum()


def test_beyond_others_by_hand():
    values = np.array([[4.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    beyond = beyond_others(values)
    assert beyond[:, 0] == pytest.approx([2.0, 1 / 3.5, 3 / 2.5])
    assert np.isnan(beyond[:, 1]).all()


@pytest.fixture(scope="module")
def opened(tiny_profile):
    section = RankTestsSection(
        profile=tiny_profile, seeds=[0, 1], n_clusters=4, n_draws=7, n_steps=4, level=0.05
    )
    return open_replicates(section, choices=PAPER_CHOICES, progress=False)


@pytest.mark.integration
def test_tests_of_networks_by_a_plain_count(opened):
    table = rank_tests_table(opened)
    assert len(table) == len(opened) * len(PARTITIONINGS) * len(MEASURES)
    for replicate in opened:
        for name in MEASURES:
            measure = replicate.measure(name, "weights/local")
            row = table.query(
                "seed == @replicate.seed and measure == @name and partitioning == 'weights/local'"
            ).iloc[0]
            assert row["chi2_p"] == pytest.approx(plain_chi2(measure.values, measure.side))
            assert row["n_subclusters"] == measure.values.shape[1]
            p_values = replicate.assessment(name, "weights/local").p_values
            plain = stats.combine_pvalues(p_values, method="fisher").pvalue
            assert row["plain_p"] == pytest.approx(plain)
    assert plot_chi2_against_fisher(table).axes


@pytest.mark.integration
def test_properties_by_plain_loops(opened):
    replicate, partitioning = opened[0], "weights/local"
    module, draws = replicate.trained.module, replicate.draws(partitioning)
    values = set_properties(replicate, partitioning)
    weights = dict(module.named_parameters())
    order = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    activations = layer_values(module, replicate.dataset.x_train)
    for column, part in enumerate(draws.subclusters):
        following = order[order.index(part.layer) + 1]
        for row, units in ((0, part.units), (3, draws.units[column][2])):
            into = sum(float(weights[f"{part.layer}.weight"][unit].abs().sum()) for unit in units)
            out = sum(float(weights[f"{following}.weight"][:, unit].abs().sum()) for unit in units)
            active = [float(activations[part.layer][:, unit].relu().mean()) for unit in units]
            expected = [len(units), into, out, np.mean(active)]
            got = [values[name][row, column] for name in PROPERTIES]
            assert got == pytest.approx(expected, rel=1e-6)


@pytest.mark.integration
def test_correlations_by_plain_loops(opened):
    table = properties_table(opened).set_index(["partitioning", "property"])
    partitioning, name = "weights/local", "weights out"
    of_seeds = []
    for replicate in opened:
        lesioned = replicate.lesioned(partitioning)
        lost = lesioned.baseline.mean() - lesioned.lesioned.mean(axis=-1)
        values = set_properties(replicate, partitioning)[name]
        beyond = values[0] / values[1:].mean(axis=0)
        if values.shape[1] < 3:  # too few for a correlation, but not for a ratio
            of_seeds.append([np.nan] * 4 + [beyond.mean()])
            continue
        rho = [stats.spearmanr(np.round(a, 10), b)[0] for a, b in zip(lost, values, strict=True)]
        effects = [
            2 * t / (t + r) if t > 1e-9 and r > 1e-9 else 0.0
            for t, r in zip(lost[0], lost[1:].mean(axis=0), strict=True)
        ]
        own, other = (
            stats.spearmanr(np.round(effects, 10), each)[0] for each in (values[0], beyond)
        )
        of_seeds.append([rho[0], np.nanmean(rho[1:]), own, other, beyond.mean()])
    columns = ["damage_true", "damage_random", "effect_true", "beyond_true", "property_ratio"]
    row = table.loc[(partitioning, name)]
    assert row[columns].tolist() == pytest.approx(np.nanmean(of_seeds, axis=0), nan_ok=True)
    assert table.loc[(partitioning, "units"), "property_ratio"] == pytest.approx(1)
    assert np.isnan(table.loc[(partitioning, "units"), "beyond_true"])
    assert plot_property_correlations(table.reset_index()).axes


@pytest.mark.integration
def test_random_values_are_sums_over_units(opened):
    replicate, partitioning = opened[0], "weights/local"
    measure = simulated_measure(replicate, partitioning, 3)
    parts = replicate.draws(partitioning).subclusters
    assert measure.values.shape == (3, 8, len(parts))
    # the numbers of units are drawn layer by layer, in the order of tested layers
    rng = np.random.default_rng((replicate.seed, PARTITIONINGS.index(partitioning)))
    for layer in replicate.partition(partitioning).tested:
        numbers = rng.standard_normal((3, layer.n_units))
        for column, part in enumerate(parts):
            if part.layer == layer.name:
                draw = replicate.draws(partitioning).units[column][4]
                for place, units in ((0, part.units), (5, draw)):
                    expected = [sum(row[unit] for unit in units) for row in numbers]
                    assert measure.values[:, place, column] == pytest.approx(expected)
    again = simulated_measure(replicate, partitioning, 3)
    assert (again.values == measure.values).all()


@pytest.mark.integration
def test_rates_of_null_partitions(opened):
    evidence = [stored_evidence(each, 3) for each in opened]
    table = null_rates_table(opened, evidence, n_simulated=40)
    rows = table.set_index(["measure", "test"])
    for name in MEASURES:
        rates = []
        for of_network in evidence:
            measure = of_network.measure(name)
            p_values = [plain_chi2(part, measure.side) for part in measure.values]
            rates.append(np.mean(np.array(p_values) <= 0.05 + 1e-12))
        assert rows.loc[(name, "chi-squared"), "rate"] == pytest.approx(np.mean(rates))
        assert rows.loc[(name, "chi-squared"), "n_tests"] == 6
    simulated = null_rates_table(opened, [], n_simulated=40)
    assert set(simulated["measure"]) == {"random values"}
    expected = table[table["measure"] == "random values"].reset_index(drop=True)
    pd.testing.assert_frame_equal(simulated, expected)
    assert plot_null_rates(table).axes
    assert plot_null_rates(simulated).axes


@pytest.mark.parametrize("profile", ["digits-rank-tests", "mnist-rank-tests"])
def test_published_disagreements_are_counted_from_the_published_tests(profile):
    tables = RUNS / profile / "tables"
    tests = pd.read_csv(tables / "rank_tests.csv")
    for row in pd.read_csv(tables / "rank_tests_disagreements.csv").to_dict(orient="records"):
        column = {"plain Fisher": "plain_p", "permutation Fisher": "permutation_p"}[row["beside"]]
        counts = dict.fromkeys(("both", "only_chi2", "only_beside", "n_tests", "less_extreme"), 0)
        for test in tests[tests["measure"] == row["measure"]].to_dict(orient="records"):
            chi2, other = test["chi2_p"] <= 0.05 + 1e-9, test[column] <= 0.05 + 1e-9
            counts["n_tests"] += 1
            counts["both"] += chi2 and other
            counts["only_chi2"] += chi2 and not other
            counts["only_beside"] += other and not chi2
            counts["less_extreme"] += chi2 and not other and test["plain_p"] > 0.5
        assert counts == {name: row[name] for name in counts}


@pytest.mark.notebook
def test_published_tests_of_one_network_from_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    profile = RUNS.parents[1] / "notebooks" / "profiles" / "digits-rank-tests.yml"
    parameters = load_profile(profile).parameters("21_rank_tests") | {"seeds": [0]}
    (replicate,) = open_replicates(RankTestsSection(**parameters), choices=PAPER_CHOICES)
    published = pd.read_csv(RUNS / "digits-rank-tests" / "tables" / "rank_tests.csv")
    for partitioning in PARTITIONINGS:
        lesioned = replicate.lesioned(partitioning).lesioned.mean(axis=-1)
        chosen = published["partitioning"] == partitioning
        chosen &= (published["seed"] == 0) & (published["measure"] == "importance")
        (row,) = published[chosen].to_dict(orient="records")
        assert row["chi2_p"] == pytest.approx(plain_chi2(lesioned, "low"), rel=2e-3)
        assert row["n_subclusters"] == lesioned.shape[1]
