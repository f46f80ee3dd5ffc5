"""Figure of further training with a penalty and without."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from localspec.measures import MEASURES
from localspec.pipeline import BLUE, FOUND, GREEN, GREY, ORANGE, OTHER_SIDE
from localspec.studies.penalty._replicates import BLOCKS, NCUT, NO_PENALTY, WAYS

COLOURS = {NO_PENALTY: BLUE, NCUT: ORANGE, BLOCKS: GREEN}


def plot_penalty(networks: pd.DataFrame, effects: pd.DataFrame) -> Figure:
    """Draw the effects of each measure by way of further training: a panel for each measure.

    Parameters
    ----------
    networks : pandas.DataFrame
        From :func:`localspec.studies.penalty.networks_table`, of one network.
    effects : pandas.DataFrame
        From :func:`localspec.studies.penalty.penalty_effects_table`, of the same.
    """
    figure, axes = plt.subplots(2, 2, figsize=(9, 5.2), layout="constrained", sharey=True)
    heights = np.arange(len(WAYS))
    for axis, name in zip(axes.flat, MEASURES, strict=True):
        axis.axvline(1.0, color="0.3", linestyle="--", linewidth=1)
        by_seed = networks.pivot(index="seed", columns="way", values=name)[[*WAYS]]
        for values in by_seed.to_numpy():
            axis.plot(values, heights, color=GREY, linewidth=1, marker=".", markersize=5)
        rows = effects[effects["measure"] == name].set_index("way")
        for height, way in zip(heights, WAYS, strict=True):
            row = rows.loc[way]
            axis.scatter(
                row["effect_ratio"],
                height,
                marker="X" if row["finding"] == OTHER_SIDE else "o",
                facecolor=COLOURS[way] if row["finding"] == FOUND else "none",
                edgecolor=COLOURS[way],
                linewidth=1.5,
                s=80,
                zorder=3,
            )
        side = "left" if rows["favourable"].iloc[0] == "below" else "right"
        axis.set_title(f"{name.replace('_', ' ')} (specialized: {side} of 1)")
        axis.locator_params(axis="x", nbins=5)
        axis.set_xlabel("effect / its mean under random partitions")
    axes[0, 0].set_yticks(heights, WAYS)
    axes[0, 0].set_ylim(len(WAYS) - 0.5, -0.5)  # shared by all panels
    figure.suptitle(networks["network"].iloc[0], x=0.01, ha="left")
    return figure
