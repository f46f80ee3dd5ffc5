"""Rank correlation of pairs of which some may be undefined."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec._utils.validation import as_floats, require

FEWEST = 3  # pairs that have a correlation
DIGITS = 10  # to which values are rounded, so that rounding errors have no rank


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Return Spearman's correlation of the pairs that are defined.

    Parameters
    ----------
    first, second : array_like, shape (n_pairs,)
        NaN where undefined. Values are rounded to ten digits behind the point.

    Returns
    -------
    float
        NaN if fewer than three pairs are defined, or all values of one side are equal.

    Raises
    ------
    InvalidInputError
        If they are no numbers, or not as many.

    Examples
    --------
    Ranks 1, 2, 3 and 1, 3, 2: 1 - 6 x 2 / (3 x 8).

    >>> rank_correlation([1.0, 2.0, 3.0, 4.0], [10.0, 30.0, 20.0, float("nan")])
    0.5
    """
    first, second = as_floats("first", first), as_floats("second", second)
    require(
        first.ndim == 1 and first.shape == second.shape,
        f"first and second must pair up, not be of shapes {first.shape} and {second.shape}",
    )
    pairs = np.round(np.stack([first, second]), DIGITS)
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    if pairs.shape[1] < FEWEST or (np.ptp(pairs, axis=1) == 0).any():
        return float("nan")
    return round(float(stats.spearmanr(pairs[0], pairs[1]).statistic), DIGITS)
