"""Intervals of means over networks, by hand and by other ways to the same numbers."""

import numpy as np
import pytest
from scipy import optimize, stats

from localspec.statistics import crossed_interval, equivalence_p, t_interval

NAN = float("nan")
VALUES = [1.31, 1.42, 1.28, 1.55, 1.37]
# networks as rows, two partitionings as columns
CROSSED = np.array([[1.2, 1.5], [1.4, 1.6], [1.1, 1.5], [1.3, 1.7]])


def test_t_interval_by_hand():
    # mean 3, variance 2.5, standard error sqrt(0.5); t(0.975, 4) = 2.776445
    interval = t_interval([1.0, 2.0, 3.0, 4.0, 5.0, NAN])
    assert interval.mean == 3
    assert interval.high - 3 == pytest.approx(2.776445 * 0.5**0.5, abs=1e-6)
    assert interval.low - 3 == pytest.approx(-2.776445 * 0.5**0.5, abs=1e-6)
    assert (interval.n, interval.degrees_of_freedom) == (5, 4)


def test_t_interval_is_that_of_the_t_test():
    oracle = stats.ttest_1samp(VALUES, 0).confidence_interval(0.9)
    interval = t_interval(VALUES, confidence=0.9)
    assert [interval.low, interval.high] == pytest.approx([oracle.low, oracle.high])


@pytest.mark.parametrize(("values", "n"), [([], 0), ([NAN], 0), ([1.2], 1), ([1.2, NAN], 1)])
def test_no_interval_of_fewer_than_two_networks(values, n):
    interval = t_interval(values)
    assert interval.n == n
    assert np.isnan([interval.low, interval.high]).all()
    assert np.isnan(interval.mean) == (n == 0)
    assert np.isnan(equivalence_p(values, 1, 0.05))


def test_networks_that_agree_wholly():
    interval = t_interval([1.2, 1.2, 1.2])
    assert (interval.low, interval.high) == (interval.mean, interval.mean)
    assert equivalence_p([1.2, 1.2, 1.2], 1, 0.05) == 1
    assert equivalence_p([1.02, 1.02], 1, 0.05) == 0


def test_crossed_interval_by_hand():
    # row means 1.35, 1.5, 1.3, 1.5, column means 1.25, 1.575, mean 1.4125
    # networks: 2 (0.0625^2 + 0.0875^2 + 0.1125^2 + 0.0875^2) / 3 = 0.02125
    # partitionings: 4 (0.1625^2 + 0.1625^2) = 0.21125
    # rest: in each row twice 0.0125, 0.0625, 0.0375, 0.0375
    squares = np.array([0.0125, 0.0625, 0.0375, 0.0375]) ** 2
    rest = 2 * squares.sum() / 3
    networks = 2 * (np.array([0.0625, 0.0875, 0.1125, 0.0875]) ** 2).sum() / 3
    partitionings = 4 * 2 * 0.1625**2
    variance = (networks + partitionings - rest) / 8
    df = (8 * variance) ** 2 / (networks**2 / 3 + partitionings**2 / 1 + rest**2 / 3)
    interval = crossed_interval(CROSSED)
    assert interval.mean == pytest.approx(1.4125)
    assert interval.degrees_of_freedom == pytest.approx(df)
    half = stats.t.ppf(0.975, df) * variance**0.5
    assert [interval.low, interval.high] == pytest.approx([1.4125 - half, 1.4125 + half])
    assert df < 1.5  # two partitionings that differ
    assert half > 1


def restricted_likelihood_variance(values):
    """Return the variance of the mean by REML, from the likelihood of the whole sample."""
    n, k = values.shape
    rows = np.kron(np.eye(n), np.ones((k, k)))
    columns = np.kron(np.ones((n, n)), np.eye(k))
    y, one = values.ravel(), np.ones(n * k)

    def covariance(logs):
        a, b, e = np.exp(logs)
        return a * rows + b * columns + e * np.eye(n * k)

    def minus_twice(logs):
        inverse = np.linalg.inv(covariance(logs))
        information = one @ inverse @ one
        rest = y - one @ inverse @ y / information
        return -np.linalg.slogdet(inverse)[1] + np.log(information) + rest @ inverse @ rest

    start = np.log([0.01, 0.05, 0.01])
    best = optimize.minimize(minus_twice, start, method="Nelder-Mead", tol=1e-12)
    return 1 / (one @ np.linalg.inv(covariance(best.x)) @ one)


def test_crossed_variance_is_that_of_restricted_likelihood():
    # for balanced data and components above zero both estimators are the same
    interval = crossed_interval(CROSSED)
    half = (interval.high - interval.low) / 2
    variance = (half / stats.t.ppf(0.975, interval.degrees_of_freedom)) ** 2
    assert variance == pytest.approx(restricted_likelihood_variance(CROSSED), rel=1e-3)


def test_partitionings_that_agree_leave_the_t_interval():
    values = np.array([[1.2, 1.25], [1.5, 1.4], [1.3, 1.36], [1.1, 1.09]])
    crossed, plain = crossed_interval(values), t_interval(values.mean(axis=1))
    assert [crossed.low, crossed.high] == pytest.approx([plain.low, plain.high])
    assert crossed.degrees_of_freedom == pytest.approx(3)


def test_networks_with_a_gap_are_left_out_of_the_crossed_interval():
    with_gap = np.vstack([CROSSED, [NAN, 2.0]])
    assert crossed_interval(with_gap) == crossed_interval(CROSSED)
    assert np.isnan(crossed_interval([[NAN, 1.0]]).mean)
    one = crossed_interval([[1.0], [2.0], [3.0]])  # a single partitioning: networks alone
    assert one == t_interval([1.0, 2.0, 3.0])


def test_crossed_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(1500):
        effects = rng.normal(size=(5, 1)) + rng.normal(size=(1, 2)) + rng.normal(size=(5, 2))
        interval = crossed_interval(effects)
        covered.append(interval.low <= 0 <= interval.high)
    assert 0.92 < np.mean(covered) <= 1


def test_equivalence_is_the_interval_within_the_margin():
    # two one-sided tests at 5 %: the 90 % interval lies within 1 -+ margin
    interval = t_interval(VALUES, confidence=0.9)
    reach = max(interval.high - 1.4, 1.4 - interval.low)
    assert equivalence_p(VALUES, 1.4, reach) == pytest.approx(0.05)
    assert equivalence_p(VALUES, 1.4, reach * 1.01) < 0.05
    assert equivalence_p(VALUES, 1.4, reach * 0.99) > 0.05
