"""The figure of the page on forks."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from localspec.pipeline import BLUE, GREY, ORANGE, SIGNIFICANT


def plot_changes_of_p(tests: pd.DataFrame) -> Figure:
    """Draw how every reading moves the p-values of each network: one row a reading.

    Parameters
    ----------
    tests : pandas.DataFrame
        From :func:`localspec.studies.forks.fork_test_table`.
    """
    groups = [(name, part) for name, part in tests.groupby("network", sort=False)]
    n_readings = [len(part[["option", "reading"]].drop_duplicates()) for _, part in groups]
    figure, axes = plt.subplots(
        len(groups),
        1,
        figsize=(9.5, 0.27 * sum(n_readings) + 0.7 * len(groups) + 0.8),
        height_ratios=[n + 1.5 for n in n_readings],
        sharex=True,
        layout="constrained",
        squeeze=False,
    )
    rng = np.random.default_rng(0)
    for axis, (name, part) in zip(axes[:, 0], groups, strict=True):
        labels = []
        for row, ((option, reading), of_reading) in enumerate(
            part.groupby(["option", "reading"], sort=False)
        ):
            change = (of_reading["p"] - of_reading["p_plain"]).to_numpy()
            flipped = (
                of_reading["verdict"].eq(SIGNIFICANT) != of_reading["verdict_plain"].eq(SIGNIFICANT)
            ).to_numpy()
            heights = row + rng.uniform(-0.18, 0.18, len(change))
            axis.scatter(change[~flipped], heights[~flipped], s=14, color=BLUE, alpha=0.7)
            axis.scatter(change[flipped], heights[flipped], s=32, color=ORANGE, zorder=3)
            labels.append(f"{option}: {reading}")
        axis.axvline(0, color=GREY, linewidth=1, linestyle="--")
        axis.set_yticks(range(len(labels)), labels, fontsize=9)
        axis.invert_yaxis()
        axis.set_title(name)
    axes[-1, 0].set_xlabel("p under this reading, less p under the plain one")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=BLUE, label="a test, verdict unchanged"),
        Line2D([], [], marker="o", linestyle="", color=ORANGE, label="verdict changed"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure
