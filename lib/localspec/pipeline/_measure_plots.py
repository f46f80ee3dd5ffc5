"""Figures of measures, tests and effects."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from localspec.measures import MEASURES
from localspec.pipeline._replicate import PARTITIONINGS, Replicate
from localspec.pipeline._style import (
    BLUE,
    DEEPEST,
    GREEN,
    ORANGE,
    PINK,
    annotated_heatmap,
    name_networks,
    plot_against_uniform,
)
from localspec.pipeline._synthesis import SIGNIFICANT, on_favourable_side
from localspec.statistics import extremeness

MOST = 100  # points of accuracy, the most that a lesion can change
LINEAR = 1  # points, up to which scales of damage are linear; beyond, they are logarithmic
N_SHOWN = 8  # subclusters whose images are drawn
MANY = 60  # subclusters in a panel, from which on their marks are smaller
LABELS = {
    "importance": "accuracy drop (points)\nlinear from -1 to 1",
    "class_coherence": "range of damage / mean damage",
    "input_coherence": "score",
    "output_coherence": "entropy (nats)",
}


def _shown(replicate: Replicate, name: str, partitioning: str) -> np.ndarray:
    """Return what is drawn of a measure; for importance the damage, so that up is extreme."""
    measure = replicate.measure(name, partitioning)
    return -100 * measure.effect_values if name == "importance" else measure.values


def plot_measure_against_draws(
    replicates: Sequence[Replicate], name: str, *, log: bool = False
) -> Figure:
    """Draw a measure of every tested subcluster against its random counterparts.

    Parameters
    ----------
    replicates : sequence of Replicate
    name : str
        The measure.
    log : bool
        Logarithmic scale.
    """
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 5.4), sharey=True, layout="constrained")
    for axis, partitioning in zip(axes.flat, PARTITIONINGS, strict=True):
        values = np.concatenate([_shown(r, name, partitioning) for r in replicates], axis=1)
        measures = [replicate.measure(name, partitioning) for replicate in replicates]
        beaten = np.concatenate(
            [
                (extremeness(m.values[:1], m.values[1:], m.side) > 0).all(axis=0)
                & ~np.isnan(m.values[0])
                for m in measures
            ]
        )
        order = np.argsort(np.nan_to_num(values[0], nan=-np.inf), kind="stable")
        columns = np.arange(len(order))
        repeated = np.tile(columns, len(values) - 1)
        # thousands of points: a picture inside SVG and PDF, which would be ten times as large
        axis.scatter(
            repeated,
            values[1:, order].ravel(),
            s=4,
            color="0.8",
            rasterized=True,
            label="random counterpart",
        )
        beyond, size = beaten[order], 22 if len(order) <= MANY else 10
        own = values[0, order]
        axis.scatter(
            columns[~beyond], own[~beyond], s=size, color=BLUE, zorder=3, label="subcluster"
        )
        axis.scatter(
            columns[beyond],
            own[beyond],
            s=1.6 * size,
            marker="D",
            color=ORANGE,
            edgecolor="black",
            linewidth=0.4,
            zorder=4,
            label="subcluster beyond all its draws",
        )
        axis.set_title(f"{partitioning}: {beaten.sum()} of {len(order)} beyond all draws")
        axis.set_xticks([])
        if log:
            axis.set_yscale("log")
        elif name == "importance":  # a few subclusters are most of their layer
            axis.set_yscale("symlog", linthresh=LINEAR)
    for axis in axes[:, 0]:
        axis.set_ylabel(LABELS[name])
    for axis in axes[-1]:
        axis.set_xlabel("tested subclusters of all replicates, sorted")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=BLUE, label="subcluster"),
        Line2D(
            [],
            [],
            marker="D",
            linestyle="",
            color=ORANGE,
            markeredgecolor="black",
            label="subcluster beyond all its draws",
        ),
        Line2D([], [], marker=".", linestyle="", color="0.6", label="random counterparts"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    name_networks(figure, replicates)
    return figure


def _nothing_tested(replicate: Replicate, partitioning: str) -> Figure:
    """Return a figure that says that none of a partition's subclusters is tested."""
    figure, axis = plt.subplots(figsize=(8, 1.2), layout="constrained")
    axis.set_axis_off()
    axis.text(0, 0.5, "no subcluster is tested", va="center")
    figure.suptitle(f"{replicate.name}, {partitioning}", x=0.01, ha="left")
    return figure


def plot_class_damage(replicate: Replicate, partitioning: str) -> Figure:
    """Draw the change of each class's accuracy by lesion of each subcluster as a heat map.

    Colours mean the same in every such figure, whatever its network.
    """
    accuracies = replicate.lesioned(partitioning)
    change = 100 * (accuracies.lesioned[0] - accuracies.baseline)
    tested = replicate.draws(partitioning).subclusters
    if not tested:
        return _nothing_tested(replicate, partitioning)
    figure, axis = plt.subplots(figsize=(8, 0.3 * len(tested) + 1.4), layout="constrained")
    texts = [[f"{value:.0f}" if abs(value) >= 0.5 else "" for value in row] for row in change]
    image = annotated_heatmap(
        axis, change, texts, limit=MOST, diverging=True, linear_up_to=LINEAR, fontsize=8
    )
    names = [f"{part.layer} / {part.cluster} ({part.n_units} units)" for part in tested]
    axis.set_yticks(range(len(tested)), names, fontsize=8)
    names = replicate.dataset.group_names
    axis.set_xticks(range(len(names)), names)
    if max(map(len, names)) > 2:
        axis.set_xticks(
            range(len(names)), names, rotation=45, ha="right", va="center", rotation_mode="anchor"
        )
    axis.set_xlabel("group of classes" if replicate.dataset.groups else "class")
    axis.set_title(f"{replicate.name}, {partitioning}")
    label = f"change of accuracy (points), linear from -{LINEAR} to {LINEAR}"
    ticks = (-MOST, -10, -LINEAR, 0, LINEAR, 10, MOST)
    figure.colorbar(image, ax=axis, label=label, ticks=ticks, format="%g")
    return figure


def plot_visualization_pairs(replicate: Replicate, partitioning: str) -> Figure:
    """Draw true subclusters' images above those of one random counterpart each, with scores.

    At most `N_SHOWN` subclusters, spread evenly over those tested, so that every depth is seen.
    """
    visualizations = replicate.visualizations(partitioning)
    tested = replicate.draws(partitioning).subclusters
    if not tested:
        return _nothing_tested(replicate, partitioning)
    spread = np.linspace(0, len(tested) - 1, min(N_SHOWN, len(tested))).round().astype(int)
    p_values = replicate.assessment("input_coherence", partitioning).p_values
    figure, axes = plt.subplots(
        2,
        len(spread),
        figsize=(1.2 * len(spread) + 0.6, 3.4),
        layout="constrained",
        squeeze=False,
    )
    for column, index in enumerate(spread):
        for row in (0, 1):
            axis = axes[row, column]
            image = np.moveaxis(visualizations.images[row, index], 0, -1)
            axis.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(False)
            axis.set_xlabel(f"score {visualizations.scores[row, index]:.3g}", fontsize=8)
        axes[0, column].set_title(
            f"{tested[index].layer} / {tested[index].cluster}\np = {p_values[index]:.3g}",
            fontsize=8,
            loc="center",
        )
    axes[0, 0].set_ylabel("subcluster")
    axes[1, 0].set_ylabel("random")
    figure.suptitle(f"{replicate.name}, {partitioning}", x=0.01, ha="left")
    return figure


def plot_p_values_against_uniform(replicates: Sequence[Replicate]) -> Figure:
    """Draw sorted p-values of subclusters against what uniform ones would be."""
    figure, axes = plt.subplots(
        1, len(MEASURES), figsize=(10.4, 3.4), sharey=True, layout="constrained"
    )
    for axis, name in zip(axes, MEASURES, strict=True):
        p_values = {
            partitioning: np.concatenate(
                [replicate.assessment(name, partitioning).p_values for replicate in replicates]
            )
            for partitioning in PARTITIONINGS
        }
        plot_against_uniform(axis, p_values)
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("if nothing were there")
        axis.set_aspect("equal")
    axes[0].set_ylabel("p of subclusters, sorted")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    name_networks(figure, replicates)
    return figure


def plot_effect_forest(table: pd.DataFrame) -> Figure:
    """Draw mean effects with standard errors over networks beside their null means.

    What is significant on the wrong side of its null mean has another colour and a hollow marker.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.pipeline.synthesis_table`.
    """
    figure, axes = plt.subplots(
        1, len(MEASURES), figsize=(10, 2.9), sharey=True, layout="constrained"
    )
    networks = list(dict.fromkeys(table["network"]))
    for axis, name in zip(axes, MEASURES, strict=True):
        part = table[table["measure"] == name].reset_index(drop=True)
        rows = np.arange(len(part))
        significant, is_there = part["verdict"] == SIGNIFICANT, on_favourable_side(part)
        colours = np.select([significant & is_there, significant], [GREEN, PINK], BLUE)
        error = np.nan_to_num(part["effect_se"].to_numpy())
        axis.errorbar(
            part["effect"], rows, xerr=error, fmt="none", ecolor=colours, elinewidth=2, zorder=2
        )
        faces = np.where(significant & ~is_there, "white", colours)
        axis.scatter(part["effect"], rows, s=40, color=faces, edgecolor=colours, zorder=3)
        axis.scatter(part["effect_null"], rows, marker="|", s=200, color=ORANGE, zorder=4)
        names = part["partitioning"]
        if len(networks) > 1:
            names = part["network"] + " " + names
        axis.set_yticks(rows, names)
        arrow = "left" if part["favourable"].iloc[0] == "below" else "right"
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel(f"effect\n(more specialized: {arrow})", fontsize=9)
    axes[0].invert_yaxis()  # shared by all panels
    handles = [
        Line2D([], [], marker="o", color=BLUE, label="mean effect, standard error"),
        Line2D([], [], marker="o", color=GREEN, label="the same, significant"),
        Line2D(
            [], [], marker="o", color=PINK, markerfacecolor="white", label="significant, wrong side"
        ),
        Line2D([], [], marker="|", linestyle="", markersize=12, color=ORANGE, label="null mean"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def plot_p_value_map(table: pd.DataFrame) -> Figure:
    """Draw the synthesis as one coloured cell a partitioning and measure.

    Cells whose mean effect lies on the wrong side of its null mean, or that have none, have no
    colour; a dagger marks those of them that are significant.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.pipeline.synthesis_table`.
    """
    keys = ["network", "partitioning"]
    order = table[keys].drop_duplicates().apply(tuple, axis=1)
    table = table.assign(is_there=on_favourable_side(table))

    def cells(column: str) -> pd.DataFrame:
        return table.pivot(index=keys, columns="measure", values=column).loc[order, list(MEASURES)]

    grid, is_there = cells("p"), cells("is_there")
    marks = np.where(cells("verdict") == SIGNIFICANT, np.where(is_there, "*", "\N{DAGGER}"), "")
    texts = grid.map("{:.2g}".format) + marks
    figure, axis = plt.subplots(figsize=(8.5, 0.5 * len(grid) + 1.5), layout="constrained")
    depth = np.where(is_there, -np.log10(grid), np.nan)
    image = annotated_heatmap(axis, depth, texts, limit=DEEPEST)
    networks = grid.index.get_level_values(0)
    single = networks.nunique() == 1
    names = [p if single else f"{n}\n{p}" for n, p in grid.index]
    axis.set_yticks(range(len(grid)), names)
    axis.set_xticks(range(len(MEASURES)), [name.replace("_", "\n") for name in MEASURES])
    axis.set_title(
        "p over replicates; * significant after Benjamini-Hochberg\n"
        "no colour: effect on the wrong side of its null mean, \N{DAGGER} although significant"
    )
    figure.colorbar(image, ax=axis, label="-log10 p")
    return figure
