"""False-positive rates under a simulated null: which chains keep their level, which do not.

Bounds are at least four standard errors away from the rates that they let pass.
"""

import numpy as np
import pytest

from localspec.statistics import (
    combine_replicates,
    empirical_p,
    fisher,
    fisher_shift,
    permutation_fisher,
)

N, SUBCLUSTERS, DRAWS = 4000, 20, 19
LEVEL = 0.05


@pytest.fixture(scope="module")
def independent():
    """Return independent uniform values: networks x (true + draws) x subclusters."""
    return np.random.default_rng(11).random((N, DRAWS + 1, SUBCLUSTERS))


@pytest.fixture(scope="module")
def half_tied(independent):
    """Return the same with half the values tied at the least extreme one, as intact accuracies."""
    return np.where(np.random.default_rng(12).random(independent.shape) < 0.5, 0, independent)


def subcluster_p(values, rule):
    return empirical_p(values[:, 0], np.swapaxes(values[:, 1:], 1, 2), "high", rule)


def fisher_rate(values, rule):
    result = fisher(subcluster_p(values, rule), rule=rule, n_draws=DRAWS)
    return np.mean(result.pvalue <= LEVEL)


def test_plain_fisher_without_ties(independent):
    # 0.035: the discrete p-values have a shorter tail than the uniform
    assert 0.02 < fisher_rate(independent, "mid") < 0.05
    assert fisher_rate(independent, "strict") == fisher_rate(independent, "mid")
    assert fisher_rate(independent, "conservative") < 0.02
    result = fisher(subcluster_p(independent, "mid"))
    assert result.statistic.mean() == pytest.approx(0.983, abs=0.02)


def test_plain_fisher_with_half_the_values_tied(half_tied):
    # strict p-values ignore ties and reject too often (0.12); mid ones stay below the level
    assert 0.09 < fisher_rate(half_tied, "strict") < 0.15
    assert fisher_rate(half_tied, "mid") < 0.04
    assert fisher_rate(half_tied, "conservative") < 0.01


def test_shifting_mid_p_values_again_rejects_most_true_null_hypotheses(independent):
    shifted = subcluster_p(independent, "mid") - fisher_shift("strict", DRAWS)
    # a p of 0, from the top rank of the 20, is certain evidence against the null
    certain = (shifted <= 1e-12).any(axis=1)
    rest = fisher(np.where(shifted <= 1e-12, 1, shifted)).pvalue <= LEVEL
    assert 0.60 < np.mean(certain | rest) < 0.68  # 1 - 0.95^20 = 0.64


def with_dependence(values):
    """Return values whose partitions share a factor: subclusters of one row move together."""
    shared = np.random.default_rng(13).random(values.shape[:2])[..., np.newaxis]
    return np.round(4 * (values + 3 * shared))  # few different values: many ties


@pytest.mark.parametrize("rule", ["mid", "conservative"])
def test_permutation_fisher_keeps_its_level_where_undefined_values_are_left_out(rule, independent):
    # half the values undefined, more of them in some rows than in others
    missing = np.random.default_rng(14).random(independent.shape)
    share = np.random.default_rng(15).random(independent.shape[:2])[..., np.newaxis]
    values = np.where(missing < share, np.nan, independent)[:1000]
    pvalues = permutation_fisher(values, "high", rule=rule, undefined="left_out").pvalue
    for level in (0.05, 0.25, 0.5):
        slack = 4 * np.sqrt(level * (1 - level) / 1000)
        assert level - 2 * slack < np.mean(pvalues <= level + 1e-12) <= level + slack


@pytest.mark.parametrize("rule", ["mid", "conservative"])
def test_permutation_fisher_keeps_its_level(independent, half_tied, rule):
    for values in (independent, half_tied, with_dependence(independent)):
        pvalues = permutation_fisher(values[:1000], "high", rule=rule).pvalue
        for level in (0.05, 0.25, 0.5):
            slack = 4 * np.sqrt(level * (1 - level) / 1000)
            assert np.mean(pvalues <= level + 1e-12) <= level + slack


def test_permutation_fisher_uses_its_level_up_without_ties(independent):
    rate = np.mean(permutation_fisher(independent[:1000], "high").pvalue <= LEVEL + 1e-12)
    assert rate > LEVEL - 4 * np.sqrt(LEVEL * (1 - LEVEL) / 1000)


def test_plain_fisher_breaks_down_under_dependence(independent):
    # why verdicts use the permutation Fisher: plain Fisher takes 20 subclusters for independent
    assert fisher_rate(with_dependence(independent), "mid") > 0.15


def test_permutation_fisher_with_bates_keeps_its_level(half_tied):
    pvalues = permutation_fisher(half_tied[:1500], "high").pvalue.reshape(500, 3)
    combined = np.array([combine_replicates(row).pvalue for row in pvalues])
    assert np.mean(combined <= LEVEL) <= LEVEL + 4 * np.sqrt(LEVEL * (1 - LEVEL) / 500)


def test_permutation_fisher_finds_a_planted_effect(independent):
    values = independent[:300].copy()
    values[:, 0] += 0.4
    assert np.mean(permutation_fisher(values, "high").pvalue <= LEVEL + 1e-12) > 0.95
