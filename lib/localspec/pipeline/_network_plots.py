"""Figures of networks and partitions."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from localspec.clustering import NO_CLUSTER, Partition, UnitGraph
from localspec.pipeline._replicate import Replicate
from localspec.pipeline._style import BLUE, GREY, MIN_NUMBERED, ORANGE, name_networks


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
    most_layers = max((len(partition.tested) for partition in partitions.values()), default=0)
    figure, axes = plt.subplots(
        1,
        len(partitions),
        figsize=(9.5, max(2.8, 0.2 * most_layers)),
        sharey=True,
        layout="constrained",
        squeeze=False,
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
    figure.legend(loc="outside upper center", ncols=2)
    return figure
