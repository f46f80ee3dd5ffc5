"""Rates of positive tests, with intervals over networks."""

import numpy as np
import pytest

from localspec.exceptions import InvalidInputError
from localspec.statistics import clustered_rate


def test_rate_is_the_mean_of_networks_with_students_interval():
    # rates 0.25, 0.5, 0.75: standard error 0.25 / sqrt(3), t with 2 degrees of freedom 4.302653
    p = [[0.01, 0.5, 0.5, 0.5], [0.05, 0.01, 0.5, 0.5], [0.05, 0.01, 0.02, 0.051]]
    estimate = clustered_rate(p, 0.05)
    assert estimate.rate == pytest.approx(0.5)
    assert (estimate.low, estimate.high) == (0.0, 1.0)  # 0.5 -+ 0.621 is cut
    assert (estimate.n_clusters, estimate.n_tests) == (3, 12)
    estimate = clustered_rate([[0.01] * 2 + [0.5] * 8, [0.01] * 3 + [0.5] * 7] * 2, 0.05)
    # rates 0.2, 0.3, 0.2, 0.3: standard deviation 0.057735, t with 3 degrees 3.182446
    assert estimate.low == pytest.approx(0.25 - 3.182446 * 0.0577350 / 2, abs=1e-6)
    assert estimate.high == pytest.approx(0.25 + 3.182446 * 0.0577350 / 2, abs=1e-6)


def test_missing_tests_are_no_tests():
    estimate = clustered_rate([[0.01, np.nan], [0.5, 0.01]], 0.05)
    assert (estimate.rate, estimate.n_tests) == (0.75, 3)
    with pytest.raises(InvalidInputError, match="without any"):
        clustered_rate([[np.nan, np.nan], [0.5, 0.01]], 0.05)


def test_a_single_network_has_no_interval():
    estimate = clustered_rate([[0.01, 0.5]], 0.05)
    assert estimate.rate == 0.5
    assert np.isnan([estimate.low, estimate.high]).all()
