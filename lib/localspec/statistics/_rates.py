"""Rates: how often tests are positive, with an interval over networks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec._utils.validation import as_floats, check_real, require
from localspec.statistics._ordering import at_most, check_inside

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """A rate of false positives with its interval.

    Attributes
    ----------
    rate : float
        Mean over clusters.
    low, high : float
        Bounds of the t interval over clusters, within 0 and 1; NaN with a single cluster.
    n_clusters, n_tests : int
    """

    rate: float
    low: float
    high: float
    n_clusters: int
    n_tests: int


def clustered_rate(p_values: ArrayLike, level: float) -> Rate:
    """Return the share of p-values at or below a level, with an interval over clusters.

    Parameters
    ----------
    p_values : array_like, shape (n_clusters, ...)
        NaN where there is no test. Those of one cluster (a network) may depend on each other.
    level : float

    Returns
    -------
    Rate
        Its interval is Student's, over the rates of the clusters. Where these do not differ at all
        it is a point.

    Raises
    ------
    InvalidInputError
        If a cluster has no test, or a p-value or the level is out of range.

    Examples
    --------
    Two networks with rates 0 and 1/2; t with one degree of freedom is 12.7.

    >>> clustered_rate([[0.2, 0.9], [0.04, 0.6]], 0.05)
    Rate(rate=0.25, low=0.0, high=1.0, n_clusters=2, n_tests=4)
    """
    p_values = as_floats("p_values", p_values)
    level = check_real("level", level, 0, 1)
    require(
        p_values.ndim > 0 and p_values.size > 0,
        f"p_values must have a row for each cluster, not be of shape {p_values.shape}",
    )
    flat = p_values.reshape(len(p_values), -1)
    there = ~np.isnan(flat)
    require(bool(there.any(axis=1).all()), "p_values has a cluster without any")
    check_inside(flat[there], (flat[there] >= 0) & (flat[there] <= 1), "[0, 1]")
    rates = at_most(flat, level).sum(axis=1) / there.sum(axis=1)
    n = len(rates)
    rate, low, high = float(rates.mean()), float("nan"), float("nan")
    if n > 1:
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * rates.std(ddof=1) / np.sqrt(n))
        low, high = max(0.0, rate - half), min(1.0, rate + half)
    return Rate(rate, low, high, n, int(there.sum()))
