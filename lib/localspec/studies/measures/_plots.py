"""Figure of the measures' forms."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from localspec.pipeline import (
    DEEPEST,
    FORMS,
    FOUND,
    ORANGE,
    OTHER_SIDE,
    PARTITIONINGS,
    UNDEFINED,
    annotated_heatmap,
    on_favourable_side,
)

MARKS = {FOUND: "*", OTHER_SIDE: "\N{DAGGER}"}


def plot_forms(table: pd.DataFrame) -> Figure:
    """Draw p of every form of the measures: a panel for each network.

    Forms whose effect speaks against specialization, and undefined ones, have no colour.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`localspec.studies.measures.forms_table`.
    """
    rows = [(name, form) for name, forms in FORMS.items() for form in forms]
    known = table["p"].notna() & (table["finding"] != UNDEFINED)
    depth = -np.log10(table["p"]).where(known & on_favourable_side(table))
    texts = table["p"].map("{:.2g}".format) + table["finding"].map(MARKS).fillna("")
    table = table.assign(depth=depth, text=texts.where(known, "undefined"))
    networks = list(dict.fromkeys(table["network"]))
    figure, axes = plt.subplots(
        1,
        len(networks),
        figsize=(3.1 + 5.2 * len(networks), 4.3),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for axis, network in zip(axes.flat, networks, strict=True):
        part = table[table["network"] == network].set_index(["measure", "form"])
        cells = part.pivot(columns="partitioning", values=["depth", "text"]).loc[rows]
        depth, texts = (cells[name][list(PARTITIONINGS)] for name in ("depth", "text"))
        bold = texts.map(lambda text: text.endswith(MARKS[FOUND]))
        image = annotated_heatmap(axis, depth, texts, limit=DEEPEST, bold=bold, fontsize=9)
        axis.set_xticks(range(len(PARTITIONINGS)), PARTITIONINGS)
        axis.xaxis.tick_top()
        axis.set_title(network, pad=24)
        for row in range(1, len(rows)):
            if rows[row][0] != rows[row - 1][0]:
                axis.axhline(row - 0.5, color=ORANGE, linewidth=1)
    labels = [f"{name.replace('_', ' ')}, {form}" for name, form in rows]
    axes[0, 0].set_yticks(range(len(rows)), labels, fontsize=9)
    figure.colorbar(image, ax=axes, label="-log10 p", shrink=0.7)
    return figure
