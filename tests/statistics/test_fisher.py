"""Fisher's method plain and by permutation, Bates, replicates, floors."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import combine_pvalues

from localspec.statistics import (
    bates_cdf,
    combine_replicates,
    empirical_p,
    fisher,
    p_floor,
    permutation_fisher,
)

tables = st.tuples(st.integers(2, 8), st.integers(1, 5)).flatmap(
    lambda shape: arrays(float, shape, elements=st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan]))
)


def test_fisher_by_hand():
    # mean of ln 2 and ln 8 = 2 ln 2; chi-squared with 4 degrees of freedom at x = 8 ln 2 has the
    # tail exp(-x/2) (1 + x/2) = (1 + 4 ln 2) / 16 = 3.772589 / 16
    result = fisher([0.5, 0.125])
    assert result.statistic == pytest.approx(1.3862944)
    assert result.pvalue == pytest.approx(0.2357868, abs=1e-7)
    assert (result.n, result.shift) == (2, 0)


def test_one_p_value_is_its_own_combination():
    assert fisher([0.03]).pvalue == pytest.approx(0.03)


def test_ones_are_no_evidence():
    result = fisher([1.0, 1.0])
    assert (result.statistic, result.pvalue) == (0, 1)


def test_strict_p_values_are_shifted():
    # 0.05 - 0.025 and 0.55 - 0.025: -ln 0.025 = 3.688879, -ln 0.525 = 0.644357
    result = fisher([0.05, 0.55], rule="strict", n_draws=19)
    assert result.shift == pytest.approx(0.025)
    assert result.statistic == pytest.approx((3.688879 + 0.644357) / 2, abs=1e-6)
    assert result.p_values.tolist() == [0.05, 0.55]


@pytest.mark.parametrize("rule", ["mid", "conservative", "randomised"])
def test_other_rules_have_no_shift(rule):
    assert fisher([0.5, 0.125], rule=rule, n_draws=19).statistic == pytest.approx(1.3862944)


def test_null_mean_of_the_statistic_with_19_draws():
    # the 20 possible ranks, once each: the mean of -ln((g + 1/2)/20), quoted as 0.983
    strict = np.arange(1, 21) / 20
    assert fisher(strict - 0.025).statistic == pytest.approx(0.983, abs=0.0005)
    assert fisher(strict, rule="strict", n_draws=19).statistic == pytest.approx(0.983, abs=0.0005)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=40))
def test_fisher_agrees_with_scipy(p_values):
    expected = combine_pvalues(p_values, method="fisher")
    result = fisher(p_values)
    assert result.pvalue == pytest.approx(expected.pvalue, rel=1e-9)
    assert 2 * len(p_values) * result.statistic == pytest.approx(expected.statistic)


def test_fisher_takes_batches():
    p_values = np.random.default_rng(0).uniform(0.01, 1, (3, 2, 5))
    result = fisher(p_values)
    assert result.pvalue.shape == (3, 2)
    assert result.pvalue[2, 1] == pytest.approx(combine_pvalues(p_values[2, 1]).pvalue)


def test_no_subcluster_is_undefined_and_no_error():
    result = fisher([])
    assert math.isnan(result.statistic)
    assert math.isnan(result.pvalue)
    assert result.n == 0
    three = fisher(np.empty((3, 0)), rule="strict", n_draws=19)
    assert np.isnan(three.pvalue).tolist() == [True] * 3


def test_permutation_fisher_by_hand():
    # one subcluster, 5 > 3 > 1, each ranked among the two others: mid p (g + 1/2)/3
    result = permutation_fisher([[5], [3], [1]], "high")
    assert result.p_values.ravel().tolist() == pytest.approx([0.5 / 3, 1.5 / 3, 2.5 / 3])
    assert result.statistic == pytest.approx(math.log(6))
    assert result.null_distribution.tolist() == pytest.approx([math.log(2), math.log(1.2)])
    assert result.pvalue == pytest.approx(1 / 3)
    assert (result.n, result.n_draws) == (1, 2)
    assert permutation_fisher([[5], [3], [1]], "low").pvalue == 1


def test_permutation_fisher_counts_ties_against_the_true_partition():
    # 5 = 5 > 1: both p's are (0 + 1/2 + 1/2)/3, so one permuted partition does as well
    result = permutation_fisher([[5], [5], [1]], "high")
    assert result.p_values.ravel().tolist() == pytest.approx([1 / 3, 1 / 3, 2.5 / 3])
    assert result.pvalue == pytest.approx(2 / 3)


def test_permutation_fisher_with_conservative_and_strict_p_values():
    conservative = permutation_fisher([[5], [5], [1]], "high", rule="conservative")
    assert conservative.p_values.ravel().tolist() == pytest.approx([2 / 3, 2 / 3, 1])
    strict = permutation_fisher([[5], [5], [1]], "high", rule="strict")
    assert strict.p_values.ravel().tolist() == pytest.approx([1 / 3, 1 / 3, 1])
    assert strict.statistic == pytest.approx(math.log(6))  # shifted: 1/3 - 1/6


def brute_force(values, side):
    """Return the statistics and p in plain Python, with p ranked among all others by mid rule."""
    sign = 1 if side == "high" else -1
    rows = [[-math.inf if math.isnan(x) else sign * x for x in row] for row in values]
    statistics = []
    for i, row in enumerate(rows):
        logs = []
        for column, x in enumerate(row):
            others = [other[column] for j, other in enumerate(rows) if j != i]
            g, e = sum(o > x for o in others), sum(o == x for o in others)
            logs.append(-math.log((g + e / 2 + 0.5) / len(rows)))
        statistics.append(sum(logs) / len(logs))
    reached = sum(s >= statistics[0] * (1 - 1e-9) for s in statistics[1:])
    return statistics, (1 + reached) / len(rows)


@given(tables, st.sampled_from(["low", "high"]))
def test_permutation_fisher_agrees_with_a_loop(values, side):
    statistics, pvalue = brute_force(values, side)
    result = permutation_fisher(values, side)
    assert [result.statistic, *result.null_distribution] == pytest.approx(statistics)
    assert result.pvalue == pytest.approx(pvalue)


@given(tables)
def test_true_p_values_are_those_of_empirical_p_and_average_to_one_half(values):
    result = permutation_fisher(values, "high")
    expected = empirical_p(values[0], values[1:].T, "high")
    assert result.p_values[0] == pytest.approx(expected)
    # mid ranks of n + 1 values always sum to the same
    assert result.p_values.mean(axis=0) == pytest.approx(np.full(values.shape[1], 0.5))


@given(tables, st.sampled_from(["mid", "conservative", "strict"]))
def test_permutation_fisher_never_exceeds_its_level(values, rule):
    # exactly: let each row in turn be the true one; at most k of n + 1 may get p <= k/(n + 1)
    rows = len(values)
    pvalues = [
        permutation_fisher(np.roll(values, -row, axis=0), "low", rule=rule).pvalue
        for row in range(rows)
    ]
    for k in range(1, rows + 1):
        assert sum(p <= k / rows + 1e-12 for p in pvalues) <= k


@given(tables, st.randoms(use_true_random=False))
def test_order_of_draws_and_of_subclusters_is_irrelevant(values, random):
    draws = list(range(1, len(values)))
    columns = list(range(values.shape[1]))
    random.shuffle(draws)
    random.shuffle(columns)
    moved = values[[0, *draws]][:, columns]
    before, after = permutation_fisher(values, "low"), permutation_fisher(moved, "low")
    assert after.pvalue == before.pvalue
    assert after.statistic == pytest.approx(before.statistic)


def test_permutation_fisher_takes_batches():
    values = np.random.default_rng(2).integers(0, 4, (3, 2, 6, 5)).astype(float)
    result = permutation_fisher(values, "high")
    assert result.p_values.shape == (3, 2, 6, 5)
    for index in np.ndindex(3, 2):
        assert result.pvalue[index] == pytest.approx(brute_force(values[index], "high")[1])


def test_permutation_fisher_randomised_repeats_with_its_seed():
    values = np.ones((5, 3))
    first = permutation_fisher(values, "high", rule="randomised", rng=1)
    again = permutation_fisher(values, "high", rule="randomised", rng=1)
    assert first.p_values.tolist() == again.p_values.tolist()
    assert len(set(first.p_values.ravel())) == 15  # one uniform number for each value


def test_permutation_fisher_reading_undefined_values_as_released():
    values = [[math.nan], [1.0], [2.0]]
    assert permutation_fisher(values, "high").pvalue == 1
    assert permutation_fisher(values, "high", undefined="released").pvalue < 1


def test_permutation_fisher_leaving_undefined_values_out():
    # row 0: p of 3 among {1} is 1/4, of the undefined one nothing; row 1: 3/4 and nothing (no
    # other value is defined); row 2: nothing at all, the least extreme
    values = [[3.0, math.nan], [1.0, 7.0], [math.nan, math.nan]]
    result = permutation_fisher(values, "high", undefined="left_out")
    assert result.p_values == pytest.approx(
        np.array([[1 / 4, math.nan], [3 / 4, math.nan], [math.nan, math.nan]]), nan_ok=True
    )
    assert result.statistic == pytest.approx(math.log(4))
    assert result.null_distribution == pytest.approx([math.log(4 / 3), math.nan], nan_ok=True)
    assert result.pvalue == pytest.approx(1 / 3)
    swapped = permutation_fisher([values[i] for i in (2, 1, 0)], "high", undefined="left_out")
    assert swapped.pvalue == 1


def test_permutation_fisher_without_subclusters():
    result = permutation_fisher(np.empty((20, 0)), "low")
    assert math.isnan(result.statistic)
    assert math.isnan(result.pvalue)
    assert (result.n, result.n_draws) == (0, 19)


def irwin_hall(total, n):
    """Return P(sum of n uniforms <= total) in exact fractions."""
    terms = ((-1) ** k * math.comb(n, k) * (total - k) ** n for k in range(n + 1) if k <= total)
    return sum(terms) / math.factorial(n)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 20])
@pytest.mark.parametrize(
    "mean", [Fraction(1, 20), Fraction(3, 10), Fraction(1, 2), Fraction(9, 10)]
)
def test_bates_cdf_agrees_with_exact_fractions(n, mean):
    assert bates_cdf(float(mean), n) == pytest.approx(float(irwin_hall(n * mean, n)), rel=1e-9)


def test_bates_cdf_agrees_with_simulation():
    means = np.random.default_rng(0).random((200_000, 4)).mean(axis=1)
    for mean in (0.2, 0.35, 0.5, 0.75):
        assert bates_cdf(mean, 4) == pytest.approx(np.mean(means <= mean), abs=0.005)


def test_bates_cdf_at_and_beyond_its_ends():
    assert bates_cdf([-0.1, 0.0, 1.0, 1.1], 3).tolist() == pytest.approx([0, 0, 1, 1])
    assert bates_cdf(0.97, 20) <= 1
    assert np.isnan(bates_cdf(math.nan, 3))


def test_floors_by_hand():
    assert p_floor(19) == pytest.approx(0.05)
    assert p_floor(19, 3) == pytest.approx(0.15**3 / 6)  # 5.6e-4
    assert p_floor(19, 5) == pytest.approx(0.25**5 / 120)  # 8.1e-6
    values = np.vstack([[9, 9, 9], np.zeros((19, 3))])
    assert permutation_fisher(values, "high").pvalue == pytest.approx(p_floor(19))


def test_combine_replicates_by_hand():
    # mean 0.2 of three: sum 0.6 < 1, so 0.6^3 / 6
    result = combine_replicates([0.1, 0.2, 0.3])
    assert result.statistic == pytest.approx(0.2)
    assert result.pvalue == pytest.approx(0.036)
    assert (result.n, result.n_undefined) == (3, 0)


def test_one_replicate_keeps_its_p():
    assert combine_replicates([0.37]).pvalue == pytest.approx(0.37)


def test_undefined_replicates_are_left_out_and_counted():
    result = combine_replicates([0.1, math.nan, 0.3])
    assert result.pvalue == pytest.approx(0.08)  # 0.4^2 / 2
    assert (result.n, result.n_undefined) == (2, 1)


@pytest.mark.parametrize("p_values", [[], [math.nan, math.nan]])
def test_no_replicate_is_undefined_and_no_error(p_values):
    result = combine_replicates(p_values)
    assert math.isnan(result.pvalue)
    assert math.isnan(result.statistic)
    assert (result.n, result.n_undefined) == (0, len(p_values))
