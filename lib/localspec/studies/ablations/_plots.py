"""Figure of the ways of lesioning."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from localspec.measures import LESIONED
from localspec.pipeline import BLUE, FOUND, GREEN, ORANGE, OTHER_SIDE, PARTITIONINGS, PINK
from localspec.studies.ablations._ways import MEAN, OPTIMAL, RESAMPLED, WAYS, ZERO

COLOURS = {ZERO: BLUE, MEAN: ORANGE, RESAMPLED: GREEN, OPTIMAL: PINK}
APART = 0.19  # between the marks of the ways


def plot_ablations(table: pd.DataFrame) -> Figure:
    """Draw effects under each way of lesioning: a panel for each network and measure.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.ablations.ablations_table`.
    """
    networks = list(dict.fromkeys(table["network"]))
    figure, axes = plt.subplots(
        len(networks),
        len(LESIONED),
        figsize=(9.5, 0.6 + 3.3 * len(networks)),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for row, column in np.ndindex(axes.shape):
        axis, name = axes[row, column], LESIONED[column]
        chosen = table[(table["network"] == networks[row]) & (table["measure"] == name)]
        axis.axvline(1.0, color="0.3", linestyle="--", linewidth=1)
        for index, way in enumerate(WAYS):
            cells = chosen[chosen["way"] == way].set_index("partitioning").loc[[*PARTITIONINGS]]
            heights = np.arange(len(PARTITIONINGS)) + APART * (index - (len(WAYS) - 1) / 2)
            axis.scatter([], [], color=COLOURS[way], label=way)
            for height, cell in zip(heights, cells.to_dict(orient="records"), strict=True):
                face = COLOURS[way] if cell["finding"] == FOUND else "none"
                axis.scatter(
                    cell["effect_ratio"],
                    height,
                    marker="X" if cell["finding"] == OTHER_SIDE else "o",
                    facecolor=face,
                    edgecolor=COLOURS[way],
                    s=45,
                )
        axis.set_yticks(range(len(PARTITIONINGS)), PARTITIONINGS)
        axis.set_title(f"{networks[row]}, {name.replace('_', ' ')}")
        axis.set_xlabel("effect / its mean under random partitions")
    axes[0, 0].invert_yaxis()
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(WAYS)
    )
    return figure
