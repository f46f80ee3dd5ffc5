"""Formatting: numbers as pages show them."""

from __future__ import annotations

import math


def points(lost: float) -> str:
    """Return an accuracy lost in points, with one decimal and without a negative zero.

    Examples
    --------
    >>> points(0.1234), points(-1e-9)
    ('12.3', '0.0')
    """
    return f"{round(100 * lost, 1) + 0.0:.1f}".replace("-", "\u2212")


def number(value: float) -> str:
    """Return three significant digits, two below 0.01; a dash for what is undefined.

    Examples
    --------
    >>> number(0.71251), number(0.0012345), number(float("nan")), number(123456.0)
    ('0.713', '0.0012', '–', '123,456')
    >>> number(999.4), number(999.7)
    ('999', '1,000')
    """
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 999.5:  # three digits of it are 1000, which would be written 1e+03
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) < 0.01 else 3}g}"


def sort_key(value: float) -> str:
    """Return a number that cards are sorted by; empty where undefined.

    Nine digits: values that differ by rounding stay in the order of the list.

    Examples
    --------
    >>> sort_key(0.1 + 0.2), sort_key(float("nan"))
    ('0.3', '')
    """
    return "" if math.isnan(value) else f"{value:.9g}"
