"""Corrections: adjust the p-values of families of tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec._utils.validation import require
from localspec.statistics._ordering import at_most


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

    Parameters, result and errors are those of :func:`benjamini_hochberg`.

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
