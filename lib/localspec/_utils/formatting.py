"""Formatting: numbers as pages show them."""

from __future__ import annotations


def points(lost: float) -> str:
    """Return an accuracy lost in points, with one decimal and without a negative zero.

    Examples
    --------
    >>> points(0.1234), points(-1e-9)
    ('12.3', '0.0')
    """
    return f"{round(100 * lost, 1) + 0.0:.1f}".replace("-", "\u2212")
