"""Intervals of a mean over networks, and its equivalence to a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from localspec._utils.validation import as_floats, check_real, require


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its interval.

    Parameters
    ----------
    mean : float
        NaN without a value.
    low, high : float
        Ends of the interval; NaN for fewer than two networks.
    degrees_of_freedom : float
        Of Student's distribution; NaN where there is no interval.
    n : int
        Networks that the mean is over.
    """

    mean: float
    low: float
    high: float
    degrees_of_freedom: float
    n: int


def _student(mean: float, variance: float, df: float, n: int, confidence: float) -> MeanInterval:
    half = float(stats.t.ppf((1 + confidence) / 2, df) * np.sqrt(variance)) if variance > 0 else 0.0
    return MeanInterval(mean, mean - half, mean + half, df, n)


def t_interval(values: ArrayLike, *, confidence: float = 0.95) -> MeanInterval:
    """Return the mean over networks with Student's interval.

    Parameters
    ----------
    values : array_like, shape (n_networks,)
        One value a network; NaN is left out.
    confidence : float, default 0.95

    Returns
    -------
    MeanInterval
        With n - 1 degrees of freedom.

    Raises
    ------
    InvalidInputError
        If `values` is not one-dimensional or holds infinite values.

    Examples
    --------
    Mean 2, standard error 1 / sqrt(3), and 4.303 is the quantile with two degrees of freedom.

    >>> interval = t_interval([1.0, 2.0, 3.0])
    >>> round(interval.low, 3), round(interval.high, 3)
    (-0.484, 4.484)
    """
    values = _checked(values, 1)
    confidence = check_real("confidence", confidence, 0, 1)
    values = values[~np.isnan(values)]
    n = len(values)
    if n < 2:
        mean = float(values[0]) if n else float("nan")
        return MeanInterval(mean, float("nan"), float("nan"), float("nan"), n)
    return _student(float(values.mean()), float(values.var(ddof=1)) / n, n - 1, n, confidence)


def crossed_interval(values: ArrayLike, *, confidence: float = 0.95) -> MeanInterval:
    """Return the mean over networks and partitionings, both taken as random, with its interval.

    Parameters
    ----------
    values : array_like, shape (n_networks, n_partitionings)
        Networks with a NaN are left out.
    confidence : float, default 0.95

    Returns
    -------
    MeanInterval
        With Satterthwaite's degrees of freedom.

    Raises
    ------
    InvalidInputError
        If `values` is not two-dimensional or holds infinite values.

    Notes
    -----
    The two-way model with crossed random effects and one value a cell, y = mean + network +
    partitioning + rest. Its variance components are estimated by the method of moments, from the
    mean squares N of networks, P of partitionings and E of the rest, those below zero set to zero;
    the variance of the mean is then (N + P - E) / (n_networks n_partitionings), without P - E
    where partitionings differ no more than the rest does, and without N - E likewise. In the
    first case the interval is that of :func:`t_interval` over the means of networks. With two
    partitionings that do differ there is hardly more than one degree of freedom, and the interval
    says how little two partitionings tell about others.

    References
    ----------
    Searle, Casella and McCulloch (1992), Variance Components, chapter 4.
    Satterthwaite (1946), Biometrics Bulletin 2(6), 110-114.

    Examples
    --------
    Networks differ by 2 and partitionings by 0: N = 4, P = E = 0, and 12.7 times the square root
    of 4 / 4 is the half width.

    >>> round(crossed_interval([[1.0, 1.0], [3.0, 3.0]]).high, 2)
    14.71
    """
    values = _checked(values, 2)
    confidence = check_real("confidence", confidence, 0, 1)
    values = values[~np.isnan(values).any(axis=1)]
    n, n_partitionings = values.shape
    if n < 2 or n_partitionings < 2:
        rows = values.mean(axis=1) if n_partitionings else np.empty(0)
        return t_interval(rows, confidence=confidence)
    mean = values.mean()
    of_networks, of_partitionings = values.mean(axis=1) - mean, values.mean(axis=0) - mean
    rest = values - mean - of_networks[:, np.newaxis] - of_partitionings
    freedom = np.array([n - 1, n_partitionings - 1, (n - 1) * (n_partitionings - 1)])
    squares = [
        n_partitionings * (of_networks**2).sum(),
        n * (of_partitionings**2).sum(),
        (rest**2).sum(),
    ]
    mean_squares = np.array(squares) / freedom
    larger = (mean_squares[:2] > mean_squares[2]).astype(float)  # other components are zero
    parts = np.append(larger, 1 - larger.sum()) * mean_squares
    variance = parts.sum()
    df = float(variance**2 / (parts**2 / freedom).sum()) if variance > 0 else float(freedom[2])
    return _student(float(mean), float(variance / values.size), df, n, confidence)


def equivalence_p(values: ArrayLike, centre: float, margin: float) -> float:
    """Test whether a mean over networks lies within a margin of a value: two one-sided tests.

    Parameters
    ----------
    values : array_like, shape (n_networks,)
        One value a network; NaN is left out.
    centre : float
    margin : float
        Largest distance that does not matter, positive, fixed before the data are seen.

    Returns
    -------
    float
        The larger p of the two t tests that the mean lies above ``centre - margin`` and below
        ``centre + margin``: small where it is equivalent. NaN for fewer than two networks.

    Raises
    ------
    InvalidInputError
        If `values` is not one-dimensional or holds infinite values, `margin` is not
        positive, or `centre` is no number.

    References
    ----------
    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.

    Examples
    --------
    Mean 1 and standard error 0.01: 5 standard errors from either end, three networks.

    >>> p = equivalence_p([1 - 0.01 * 3**0.5, 1.0, 1 + 0.01 * 3**0.5], 1, 0.05)
    >>> round(p, 4)
    0.0189
    """
    values = _checked(values, 1)
    margin = check_real("margin", margin)
    centre = check_real("centre", centre, -np.inf)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return float("nan")
    if np.ptp(values) == 0:  # the t test divides by the standard deviation
        return 0.0 if abs(values[0] - centre) < margin else 1.0
    above = stats.ttest_1samp(values, centre - margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, centre + margin, alternative="less").pvalue
    return float(max(above, below))


def _checked(values: ArrayLike, n_axes: int) -> np.ndarray:
    values = as_floats("values", values)
    names = ("(n_networks,)", "(n_networks, n_partitionings)")
    require(
        values.ndim == n_axes,
        f"values must have shape {names[n_axes - 1]}, not {values.shape}",
    )
    require(not np.isinf(values).any(), "values must be finite; NaN where a network has none")
    return values
