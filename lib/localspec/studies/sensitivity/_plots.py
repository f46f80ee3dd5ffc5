"""Figures of the sensitivity page."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from localspec.measures import MEASURES
from localspec.pipeline import (
    BLUE,
    DEEPEST,
    GREEN,
    GREY,
    ORANGE,
    PARTITIONINGS,
    SKY,
    annotated_heatmap,
    on_favourable_side,
)


def plot_survival_map(table: pd.DataFrame, effects: pd.DataFrame) -> Figure:
    """Draw every conclusion as a row and every variation as a column.

    Tests whose mean effect lies on the wrong side of its null mean have no colour; a dagger marks
    those of them that are significant.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.sensitivity.sensitivity_table`.
    effects : pandas.DataFrame
        From :func:`localspec.studies.sensitivity.variation_effects_table`.
    """
    keys = ["partitioning", "measure", "variation"]
    table = table.merge(effects, on=keys, validate="one_to_one")
    is_there = on_favourable_side(table)
    marks = np.where(table["significant"], np.where(is_there, "*", "\N{DAGGER}"), "")
    table["depth"] = -np.log10(table["p"]).where(is_there)
    table["text"] = table["p"].map("{:.2g}".format) + marks
    table["bold"] = table["significant"] & is_there
    rows = [(partitioning, name) for name in MEASURES for partitioning in PARTITIONINGS]
    columns = list(dict.fromkeys(table["variation"]))

    def cells(column: str) -> pd.DataFrame:
        wide = table.pivot(index=keys[:2], columns="variation", values=column)
        return wide.reindex(index=rows, columns=columns)

    figure, axis = plt.subplots(figsize=(10.5, 6.6), layout="constrained")
    texts, bold = cells("text").fillna(""), cells("bold").eq(True)
    image = annotated_heatmap(axis, cells("depth"), texts, limit=DEEPEST, bold=bold, fontsize=8)
    for border in range(len(PARTITIONINGS), len(rows), len(PARTITIONINGS)):
        axis.axhline(border - 0.5, color=ORANGE, linewidth=1)
    axis.axvline(0.5, color=ORANGE, linewidth=1)
    names = [f"{name.replace('_', ' ')}, {partitioning}" for partitioning, name in rows]
    axis.set_yticks(range(len(rows)), names, fontsize=9)
    labels = [column.replace(" in ", "\nin ") for column in columns]
    axis.set_xticks(range(len(columns)), labels, fontsize=8, rotation=30, ha="left")
    axis.xaxis.tick_top()
    figure.colorbar(image, ax=axis, label="-log10 p", shrink=0.6)
    return figure


def plot_stability_and_eigengaps(stability: pd.DataFrame, gaps: pd.DataFrame, *, k: int) -> Figure:
    """Draw how well partitions agree with other ones, and which k the eigengaps choose.

    Parameters
    ----------
    stability : pandas.DataFrame
        From :func:`localspec.studies.sensitivity.stability_table`.
    gaps : pandas.DataFrame
        From :func:`localspec.studies.sensitivity.eigengap_table`.
    k : int
        Of the other pages.
    """
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 3.8), layout="constrained", width_ratios=(1.5, 1)
    )
    kinds = list(dict.fromkeys(stability["over"]))
    markers = dict(zip(kinds, "os^Dv", strict=False))
    colours = dict(zip(kinds, (BLUE, GREEN, SKY, ORANGE, GREY), strict=False))
    rng = np.random.default_rng(0)
    for column, partitioning in enumerate(PARTITIONINGS):
        for index, kind in enumerate(kinds):
            chosen = (stability["partitioning"] == partitioning) & (stability["over"] == kind)
            values = stability["adjusted_rand"][chosen].to_numpy()
            middle = column + 0.2 * (index - (len(kinds) - 1) / 2)
            x = middle + rng.uniform(-0.05, 0.05, len(values))
            left.scatter(x, values, s=9, color=colours[kind], alpha=0.5, linewidth=0)
            label = kind if column == 0 else None
            style = {"marker": markers[kind], "color": colours[kind], "edgecolor": "black"}
            left.scatter(middle, values.mean(), s=55, zorder=3, label=label, **style)
    left.axhline(0, color=GREY, linestyle="--", linewidth=1)
    left.set_xticks(range(len(PARTITIONINGS)), PARTITIONINGS)
    left.set_ylabel("adjusted Rand (1: the same)")
    left.set_title("Partitions against those of")
    left.set_ylim(top=1.05)
    figure.legend(loc="outside lower left", ncols=len(kinds), fontsize=8)
    for kind, colour in (("weights", BLUE), ("activations", ORANGE)):
        part = gaps[gaps["graph"] == kind]
        for _, eigengaps in part.groupby("seed"):
            right.plot(eigengaps["k"], eigengaps["gap"], color=colour, linewidth=0.6, alpha=0.5)
        mean = part.groupby("k")["gap"].mean()
        right.plot(mean.index, mean, color=colour, linewidth=2, label=kind)
    right.axvline(k, color=GREY, linestyle="--", linewidth=1)
    right.set_yscale("log")
    right.set_xlabel(f"k (dashed: {k}, as on the other pages)")
    right.set_ylabel("eigenvalue k less eigenvalue k + 1")
    right.set_title("Eigengaps of the two graphs")
    right.legend(fontsize=8)
    return figure
