"""The figure of published figures beside ours."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from localspec.pipeline import BLUE, GREY, ORANGE
from localspec.studies.published._compare import HOLDS, QUANTITIES

TITLES = {
    "ncut": "n-cut",
    "shuffled_ncut_mean": "mean n-cut of shuffled copies",
    "test_accuracy": "test accuracy",
}


def plot_differences_from_published(table: pd.DataFrame) -> Figure:
    """Draw standardised differences of means, ours less published, with their 95 % intervals.

    Filled: the interval holds zero; hollow: it does not.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.published.published_table`.
    """
    figure, rows, panels = _panels(table)
    for axis, part in panels:
        at = np.array([rows[key] for key in zip(part["network"], part["reading"], strict=True)])
        holds_zero = (part["difference_low"] <= 0) & (part["difference_high"] >= 0)
        colours = np.where(holds_zero, BLUE, ORANGE)
        axis.axvline(0, color=GREY, linestyle="--", linewidth=1)
        axis.hlines(at, part["difference_low"], part["difference_high"], color=colours, linewidth=2)
        faces = np.where(holds_zero, BLUE, "white")
        axis.scatter(part["difference"], at, s=30, color=faces, edgecolor=colours, zorder=3)
    figure.supxlabel("ours less published, in standard deviations (Hedges' g, 95 % interval)")
    handles = [
        Line2D([], [], color=BLUE, marker="o", label="interval holds zero"),
        Line2D([], [], color=ORANGE, marker="o", markerfacecolor="white", label="does not"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _name_of_row(network: str, reading: str) -> str:
    return network if reading == "paper" else f"{network}, {reading}"


def _panels(
    table: pd.DataFrame,
) -> tuple[Figure, dict[tuple[str, str], int], list[tuple[Axes, pd.DataFrame]]]:
    """Return a figure, the row of each configuration, and each quantity's panel and part."""
    configurations = table[["network", "reading"]].drop_duplicates()
    rows = {tuple(each): row for row, each in enumerate(configurations.to_numpy())}
    names = [_name_of_row(name, reading) for name, reading in rows]
    quantities = [name for name in QUANTITIES if name in set(table["quantity"])]
    figure, axes = plt.subplots(
        1,
        len(quantities),
        figsize=(11, 0.36 * len(rows) + 1.6),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for axis, quantity in zip(axes[0], quantities, strict=True):
        axis.set_title(TITLES[quantity])
    axes[0, 0].set_yticks(np.arange(len(names)), names, fontsize=9)
    axes[0, 0].set_ylim(len(names) - 0.4, -0.6)
    parts = [table[table["quantity"] == quantity] for quantity in quantities]
    return figure, rows, list(zip(axes[0], parts, strict=True))


def plot_published_beside_ours(table: pd.DataFrame) -> Figure:
    """Draw our replicates' range and mean beside the published ones: one row a configuration.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.published.published_table`.
    """
    figure, rows, panels = _panels(table)
    for axis, part in panels:
        for network in part.itertuples():
            row = rows[(network.network, network.reading)]
            width = network.allowed_high - network.allowed_low
            axis.barh(row, width, left=network.allowed_low, height=0.8, color="0.9", zorder=1)
            axis.hlines(
                row - 0.15, network.published_min, network.published_max, color=GREY, linewidth=2
            )
            axis.scatter(network.published, row - 0.15, marker="|", s=60, color=GREY, zorder=3)
            colour = BLUE if network.verdict == HOLDS else ORANGE
            axis.hlines(row + 0.15, network.ours_min, network.ours_max, color=colour, linewidth=2)
            axis.scatter(network.ours, row + 0.15, s=24, color=colour, zorder=4)
        axis.use_sticky_edges = False  # leave room beside the bars
        axis.autoscale_view()
        axis.locator_params(axis="x", nbins=4)  # accuracies have five digits
    handles = [
        Line2D([], [], color=BLUE, marker="o", markersize=5, label="ours, holds"),
        Line2D([], [], color=ORANGE, marker="o", markersize=5, label="ours, differs"),
        Line2D([], [], color=GREY, marker="|", label="published"),
        Patch(color="0.9", label="where our mean must lie"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def plot_ncuts(table: pd.DataFrame) -> Figure:
    """Draw n-cuts of networks and the means of their shuffled copies: one row a configuration.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.published.replicates_table`.
    """
    configurations = table.groupby(["training", "reading"], sort=False)
    figure, axis = plt.subplots(figsize=(8, 0.36 * len(configurations) + 1.6), layout="constrained")
    names = []
    for row, ((name, reading), part) in enumerate(configurations):
        at = np.full(len(part), row)
        axis.scatter(part["shuffled_ncut_mean"], at + 0.15, marker="|", s=70, color=GREY)
        axis.scatter(part["ncut"], at - 0.15, s=24, color=BLUE)
        names.append(_name_of_row(name, reading))
    axis.set_yticks(np.arange(len(names)), names, fontsize=9)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel("n-cut")
    handles = [
        Line2D([], [], color=BLUE, marker="o", linestyle="", label="a network"),
        Line2D([], [], color=GREY, marker="|", linestyle="", label="mean of its shuffled copies"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def plot_moved_quantities(table: pd.DataFrame) -> dict[str, Figure]:
    """Draw how far each change moves a figure that differs: one figure each, one row a change.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.published.diagnosis_table`; nothing is drawn of an empty one.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        By network and quantity, as ``mlp-ncut``.
    """
    if table.empty:
        return {}
    figures = {}
    for (network, quantity), part in table.groupby(["network", "quantity"], sort=False):
        rows = np.arange(len(part))
        figure, axis = plt.subplots(figsize=(7, 0.32 * len(part) + 1.3), layout="constrained")
        first = part.iloc[0]
        axis.axvspan(first["allowed_low"], first["allowed_high"], color="0.9", zorder=1)
        axis.axvline(first["published"], color=GREY, linewidth=1.5)
        axis.axvline(first["mean"], color=ORANGE, linewidth=1, linestyle=":")
        colours = [BLUE if verdict == HOLDS else ORANGE for verdict in part["verdict"]]
        axis.hlines(rows, part["min"], part["max"], color=colours, linewidth=2)
        axis.scatter(part["mean"], rows, s=28, color=colours, zorder=3)
        axis.set_yticks(rows, part["changed"], fontsize=9)
        axis.set_ylim(len(part) - 0.5, -0.5)  # the first row on top, none on the frame
        axis.set_title(f"{network}: {TITLES[quantity]}")
        axis.set_xlabel("grey line: published mean; pale: where our mean must lie")
        figures[f"{network}-{quantity}"] = figure
    return figures


def plot_pretrained(table: pd.DataFrame) -> Figure:
    """Draw how far each n-cut lies from those of shuffled copies, the published one beside ours.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.published.pretrained_table`.
    """
    figure, axis = plt.subplots(figsize=(8, 0.5 * len(table) + 1.5), layout="constrained")
    axis.axvline(0, color=GREY, linestyle="--", linewidth=1)
    columns = ["ncut", "shuffled_ncut_mean", "shuffled_ncut_std"]
    for whose, prefix, colour, shift in (
        ("published", "published_", GREY, -0.15),
        ("ours", "", BLUE, 0.15),
    ):
        names = [f"{prefix}{name}" for name in columns]
        ncuts, means, spreads = table.reindex(columns=names).to_numpy(dtype=float).T
        rows, reach = np.arange(len(table)) + shift, 100 * spreads / means
        copies, network = f"{whose}, shuffled copies", f"{whose}, the network"
        axis.hlines(rows, -reach, reach, color=colour, linewidth=6, alpha=0.4, label=copies)
        above = 100 * (ncuts / means - 1)
        axis.scatter(above, rows, color=colour, marker="D", zorder=3, label=network)
    labels = [f"{row.network}, seed {row.seed}" for row in table.itertuples()]
    axis.set_yticks(np.arange(len(table)), labels)
    axis.set_ylim(len(table) - 0.5, -0.5)
    axis.set_xlabel("n-cut, percent above the mean of shuffled copies (bars: their std)")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def plot_untrained(table: pd.DataFrame) -> Figure:
    """Draw n-cuts of untrained networks beside the published ones, and how far the means differ.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.published.untrained_table`.
    """
    figure, axes = plt.subplots(
        1, 2, figsize=(10, 0.5 * len(table) + 1.8), sharey=True, layout="constrained"
    )
    rows = np.arange(len(table))
    centre = table["published"]
    for prefix, colour, shift in (("published", GREY, -0.15), ("ours", BLUE, 0.15)):
        mean, spread = table[prefix] - centre, table[f"{prefix}_std"]
        least, most = table[f"{prefix}_min"] - centre, table[f"{prefix}_max"] - centre
        axes[0].hlines(rows + shift, least, most, color=colour, linewidth=1.5)
        axes[0].hlines(rows + shift, mean - spread, mean + spread, color=colour, linewidth=6)
        axes[0].scatter(mean, rows + shift, s=24, color=colour, zorder=3, label=prefix)
    axes[0].axvline(0, color=GREY, linestyle="--", linewidth=1)
    axes[0].set_title("N-cuts")
    axes[0].set_xlabel(
        "n-cut less the published mean\n(thick: one standard deviation; thin: range)"
    )
    axes[1].axvline(0, color=GREY, linestyle="--", linewidth=1)
    axes[1].set_title("Difference")
    axes[1].hlines(rows, table["difference_low"], table["difference_high"], color=BLUE, linewidth=2)
    axes[1].scatter(table["difference"], rows, s=30, color=BLUE, zorder=3)
    axes[1].set_xlabel("difference of the means\n(Hedges' g, 95 % interval)")
    readings = table["reading"].fillna("not run here").replace("paper", "")
    labels = table["architecture"] + ", " + table["initialisation"]
    labels += [f"\n{reading}" if reading else "" for reading in readings]
    axes[0].set_yticks(rows, labels, fontsize=9)
    axes[0].set_ylim(len(table) - 0.5, -0.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


ACTIVATIONS_TITLES = {
    "activations_ncut": "n-cut of activations",
    "transferred_ncut": "n-cut of activations,\nweights' partition",
    "mutual_information": "mutual information\nof both partitions",
    "z_permute": "z against copies, shuffled\nbetween each two layers",
    "z_permute_all": "z against copies,\nshuffled as a whole",
}


def plot_activations_ncuts(table: pd.DataFrame) -> Figure:
    """Draw n-cuts of activations graphs: the published network's beside the range of ours.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.published.activations_table`.
    """
    run = table[table["quantity"].isin(ACTIVATIONS_TITLES) & table["ours"].notna()]
    models = list(dict.fromkeys(run["model"]))
    figure, axes = plt.subplots(
        len(models),
        len(ACTIVATIONS_TITLES),
        figsize=(12, 1.3 * len(models) + 1.4),
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for axis_row, model in zip(axes, models, strict=True):
        for axis, (quantity, title) in zip(axis_row, ACTIVATIONS_TITLES.items(), strict=True):
            part = run[(run["model"] == model) & (run["quantity"] == quantity)]
            rows = np.arange(len(part))
            colours = np.where(part["as_expected"].astype(bool), BLUE, ORANGE)
            axis.hlines(rows, part["expected_low"], part["expected_high"], color="0.8", linewidth=8)
            axis.hlines(rows, part["ours_min"], part["ours_max"], color=colours, linewidth=2)
            axis.scatter(part["ours"], rows, s=24, color=colours, zorder=3)
            axis.axvline(part["published"].iloc[0], color=GREY, linestyle="--", linewidth=1.5)
            axis.locator_params(axis="x", nbins=4)
            axis.set_yticks(rows, part["values"] + " the ReLU", fontsize=9)
            axis.set_ylim(len(part) - 0.4, -0.6)
            if model == models[0]:
                axis.set_title(title, fontsize=9)
        axis_row[0].set_ylabel(model)
    handles = [
        Line2D([], [], color=GREY, linestyle="--", label="published network"),
        Line2D([], [], color=BLUE, marker="o", label="ours, published one as expected"),
        Line2D([], [], color=ORANGE, marker="o", label="ours, published one not as expected"),
        Patch(color="0.8", label="where another one of ours is expected"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def plot_l2(table: pd.DataFrame) -> Figure:
    """Draw n-cuts of networks under L2 and of their shuffled copies, by reading and treatment.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.published.l2_replicates_table`.
    """
    networks = list(dict.fromkeys(table["network"]))
    figure, axes = plt.subplots(
        1, len(networks), figsize=(11, 3.6), sharey=True, layout="constrained", squeeze=False
    )
    for axis, network in zip(axes[0], networks, strict=True):
        part = table[table["network"] == network]
        groups = part.groupby(["l2_first_layer", "tiny_weights"], sort=False)
        for row, (_, group) in enumerate(groups):
            colour = ORANGE if group["default"].iloc[0] == "yes" else BLUE
            copies, at = group["shuffled_ncut_mean"], np.full(len(group), row)
            axis.scatter(copies, at + 0.15, marker="|", s=70, color=GREY)
            axis.scatter(group["ncut"], at - 0.15, s=24, color=colour)
        names = [f"first layer {first.upper()}, {tiny}" for (first, tiny), _ in groups]
        axis.set_yticks(np.arange(len(names)), names, fontsize=9)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_title(network)
        axis.set_xlabel("n-cut")
    handles = [
        Line2D([], [], color=ORANGE, marker="o", linestyle="", label="a network, default"),
        Line2D([], [], color=BLUE, marker="o", linestyle="", label="a network, read otherwise"),
        Line2D([], [], color=GREY, marker="|", linestyle="", label="mean of its shuffled copies"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure
