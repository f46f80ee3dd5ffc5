"""The figure of the n-cut by epoch."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from localspec.pipeline import BLUE, GREY, ORANGE
from localspec.statistics import t_interval
from localspec.studies.learning_curve._epochs import PRUNING


def _line(axis: Axes, networks: pd.DataFrame, column: str, label: str, colour: str) -> None:
    """Draw the mean over seeds by epoch, with its interval; epochs stand side by side."""
    values = networks.pivot(index="seed", columns="epoch", values=column).dropna(axis=1)
    places = [sorted(set(networks["epoch"])).index(epoch) for epoch in values.columns]
    intervals = [t_interval(each) for each in values.to_numpy().T]
    axis.plot(
        places, values.mean(), color=colour, marker="o", markersize=4, label=label, linewidth=1.8
    )
    low = [interval.low for interval in intervals]
    high = [interval.high for interval in intervals]
    axis.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)


def plot_ncut_by_epoch(networks: pd.DataFrame) -> Figure:
    """Draw n-cuts and the agreement of partitions by epoch, means with intervals over seeds.

    Parameters
    ----------
    networks : pandas.DataFrame
        From :func:`localspec.studies.learning_curve.networks_by_epoch`.
    """
    epochs = sorted(set(networks["epoch"]))
    pruned = networks.loc[networks["phase"] == PRUNING, "epoch"]
    has_published = "published_ncut" in networks
    n_panels = 3 if has_published else 2
    figure, axes = plt.subplots(1, n_panels, figsize=(3.2 * n_panels, 3.6), layout="constrained")
    _line(axes[0], networks, "ncut", "network", BLUE)
    _line(axes[0], networks, "shuffled_ncut", "shuffled copies", GREY)
    axes[0].set_title("n-cut")
    _line(axes[1], networks, "agreement", "after training", BLUE)
    _line(axes[1], networks, "restarts", "from another start", GREY)
    axes[1].set_title("agreement with the partition")
    axes[1].set_ylim(-0.03, 1.03)
    if has_published:
        _line(axes[2], networks, "ncut_as_published", "ours", BLUE)
        curve = networks.dropna(subset="published_ncut").drop_duplicates("epoch")
        places = [epochs.index(epoch) for epoch in curve["epoch"]]
        axes[2].plot(
            places,
            curve["published_ncut"],
            color=ORANGE,
            marker="D",
            markersize=5,
            linestyle="none",
            label="published, one network",
        )
        axes[2].set_title("n-cut beside the published one")
    for axis in axes:
        axis.set_xticks(np.arange(len(epochs)), epochs)
        axis.set_xlim(-0.4, len(epochs) - 0.6)
        axis.set_xlabel("epochs done")
        if len(pruned):
            axis.set_xlabel("epochs done; pruning right of the line")
            axis.axvline(epochs.index(pruned.min()) - 0.5, color="0.3", linestyle="--", linewidth=1)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), borderaxespad=0.0)
    figure.suptitle(networks["network"].iloc[0], x=0.01, ha="left")
    return figure
