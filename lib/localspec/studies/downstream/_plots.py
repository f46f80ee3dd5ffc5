"""Figure of clusters by what units do to the logits beside those of weights and activations."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from localspec.clustering import SCOPES
from localspec.measures import MEASURES
from localspec.pipeline import BLUE, FOUND, GREEN, ORANGE, OTHER_SIDE
from localspec.studies.downstream._replicates import ACTIVATIONS, DOWNSTREAM, GRAPHS, WEIGHTS

COLOURS = {WEIGHTS: BLUE, ACTIVATIONS: GREEN, DOWNSTREAM: ORANGE}


def plot_downstream(effects: pd.DataFrame) -> Figure:
    """Draw the effects of each measure by graph and scope: a panel for each measure.

    Parameters
    ----------
    effects : pandas.DataFrame
        From :func:`localspec.studies.downstream.downstream_effects_table`, of one network.
    """
    figure, axes = plt.subplots(2, 2, figsize=(9, 5.8), layout="constrained", sharey=True)
    places = list(itertools.product(SCOPES, GRAPHS))
    heights = np.array([0, 1, 2, 3.6, 4.6, 5.6])  # a gap between the scopes
    for axis, name in zip(axes.flat, MEASURES, strict=True):
        axis.axvline(1.0, color="0.3", linestyle="--", linewidth=1)
        rows = effects[effects["measure"] == name].set_index(["scope", "graph"])
        for height, (scope, graph) in zip(heights, places, strict=True):
            row, colour = rows.loc[(scope, graph)], COLOURS[graph]
            axis.plot([1.0, row["effect_ratio"]], [height, height], color=colour, linewidth=1.5)
            axis.scatter(
                row["effect_ratio"],
                height,
                marker="X" if row["finding"] == OTHER_SIDE else "o",
                facecolor=colour if row["finding"] == FOUND else "white",
                edgecolor=colour,
                linewidth=1.5,
                s=80,
                zorder=3,
            )
        side = "left" if rows["favourable"].iloc[0] == "below" else "right"
        axis.set_title(f"{name.replace('_', ' ')} (specialized: {side} of 1)")
        axis.locator_params(axis="x", nbins=5)
        axis.set_xlabel("effect / its mean under random partitions")
    axes[0, 0].set_yticks(heights, [f"{graph}, {scope}" for scope, graph in places])
    axes[0, 0].set_ylim(heights[-1] + 0.6, -0.6)  # shared by all panels
    figure.suptitle(effects["network"].iloc[0], x=0.01, ha="left")
    return figure
