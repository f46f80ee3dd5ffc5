"""Cards: what the cards of groups of units share, in galleries and in reports."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from localspec._utils.formatting import number, points

LEAST_LONGEST_BAR = 0.01  # accuracy that the longest bar stands for, at least


def templates(room: str) -> Environment:
    """Return the templates of a room, and those that all rooms share."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(room), PackageLoader("localspec._utils")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "points": points}
    return environment


def asset(room: str, name: str) -> str:
    """Return a style or script of a room."""
    return files(room).joinpath("assets", name).read_text(encoding="utf-8")


def class_bars(
    lost: np.ndarray,
    random_lost: np.ndarray,
    class_names: Sequence[str],
    *,
    longest: float,
    n_shown: int,
) -> list[dict[str, Any]]:
    """Return the accuracies lost by the classes that change most, in the order of the classes.

    Lengths are in percent of the longest bar; random means below 0 are drawn at 0.

    Examples
    --------
    >>> lost, random_lost = np.array([0.1, 0.0, -0.2]), np.array([0.05, 0.0, -0.1])
    >>> bars = class_bars(lost, random_lost, ["a", "b", "c"], longest=0.2, n_shown=2)
    >>> [(bar["name"], bar["length"], bar["random"], bar["gained"]) for bar in bars]
    [('a', '50', '25', False), ('c', '100', '0', True)]
    """
    largest_first = np.argsort(-np.abs(lost), kind="stable")
    return [
        {
            "label": label,
            "name": class_names[label],
            "lost": float(lost[label]),
            "length": f"{100 * abs(lost[label]) / longest:.3g}",
            "random": f"{max(0.0, 100 * random_lost[label] / longest):.3g}",
            "gained": bool(lost[label] < 0),
        }
        for label in np.sort(largest_first[:n_shown]).tolist()
    ]
