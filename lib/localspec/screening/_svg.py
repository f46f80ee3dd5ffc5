"""SVG: draw small distributions as paths, without text, for cards."""

from __future__ import annotations

import numpy as np

from localspec.statistics import at_most

WIDTH, HEIGHT = 100, 16
MARGIN = 2
MOST_TICKS = 40  # draws shown one by one; more as a histogram
N_BINS = 32


def null_paths(value: float, draws: np.ndarray, side: str) -> dict[str, str]:
    """Return the paths of a value among its random counterparts, more extreme to the right.

    They are the ``d`` of paths in a box of 100 x 16. An undefined value has no mark, undefined
    draws are left out.

    Examples
    --------
    A low value is extreme: it comes to the right of its draws.

    >>> null_paths(1.0, np.array([2.0, 3.0]), "low")
    {'draws': 'M50 4v8M2 4v8', 'mark': 'M98 0v16'}

    Values that tie but for rounding stand in the middle.

    >>> null_paths(3.0, np.array([3.0000000000000004]), "high")
    {'draws': 'M50 4v8', 'mark': 'M50 0v16'}
    """
    sign = -1.0 if side == "low" else 1.0
    defined = sign * draws[np.isfinite(draws)]
    every = np.append(defined, sign * value) if np.isfinite(value) else defined
    if not len(every):
        return {"draws": "", "mark": ""}
    low, high = float(every.min()), float(every.max())
    scale = 0.0 if at_most(high, low) else (WIDTH - 2 * MARGIN) / (high - low)  # 0: all tie

    def x(point: float) -> str:
        return f"{MARGIN + (point - low) * scale if scale else WIDTH / 2:.4g}"

    if len(defined) <= MOST_TICKS:
        path = "".join(f"M{x(point)} 4v8" for point in defined.tolist())
    elif not scale:
        sides = [WIDTH / 2 - MARGIN, WIDTH / 2 + MARGIN]
        path = bars_path(sides, np.array([len(defined)]), len(defined))
    else:
        bins, edges = np.histogram(defined, N_BINS, (low, high))
        path = bars_path([float(x(edge)) for edge in edges], bins, int(bins.max()))
    mark = f"M{x(sign * value)} 0v16" if np.isfinite(value) else ""
    return {"draws": path, "mark": mark}


def bars_path(edges: list[float], counts: np.ndarray, highest: int) -> str:
    """Return the outline of a histogram in a box 16 high, which the count `highest` fills.

    Examples
    --------
    >>> bars_path([0, 50, 100], np.array([1, 2]), 2)
    'M0 16V8H50V0H100V16Z'
    """
    steps = [f"M{edges[0]:.4g} {HEIGHT}"]
    for right, count in zip(edges[1:], counts.tolist(), strict=True):
        steps.append(f"V{HEIGHT - HEIGHT * count / max(highest, 1):.3g}H{right:.4g}")
    return "".join([*steps, f"V{HEIGHT}Z"])


def histogram_paths(counts: np.ndarray, random_counts: np.ndarray) -> dict[str, str]:
    """Return the outlines of two histograms of the same bins, of one scale."""
    highest = int(max(counts.max(initial=0), random_counts.max(initial=0)))
    edges = np.linspace(0, WIDTH, len(counts) + 1).tolist()
    return {
        "true": bars_path(edges, counts, highest),
        "random": bars_path(edges, random_counts, highest),
    }
