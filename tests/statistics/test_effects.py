"""Effect sizes, their null means and their means over networks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localspec.statistics import effect_size, summarize_effects
from localspec.statistics._effects import EFFECT_KINDS

NAN, INF = math.nan, math.inf
positive = st.floats(0.01, 100)


def test_drops_by_hand():
    # 2 x 0.3 / (0.3 + 0.15)
    result = effect_size(-0.3, [-0.1, -0.2], "drop")
    assert result.effect == pytest.approx(4 / 3)
    # 0.1 against 0.3 and 0.2: 0.2 / 0.35; 0.2 against 0.1 and 0.3: 0.4 / 0.4
    assert result.null_effects.tolist() == pytest.approx([4 / 7, 1])
    assert result.null_mean == pytest.approx(11 / 14)
    assert result.ratio == pytest.approx(4 / 3 * 14 / 11)


def test_random_rises_count_in_the_mean_of_random_drops():
    # the mean of -0.4 and 0.2 is -0.1
    assert effect_size(-0.3, [-0.4, 0.2], "drop").effect == pytest.approx(0.6 / 0.4)


@pytest.mark.parametrize(
    ("true", "null"),
    [
        (0.1, [-0.1, -0.2]),  # the true change is a rise
        (0.0, [-0.1, -0.2]),  # or nothing
        (-0.1, [0.1, -0.05]),  # the random ones rise on average
        (-0.1, [0.0, 0.0]),
        (-1e-17, [-1e-17, -2e-17]),  # rounding errors are no drops
        (-1e-17, [-0.1, -0.2]),
        (-0.1, [-1e-17, -1e-17]),
        (-0.3, [-0.3, 0.1 + 0.2]),  # a mean of -0 or of some 1e-17
    ],
)
def test_an_effect_without_a_drop_on_both_sides_is_zero(true, null):
    assert effect_size(true, null, "drop").effect == 0


def test_ranges_leave_undefined_draws_out_and_count_them():
    # mean of 1 and 2: 6 / (3 + 1.5)
    result = effect_size(3, [1, NAN, 2], "range")
    assert result.effect == pytest.approx(4 / 3)
    assert result.n_undefined_draws == 1
    # 1 against 3 and 2; undefined; 2 against 1 and 3
    expected = [2 / 3.5, NAN, 4 / 4]
    assert result.null_effects.tolist() == pytest.approx(expected, nan_ok=True)
    assert result.null_mean == pytest.approx((2 / 3.5 + 1) / 2)


def test_an_undefined_true_range_has_no_effect():
    result = effect_size([NAN, 1], [[1, 2], [NAN, NAN]], "range")
    assert np.isnan(result.effect).tolist() == [True, True]
    assert result.n_undefined_draws.tolist() == [0, 2]
    assert result.null_effects[0].tolist() == pytest.approx([2 / 3, 4 / 3])  # 1 and 2, by turns


def test_undefined_ranges_as_released_stay_in_the_mean_as_zero():
    result = effect_size([NAN, 1, 1], [[1, 2], [INF, 1], [NAN, 3]], "range", undefined="released")
    assert result.effect.tolist() == pytest.approx([0, 0, 0.5])  # 2 / (1 + 3)


@pytest.mark.parametrize("kind", ["score", "entropy"])
def test_scores_and_entropies_by_hand(kind):
    # 6/4 and 6/6
    result = effect_size(3, [1, 3], kind)
    assert result.effect == pytest.approx(1.25)
    # 1 against 3 and 3: 1/2; 3 against 1 and 3: 6/4 and 1
    assert result.null_effects.tolist() == pytest.approx([0.5, 1.25])
    assert result.ratio == pytest.approx(10 / 7)


def test_equal_zeros_are_no_effect():
    assert effect_size(0, [0, 0], "entropy").effect == 1
    assert effect_size(0, [0, 0], "range").effect == 1
    assert effect_size(0, [0, 1], "entropy").effect == pytest.approx(0.5)  # 1 and 0


def test_rounding_errors_below_zero_count_as_zero():
    assert effect_size(-1e-17, [0, -1e-16], "entropy").effect == 1


@given(positive, st.lists(positive, min_size=1, max_size=10), st.sampled_from(list(EFFECT_KINDS)))
def test_effects_are_between_0_and_2_and_scale_free(true, null, kind):
    sign = -1 if kind == "drop" else 1
    result = effect_size(sign * true, sign * np.array(null), kind)
    scaled = effect_size(7 * sign * true, 7 * sign * np.array(null), kind)
    assert 0 <= result.effect <= 2
    assert scaled.effect == pytest.approx(result.effect)
    assert scaled.null_effects == pytest.approx(result.null_effects)


@given(positive, st.integers(1, 10), st.sampled_from(list(EFFECT_KINDS)))
def test_equal_values_are_no_effect(value, n_draws, kind):
    value = -value if kind == "drop" else value
    result = effect_size(value, [value] * n_draws, kind)
    assert result.effect == pytest.approx(1)
    assert result.ratio == pytest.approx(1)


@pytest.mark.parametrize("kind", EFFECT_KINDS)
def test_batches_equal_a_loop(kind):
    rng = np.random.default_rng(1)
    true, null = rng.random((2, 3)), rng.random((2, 3, 5))
    if kind == "drop":
        true, null = 0.3 - true, 0.3 - null
    result = effect_size(true, null, kind)
    assert result.null_effects.shape == (2, 3, 5)
    for index in np.ndindex(2, 3):
        alone = effect_size(true[index], null[index], kind)
        assert alone.effect == pytest.approx(result.effect[index])
        assert alone.null_mean == pytest.approx(result.null_mean[index])


def test_one_is_not_what_drops_come_to_without_an_effect():
    # exponential drops against a mean near 1: E[2t/(t + 1)] = 2 (1 - e E1(1)) = 0.807, and a
    # little more since the mean of 19 draws varies; the ratio to the null mean is centred at 1
    drops = -np.random.default_rng(3).exponential(size=(4000, 20))
    result = effect_size(drops[:, 0], drops[:, 1:], "drop")
    assert result.effect.mean() == pytest.approx(0.82, abs=0.03)
    assert result.null_mean.mean() == pytest.approx(0.82, abs=0.01)
    assert result.effect.mean() / result.null_mean.mean() == pytest.approx(1, abs=0.03)


def two_networks(kind="score"):
    """Return effects 1.5 and 1 (network 1), 0.5 and none (network 2), with one draw of 1 each."""
    first = effect_size([3, 1], [[1], [1]], kind)
    second = effect_size([1 / 3, NAN], [[1], [1]], kind)
    return [first, second]


def test_summary_by_hand():
    summary = summarize_effects(two_networks())
    assert summary.network_means.tolist() == pytest.approx([1.25, 0.5])
    assert summary.mean == pytest.approx(0.875)
    assert summary.standard_error == pytest.approx(0.375)  # 0.75/sqrt(2), over sqrt(2)
    assert summary.pooled_mean == pytest.approx(1)  # 1.5, 1 and 0.5
    assert summary.pooled_standard_error == pytest.approx(0.5 / math.sqrt(3))
    # draws of 1 against the true values 3, 1 | 1/3: 2/4, 2/2 | 2/(4/3)
    assert summary.network_null_means.tolist() == pytest.approx([0.75, 1.5])
    assert summary.null_mean == pytest.approx(1.125)
    assert summary.ratio == pytest.approx(7 / 9)
    assert (summary.n_subclusters, summary.n_undefined, summary.n_undefined_draws) == (3, 1, 0)


def test_null_mean_averages_partitions_not_pairs():
    # draw 1 is undefined in subcluster 2, so partition 1 is averaged over subcluster 1 alone:
    # partition 1: 2x1/(1 + mean(2, 3)) = 4/7; partition 2: subcluster 1: 2x3/(3 + mean(1, 2))
    # = 4/3, subcluster 2: 2x1/(1 + 1) = 1; mean 7/6
    network = effect_size([2, 1], [[1, 3], [NAN, 1]], "range")
    summary = summarize_effects([network])
    assert summary.null_mean == pytest.approx((4 / 7 + 7 / 6) / 2)
    assert summary.n_undefined_draws == 1


def test_favourable_direction():
    scores, entropies = (summarize_effects(two_networks(kind)) for kind in ("score", "entropy"))
    assert scores.favourable_direction == "above"
    assert entropies.favourable_direction == "below"
    assert not scores.favourable  # 0.875 lies below 1.125
    assert entropies.favourable


def test_equal_to_the_null_mean_is_not_favourable():
    for kind in ("score", "entropy"):
        assert not summarize_effects([effect_size([2, 2], np.full((2, 3), 2), kind)]).favourable


def test_networks_without_subclusters_are_left_out():
    empty = effect_size(np.empty(0), np.empty((0, 19)), "score")
    summary = summarize_effects([empty, *two_networks()])
    assert summary.mean == pytest.approx(0.875)
    assert summary.standard_error == pytest.approx(0.375)
    assert np.isnan(summary.network_means[0])


def test_nothing_defined_is_undefined_and_no_error():
    summary = summarize_effects([effect_size([NAN], [[NAN, NAN]], "range")])
    assert np.isnan([summary.mean, summary.null_mean, summary.ratio, summary.pooled_mean]).all()
    assert not summary.favourable
    assert (summary.n_subclusters, summary.n_undefined, summary.n_undefined_draws) == (0, 1, 2)


def test_one_network_has_no_standard_error_over_networks():
    summary = summarize_effects(two_networks()[:1])
    assert math.isnan(summary.standard_error)
    assert summary.pooled_standard_error == pytest.approx(0.25)  # of 1.5 and 1
