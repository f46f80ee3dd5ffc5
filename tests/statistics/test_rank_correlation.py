"""Rank correlation: by hand, and where there is none."""

import numpy as np
import pytest

from localspec.statistics import rank_correlation


def test_undefined_pairs_are_left_out():
    first, second = np.array([1.0, 2, 3, 4, np.nan]), np.array([1.0, 2, 4, 3, 9])
    assert rank_correlation(first, second) == pytest.approx(0.8)  # 1 - 6 x 2 / (4 x 15)
    assert np.isnan(rank_correlation(first[:2], second[:2]))


def test_without_an_order_there_is_none():
    values = np.array([1.0, 2.0, 3.0])
    assert np.isnan(rank_correlation(values, np.ones(3)))
    assert np.isnan(rank_correlation(np.ones(3), values))
    assert rank_correlation(values, -values) == pytest.approx(-1)


def test_rounding_errors_have_no_rank():
    # three numbers that are one number but for rounding
    nearly, second = np.array([0.3, 0.1 + 0.2, 0.3, 0.5, 0.1]), np.array([1.0, 2, 4, 3, 9])
    assert rank_correlation(nearly, second) == rank_correlation(nearly.round(6), second)
