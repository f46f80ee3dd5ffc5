"""Sequential p-values of many subclusters: which are drawn for, when they stop, their level."""

import itertools
import math

import numpy as np
import pytest

from localspec.statistics import sequential_p_values

NAN = float("nan")


class Stream:
    """Draws known beforehand, of shape (n_statistics, n_draws, n_subclusters); keeps the calls."""

    def __init__(self, draws, n_first):
        self.draws, self.used, self.calls = np.asarray(draws, dtype=float), n_first, []

    def further(self, number, chosen, n):
        self.calls.append((number, chosen.tolist(), n))
        batch = self.draws[:, self.used : self.used + n][:, :, chosen]
        self.used += n
        return batch


def run(values, draws, sides, n_first, **options):
    stream = Stream(draws, n_first)
    first = stream.draws[:, :n_first]
    return sequential_p_values(values, first, stream.further, sides, **options), stream.calls


def sequential_p(value, draws, side, **options):
    """Return the result of one value whose draws are all among the first ones."""
    first = np.reshape(draws, (1, -1, 1))
    ((result,),) = sequential_p_values([[value]], first, no_more, [side], **options)
    return result


def no_more(number, chosen, n):
    pytest.fail("draws were asked for")


def test_rounds_double_and_ask_only_for_what_is_not_decided():
    # true value 5, high is extreme; stop at the 2nd exceedance, at most 13 draws
    always, third, never = [9] * 13, [1, 1, 5] * 5, [1] * 13
    draws = np.array([always, third[:13], never], dtype=float).T[None]
    (results,), calls = run([[5, 5, 5]], draws, ["high"], 2, max_exceedances=2, max_draws=13)
    # exceedances of the second at draws 3 and 6: undecided after 2 and 4, decided within 8
    assert calls == [(1, [1, 2], 2), (2, [1, 2], 4), (3, [2], 5)]
    assert [result.pvalue for result in results] == pytest.approx([2 / 2, 2 / 6, 1 / 14])
    assert [result.n_draws for result in results] == [2, 6, 13]
    assert [result.n_exceedances for result in results] == [2, 2, 0]
    assert results[1].null_distribution.tolist() == [1, 1, 5, 1, 1, 5]


def test_a_subcluster_is_drawn_for_until_both_of_its_statistics_are_decided():
    low, high = [3] * 8, [0, 0, 0, 0, 7, 0, 7, 0]
    draws = np.array([low, high], dtype=float)[:, :, None]
    (first, second), calls = run(
        [[5], [5]], draws, ["low", "high"], 2, max_exceedances=2, max_draws=8
    )
    assert calls == [(1, [0], 2), (2, [0], 4)]
    assert (first[0].pvalue, first[0].n_draws) == (1, 2)  # all draws are lower; it stopped early
    assert (second[0].pvalue, second[0].n_draws) == (pytest.approx(2 / 7), 7)


def test_no_more_draws_are_asked_for_where_the_first_decide_all():
    (results,), calls = run([[5, 5]], np.full((1, 10, 2), 6.0), ["high"], 10)
    assert calls == []
    assert [result.pvalue for result in results] == [1, 1]


def test_first_draws_beyond_the_limit_are_ignored():
    (results,), calls = run(
        [[5]], np.zeros((1, 19, 1)), ["high"], 19, max_exceedances=3, max_draws=9
    )
    assert calls == []
    assert (results[0].pvalue, results[0].n_draws) == (1 / 10, 9)


def test_no_subclusters():
    (first, second), calls = run(np.empty((2, 0)), np.empty((2, 5, 0)), ["high", "low"], 5)
    assert (first, second, calls) == ((), (), [])


def test_undefined_values_rank_as_least_extreme():
    # an undefined true value ties with undefined draws and is beaten by defined ones
    draws = np.array([[NAN, 1, NAN, 2], [NAN, NAN, 6, 7]]).T[None]
    (results,), _ = run([[NAN, 5]], draws, ["high"], 4, max_exceedances=2, max_draws=4)
    assert [result.pvalue for result in results] == [2 / 2, 2 / 4]
    low = sequential_p(5, [NAN, 4, NAN, 3], "low", max_exceedances=2, max_draws=4)
    assert low.pvalue == 2 / 4


def test_the_released_reading_counts_no_comparison_with_an_undefined_value():
    draws = np.array([[NAN, 1, NAN, 2], [NAN, NAN, 6, 7]]).T[None]
    options = {"max_exceedances": 2, "max_draws": 4, "undefined": "released"}
    (results,), _ = run([[NAN, 5]], draws, ["high"], 4, **options)
    assert [result.pvalue for result in results] == [1 / 5, 2 / 4]  # undefined comes out as extreme


def test_rounding_decides_nothing():
    draws = np.array([5 * (1 - 1e-13), 5 * (1 + 1e-13)] * 2)[None, :, None]
    (results,), _ = run([[5]], draws, ["high"], 4, max_exceedances=4, max_draws=4)
    assert results[0].pvalue == 1


@pytest.mark.parametrize("n_first", [1, 2, 5])
def test_sizes_of_rounds_change_nothing(n_first):
    rng = np.random.default_rng(n_first)
    values, draws = rng.integers(0, 6, (2, 7)), rng.integers(0, 6, (2, 40, 7))
    options = {"max_exceedances": 4, "max_draws": 40}
    sides = ("low", "high")
    results, _ = run(values, draws, sides, n_first, **options)
    for row, column in np.ndindex(2, 7):
        alone = sequential_p(values[row, column], draws[row, :, column], sides[row], **options)
        assert results[row][column].pvalue == alone.pvalue
        assert results[row][column].n_draws == alone.n_draws


def test_level_is_exact_over_all_orders():
    # the true value and 5 draws in every order: P(p <= a) <= a, with equality at every value of p
    pvalues = [
        sequential_p(order[0], order[1:], "high", max_exceedances=2, max_draws=5).pvalue
        for order in itertools.permutations(range(6))
    ]
    for p in sorted(set(pvalues)):
        assert np.mean(np.asarray(pvalues) <= p) == pytest.approx(p)
    assert sorted(set(pvalues)) == pytest.approx([1 / 6, 2 / 6, 2 / 5, 2 / 4, 2 / 3, 1])


@pytest.mark.parametrize("kind", ["continuous", "tied", "undefined"])
def test_level_under_a_simulated_null(kind):
    # 4,000 subclusters exchangeable with their draws; bound: 4 standard errors
    n, n_draws = 4000, 199
    sample = np.random.default_rng(8).random((n_draws + 1, n))
    if kind == "tied":
        sample = np.floor(sample * 8)
    elif kind == "undefined":
        sample[np.random.default_rng(9).random(sample.shape) < 0.4] = NAN
    (results,), _ = run(
        sample[None, 0], sample[None, 1:], ["low"], 19, max_exceedances=10, max_draws=n_draws
    )
    pvalues = np.array([result.pvalue for result in results])
    for level in (0.01, 0.05, 0.1, 0.3):
        slack = 4 * math.sqrt(level * (1 - level) / n)
        rate = np.mean(pvalues <= level * (1 + 1e-9))
        assert rate <= level + slack
        if kind == "continuous":
            assert rate >= 0.9 * level - slack  # and it does not give the level away


def test_sequential_stops_at_the_tenth_exceedance():
    # every third draw ties: exceedances at 3, 6, ..., 30; p = 10/30
    values = [1, 2, 5] * 400
    result = sequential_p(5, values, "high")
    assert (result.n_draws, result.n_exceedances) == (30, 10)
    assert result.pvalue == pytest.approx(1 / 3)
    assert result.null_distribution.tolist() == values[:30]


def test_sequential_without_ten_exceedances():
    # 2 more extreme and 1 tied among 999: (2 + 1 + 1) / 1000
    result = sequential_p(5, [6, 5, 7] + [0] * 2000, "high")
    assert (result.n_draws, result.n_exceedances) == (999, 3)
    assert result.pvalue == pytest.approx(0.004)


def test_sequential_at_both_limits_at_once():
    # the tenth exceedance is the 999th draw
    assert sequential_p(5, [0] * 989 + [5] * 10, "high").pvalue == pytest.approx(10 / 999)


def test_sequential_extremes():
    assert sequential_p(5, [9] * 10, "high").pvalue == 1
    assert sequential_p(5, [9] * 999, "low").pvalue == pytest.approx(1 / 1000)
    assert sequential_p(NAN, [9, NAN] * 5, "low").pvalue == 1  # anything exceeds an undefined value
