"""Comparison with ties and undefined values, p of a subcluster, sequential draws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localspec.statistics import (
    empirical_p,
    exceedances,
    extremeness,
    fisher,
    fisher_shift,
    p_floor,
    sequential_p_values,
)
from localspec.statistics._ordering import relative_compare

OUT = "left_out"
NAN, INF = math.nan, math.inf
fixed = settings(derandomize=True, deadline=None, max_examples=100, database=None)
integers = st.integers(-20, 20)
draws = st.lists(integers, min_size=1, max_size=25)
sides = st.sampled_from(["low", "high"])
rules = st.sampled_from(["strict", "mid", "conservative"])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1.0, 1.0, 0),
        (2.0, 1.0, 1),
        (1.0, 1.0 + 0.9e-9, 0),  # difference 0.9e-9 of 1
        (1.0, 1.0 + 1.1e-9, -1),
        (1e6, 1e6 + 0.9e-3, 0),  # the tolerance is relative ...
        (1e-6, 1.1e-6, -1),
        (-1.0, -1.0 - 0.9e-9, 0),
        (0.0, 1e-300, -1),  # ... so nothing but 0 ties with 0
        (-0.0, 0.0, 0),
        (-1e-12, 1e-12, -1),
        (INF, INF, 0),
        (INF, 1e308, 1),  # the tolerance of an infinity is infinite: it must not tie
        (-INF, INF, -1),
        (-1e308, 1e308, -1),  # their difference overflows
        (NAN, NAN, 0),
        (NAN, -INF, -1),
        (INF, NAN, 1),
    ],
)
def test_relative_compare(a, b, expected):
    assert relative_compare(a, b) == expected
    assert relative_compare(b, a) == -expected


def test_relative_compare_broadcasts_and_takes_a_tolerance():
    result = relative_compare([[1.0], [2.0]], [1.05, 2.0, 3.0], rtol=0.1)
    assert result.tolist() == [[0, -1, -1], [1, 0, -1]]
    # the larger magnitude counts: 0.105 is more than 0.1 x 1, not more than 0.1 x 1.105
    assert relative_compare(1.0, 1.105, rtol=0.1) == relative_compare(1.105, 1.0, rtol=0.1) == 0


def test_undefined_is_least_extreme_on_either_side():
    assert extremeness([NAN, 1e9, -1e9, INF, -INF], NAN, "low").tolist() == [0, 1, 1, 1, 1]
    assert extremeness([NAN, 1e9, -1e9, INF, -INF], NAN, "high").tolist() == [0, 1, 1, 1, 1]


def test_exceedances_count_ties_within_the_tolerance():
    # 0.1 + 0.2 is 0.30000000000000004: a tie, not a more extreme draw
    more, tied = exceedances(0.3, [0.1 + 0.2, 0.4, 0.2], "high")
    assert (more, tied) == (1, 1)


# Around 5: two draws above (9, 8), two equal, three below (1, 2, 3); n + 1 = 8.
SEVEN = [9, 8, 5, 5, 1, 2, 3]


@pytest.mark.parametrize(
    ("side", "rule", "expected"),
    [
        ("high", "strict", 3 / 8),  # g + 1 = 2 + 1
        ("high", "conservative", 5 / 8),  # g + e + 1 = 2 + 2 + 1
        ("high", "mid", 3.5 / 8),  # g + e/2 + 1/2 = 2 + 1 + 0.5
        ("low", "strict", 4 / 8),
        ("low", "conservative", 6 / 8),
        ("low", "mid", 4.5 / 8),
    ],
)
def test_rules_by_hand(side, rule, expected):
    assert empirical_p(5, SEVEN, side, rule) == pytest.approx(expected)


def test_mid_is_the_default():
    assert empirical_p(5, SEVEN, "high") == pytest.approx(3.5 / 8)


@pytest.mark.parametrize("side", ["low", "high"])
@pytest.mark.parametrize(("rule", "expected"), [("strict", 0.6), ("mid", 0.7), ("conservative", 1)])
def test_an_undefined_value_ranks_last_and_ties_with_undefined_draws(side, rule, expected):
    # g = 2 defined draws, e = 2 undefined ones: 3/5, (2 + 1 + 0.5)/5, 5/5
    assert empirical_p(NAN, [1, NAN, NAN, 2], side, rule) == pytest.approx(expected)


@pytest.mark.parametrize("side", ["low", "high"])
def test_undefined_draws_are_never_more_extreme(side):
    assert empirical_p(1, [NAN, NAN, NAN], side, "conservative") == pytest.approx(1 / 4)


@pytest.mark.parametrize("rule", ["strict", "conservative", "mid"])
def test_released_reading_makes_undefined_values_significant(rule):
    # no comparison with NaN holds: g = e = 0 of 4
    expected = 0.5 / 5 if rule == "mid" else 1 / 5
    p = empirical_p(NAN, [1, NAN, NAN, 2], "high", rule, undefined="released")
    assert p == pytest.approx(expected)


@pytest.mark.parametrize(("rule", "expected"), [("mid", 2 / 3), ("conservative", 1)])
def test_left_out_ranks_among_defined_draws_alone(rule, expected):
    # of 1, 2 and two undefined draws: g = 1 and e = 1 of two defined ones; (1 + 1/2 + 1/2) / 3
    p = empirical_p([1, NAN, 1], [[1, NAN, NAN, 2]] * 2 + [[NAN] * 4], "high", rule, undefined=OUT)
    assert p == pytest.approx([expected, NAN, NAN], nan_ok=True)
    assert empirical_p(5, SEVEN, "high", rule, undefined=OUT) == empirical_p(5, SEVEN, "high", rule)


def test_randomised_spreads_uniformly_over_the_tied_ranks():
    # g = 2, e = 2, n + 1 = 8: uniform on (2/8, 5/8], mean 3.5/8 = the mid p
    values, null = np.full(20_000, 5), np.tile(SEVEN, (20_000, 1))
    p = empirical_p(values, null, "high", "randomised", np.random.default_rng(1))
    assert p.min() > 2 / 8
    assert p.max() <= 5 / 8
    assert p.mean() == pytest.approx(3.5 / 8, abs=0.003)  # standard error 0.0008
    assert np.quantile(p, [0.25, 0.75]) == pytest.approx([2.75 / 8, 4.25 / 8], abs=0.005)


def test_randomised_repeats_with_its_seed():
    first = empirical_p(5, SEVEN, "high", "randomised", 3)
    assert first == empirical_p(5, SEVEN, "high", "randomised", np.random.default_rng(3))
    assert first != empirical_p(5, SEVEN, "high", "randomised", 4)


def test_batches_equal_a_loop():
    rng = np.random.default_rng(0)
    values, null = rng.integers(0, 5, (3, 4)), rng.integers(0, 5, (3, 4, 6))
    batched = empirical_p(values, null, "low")
    for index in np.ndindex(3, 4):
        true = values[index]
        g = sum(draw < true for draw in null[index])
        e = sum(draw == true for draw in null[index])
        assert batched[index] == pytest.approx((2 * g + e + 1) / 14)


def test_no_subclusters_give_no_p_values():
    assert empirical_p(np.empty(0), np.empty((0, 19)), "low").shape == (0,)


@fixed
@given(integers, draws, sides)
def test_rules_are_ordered_and_lie_in_their_range(value, null, side):
    strict, mid, conservative = (
        empirical_p(value, null, side, rule) for rule in ("strict", "mid", "conservative")
    )
    randomised = empirical_p(value, null, side, "randomised", 0)
    assert 0 < strict <= conservative <= 1
    assert mid <= conservative
    assert mid >= strict - fisher_shift("strict", len(null)) - 1e-12
    assert 0 < randomised <= conservative


@fixed
@given(st.lists(integers, min_size=2, max_size=25, unique=True), sides)
def test_strict_shifted_equals_mid_without_ties(sample, side):
    value, *null = sample
    shifted = empirical_p(value, null, side, "strict") - fisher_shift("strict", len(null))
    assert shifted == pytest.approx(empirical_p(value, null, side, "mid"))


@fixed
@given(integers, integers, draws, rules)
def test_p_falls_as_the_value_becomes_more_extreme(first, other, null, rule):
    low, high = sorted((first, other))
    assert empirical_p(high, null, "high", rule) <= empirical_p(low, null, "high", rule)
    assert empirical_p(low, null, "low", rule) <= empirical_p(high, null, "low", rule)


@fixed
@given(integers, draws, sides, rules, st.randoms(use_true_random=False))
def test_p_depends_on_ranks_only(value, null, side, rule, random):
    p = empirical_p(value, null, side, rule)
    assert empirical_p(value**3, np.array(null) ** 3, side, rule) == p
    assert empirical_p(3 * value - 7, 3 * np.array(null) - 7, side, rule) == p
    shuffled = list(null)
    random.shuffle(shuffled)
    assert empirical_p(value, shuffled, side, rule) == p
    mirrored = "low" if side == "high" else "high"
    assert empirical_p(-value, -np.array(null), mirrored, rule) == p


@fixed
@given(integers, draws, sides, rules)
def test_rounding_errors_change_nothing(value, null, side, rule):
    noise = 1 + 1e-13 * np.random.default_rng(0).uniform(-1, 1, len(null))
    assert empirical_p(value, null * noise, side, rule) == empirical_p(value, null, side, rule)


def test_shift():
    assert fisher_shift("strict", 19) == pytest.approx(0.025)
    assert [fisher_shift(rule, 19) for rule in ("mid", "conservative", "randomised")] == [0, 0, 0]


@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_numbers_of_draws_of_a_small_type_do_not_overflow(kind):
    most = np.iinfo(kind).max  # one more is another number
    n_draws = kind(most)
    assert p_floor(n_draws, kind(1)) == pytest.approx(1 / (most + 1))
    assert fisher_shift("strict", n_draws) == pytest.approx(1 / (2 * (most + 1)))
    strict, n = fisher([0.5], rule="strict", n_draws=n_draws), int(most) + 1
    assert strict.statistic == pytest.approx(-np.log(0.5 - 1 / (2 * n)))

    def further(number, chosen, n):
        return np.zeros((1, n, len(chosen)))

    ((result,),) = sequential_p_values([[5]], [[[7]]], further, ["high"], max_draws=n_draws)
    assert result.pvalue == pytest.approx(2 / n)
