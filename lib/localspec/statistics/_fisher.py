"""Fisher's method over a network's subclusters: plain, and calibrated by permutation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec._utils.validation import as_floats, check_integer, check_option, require
from localspec.statistics._ordering import check_inside, relative_compare
from localspec.statistics._pvalues import RULES, empirical_p, fisher_shift, generator

MAX_RANKED = 2**20  # values that are ranked at once


@dataclass(frozen=True, eq=False)
class FisherResult:
    """Fisher's method over the subclusters of a network.

    Parameters
    ----------
    statistic : float or ndarray, shape (...)
        Mean of -ln p over subclusters, after the shift; NaN without subclusters.
    pvalue : float or ndarray, shape (...)
        Upper tail of chi-squared with 2 n degrees of freedom; NaN without subclusters.
    n : int
        Number of subclusters.
    p_values : ndarray, shape (..., n)
        The p-values as they were given.
    shift : float
        What was subtracted from them.
    """

    statistic: float | np.ndarray
    pvalue: float | np.ndarray
    n: int
    p_values: np.ndarray
    shift: float


def fisher(p_values: ArrayLike, *, rule: str = "mid", n_draws: int | None = None) -> FisherResult:
    """Combine the p-values of a network's subclusters by Fisher's method.

    Parameters
    ----------
    p_values : array_like, shape (..., n_subclusters)
        p-values in (0, 1], not yet shifted.
    rule : {"mid", "strict", "conservative", "randomised"}
        The rule that made them. Only "strict" has a shift, which is applied here.
    n_draws : int, optional
        Number of random counterparts of each subcluster; needed by the rule "strict" only.

    Returns
    -------
    FisherResult
        With NaN as statistic and p if there is no subcluster.

    Raises
    ------
    InvalidInputError
        If a p-value lies outside (0, 1], a "strict" one below ``1 / (n_draws + 1)`` (as it does
        when it was shifted before), `n_draws` is missing, or the rule is unknown.

    Notes
    -----
    Fisher's method assumes independent continuous p-values and has neither here: use
    `permutation_fisher` for a verdict. Without effects the statistic is 0.983 for 19 draws
    without ties.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: Fisher's method, Fisher statistic.

    Examples
    --------
    The mean of ln 2 and ln 8 is 2 ln 2 = 1.386.

    >>> result = fisher([0.5, 0.125])
    >>> round(float(result.statistic), 3), round(float(result.pvalue), 3)
    (1.386, 0.236)
    """
    p_values = as_floats("p_values", p_values)
    require(
        p_values.ndim >= 1,
        f"p_values must be an array with an axis of subclusters, not the one number {p_values}",
    )
    check_inside(p_values, (p_values > 0) & (p_values <= 1), "(0, 1]")
    check_option("rule", rule, RULES)
    if n_draws is not None:
        n_draws = check_integer("n_draws", n_draws, 1)
    require(rule != "strict" or n_draws is not None, "rule='strict' needs n_draws for its shift")
    shift = fisher_shift(rule, 1 if n_draws is None else n_draws)
    if rule == "strict":
        require(
            bool(np.all(relative_compare(p_values, 2 * shift) >= 0)),
            f"strict p-values of {n_draws} draws cannot lie below 1/{n_draws + 1}; pass them as "
            "empirical_p returned them, the shift is applied here",
        )
    n = p_values.shape[-1]
    statistic = _mean_log(p_values - shift)
    pvalue = np.where(n > 0, stats.chi2.sf(2 * n * statistic, 2 * n), np.nan)[()]
    return FisherResult(statistic, pvalue, n, p_values, shift)


def _mean_log(p_values: np.ndarray) -> np.ndarray:
    """Return the mean of -ln p over the defined entries of the last axis, NaN without any."""
    defined = ~np.isnan(p_values)
    n_defined = defined.sum(axis=-1)
    total = np.log(1 / np.where(defined, p_values, 1.0)).sum(axis=-1)
    return np.where(n_defined > 0, total / np.maximum(n_defined, 1), np.nan)[()]


@dataclass(frozen=True, eq=False)
class PermutationFisherResult:
    """Fisher's statistic of a network against those of its permuted partitions.

    Parameters
    ----------
    statistic : float or ndarray, shape (...)
        Mean of -ln p of the true partition; NaN without subclusters.
    pvalue : float or ndarray, shape (...)
        Its rank among all partitions, at least ``1 / (n_draws + 1)``; NaN without subclusters.
    n : int
        Number of subclusters.
    n_draws : int
        Number of permuted partitions.
    p_values : ndarray, shape (..., n_draws + 1, n)
        Subcluster p-values of every partition, the true one first; NaN where left out.
    null_distribution : ndarray, shape (..., n_draws)
        Mean of -ln p of each permuted partition.
    """

    statistic: float | np.ndarray
    pvalue: float | np.ndarray
    n: int
    n_draws: int
    p_values: np.ndarray
    null_distribution: np.ndarray


def permutation_fisher(
    values: ArrayLike,
    side: str,
    *,
    rule: str = "mid",
    rng: np.random.Generator | int | None = None,
    undefined: str = "least_extreme",
) -> PermutationFisherResult:
    """Rank a network's Fisher statistic among those of its permuted partitions.

    Parameters
    ----------
    values : array_like, shape (..., n_draws + 1, n_subclusters)
        Row 0 holds the values of the true subclusters, each other row those of their
        counterparts in one permuted partition; NaN where undefined.
    side : {"low", "high"}
        Whether low or high values are the extreme ones.
    rule : {"mid", "strict", "conservative", "randomised"}
        Rule of the subcluster p-values; "strict" ones are shifted.
    rng : numpy.random.Generator or int, optional
        Needed by the rule "randomised" only.
    undefined : {"least_extreme", "left_out", "released"}
        What an undefined value counts as; see `empirical_p`. Left out, it is missing in the mean
        of its row; a row without any defined p-value is the least extreme.

    Returns
    -------
    PermutationFisherResult

    Raises
    ------
    InvalidInputError
        If `values` has no permuted partition or too few axes, or an option is unknown.

    Notes
    -----
    Each partition gets its subclusters' p-values by ranking it among all n others, the true one
    included. With draws that permute labels (a whole partition at once) the n + 1 rows are
    exchangeable under the null hypothesis, so p never exceeds its level, whatever the ties and
    the dependence between subclusters. It cannot fall below ``1 / (n_draws + 1)`` (`p_floor`).
    Cost: n_draws + 1 rankings, each of n_draws x n_subclusters values, so many at once that memory
    stays bounded.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: Fisher statistic; the permutation Fisher is this
    project's calibration of it.

    Examples
    --------
    The true partition is the most extreme of four in both subclusters.

    >>> result = permutation_fisher([[9, 9], [1, 2], [2, 3], [3, 1]], "high")
    >>> float(result.pvalue)
    0.25
    """
    values = as_floats("values", values)
    require(
        values.ndim >= 2 and values.shape[-2] >= 2,
        f"values of shape {values.shape} must have a row for the true partition, at least one for "
        "a permuted one, and a column for each subcluster",
    )
    n_draws, n = values.shape[-2] - 1, values.shape[-1]
    rng = generator(rng)
    # the rule "randomised" takes its numbers row by row, for which one seed gives one result
    at_once = 1 if rule == "randomised" else max(1, MAX_RANKED // max(1, values.size))
    parts = []
    for start in range(0, n_draws + 1, at_once):
        rows = np.arange(start, min(start + at_once, n_draws + 1))
        others = np.array([np.delete(np.arange(n_draws + 1), row) for row in rows])
        null = np.swapaxes(values[..., others, :], -1, -2)
        ranked = empirical_p(values[..., rows, :], null, side, rule, rng, undefined=undefined)
        parts.append(ranked)
    p_values = np.concatenate(parts, axis=-2)
    statistics = _mean_log(p_values - fisher_shift(rule, n_draws))
    true, null = statistics[..., 0], statistics[..., 1:]
    exceeding = (relative_compare(null, true[..., np.newaxis]) >= 0).sum(axis=-1)
    pvalue = np.where(n > 0, (1 + exceeding) / (n_draws + 1), np.nan)[()]
    return PermutationFisherResult(true, pvalue, n, n_draws, p_values, null)
