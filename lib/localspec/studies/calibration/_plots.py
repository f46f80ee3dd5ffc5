"""Figures of the null calibration."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from localspec.pipeline import BLUE, GREEN, GREY, ORANGE, PINK, SKY, plot_against_uniform
from localspec.studies.calibration._false_positives import (
    PERMUTATION,
    PLAIN,
    RELEASED_CHAIN,
    PValues,
)

STYLES = {  # (test, rule) -> name, colour, marker
    (PLAIN, RELEASED_CHAIN): ("plain, as released", ORANGE, "s"),
    (PLAIN, "strict"): ("plain, strict", PINK, "v"),
    (PLAIN, "conservative"): ("plain, conservative", GREY, "D"),
    (PLAIN, "randomised"): ("plain, randomised", SKY, "^"),
    (PLAIN, "mid"): ("plain, mid", BLUE, "o"),
    (PERMUTATION, "mid"): ("permutation, mid", GREEN, "P"),
}


def _shown(by_test: dict) -> dict:
    return {key: style for key, style in STYLES.items() if key in by_test}


def plot_false_positive_rates(table: pd.DataFrame, *, level: float = 0.05) -> Figure:
    """Draw the rate of false positives of every whole-partition test with its interval.

    The scale is that of square roots: rates beside `level` stay apart where others are near 1.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.calibration.calibration_table`.
    level : float, optional
    """
    measures = list(dict.fromkeys(table["measure"]))
    figure, axes = plt.subplots(
        1, len(measures), figsize=(10, 3.2), sharey=True, sharex=True, layout="constrained"
    )
    rows = table.set_index(["measure", "test", "rule"])
    shown = _shown({key[1:]: None for key in rows.index})
    for axis, name in zip(axes, measures, strict=True):
        for height, (key, (_, colour, marker)) in enumerate(shown.items()):
            row = rows.loc[(name, *key)]
            axis.plot([100 * row["low"], 100 * row["high"]], [height] * 2, color=colour, lw=2)
            axis.plot(100 * row["rate"], height, marker=marker, color=colour, ms=8, clip_on=False)
        axis.axvline(100 * level, color="black", linewidth=1, linestyle="--")
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("false positives (%)")
        axis.set_xscale("function", functions=(np.sqrt, np.square))
    axes[0].set_yticks(range(len(shown)), [style[0] for style in shown.values()])
    axes[0].invert_yaxis()  # shared by all panels
    highest = 100 * max(table["rate"].max(), table["high"].max())
    axes[0].set_xlim(0, 1.05 * max(highest, 200 * level))
    axes[0].set_xticks([tick for tick in (0, 1, 5, 20, 50, 100) if tick <= axes[0].get_xlim()[1]])
    return figure


def plot_null_p_values_against_uniform(p_values: dict[str, PValues]) -> Figure:
    """Draw sorted p-values of null partitions against uniform ones, whole and small ones apart.

    Parameters
    ----------
    p_values : dict
        From :func:`localspec.studies.calibration.all_p_values`.
    """
    figure, axes = plt.subplots(2, len(p_values), figsize=(10, 5.6), layout="constrained")
    colours = {label: colour for label, colour, _ in STYLES.values()}
    for column, (name, tests) in enumerate(p_values.items()):
        samples = {label: tests[key] for key, (label, _, _) in _shown(tests).items()}
        for row, axis in enumerate(axes[:, column]):
            plot_against_uniform(
                axis, samples, colours=colours, linewidth=1.8, diagonal="black", lowest=1e-4
            )
            if row:
                axis.set_xscale("log")
                axis.set_yscale("log")
                axis.set_xlim(1e-3, 0.3)
                axis.set_ylim(1e-4, 1)
                axis.set_xlabel("p if it were uniform")
            else:
                axis.set_title(name.replace("_", " "))
            if column:
                axis.set_yticklabels([])
    axes[0, 0].set_ylabel("p found, sorted")
    axes[1, 0].set_ylabel("the small ones")
    styles = _shown(next(iter(p_values.values()))).values()
    handles = [Line2D([], [], color=colour, label=label) for label, colour, _ in styles]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
