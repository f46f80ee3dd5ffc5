"""Replicates: combine the p-values of several networks.

Pure functions on arrays that know nothing of networks. The way of a result: `empirical_p` for
each subcluster, `permutation_fisher` (or plain `fisher`) for each network, `combine_replicates`,
then a family correction; beside it `effect_size` and `summarize_effects`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec._utils.validation import as_floats, check_integer, require
from localspec.statistics._ordering import check_inside


def bates_cdf(mean: ArrayLike, n: int) -> np.ndarray:
    """Return the probability that the mean of uniform numbers is at most so large.

    Parameters
    ----------
    mean : array_like, shape (...)
        Means of n numbers in [0, 1]; NaN stays NaN.
    n : int
        How many numbers each is the mean of, at least 1.

    Returns
    -------
    ndarray, shape (...)
        Bates(n) cumulative distribution, exact.

    Raises
    ------
    InvalidInputError
        If `n` is below 1.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: combining replicates.

    Examples
    --------
    Up to 1/n it is (n mean)^n / n!; here 0.15^3 / 6.

    >>> round(float(bates_cdf(0.05, 3)), 7)
    0.0005625
    """
    n = check_integer("n", n, 1)
    cdf = stats.irwinhall.cdf(n * as_floats("mean", mean), n)
    return np.clip(cdf, 0.0, 1.0)  # it can exceed 1 by a rounding error


def p_floor(n_draws: int, n_replicates: int = 1) -> float:
    """Return the smallest p-value that `permutation_fisher` can give, after replicates.

    Parameters
    ----------
    n_draws : int
        Number of permuted partitions of each network, at least 1.
    n_replicates : int, default 1
        Number of networks that `combine_replicates` combines.

    Returns
    -------
    float
        Bates(n_replicates) cumulative distribution at ``1 / (n_draws + 1)``.

    Raises
    ------
    InvalidInputError
        If a number is below 1.

    Examples
    --------
    >>> p_floor(19), f"{p_floor(19, 5):.1e}"
    (0.05, '8.1e-06')
    """
    n_draws = check_integer("n_draws", n_draws, 1)
    n_replicates = check_integer("n_replicates", n_replicates, 1)
    return float(bates_cdf(1 / (n_draws + 1), n_replicates))


@dataclass(frozen=True, eq=False)
class ReplicatesResult:
    """The p-values of replicates, combined.

    Parameters
    ----------
    statistic : float
        Their mean; NaN if none is defined.
    pvalue : float
        Bates(n) cumulative distribution at the mean; NaN if none is defined.
    n : int
        Number of defined p-values.
    n_undefined : int
        Number of replicates left out because theirs is NaN.
    p_values : ndarray, shape (n + n_undefined,)
        The p-values as given.
    """

    statistic: float
    pvalue: float
    n: int
    n_undefined: int
    p_values: np.ndarray


def combine_replicates(p_values: ArrayLike) -> ReplicatesResult:
    """Combine the network p-values of replicates by their mean.

    Parameters
    ----------
    p_values : array_like, shape (n_replicates,)
        One p-value in [0, 1] a network; NaN where a network had no tested subcluster.

    Returns
    -------
    ReplicatesResult

    Raises
    ------
    InvalidInputError
        If `p_values` is not one-dimensional or has a value outside [0, 1].

    Notes
    -----
    Replicates without a p-value are left out and counted. With one replicate p is its own.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: combining replicates.

    Examples
    --------
    The mean of two is 0.2, and (2 x 0.2)^2 / 2 = 0.08.

    >>> round(combine_replicates([0.1, 0.3]).pvalue, 12)
    0.08
    """
    p_values = as_floats("p_values", p_values)
    require(p_values.ndim == 1, f"p_values of shape {p_values.shape} must be one-dimensional")
    defined = p_values[~np.isnan(p_values)]
    check_inside(defined, (defined >= 0) & (defined <= 1), "[0, 1]")
    n = len(defined)
    mean = float(defined.mean()) if n else float("nan")
    pvalue = float(bates_cdf(mean, n)) if n else float("nan")
    return ReplicatesResult(mean, pvalue, n, len(p_values) - n, p_values)
