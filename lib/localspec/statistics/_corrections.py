"""Corrections: adjust the p-values of families of tests, and compare families."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec._utils.validation import as_floats, check_option, check_real, require
from localspec.statistics._ordering import at_most, check_inside, exceedances


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
    p_values = as_floats("p_values", p_values)
    defined = ~np.isnan(p_values)
    family = p_values[defined]
    check_inside(family, (family >= 0) & (family <= 1), "[0, 1]")
    alpha = check_real("alpha", alpha, 0, 1)
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
    check_option("ties", ties, ("spread", "strict"))
    value, null = as_floats("value", value), as_floats("null", null)
    require(value.ndim == 1, "value must have shape (n_subclusters,)")
    more_extreme, tied = exceedances(value, null, side)
    if len(more_extreme) == 0:
        return float("nan")
    ranks = np.arange(np.shape(null)[1] + 1)
    last = more_extreme + (tied if ties == "spread" else 0)
    possible = (ranks >= more_extreme[:, np.newaxis]) & (ranks <= last[:, np.newaxis])
    counts = (possible / possible.sum(axis=1, keepdims=True)).sum(axis=0)
    return float(stats.chisquare(counts).pvalue)
