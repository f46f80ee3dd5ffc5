"""Figures of networks and partitions, and what figures share: colours, style, kinds of axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from localspec.graphs import UnitGraph
from localspec.partitions import NO_CLUSTER, Partition
from localspec.pipeline import Replicate

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"
PINK, SKY = "#CC79A7", "#56B4E9"
DEEPEST = 4.0  # -log10 p at which the colour is full
MIN_NUMBERED = 0.08  # share of the widest layer from which on a bar is wide enough for its number


def use_style() -> None:
    """Use the project's style of figures from now on, and show long texts in tables whole."""
    pd.set_option("display.max_colwidth", None)
    plt.style.use(str(files("localspec").joinpath("localspec.mplstyle")))


def name_networks(figure: Figure, replicates: Sequence[Replicate]) -> None:
    """Write the names of the networks above a figure, on the left."""
    names = list(dict.fromkeys(replicate.network for replicate in replicates))
    figure.suptitle(", ".join(names), x=0.01, ha="left")


def annotated_heatmap(
    axis: Axes,
    values: ArrayLike,
    texts: ArrayLike,
    *,
    limit: float,
    diverging: bool = False,
    bold: ArrayLike | None = None,
    fontsize: float | None = None,
) -> AxesImage:
    """Draw a matrix as coloured cells, with a text in each that stands out from the colour.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    values : array_like of float, shape (n_rows, n_columns)
        NaN leaves a cell without colour.
    texts : array_like of str, shape (n_rows, n_columns)
        Empty where a cell has none.
    limit : float
        Value with the deepest colour.
    diverging : bool, optional
        Colours from red at ``-limit`` over white at 0 to blue; otherwise from white at 0 to blue.
    bold : array_like of bool, shape (n_rows, n_columns), optional
        Whose texts are bold.
    fontsize : float, optional
        By default that of the style.

    Returns
    -------
    matplotlib.image.AxesImage
        For a colour bar.
    """
    values, texts = np.asarray(values, dtype=float), np.asarray(texts)
    bold = np.zeros(values.shape, dtype=bool) if bold is None else np.asarray(bold)
    colours = "RdBu" if diverging else "Blues"
    lowest = -limit if diverging else 0
    image = axis.imshow(values, cmap=colours, vmin=lowest, vmax=limit, aspect="auto")
    is_dark = np.abs(values) > (0.6 if diverging else 0.55) * limit
    for row, column in np.argwhere(texts != ""):
        axis.text(
            column,
            row,
            texts[row, column],
            ha="center",
            va="center",
            fontsize=fontsize,
            weight="bold" if bold[row, column] else "normal",
            color="white" if is_dark[row, column] else "black",
        )
    axis.grid(False)
    return image


def plot_against_uniform(
    axis: Axes,
    p_values: Mapping[str, np.ndarray],
    *,
    colours: Mapping[str, str] | None = None,
    linewidth: float = 1.6,
    diagonal: str = GREY,
    lowest: float = 0.0,
) -> None:
    """Draw sorted p-values against what uniform ones would be: one curve for each sample.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    p_values : mapping of str to numpy.ndarray
        The p-values of each sample, which is named in a legend; NaN comes last, without a point.
    colours : mapping of str to str, optional
        Of each sample's curve; by default those of the style in turn.
    linewidth : float, optional
        Of the curves, in points.
    diagonal : str, optional
        Colour of the line on which uniform p-values lie.
    lowest : float, optional
        Where that line begins; above 0 for logarithmic axes.
    """
    axis.plot([lowest, 1], [lowest, 1], color=diagonal, linewidth=1, linestyle="--")
    for name, sample in p_values.items():
        ordered = np.sort(sample, axis=None)
        expected = (np.arange(len(ordered)) + 0.5) / len(ordered)
        colour = None if colours is None else colours[name]
        axis.plot(expected, ordered, color=colour, linewidth=linewidth, label=name)


def plot_learning_curves(replicates: Sequence[Replicate]) -> Figure:
    """Draw loss and accuracy of every replicate by epoch, training beside test.

    A network for regression has no accuracy: that half stays empty.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    regression = bool(replicates) and replicates[0].dataset.task == "regression"
    loss = "mean squared error" if regression else "cross-entropy"
    for quantity, axis in zip(("loss", "accuracy"), axes, strict=True):
        for kind, colour in (("train", GREY), ("test", BLUE)):
            for index, replicate in enumerate(replicates):
                values = replicate.trained.history[f"{kind}_{quantity}"]
                label = {"train": "training", "test": "test"}[kind] if index == 0 else None
                epochs = np.arange(1, len(values) + 1)
                axis.plot(epochs, values, color=colour, linewidth=1.3, label=label)
        axis.set_xlabel("epoch")
        axis.set_ylabel(f"{quantity} ({loss})" if quantity == "loss" else quantity)
        axis.set_title(quantity.capitalize())
    axes[0].set_yscale("log")
    axes[1].legend(loc="lower right")
    name_networks(figure, replicates)
    return figure


def plot_sorted_adjacency(graph: UnitGraph, partition: Partition, *, title: str = "") -> Figure:
    """Draw the adjacency matrix in the order of layers, and again in the order of clusters."""
    dense = (
        graph.adjacency if isinstance(graph.adjacency, np.ndarray) else graph.adjacency.toarray()
    )
    live = np.flatnonzero(partition.labels != NO_CLUSTER)
    by_cluster = live[np.argsort(partition.labels[live], kind="stable")]
    top = np.quantile(dense[dense > 0], 0.98)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
    borders = [layer.stop for layer in partition.layers[:-1]]
    _matrix(axes[0], dense, borders, top, "By layer")
    sizes = np.unique(partition.labels[live], return_counts=True)[1]
    image = _matrix(
        axes[1], dense[np.ix_(by_cluster, by_cluster)], np.cumsum(sizes)[:-1], top, "By cluster"
    )
    what = "absolute weight" if graph.kind == "weights" else "squared correlation"
    figure.colorbar(image, ax=axes, shrink=0.7, label=what, extend="max")
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def _matrix(axis, matrix, borders, top, title):
    image = axis.imshow(matrix, cmap="Greys", vmin=0, vmax=top)
    for border in borders:
        axis.axhline(border - 0.5, color=ORANGE, linewidth=0.8)
        axis.axvline(border - 0.5, color=ORANGE, linewidth=0.8)
    axis.set_title(title)
    axis.set_xlabel("unit")
    axis.set_ylabel("unit")
    axis.grid(False)
    return image


def plot_clusters_per_layer(partitions: dict[str, Partition], *, title: str = "") -> Figure:
    """Draw how the units of each tested layer fall into clusters, one panel a partition."""
    figure, axes = plt.subplots(
        1, len(partitions), figsize=(9.5, 2.8), sharey=True, layout="constrained", squeeze=False
    )
    for axis, (name, partition) in zip(axes[0], partitions.items(), strict=True):
        widest = max(layer.n_units for layer in partition.tested)
        for row, layer in enumerate(partition.tested):
            labels, left = partition.of(layer), 0
            for label in np.unique(labels[labels != NO_CLUSTER]):
                size = int((labels == label).sum())
                axis.barh(row, size, left=left, color=plt.cm.tab20(label % 20), edgecolor="white")
                if size >= MIN_NUMBERED * widest:  # else numbers would run into each other
                    axis.text(left + size / 2, row, size, ha="center", va="center", fontsize=8)
                left += size
        axis.set_yticks(range(len(partition.tested)), [layer.name for layer in partition.tested])
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("units")
        axis.grid(False)
    axes[0, 0].invert_yaxis()  # shared by all panels
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def plot_ncut_against_shuffles(replicates: Sequence[Replicate]) -> Figure:
    """Draw each network's n-cut beside those of its shuffled copies."""
    figure, axis = plt.subplots(figsize=(8, 0.7 * len(replicates) + 1.3), layout="constrained")
    for row, replicate in enumerate(replicates):
        result = replicate.clusterability()
        spread = np.linspace(-0.22, 0.22, len(result.null))
        names = ("shuffled copies", "trained network") if row == 0 else (None, None)
        axis.scatter(result.null, row + spread, s=12, color=GREY, label=names[0])
        axis.scatter(
            result.statistic,
            row,
            s=90,
            marker="D",
            color=BLUE,
            zorder=3,
            label=names[1],
        )
        text = f"p = {result.pvalue:.2g}"
        axis.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center")
    axis.set_yticks(range(len(replicates)), [replicate.name for replicate in replicates])
    axis.invert_yaxis()
    axis.set_xlabel("n-cut (to the left: the clusters are more separate)")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=2)
    return figure
