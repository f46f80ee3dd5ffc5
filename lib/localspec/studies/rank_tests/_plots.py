"""Figures of the chi-squared test on ranks, and of what importance goes with."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from localspec.measures import MEASURES
from localspec.pipeline import BLUE, GREEN, GREY, ORANGE, PARTITIONINGS, PINK, SKY
from localspec.studies.rank_tests._null_values import (
    CHI2,
    CHI2_OWN,
    CHI2_SPREAD,
    PERMUTATION,
    PLAIN,
)
from localspec.studies.rank_tests._properties import PROPERTIES

STYLES = {
    CHI2: (ORANGE, "s"),
    CHI2_OWN: (PINK, "v"),
    CHI2_SPREAD: (GREY, "D"),
    PLAIN: (BLUE, "o"),
    PERMUTATION: (GREEN, "P"),
}
COLOURS = dict(zip(PARTITIONINGS, (BLUE, SKY, ORANGE, PINK), strict=True))
LOWEST = 1e-12  # p-values below it are drawn there
STRETCH = {"functions": (np.sqrt, np.square)}  # rates beside the level stay apart


def plot_null_rates(table: pd.DataFrame, *, level: float = 0.05) -> Figure:
    """Draw how often each test finds something where there is nothing: a panel a measure.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.rank_tests.null_rates_table`, of one network.
    level : float, optional
    """
    measures = list(dict.fromkeys(table["measure"]))
    tests = [test for test in STYLES if test in set(table["test"])]
    figure, axes = plt.subplots(
        1,
        len(measures),
        figsize=(max(5.5, 2.2 * len(measures)), 2.9),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    rows = table.set_index(["measure", "test"])
    for axis, name in zip(axes[0], measures, strict=True):
        for height, test in enumerate(tests):
            if (name, test) in rows.index:
                row, (colour, marker) = rows.loc[(name, test)], STYLES[test]
                axis.plot([100 * row["low"], 100 * row["high"]], [height] * 2, color=colour, lw=2)
                axis.plot(100 * row["rate"], height, marker, color=colour, ms=8, clip_on=False)
        axis.axvline(100 * level, color="black", linewidth=1, linestyle="--")
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("false alarms (%)")
        axis.set_xscale("function", **STRETCH)
    axes[0, 0].set_yticks(range(len(tests)), tests)
    axes[0, 0].invert_yaxis()  # shared by all panels
    highest = 1.05 * max(100 * table["high"].max(), 100 * table["rate"].max(), 200 * level)
    axes[0, 0].set_xlim(0, highest)
    axes[0, 0].set_xticks([tick for tick in (0, 1, 5, 20, 50, 100) if tick <= highest])
    figure.suptitle(table["network"].iloc[0], x=0.01, ha="left")
    return figure


def plot_chi2_against_fisher(table: pd.DataFrame, *, level: float = 0.05) -> Figure:
    """Draw p of the chi-squared test against plain Fisher's: a panel for each measure.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.rank_tests.rank_tests_table`.
    level : float, optional
    """
    figure, axes = plt.subplots(2, 2, figsize=(8.5, 7.2), layout="constrained", sharey=True)
    for axis, name in zip(axes.flat, MEASURES, strict=True):
        rows = table[table["measure"] == name]
        for partitioning, colour in COLOURS.items():
            part = rows[rows["partitioning"] == partitioning]
            plain, chi2 = part["plain_p"].clip(LOWEST), part["chi2_p"].clip(LOWEST)
            axis.scatter(plain, chi2, s=26, color=colour, label=partitioning)
        axis.axvline(level, color="0.3", linestyle="--", linewidth=1)
        axis.axhline(level, color="0.3", linestyle="--", linewidth=1)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_title(name.replace("_", " "))
    for axis in axes[:, 0]:
        axis.set_ylabel("p of chi-squared")
    for axis in axes[-1]:
        axis.set_xlabel("p of plain Fisher")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4)
    figure.suptitle(", ".join(dict.fromkeys(table["network"])), x=0.01, ha="left")
    return figure


def plot_property_correlations(table: pd.DataFrame) -> Figure:
    """Draw what damage and effect go with: a panel for each partitioning.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.rank_tests.properties_table`, of one network.
    """
    figure, axes = plt.subplots(
        2, 2, figsize=(9, 6), sharex=True, sharey=True, layout="constrained"
    )
    rows = table.set_index(["partitioning", "property"])
    for axis, partitioning in zip(axes.flat, PARTITIONINGS, strict=True):
        for height, name in enumerate(PROPERTIES):
            row = rows.loc[(partitioning, name)]
            for what, colour, shift in (("damage", BLUE, -0.15), ("effect", ORANGE, 0.15)):
                y, label = height + shift, f"{what}, " if not height else None
                ends = [row[f"{what}_true_low"], row[f"{what}_true_high"]]
                axis.plot(ends, [y, y], color=colour, lw=2)
                for kind, face in (("true", colour), ("random", "white")):
                    axis.plot(
                        row[f"{what}_{kind}"],
                        y,
                        "o",
                        color=colour,
                        markerfacecolor=face,
                        label=label and f"{label}{kind} sets",
                    )
        axis.axvline(0, color="0.3", linestyle="--", linewidth=1)
        axis.set_title(partitioning)
    axes[0, 0].set_yticks(range(len(PROPERTIES)), PROPERTIES)
    axes[0, 0].invert_yaxis()  # shared by all panels
    axes[0, 0].set_xlim(-1, 1)
    axes[0, 0].set_xticks([-1, -0.5, 0, 0.5, 1])
    for axis in axes[-1]:
        axis.set_xlabel("rank correlation over subclusters")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(table["network"].iloc[0], x=0.01, ha="left")
    return figure
