"""Families of tests, rank counts, paired differences."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localspec.statistics import benjamini_hochberg, benjamini_yekutieli, paired_difference
from localspec.statistics._corrections import rank_chi2

NAN = math.nan


def test_benjamini_hochberg_by_hand():
    # of 4: 0.005 x 4/1 = 0.02; 0.03 x 4/2 = 0.06, but the next is 0.04 x 4/3 = 0.0533; 0.6 x 4/4
    result = benjamini_hochberg([0.04, NAN, 0.005, 0.6, 0.03])
    expected = [0.16 / 3, NAN, 0.02, 0.6, 0.16 / 3]
    assert result.adjusted.tolist() == pytest.approx(expected, nan_ok=True)
    assert result.rejected.tolist() == [False, False, True, False, False]
    assert result.n == 4


def test_benjamini_yekutieli_by_hand():
    # the same times 1 + 1/2 + 1/3 + 1/4 = 25/12, at most 1
    result = benjamini_yekutieli([0.04, NAN, 0.005, 0.6, 0.03])
    expected = [1 / 9, NAN, 0.125 / 3, 1, 1 / 9]
    assert result.adjusted.tolist() == pytest.approx(expected, nan_ok=True)
    assert result.rejected.tolist() == [False, False, True, False, False]
    assert (result.method, result.alpha) == ("benjamini_yekutieli", 0.05)


def test_adjusting_keeps_the_shape():
    result = benjamini_hochberg([[0.01, 0.5], [NAN, 0.02]], alpha=0.1)
    assert result.adjusted.tolist()[0] == pytest.approx([0.03, 0.5])
    assert result.rejected.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(("k", "n"), [(1, 11), (17, 25), (11, 36), (43, 45)])
def test_p_values_at_the_boundary_are_rejected_whatever_the_rounding(k, n):
    # k p-values of 0.05 k/n: adjusted 0.05, which comes out as 0.05000000000000001
    result = benjamini_hochberg([50 * k / n / 1000] * k + [1.0] * (n - k))
    assert result.rejected.sum() == k


@pytest.mark.parametrize("adjust", [benjamini_hochberg, benjamini_yekutieli])
def test_an_empty_family(adjust):
    assert adjust([]).n == 0
    result = adjust([NAN, NAN])
    assert (result.n, result.rejected.any()) == (0, False)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=30), st.sampled_from(["bh", "by"]))
def test_rejections_agree_with_the_step_up_rule(thousandths, method):
    # reject the k smallest for the largest k with p_(k) <= k/n x 0.05 / c, in exact fractions
    n = len(thousandths)
    c = sum(Fraction(1, i) for i in range(1, n + 1)) if method == "by" else 1
    ordered = sorted(Fraction(p, 1000) for p in thousandths)
    passing = [p for k, p in enumerate(ordered, 1) if p <= Fraction(k, 20 * n) / c]
    threshold = max(passing, default=-1)
    adjust = benjamini_hochberg if method == "bh" else benjamini_yekutieli
    result = adjust([p / 1000 for p in thousandths])
    assert result.rejected.tolist() == [Fraction(p, 1000) <= threshold for p in thousandths]


def test_false_discovery_rate_under_the_null():
    # 500 families of 20 uniform p-values: any rejection is false; 0.05 +- 4 standard errors
    families = np.random.default_rng(0).random((500, 20))
    rate = np.mean([benjamini_hochberg(family).rejected.any() for family in families])
    assert 0.01 < rate < 0.09


def test_rank_chi2_by_hand():
    # 2 draws, counts 3, 0, 0 of 3: 4/1 + 1/1 + 1/1 = 6 with 2 degrees of freedom: exp(-3)
    null = [[1, 2]] * 3
    assert rank_chi2([3, 3, 3], null, "high") == pytest.approx(math.exp(-3))
    assert rank_chi2([0, 0, 0], null, "high") == pytest.approx(math.exp(-3))  # least extreme too
    assert rank_chi2([3, 1.5, 0], null, "low") == pytest.approx(1)


def test_rank_chi2_spreads_ties_or_not():
    # 4 subclusters, 2 draws, all tied: counts 4/3 each; as released 4, 0, 0: 8 -> exp(-4)
    value, null = [5] * 4, [[5, 5]] * 4
    assert rank_chi2(value, null, "high") == pytest.approx(1)
    assert rank_chi2(value, null, "high", ties="strict") == pytest.approx(math.exp(-4))


def test_rank_chi2_spreads_a_partial_tie():
    # a tie with one of two draws, the other more extreme: 1/2 at ranks 2 and 3; a sure rank 1:
    # counts 1, 0.5, 0.5 of 2/3 each: (1/9 + 1/36 + 1/36) / (2/3) = 1/4 -> exp(-1/8)
    p = rank_chi2([5, 9], [[5, 7], [1, 2]], "high")
    assert p == pytest.approx(math.exp(-1 / 8))


def test_rank_chi2_without_subclusters():
    assert math.isnan(rank_chi2([], np.empty((0, 19)), "low"))


FIVE = np.array([0.02, -0.05, 0.08, 0.01, -0.03])


def test_interval_agrees_with_all_resamples():
    # tail of the expanded interval for n = 5 at 90 %: t = 2.1318, x sqrt(5/4) = 2.3835,
    # Phi(-2.3835) = 0.00857; all 5^5 resamples instead of a random few
    exact = np.mean(list(itertools.product(FIVE, repeat=5)), axis=1)
    low, high = np.quantile(exact, [0.00857, 1 - 0.00857])
    result = paired_difference(1 + FIVE, np.ones(5), 0.1, seed=0, n_boot=50_000)
    assert result.difference == pytest.approx(0.006)
    assert result.interval == pytest.approx((low, high), abs=0.0035)  # a grid of 0.002
    assert result.verdict == "equivalent"
    assert len(result.bootstrap_distribution) == 50_000


@pytest.mark.parametrize(
    ("offset", "margin", "verdict"),
    [
        (0.0, 0.1, "equivalent"),
        (0.5, 0.1, "different"),
        (-0.5, 0.1, "different"),
        (0.0, 0.03, "undecidable"),  # the interval is wider than the margin
        (0.09, 0.1, "undecidable"),  # it holds the margin
    ],
)
def test_verdicts(offset, margin, verdict):
    assert paired_difference(offset + FIVE, np.zeros(5), margin, seed=0).verdict == verdict


def test_differences_beyond_zero_but_around_the_margin_are_undecidable():
    result = paired_difference(0.2 + FIVE, np.zeros(5), 0.2, seed=0)
    assert result.interval[0] > 0
    assert result.verdict == "undecidable"


@pytest.mark.parametrize(("n", "attainable"), [(1, 0), (2, 0.5), (3, 0.75), (4, 0.875)])
def test_too_few_networks_decide_nothing_however_clear(n, attainable):
    result = paired_difference(np.full(n, 9.0), np.zeros(n), 0.1, seed=0)
    assert result.verdict == "undecidable"
    assert result.attainable_confidence == pytest.approx(attainable)
    assert (result.difference, result.n_networks) == (9, n)


def test_five_networks_decide_at_ninety_percent_but_not_at_ninety_five():
    a, b = np.full(5, 9.0), np.zeros(5)
    assert paired_difference(a, b, 0.1, seed=0).verdict == "different"
    assert paired_difference(a, b, 0.1, seed=0, confidence=0.95).verdict == "undecidable"


def test_undefined_pairs_are_left_out():
    a, b = [*FIVE, NAN, 1.0], [0.0] * 5 + [1.0, NAN]
    result = paired_difference(a, b, 0.1, seed=0)
    assert result.n_networks == 5
    assert result.difference == pytest.approx(0.006)
    nothing = paired_difference([NAN], [1.0], 0.1, seed=0)
    assert math.isnan(nothing.difference)
    assert np.isnan(nothing.interval).all()
    assert (nothing.verdict, nothing.n_networks) == ("undecidable", 0)


def test_paired_difference_repeats_with_its_seed_and_changes_sign_with_its_arguments():
    first = paired_difference(FIVE, np.zeros(5), 0.1, seed=7)
    assert paired_difference(FIVE, np.zeros(5), 0.1, seed=7).interval == first.interval
    swapped = paired_difference(np.zeros(5), FIVE, 0.1, seed=7)
    assert swapped.interval == pytest.approx((-first.interval[1], -first.interval[0]))


def test_interval_covers_about_as_often_as_it_says():
    # 600 samples of five normal differences: 0.9 nominal, plain percentiles cover 0.79
    rng = np.random.default_rng(1)
    covered = 0
    for sample in rng.normal(size=(600, 5)):
        low, high = paired_difference(sample, np.zeros(5), 1, seed=0, n_boot=1000).interval
        covered += low <= 0 <= high
    assert 0.84 < covered / 600 < 0.94
