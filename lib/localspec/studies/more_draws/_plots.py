"""The figure of the page of more draws."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from localspec.measures import MEASURES
from localspec.pipeline import BLUE, GREEN, GREY, ORANGE
from localspec.statistics import p_floor
from localspec.studies.more_draws._tables import BOTH, FIRST_ONLY, MORE_ONLY, NEITHER

STYLES = {  # verdict -> colour, marker, size, what the legend says
    NEITHER: (GREY, "o", 22, "not significant"),
    BOTH: (BLUE, "s", 34, "significant either way"),
    MORE_ONLY: (ORANGE, "D", 38, "only with more draws"),
    FIRST_ONLY: (GREEN, "^", 42, "only with the first draws"),
}
DECADES = (0.001, 0.01, 0.1, 1.0)


def plot_first_against_sequential_p(table: pd.DataFrame, *, n_draws: int, max_draws: int) -> Figure:
    """Draw p from the first draws against sequential p, a panel a measure, on log axes.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.more_draws.more_draws_table`.
    n_draws : int
        First draws.
    max_draws : int
        Draws after which a subcluster is given up.
    """
    figure, axes = plt.subplots(
        2, 2, figsize=(6.2, 6.6), sharex=True, sharey=True, layout="constrained"
    )
    floor, lowest = p_floor(n_draws), p_floor(max_draws)
    across, up = (0.3 * floor, 1.5), (0.6 * min(lowest, floor), 1.5)
    rng = np.random.default_rng(0)
    for axis, name in zip(axes.flat, MEASURES, strict=True):
        part = table[table["measure"] == name]
        axis.axvspan(across[0], floor, color=ORANGE, alpha=0.08, linewidth=0)
        axis.axvline(floor, color=ORANGE, linewidth=1.2)
        axis.axhline(lowest, color=GREY, linewidth=1, linestyle=":")
        axis.plot(across, across, color=GREY, linewidth=1, linestyle="--")
        aside = np.exp(rng.uniform(-0.13, 0.13, len(part)))
        for verdict, (colour, marker, size, label) in STYLES.items():
            chosen = (part["significant"] == verdict).to_numpy()
            x, y = part["p_first"].to_numpy() * aside, part["p_sequential"].to_numpy()
            style = {"color": colour, "marker": marker, "s": size, "alpha": 0.75, "zorder": 3}
            if (table["significant"] == verdict).any():
                axis.scatter(x[chosen], y[chosen], linewidth=0, label=label, **style)
        axis.set_title(f"{name.replace('_', ' ').capitalize()} ({len(part)})")
    axes[0, 0].set(xscale="log", yscale="log", xlim=across, ylim=up)
    for axis in axes.flat:
        for scale, ticks in ((axis.xaxis, (floor / 2, 0.1, 1.0)), (axis.yaxis, DECADES)):
            scale.set_major_locator(FixedLocator(ticks))
            scale.set_minor_locator(NullLocator())
            scale.set_major_formatter(StrMethodFormatter("{x:.3g}"))
    note = {"color": ORANGE, "ha": "right", "va": "top", "rotation": 90}
    axes[0, 0].text(floor * 0.95, 1.3, f"1/{n_draws + 1}", **note)
    figure.supxlabel(f"p from {n_draws} draws")
    figure.supylabel(f"p from up to {max_draws} draws, stopped when decided")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure
