"""The verdict on a claim: what an interval, its tests and checks say together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from localspec._utils.validation import (
    as_floats,
    check_integer,
    check_option,
    check_real,
    check_type,
    require,
    shown,
)
from localspec.statistics._mean_intervals import MeanInterval

SUPPORTED, NEGLIGIBLE, CONTRADICTED = "supported", "negligible", "contradicted"
MIXED, UNDECIDABLE = "mixed", "undecidable"
VERDICTS = (SUPPORTED, NEGLIGIBLE, CONTRADICTED, MIXED, UNDECIDABLE)
SIDES = ("above", "below")
# both were fixed before a verdict by this rule was known
EQUIVALENCE_MARGIN = 0.05  # an effect within 5 % of its null mean is as good as none
MOST_UNDEFINED = 0.5  # share of random counterparts without a value, from which on none is given
BOUND_RATIO = 1.3  # upper bound of a trusted test's rate over its level: 0.065 at 0.05


def judgement(low: float, high: float, level: float) -> str:
    """Say what an interval of a false-positive rate means for a test at a level.

    Parameters
    ----------
    low, high : float
        Ends of the interval; NaN if there is none.
    level : float

    Returns
    -------
    {"too often", "too seldom", "as promised", "open"}

    Raises
    ------
    InvalidInputError
        If an end is no number, or `level` lies outside (0, 1).

    Notes
    -----
    A test is trusted only where the interval ends at most 30 % above the level: that no excess
    is shown, because few networks make the interval wide, is no proof that there is none.

    Examples
    --------
    >>> judgement(0.06, 0.09, 0.05), judgement(0.03, 0.06, 0.05), judgement(0.01, 0.02, 0.05)
    ('too often', 'as promised', 'too seldom')
    >>> judgement(0.03, 0.20, 0.05)
    'open'
    """
    low, high, level = _number("low", low), _number("high", high), check_real("level", level, 0, 1)
    if low > level:
        return "too often"
    if high < level:
        return "too seldom"
    return "as promised" if high <= BOUND_RATIO * level else "open"


def _number(name: str, value: object) -> float:
    number = as_floats(name, value)
    require(number.ndim == 0, f"{name} must be one number, or NaN, not {shown(value)}")
    return float(number)


def _share(name: str, value: object, what: str) -> float:
    number = _number(name, value)
    require(
        np.isnan(number) or 0 <= number <= 1,
        f"{name}={shown(value)} must be {what} between 0 and 1, or NaN",
    )
    return number


def beyond_one(low: float, high: float, favourable: str) -> int:
    """Say on which side of 1 an interval of a ratio lies.

    Parameters
    ----------
    low, high : float
    favourable : {"above", "below"}
        Where the ratio lies if there is specialization.

    Returns
    -------
    int
        1: wholly on the favourable side; -1: wholly on the other one; 0: it holds 1, or is NaN.

    Raises
    ------
    InvalidInputError
        If an end is no number, or the side is unknown.

    Examples
    --------
    >>> beyond_one(1.1, 1.3, "above"), beyond_one(1.1, 1.3, "below"), beyond_one(0.9, 1.1, "above")
    (1, -1, 0)
    """
    sign = 1 if check_option("favourable", favourable, SIDES) == "above" else -1
    low, high = _number("low", low), _number("high", high)
    return sign * (int(low > 1) - int(high < 1))


def verdict(
    interval: MeanInterval,
    equivalence: float,
    favourable: str,
    *,
    n_significant: int,
    n_tests: int,
    checks: Sequence[bool | None] = (),
    undefined: float = 0.0,
    level: float = 0.05,
) -> str:
    """Return the verdict on a claim for one network architecture on one data set.

    Parameters
    ----------
    interval : MeanInterval
        Of the effect over its null mean, over trained networks.
    equivalence : float
        p of the test that this ratio lies within `EQUIVALENCE_MARGIN` of 1, see
        :func:`localspec.statistics.equivalence_p`; NaN if there is none.
    favourable : {"above", "below"}
        Side of 1 on which the ratio speaks for the claim.
    n_significant : int
        Partitionings that are significant after correction, with a ratio on the favourable side.
    n_tests : int
        Partitionings that the claim is about, at least 1.
    checks : sequence of bool or None
        Whether each check was passed; None where it was not made.
    undefined : float, optional
        Share of random counterparts without a value, in [0, 1]; NaN if there is none at all.
    level : float, optional
        Of the test of equivalence.

    Returns
    -------
    {"supported", "negligible", "contradicted", "mixed", "undecidable"}
        The first that applies. "undecidable": no interval, or more than `MOST_UNDEFINED` of the
        counterparts have no value. "negligible": equivalent to 1, however significant.
        "contradicted": the interval lies wholly on the other side of 1. "supported": it lies wholly
        on the favourable side, more than half of the partitionings are significant, and no check
        failed. Otherwise "mixed".

    Raises
    ------
    InvalidInputError
        If a number is out of range, the side is unknown, or a check is neither passed, failed nor
        None.

    Examples
    --------
    >>> interval = MeanInterval(1.3, 1.2, 1.4, 4, 5)
    >>> verdict(interval, 1.0, "above", n_significant=2, n_tests=2)
    'supported'
    >>> verdict(interval, 1.0, "above", n_significant=1, n_tests=2)
    'mixed'
    >>> verdict(interval, 1.0, "below", n_significant=2, n_tests=2)
    'contradicted'
    """
    check_type("interval", interval, MeanInterval, "t_interval(...) returns one")
    n_tests = check_integer("n_tests", n_tests, 1)
    n_significant = check_integer("n_significant", n_significant, 0, n_tests)
    level = check_real("level", level, 0, 1)
    equivalence = _share("equivalence", equivalence, "a p-value")
    undefined = _share("undefined", undefined, "a share")
    require(
        isinstance(checks, Sequence)
        and all(check is None or isinstance(check, bool | np.bool_) for check in checks),
        "checks must be a list of True (passed), False (failed) and None (not made), not "
        f"{shown(checks)}",
    )
    side = beyond_one(interval.low, interval.high, favourable)
    if np.isnan(interval.low) or np.isnan(undefined) or undefined > MOST_UNDEFINED:
        return UNDECIDABLE
    if equivalence <= level:
        return NEGLIGIBLE
    if side < 0:
        return CONTRADICTED
    passed = all(check is None or check for check in checks)  # of NumPy's own bool, too
    if side > 0 and 2 * n_significant > n_tests and passed:
        return SUPPORTED
    return MIXED
