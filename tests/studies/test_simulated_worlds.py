"""Simulated worlds, in which the rule of the verdicts is tried."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from localspec.exceptions import InvalidInputError
from localspec.pipeline import PARTITIONINGS
from localspec.statistics import VERDICTS
from localspec.studies.calibration import (
    AT_RANDOM,
    PLANTED_HALVES,
    simulated_verdicts,
    verdict_rates_table,
)
from localspec.studies.calibration._simulated_worlds import (
    BASELINE,
    N_IMAGES,
    _accuracies,
    _images,
    simulated_networks,
)

ROOT = Path(__file__).resolve().parents[2]


def sidedness(world):
    """Return by graph how one-sided clusters are: 1 where all lie within one half."""
    network = simulated_networks(world, 0)[0]
    shares = {}
    for partitioning in PARTITIONINGS:
        parts = network.draws(partitioning).subclusters
        means = [network.halves[int(part.layer[-1])][part.units].mean() for part in parts]
        shares.setdefault(partitioning.split("/")[0], []).extend(np.abs(2 * np.array(means) - 1))
    return {graph: float(np.mean(values)) for graph, values in shares.items()}


def test_clusters_lie_within_halves_where_they_are_planted():
    assert sidedness(PLANTED_HALVES)["weights"] == 1
    assert sidedness(PLANTED_HALVES)["activations"] < 0.5
    assert max(sidedness(AT_RANDOM).values()) < 0.5


def test_accuracies_fall_where_a_class_loses_its_units():
    halves, strengths = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.ones(8)
    sets = np.array([[0, 1], [4, 0]])
    rng = np.random.default_rng(0)
    mean = np.mean([_accuracies(strengths, halves, sets, rng) for _ in range(4000)], axis=0)
    # half of a half is lost: twice the share is 1, and chance is left; of a quarter one fourth
    spared = BASELINE - (BASELINE - 0.1) / 4
    expected = [[0.1] * 5 + [BASELINE] * 5, [spared] * 10]
    error = 0.5 / np.sqrt(4000 * N_IMAGES)
    np.testing.assert_allclose(mean, expected, atol=5 * error)


def test_images_of_sets():
    directions, halves = np.array([[3.0, 4.0], [3.0, 4.0], [-3.0, -4.0]]), np.array([0, 0, 1])
    sets = np.array([[0, 1], [0, 2]])
    pairs = [_images(directions, halves, sets, np.random.default_rng(seed)) for seed in range(999)]
    scores, entropies = np.median(pairs, axis=0)
    assert scores == pytest.approx([5, 0], rel=0.05)
    assert entropies == pytest.approx([np.log(5), np.log(10)], rel=0.05)


def test_one_world_of_each_kind():
    table = simulated_verdicts(PLANTED_HALVES, [0])
    assert len(table) == 10
    planted = table["claim"].isin(["C1", "C2"])
    assert set(table[planted]["verdict"]) == {"supported"}
    assert "supported" not in set(table[~planted]["verdict"])
    null = simulated_verdicts(AT_RANDOM, [0])
    assert "supported" not in set(null["verdict"])
    pd.testing.assert_frame_equal(null, simulated_verdicts(AT_RANDOM, [0]))
    assert not null["ratio"].equals(simulated_verdicts(AT_RANDOM, [0], seed=1)["ratio"])


def test_an_unknown_world():
    with pytest.raises(InvalidInputError, match="clusters at random"):
        simulated_networks("planted thirds", 0)
    with pytest.raises(InvalidInputError, match="index"):
        simulated_networks(AT_RANDOM, -1)


def test_rates_by_hand():
    verdicts = pd.DataFrame(
        {
            "world": AT_RANDOM,
            "index": [0, 0, 1, 1, 0, 1],
            "claim": ["C1", "C3", "C1", "C3", "C2", "C2"],
            "measure": ["importance"] * 4 + ["coherence"] * 2,
            "verdict": ["supported", "supported", "mixed", "supported", "mixed", "mixed"],
        }
    )
    rows = verdict_rates_table(verdicts).set_index("measure")
    row = rows.loc["importance"]
    assert (row["n_worlds"], row["n_cells"]) == (2, 4)
    assert (row["supported"], row["mixed"]) == (0.75, 0.25)
    assert (row["any_supported"], row["all_supported"]) == (1, 0.5)
    # exact: in one world of two, the rate q whose chance of no success in two is still 0.975
    assert row["all_low"] == pytest.approx(1 - 0.975**0.5)
    assert row["any_high"] == 1
    assert rows.loc["all", "n_cells"] == 4  # the row of three measures is made of the others


@pytest.fixture(scope="module")
def published():
    return pd.read_csv(ROOT / "book" / "verdict_rule.csv")


def test_the_published_rates_keep_what_the_book_says(published):
    np.testing.assert_allclose(published[list(VERDICTS)].sum(axis=1), 1, atol=2e-3)
    random = published[published["clusters"] == "at random"]
    assert (random["supported"] == 0).all()
    every = random[random["measure"] == "all"]
    assert every["contradicted"].between(0.005, 0.015).all()  # about one in a hundred
    assert (every[every["world"] == AT_RANDOM]["any_high"] <= 0.01).all()
    # over worlds, even that any cell at all is supported
    (row,) = random[(random["world"] == AT_RANDOM) & (random["measure"] == "all")].itertuples()
    k = round(row.any_supported * row.n_worlds)
    exact = stats.beta.ppf(0.975, k + 1, row.n_worlds - k)  # Clopper and Pearson
    assert row.any_high == pytest.approx(exact, rel=1e-3)
    planted = published[published["clusters"] == "planted"]
    assert (planted["supported"] >= 0.95).all()
