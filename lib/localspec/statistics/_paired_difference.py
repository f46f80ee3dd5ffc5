"""Paired difference: compare two effects over networks, with an interval and a margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec._utils.validation import as_floats, check_integer, check_real, require
from localspec.statistics._ordering import relative_compare
from localspec.statistics._pvalues import generator

MAX_BOOT = 10**7  # samples, all in memory


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
    a, b = as_floats("a", a), as_floats("b", b)
    require(
        a.ndim == 1 and a.shape == b.shape,
        f"a and b must pair up, one number a network in each, not of shapes {a.shape}, {b.shape}",
    )
    require(
        not (np.isinf(a).any() or np.isinf(b).any()),
        "a and b must be finite; NaN where a network has no effect",
    )
    margin = check_real("margin", margin)
    n_boot = check_integer("n_boot", n_boot, 1, MAX_BOOT)
    confidence = check_real("confidence", confidence, 0, 1)
    rng = generator(seed, "seed")
    require(rng is not None, "seed must be a whole number or a numpy.random.Generator, not None")
    differences = (a - b)[~np.isnan(a - b)]
    n = len(differences)
    attainable = 1 - 2.0 ** (1 - n) if n else 0.0
    if n < 2:
        mean, interval, means = (differences[0] if n else np.nan), (np.nan, np.nan), np.empty(0)
    else:
        picks = rng.integers(n, size=(n_boot, n))
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
