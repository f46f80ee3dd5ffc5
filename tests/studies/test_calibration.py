"""The tests of null partitions, and what is concluded from them, by hand."""

import numpy as np
import pandas as pd
import pytest

from localspec.exceptions import InvalidInputError
from localspec.pipeline._null_partitions import NullEvidence
from localspec.statistics import judgement
from localspec.studies.calibration import all_p_values, conclusions
from localspec.studies.calibration._false_positives import combined, null_p_values


def evidence(accuracies, scores=None, n_units=None):
    """Return evidence of two classes of ten images whose accuracies are equal."""
    accuracies = np.asarray(accuracies, dtype=float)
    scores = np.zeros(accuracies.shape) if scores is None else np.asarray(scores, dtype=float)
    n_subclusters = accuracies.shape[2]
    return NullEvidence(
        n_units=np.full(n_subclusters, 5) if n_units is None else np.array(n_units),
        layer_sizes=np.full(n_subclusters, 50),
        baseline=np.array([1.0, 1.0]),
        class_sizes=np.array([10, 10]),
        lesioned=np.stack([accuracies, accuracies], axis=-1),
        scores=scores,
        entropies=scores,
    )


def column(values):
    """Return values of one null partition with one subcluster."""
    return np.reshape(values, (1, -1, 1))


def test_replicates_are_combined_partition_by_partition():
    p = np.array([[0.1, 0.5], [0.3, 0.7], [0.9, 0.9]])
    # (2 x 0.2)^2 / 2 and, above one half, 1 - (2 - 2 x 0.6)^2 / 2; the third network is left over
    np.testing.assert_allclose(combined(p, 2), [[0.08, 0.68]])


def test_every_rule_by_hand():
    # of three draws one is worse (0.4), one ties: g = 1, e = 1
    p_values = null_p_values(evidence(column([0.5, 0.5, 0.4, 0.9])), "importance", seed=3)
    assert p_values["subcluster", "strict"].item() == pytest.approx(2 / 4)
    assert p_values["subcluster", "mid"].item() == pytest.approx((1 + 0.5 + 0.5) / 4)
    assert p_values["subcluster", "conservative"].item() == pytest.approx(3 / 4)
    assert 1 / 4 < p_values["subcluster", "randomised"].item() <= 3 / 4
    # Fisher on one p-value gives it back, after the shift of 1/8 of "strict"
    assert p_values["plain Fisher", "mid"].item() == pytest.approx(0.5)
    assert p_values["plain Fisher", "strict"].item() == pytest.approx(0.375)
    assert p_values["plain Fisher", "conservative"].item() == pytest.approx(0.75)
    # the worst of the four is below, the tied one level: (1 + 2) / 4
    assert p_values["permutation Fisher", "mid"].item() == pytest.approx(0.75)


def test_undefined_ranges_come_out_significant_in_the_released_chain_only():
    # no damage at all, true or random: 0 / 0
    nothing = evidence(np.ones((3, 4, 2)))
    p_values = null_p_values(nothing, "class_coherence")
    assert p_values["subcluster", "mid"] == pytest.approx(0.5)
    assert p_values["subcluster", "released"] == pytest.approx(1 / 4)


def test_released_chain_leaves_pairs_of_units_out():
    pairs = evidence(np.full((4, 4, 3), 0.5), n_units=[2, 3, 50])
    assert null_p_values(pairs, "importance")["subcluster", "released"].shape == (4, 1)
    assert null_p_values(pairs, "importance")["subcluster", "mid"].shape == (4, 3)


def test_independent_draws_are_each_used_once_and_come_from_different_permutations():
    values = np.arange(5 * 4 * 3, dtype=float).reshape(5, 4, 3)
    independent = evidence(values, values).independent()
    np.testing.assert_array_equal(independent.scores[:, 0], values[:, 0])
    assert sorted(independent.scores.ravel()) == sorted(values.ravel())
    # null partition 0 takes those of partition 1 for its first subcluster, of 2 for its second
    expected = [[15, 28, 41], [18, 31, 44], [21, 34, 47]]
    assert independent.scores[0, 1:].tolist() == expected
    np.testing.assert_array_equal(independent.lesioned[..., 0], independent.scores)


def test_independent_draws_need_more_partitions_than_subclusters():
    few = evidence(np.full((2, 4, 2), 0.5))
    with pytest.raises(InvalidInputError, match="must exceed the 2 subclusters"):
        few.independent()
    assert ("plain Fisher", "released") not in null_p_values(few, "importance")


def test_permutation_fisher_keeps_its_level_where_plain_fisher_does_not():
    # one number decides all ten subclusters of a partition: as dependent as can be
    rng = np.random.default_rng(0)
    values = np.repeat(rng.random((3000, 20, 1)), 10, axis=2)
    p_values = null_p_values(evidence(values), "importance")
    assert (p_values["plain Fisher", "mid"] <= 0.05).mean() > 0.15
    assert 0.035 < (p_values["permutation Fisher", "mid"] <= 0.05).mean() < 0.065


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.051, 0.2, "too often"),
        (0.05, 0.065, "as promised"),
        (0.0, 0.05, "as promised"),
        (0.05, 0.066, "open"),
        (0.0, 0.049, "too seldom"),
        (float("nan"), float("nan"), "open"),
    ],
)
def test_judgement_is_about_the_interval(low, high, expected):
    assert judgement(low, high, 0.05) == expected


def _rates(plain, permutation):
    columns = ["measure", "test", "rule", "rate", "low", "high"]
    rows = [("importance", "plain Fisher", "mid", *plain)]
    rows += [("importance", "permutation Fisher", "mid", *permutation)]
    return pd.DataFrame(rows, columns=columns)


def test_conclusions_follow_from_the_numbers():
    inflated, bound = conclusions(_rates((0.2, 0.1, 0.3), (0.05, 0.04, 0.06)))[0::2]
    assert "NOT to be believed for importance." in inflated
    assert "Requirement met" in bound
    believed, bound = conclusions(_rates((0.05, 0.04, 0.06), (0.05, 0.03, 0.07)))[0::2]
    assert "is believed for importance." in believed
    assert "Requirement MISSED for importance" in bound


def test_conclusions_tell_where_networks_are_too_few():
    nan = float("nan")
    lines = conclusions(_rates((0.5, nan, nan), (0.05, nan, nan)))
    assert "believed" not in " ".join(lines)
    assert "too few networks to tell for importance." in lines[0]
    wide = conclusions(_rates((0.12, 0.04, 0.21), (0.05, 0.04, 0.06)))[0]
    assert "believed" not in wide
    assert "too few networks to tell for importance (up to 21.0%)." in wide
    assert "Requirement MISSED" in lines[-1]


def test_conclusions_tell_of_timid_tests():
    timid = conclusions(_rates((0.01, 0.0, 0.02), (0.05, 0.04, 0.06)))[0]
    assert "false positives in 1.0% to 1.0%" in timid
    assert "effects get lost, for importance." in timid


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_released_chain_is_there_if_every_network_has_it(order):
    rng = np.random.default_rng(0)
    # six null partitions leave draws for five subclusters, not for six
    nulls = [evidence(rng.random((6, 4, n))) for n in (5, 6)]
    p_values = all_p_values([nulls[index] for index in order], [0, 1])["importance"]
    assert p_values["subcluster", "mid"].shape == (2, 6, 6)
    assert ("subcluster", "released") not in p_values
    assert ("subcluster", "released") in all_p_values(nulls[:1], [0])["importance"]
