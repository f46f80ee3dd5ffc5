"""Families of tests, and comparisons between them: corrections, rank counts, paired differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec.comparison import at_most, exceedances, relative_compare
from localspec.errors import choose, require


@dataclass(frozen=True, eq=False)
class AdjustedPValues:
    """A family of p-values, adjusted to control its false discovery rate.

    Parameters
    ----------
    adjusted : ndarray, shape (...)
        Adjusted p-values; NaN where the p-value is.
    rejected : ndarray of bool, shape (...)
        Whether the adjusted p-value is at most `alpha` (within a relative tolerance of 1e-9).
    alpha : float
        False discovery rate.
    method : {"benjamini_hochberg", "benjamini_yekutieli"}
    n : int
        Size of the family: the number of p-values that are not NaN.
    """

    adjusted: np.ndarray
    rejected: np.ndarray
    alpha: float
    method: str
    n: int


def benjamini_hochberg(p_values: ArrayLike, *, alpha: float = 0.05) -> AdjustedPValues:
    """Adjust a family of p-values by Benjamini and Hochberg's procedure.

    Parameters
    ----------
    p_values : array_like, shape (...)
        p-values in [0, 1]; NaN (no test) is kept out of the family and stays NaN.
    alpha : float, default 0.05
        False discovery rate, in (0, 1).

    Returns
    -------
    AdjustedPValues

    Raises
    ------
    InvalidInputError
        If a p-value lies outside [0, 1] or `alpha` outside (0, 1).

    Notes
    -----
    Holds for independent and for positively dependent tests.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: families of tests.

    Examples
    --------
    0.01 x 3 / 1, 0.02 x 3 / 2, and 0.3 x 3 / 3.

    >>> benjamini_hochberg([0.3, 0.01, 0.02]).adjusted.round(12).tolist()
    [0.3, 0.03, 0.03]
    """
    return _adjust(p_values, alpha, "benjamini_hochberg", "bh")


def benjamini_yekutieli(p_values: ArrayLike, *, alpha: float = 0.05) -> AdjustedPValues:
    """Adjust a family of p-values by Benjamini and Yekutieli's procedure.

    Parameters
    ----------
    p_values : array_like, shape (...)
        p-values in [0, 1]; NaN (no test) is kept out of the family and stays NaN.
    alpha : float, default 0.05
        False discovery rate, in (0, 1).

    Returns
    -------
    AdjustedPValues

    Raises
    ------
    InvalidInputError
        If a p-value lies outside [0, 1] or `alpha` outside (0, 1).

    Notes
    -----
    Holds under any dependence, at the price of a factor 1 + 1/2 + ... + 1/n.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: families of tests.

    Examples
    --------
    0.01 x 2 / 1 x 3/2 and 0.02 x 2 / 2 x 3/2.

    >>> benjamini_yekutieli([0.01, 0.02]).adjusted.round(12).tolist()
    [0.03, 0.03]
    """
    return _adjust(p_values, alpha, "benjamini_yekutieli", "by")


def _adjust(p_values: ArrayLike, alpha: float, method: str, scipy_name: str) -> AdjustedPValues:
    """Adjust the p-values that are defined."""
    p_values = np.asarray(p_values, dtype=float)
    defined = ~np.isnan(p_values)
    family = p_values[defined]
    require(bool(np.all((family >= 0) & (family <= 1))), "p_values must lie in [0, 1]")
    require(0 < alpha < 1, f"alpha={alpha} must lie between 0 and 1")
    adjusted = np.full(p_values.shape, np.nan)
    if family.size:
        adjusted[defined] = stats.false_discovery_control(family, method=scipy_name)
    return AdjustedPValues(adjusted, at_most(adjusted, alpha), alpha, method, int(family.size))


def rank_chi2(value: ArrayLike, null: ArrayLike, side: str, *, ties: str = "spread") -> float:
    """Test whether the true subclusters' ranks are uniform; for comparison only.

    Parameters
    ----------
    value : array_like, shape (n_subclusters,)
        Values of the true subclusters; NaN where undefined.
    null : array_like, shape (n_subclusters, n_draws)
        Values of their random counterparts; NaN where undefined.
    side : {"low", "high"}
        Whether low or high values are the extreme ones.
    ties : {"spread", "strict"}
        A value tied with e draws counts 1 / (e + 1) at each rank that it may have; or 1 at the
        most extreme of them, as in the released code.

    Returns
    -------
    float
        p of the chi-squared test with n_draws degrees of freedom; NaN without subclusters.

    Raises
    ------
    InvalidInputError
        If shapes do not agree, `value` is not one-dimensional, or an option is unknown.

    Notes
    -----
    It takes ranks for unordered categories, so that too many large ranks count like too many
    small ones, and with fewer than about 5 (n_draws + 1) subclusters its distribution is off:
    never base a verdict on it.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058, released code: chi-squared test on rank counts.

    Examples
    --------
    One draw, ranks 1, 1, 1, 2: (3 - 2)^2 / 2 + (1 - 2)^2 / 2 = 1 with one degree of freedom.

    >>> round(rank_chi2([5, 5, 5, 0], [[1], [2], [3], [4]], "high"), 4)
    0.3173
    """
    choose("ties", ties, ("spread", "strict"))
    require(np.ndim(value) == 1, "value must have shape (n_subclusters,)")
    more_extreme, tied = exceedances(value, null, side)
    if len(more_extreme) == 0:
        return float("nan")
    ranks = np.arange(np.shape(null)[1] + 1)
    last = more_extreme + (tied if ties == "spread" else 0)
    possible = (ranks >= more_extreme[:, np.newaxis]) & (ranks <= last[:, np.newaxis])
    counts = (possible / possible.sum(axis=1, keepdims=True)).sum(axis=0)
    return float(stats.chisquare(counts).pvalue)


@dataclass(frozen=True, eq=False)
class PairedDifference:
    """Mean paired difference over networks, with its bootstrap interval and verdict.

    Parameters
    ----------
    difference : float
        Mean of a - b over networks; NaN without any.
    interval : tuple of float
        Lower and upper end; NaN for fewer than two networks.
    verdict : {"equivalent", "different", "undecidable"}
    margin : float
        Largest difference that does not matter.
    confidence : float
        Nominal coverage of the interval.
    attainable_confidence : float
        Coverage (of the median) of the widest interval that so few networks allow: from the
        smallest difference to the largest. Below `confidence` nothing can be decided.
    n_networks : int
        Networks with both effects defined.
    bootstrap_distribution : ndarray, shape (n_boot,)
        Means of the resampled differences; empty for fewer than two networks.
    """

    difference: float
    interval: tuple[float, float]
    verdict: str
    margin: float
    confidence: float
    attainable_confidence: float
    n_networks: int
    bootstrap_distribution: np.ndarray


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    margin: float,
    *,
    seed: np.random.Generator | int,
    n_boot: int = 9999,
    confidence: float = 0.9,
) -> PairedDifference:
    """Decide whether two effects are equivalent, from their differences within networks.

    Parameters
    ----------
    a, b : array_like, shape (n_networks,)
        The two effects of each network; pairs with a NaN are left out.
    margin : float
        Largest difference that does not matter, positive, fixed before the data are seen.
    seed : numpy.random.Generator or int
        For the resampling.
    n_boot : int, default 9999
        Number of bootstrap samples, at least 1.
    confidence : float, default 0.9
        Coverage of the interval. 0.9 makes "equivalent" a test at level 0.05, as two one-sided
        tests do.

    Returns
    -------
    PairedDifference
        "equivalent" if the interval lies within (-margin, margin), "different" if it lies wholly
        outside, else "undecidable".

    Raises
    ------
    InvalidInputError
        If shapes differ or are not one-dimensional, or a number is out of range.

    Notes
    -----
    The interval is the bootstrap's percentile interval, expanded as a t interval is against a
    normal one, since plain percentiles are too narrow for a handful of networks. No resampling
    can reach beyond the smallest and the largest difference, an interval that misses the median
    with probability 2^(1 - n): at 0.9 fewer than five networks are always undecidable.

    References
    ----------
    Hesterberg (2015), What teachers should know about the bootstrap, The American Statistician
    69(4), 371-386: expanded percentile interval.
    Hod et al. (2021), arXiv:2110.08058: weights as good as activations.

    Examples
    --------
    >>> result = paired_difference([1.3, 1.2, 1.4, 1.3, 1.3], [1.3] * 5, 0.2, seed=0)
    >>> result.verdict, result.attainable_confidence
    ('equivalent', 0.9375)
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    require(a.ndim == 1 and a.shape == b.shape, f"a and b must pair up: {a.shape}, {b.shape}")
    require(margin > 0, f"margin={margin} must be positive")
    require(n_boot >= 1, f"n_boot={n_boot} must be at least 1")
    require(0 < confidence < 1, f"confidence={confidence} must lie between 0 and 1")
    differences = (a - b)[~np.isnan(a - b)]
    n = len(differences)
    attainable = 1 - 2.0 ** (1 - n) if n else 0.0
    if n < 2:
        mean, interval, means = (differences[0] if n else np.nan), (np.nan, np.nan), np.empty(0)
    else:
        picks = np.random.default_rng(seed).integers(n, size=(n_boot, n))
        mean, means = differences.mean(), differences[picks].mean(axis=1)
        tail = stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf((1 - confidence) / 2, n - 1))
        low, high = np.quantile(means, [tail, 1 - tail])
        interval = (float(low), float(high))
    decidable = relative_compare(attainable, confidence) >= 0
    verdict = _verdict(interval, margin) if decidable else "undecidable"
    return PairedDifference(
        float(mean), interval, verdict, margin, confidence, attainable, n, means
    )


def _verdict(interval: tuple[float, float], margin: float) -> str:
    """Compare an interval with (-margin, margin)."""
    low, high = interval
    if relative_compare(low, -margin) > 0 and relative_compare(high, margin) < 0:
        return "equivalent"
    if relative_compare(low, margin) > 0 or relative_compare(high, -margin) < 0:
        return "different"
    return "undecidable"
