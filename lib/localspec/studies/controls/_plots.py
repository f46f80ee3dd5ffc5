"""Figures of the positive control."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from localspec.measures import LOGIT_FORMS
from localspec.pipeline import (
    BLUE,
    GREEN,
    GREY,
    MATCHED,
    ORANGE,
    OTHER_SIDE,
    PAPERS,
    PINK,
    UNDEFINED,
    annotated_heatmap,
)
from localspec.pipeline import EQUAL_DAMAGE as EQUAL_DAMAGE_FORM
from localspec.studies.controls._diagnosis import EQUAL_DAMAGE, SELECTIVITY
from localspec.studies.controls._planted import PARTITIONING, TESTED_MEASURES, PlantedReplicate

COLOURS = {
    "importance": BLUE,
    "class_coherence": ORANGE,
    EQUAL_DAMAGE: PINK,
    SELECTIVITY: GREEN,
}


def _steps(table: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Return the position on the axis of every row, and the labels of the positions."""
    shuffled = (table["weights"] == "shuffled").to_numpy()
    noises = np.unique(table["noise"][~shuffled])
    positions = np.where(shuffled, len(noises) + 0.5, np.searchsorted(noises, table["noise"]))
    return positions, [*(f"{noise:g}" for noise in noises), "shuffled\ncopy"]


def plot_power(table: pd.DataFrame, combined: pd.DataFrame, *, level: float = 0.05) -> Figure:
    """Draw what is found again as noise between the halves grows.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.controls.control_table`, of one network.
    combined : pandas.DataFrame
        From :func:`localspec.studies.controls.combined_control_table`.
    level : float, optional
    """
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.6), layout="constrained")
    positions, labels = _steps(table)
    rand, share, p_axis = axes
    jitter = np.linspace(-0.12, 0.12, table["seed"].nunique())
    offsets = jitter[table["seed"].rank(method="dense").astype(int) - 1]
    rand.scatter(positions + offsets, table["adjusted_rand"], s=26, color=GREEN)
    rand.axhline(0.95, color=GREY, linestyle="--", linewidth=1)
    rand.set_ylim(-0.1, 1.05)
    rand.set_title("Are the halves found?")
    rand.set_ylabel("adjusted Rand with the halves")
    for index, name in enumerate(TESTED_MEASURES):
        part = combined[combined["measure"] == name]
        where, _ = _steps(part)
        colour = COLOURS[name]
        style = {"color": colour, "label": name.replace("_", " ")}
        shift = 0.06 * (2 * index - 1)
        for axis, column in ((share, "share_significant"), (p_axis, "p")):
            values = part[column].where(part["p"].notna()).to_numpy()  # nothing to test: no point
            axis.plot(where[:-1], values[:-1], linewidth=1.4, **style)
            axis.scatter(where + (shift if axis is share else 0.0), values, s=34, color=colour)
    share.axhline(level, color=GREY, linestyle="--", linewidth=1)
    share.set_ylim(-0.05, 1.05)
    share.set_title(f"Networks with p of at most {level:g}")
    share.set_ylabel("share of networks")
    p_axis.set_yscale("log")
    p_axis.axhline(level, color=GREY, linestyle="--", linewidth=1)
    p_axis.set_title("All networks together")
    p_axis.set_ylabel("p (Bates over networks)")
    p_axis.legend(loc="best")
    untested = combined[combined["p"].isna()].drop_duplicates(["weights", "noise"])
    for where in _steps(combined)[0][untested.index]:
        p_axis.text(
            where,
            0.62,
            "nothing to test",
            rotation=90,
            color=GREY,
            ha="center",
            va="center",
            transform=p_axis.get_xaxis_transform(),
        )
    places = [*range(len(labels) - 1), len(labels) - 0.5]
    for axis in axes:
        axis.set_xticks(places, labels)
        axis.set_xlabel("noise between the halves")
    return figure


def plot_class_damage_beside_random(replicate: PlantedReplicate) -> Figure:
    """Draw each class's change of accuracy by lesions of the clusters, true beside random.

    Parameters
    ----------
    replicate : PlantedReplicate
    """
    accuracies = replicate.lesioned(PARTITIONING)
    change = 100 * (accuracies.lesioned - accuracies.baseline)
    tested = replicate.draws(PARTITIONING).subclusters
    panels = {"the clusters found": change[0], "random units, mean of draws": change[1:].mean(0)}
    figure, axes = plt.subplots(
        1, 2, figsize=(10.5, 0.36 * len(tested) + 1.8), sharey=True, layout="constrained"
    )
    limit = max(1.0, float(np.abs(change[0]).max()))
    for axis, (title, values) in zip(axes, panels.items(), strict=True):
        texts = [[f"{value:.0f}" for value in row] for row in values]
        image = annotated_heatmap(axis, values, texts, limit=limit, diverging=True, fontsize=8)
        axis.set_xticks(range(values.shape[1]), replicate.dataset.class_names)
        axis.set_xlabel("class")
        axis.set_title(f"Lesion of {title}")
    names = [f"{part.layer} / {part.cluster} ({part.n_units} units)" for part in tested]
    axes[0].set_yticks(range(len(tested)), names, fontsize=9)
    figure.colorbar(image, ax=axes, label="change of accuracy (points)")
    figure.suptitle(replicate.name, x=0.01, ha="left")
    return figure


def plot_purity_and_known_halves(
    clusters: pd.DataFrame, known: pd.DataFrame, *, level: float = 0.05
) -> Figure:
    """Draw what other clusterings find, and what the tests say of the halves themselves.

    Parameters
    ----------
    clusters : pandas.DataFrame
        From :func:`localspec.studies.controls.clusters_table`, of one network.
    known : pandas.DataFrame
        From :func:`localspec.studies.controls.known_halves_table`, of one network.
    level : float, optional
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.24), "ncols": 3, "fontsize": 8}
    for (graph, k), part in clusters.groupby(["graph", "k"], sort=False):
        style = "-" if graph == "weights" else "--"
        name = f"{graph}, k = {k}"
        left.plot(part["noise"], part["purity"], style, marker="o", markersize=5, label=name)
    left.set_ylim(0.47, 1.03)
    left.set_title("Clusters that keep to one half")
    left.set_ylabel("share of units with their own half")
    left.set_xlabel("noise between the halves")
    left.legend(**below)
    where, labels = _steps(known)
    for name in known["measure"].unique():
        chosen = (known["measure"] == name).to_numpy()
        p, x = known["p"].to_numpy()[chosen], where[chosen]
        right.plot(x[:-1], p[:-1], color=COLOURS[name], label=name.replace("_", " "))
        right.scatter(x, p, s=34, color=COLOURS[name])
    right.set_yscale("log")
    right.axhline(level, color=GREY, linestyle="--", linewidth=1)
    right.set_xticks([*range(len(labels) - 1), len(labels) - 0.5], labels)
    right.set_title("Tests of the halves themselves")
    right.set_ylabel("p (Bates over networks)")
    right.set_xlabel("noise between the halves")
    right.legend(**below)
    return figure


STYLES = {  # colour of a measure, line and marker of its forms
    "importance": (BLUE, {PAPERS: ("-", "o")}),
    "class_coherence": (ORANGE, {PAPERS: ("-", "o"), EQUAL_DAMAGE_FORM: ("--", "s")}),
    "input_coherence": (GREEN, {PAPERS: ("-", "o"), MATCHED: ("--", "s")}),
    "output_coherence": (PINK, {PAPERS: ("-", "o"), LOGIT_FORMS[1]: ("--", "s")}),
}


def plot_coherence_power(table: pd.DataFrame, *, level: float = 0.05) -> Figure:
    """Draw what is found of planted parts as noise between them grows: a column for each design.

    Hollow marks: the effect speaks against specialization, or most counterparts have no value.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.controls.coherence_controls_table`.
    level : float, optional
    """
    designs = list(dict.fromkeys(table["design"]))
    figure, axes = plt.subplots(
        2,
        len(designs),
        figsize=(3.6 * len(designs), 6.4),
        layout="constrained",
        sharey="row",
        height_ratios=(1, 2),
        squeeze=False,
    )
    for design, (rand, p_axis) in zip(designs, axes.T, strict=True):
        part = table[table["design"] == design]
        steps = part.drop_duplicates(["weights", "noise"])
        where, labels = _steps(steps)
        rand.plot(where[:-1], steps["adjusted_rand"].to_numpy()[:-1], color=GREY, linewidth=1.4)
        rand.scatter(where, steps["adjusted_rand"], s=34, color=GREY)
        rand.set_ylim(-0.1, 1.05)
        rand.set_title(f"Clusters: {design}")
        p_axis.set_title(f"Tests: {design}")
        for name, (colour, lines) in STYLES.items():
            for form, (line, marker) in lines.items():
                chosen = part[(part["measure"] == name) & (part["form"] == form)]
                x, p = _steps(chosen)[0], chosen["p"].to_numpy()
                label = f"{name.replace('_', ' ')}, {form}"
                style = {"color": colour, "linestyle": line, "linewidth": 1.2}
                p_axis.plot(x[:-1], p[:-1], label=label, marker=marker, markersize=0, **style)
                against = chosen["finding"].isin((OTHER_SIDE, UNDEFINED)).to_numpy()
                faces = np.where(against, "white", colour)
                p_axis.scatter(x, p, s=26, marker=marker, c=faces, edgecolor=colour, zorder=3)
        p_axis.axhline(level, color=GREY, linestyle="--", linewidth=1)
        p_axis.set_yscale("log")
        for axis in (rand, p_axis):
            axis.set_xticks([*range(len(labels) - 1), len(labels) - 0.5], labels, fontsize=8)
        p_axis.set_xlabel("noise between the parts")
    axes[0, 0].set_ylabel("adjusted Rand of\nclusters with the parts")
    axes[1, 0].set_ylabel("p (Bates over networks)")
    handles, names = axes[1, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=9)
    return figure
