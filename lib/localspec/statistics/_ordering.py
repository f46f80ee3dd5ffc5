"""Ordering: compare values with ties within a tolerance and undefined values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from localspec._utils.validation import as_floats, check_option, check_real, require
from localspec.exceptions import InvalidInputError

RTOL = 1e-9  # values closer than this, relatively, count as equal: rounding decides nothing
SIDES = ("low", "high")
UNDEFINED = ("least_extreme", "left_out", "released")


def relative_compare(a: ArrayLike, b: ArrayLike, *, rtol: float = RTOL) -> np.ndarray:
    """Compare values elementwise, taking those within a relative tolerance as equal.

    Parameters
    ----------
    a, b : array_like of float
        Values of shapes that broadcast together. NaN is an undefined value.
    rtol : float, default 1e-9
        Largest difference of tied values, relative to the larger of their magnitudes.

    Returns
    -------
    ndarray of int8, broadcast shape
        1 where `a` lies above `b`, 0 where they tie, -1 where `a` lies below.

    Raises
    ------
    InvalidInputError
        If they are no numbers, or their shapes do not broadcast.

    Notes
    -----
    Two finite values tie if ``|a - b| <= rtol * max(|a|, |b|)``, which is symmetric (but, as any
    tolerance, not transitive). Infinities tie only with themselves, zero only with zero. NaN
    lies below every number, minus infinity included, and ties with NaN.

    Examples
    --------
    >>> relative_compare([1.0, 1.0, 2.0], [1.0 + 1e-12, 1.1, float("nan")]).tolist()
    [0, -1, 1]
    """
    a, b = as_floats("a", a), as_floats("b", b)
    rtol = check_real("rtol", rtol, or_low=True)
    try:
        a, b = np.broadcast_arrays(a, b)
    except ValueError as error:
        raise InvalidInputError(
            f"values of shapes {a.shape} and {b.shape} cannot be compared: one must have the "
            "other's shape, or broadcast to it"
        ) from error
    a_undefined, b_undefined = np.isnan(a), np.isnan(b)
    with np.errstate(invalid="ignore", over="ignore"):  # inf - inf; a huge difference
        near = np.abs(a - b) <= rtol * np.maximum(np.abs(a), np.abs(b))
    near &= np.isfinite(a) & np.isfinite(b)
    tied = near | (a == b) | (a_undefined & b_undefined)
    above = (a > b) | (b_undefined & ~a_undefined)
    return np.where(tied, 0, np.where(above, 1, -1)).astype(np.int8)


def at_most(values: ArrayLike, level: ArrayLike) -> np.ndarray:
    """Return which values are at most a level, or tie with it.

    Parameters
    ----------
    values, level : array_like of float
        Of shapes that broadcast together. NaN (undefined) is not at most any level.

    Returns
    -------
    ndarray of bool, broadcast shape
        Ties are those of :func:`localspec.statistics.relative_compare`, so that rounding decides
        nothing.

    Raises
    ------
    InvalidInputError
        If they are no numbers, or their shapes do not broadcast.

    Examples
    --------
    >>> at_most([0.05 + 1e-12, 0.051, float("nan")], 0.05).tolist()
    [True, False, False]
    """
    values = as_floats("values", values)
    return (relative_compare(values, as_floats("level", level)) <= 0) & ~np.isnan(values)


def check_inside(p_values: np.ndarray, inside: np.ndarray, allowed: str) -> None:
    """Refuse p-values of which some are not inside of an interval; name the first of them."""
    outside = ", ".join(map(str, p_values[~inside][:1]))
    require(not outside, f"p_values must lie in {allowed}, not be {outside}")


def extremeness(a: ArrayLike, b: ArrayLike, side: str) -> np.ndarray:
    """Compare values by how extreme they are.

    Parameters
    ----------
    a, b : array_like of float
        Values of shapes that broadcast together; NaN (undefined) is the least extreme of all.
    side : {"low", "high"}
        Whether low or high values are the extreme ones.

    Returns
    -------
    ndarray of int8, broadcast shape
        1 where `a` is more extreme than `b`, 0 where they tie (see `relative_compare`), -1 where
        it is less extreme.

    Raises
    ------
    InvalidInputError
        If `side` is unknown.

    Examples
    --------
    >>> extremeness([0.2, 0.4, float("nan")], 0.3, "low").tolist()
    [1, -1, -1]
    """
    sign = -1.0 if check_option("side", side, SIDES) == "low" else 1.0
    return relative_compare(sign * as_floats("a", a), sign * as_floats("b", b))


def sample_with_null(value: ArrayLike, null: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return value and null sample as float arrays, having checked that their shapes agree.

    `value` has shape (...), `null` has shape (..., n_draws) with at least one draw.
    """
    value, null = as_floats("value", value), as_floats("null", null)
    require(
        null.ndim >= 1 and null.shape[:-1] == value.shape,
        f"null of shape {null.shape} does not fit value of shape {value.shape}: its shape must be "
        "value's with the draws as one more, last axis",
    )
    require(null.shape[-1] > 0, "null has no draws; at least one is needed")
    return value, null


def draw_order(
    value: ArrayLike, null: ArrayLike, side: str, *, undefined: str = "least_extreme"
) -> np.ndarray:
    """Compare every draw with the true value by how extreme it is.

    `value` has shape (...), `null` and the result have shape (..., n_draws): 1 where the draw is
    more extreme, 0 where they tie, -1 where it is less extreme or the comparison counts nothing.

    NaN is the least extreme value and ties with NaN; or a comparison with NaN counts nothing
    ("left_out", and "released", where the draw is still one of the draws, as in the released code).

    Examples
    --------
    >>> draw_order(3, [1, 3, 5], "high").tolist()
    [-1, 0, 1]
    """
    check_option("undefined", undefined, UNDEFINED)
    value, null = sample_with_null(value, null)
    order = extremeness(null, value[..., np.newaxis], side)
    if undefined != "least_extreme":
        order[np.isnan(null) | np.isnan(value)[..., np.newaxis]] = -1
    return order


def exceedances(
    value: ArrayLike, null: ArrayLike, side: str, *, undefined: str = "least_extreme"
) -> tuple[np.ndarray, np.ndarray]:
    """Count the draws that are more extreme than the true value, and those tied with it.

    Parameters
    ----------
    value, null, side, undefined
        As in `draw_order`.

    Returns
    -------
    more_extreme : ndarray of int, shape (...)
        Number g of draws strictly more extreme.
    tied : ndarray of int, shape (...)
        Number e of draws tied with the true value.

    Raises
    ------
    InvalidInputError
        If shapes do not agree, there is no draw, or an option is unknown.

    Examples
    --------
    >>> more_extreme, tied = exceedances(3, [1, 3, 3, 5], "high")
    >>> int(more_extreme), int(tied)
    (1, 2)
    """
    order = draw_order(value, null, side, undefined=undefined)
    return (order > 0).sum(axis=-1), (order == 0).sum(axis=-1)
