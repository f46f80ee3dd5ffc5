"""Figure of visualizations beside natural images."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from localspec.pipeline import BLUE, ORANGE, PARTITIONINGS


def plot_similarities(table: pd.DataFrame) -> Figure:
    """Draw how far visualizations are treated as natural images: a panel for each partitioning.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.natural_images.similarity_table`, of one network.
    """
    figure, axes = plt.subplots(
        2, 2, figsize=(8.5, 6.4), sharex=True, sharey=True, layout="constrained"
    )
    for axis, partitioning in zip(axes.flat, PARTITIONINGS, strict=True):
        rows = table[table["partitioning"] == partitioning]
        for level in (0.0, 1.0):
            axis.axhline(level, color="0.3", linestyle="--", linewidth=1)
        axis.fill_between(rows["distance"], rows["low"], rows["high"], color=BLUE, alpha=0.2, lw=0)
        axis.plot(rows["distance"], rows["share"], "o-", color=BLUE, label="subclusters")
        axis.plot(
            rows["distance"], rows["share_random"], "s:", color=ORANGE, label="random counterparts"
        )
        axis.set_title(partitioning)
        axis.set_xticks(sorted(table["distance"].unique()))
    axes[0, 0].set_ylabel("other images 0, exciting images 1")
    axes[1, 0].set_ylabel("other images 0, exciting images 1")
    for axis in axes[-1]:
        axis.set_xlabel("layers behind the set's own layer")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(", ".join(dict.fromkeys(table["network"])), x=0.01, ha="left")
    return figure
