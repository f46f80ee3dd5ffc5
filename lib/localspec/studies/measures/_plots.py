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
        cells = table[table["network"] == network].set_index(["measure", "form", "partitioning"])
        depth = np.full((len(rows), len(PARTITIONINGS)), np.nan)
        texts = np.full(depth.shape, "", dtype=object)
        for row, column in np.ndindex(depth.shape):
            cell = cells.loc[(*rows[row], PARTITIONINGS[column])]
            ratio = cell["effect_ratio"]
            is_there = ratio > 1 if cell["favourable"] == "above" else ratio < 1
            if cell["finding"] == UNDEFINED or np.isnan(cell["p"]):
                texts[row, column] = "undefined"
                continue
            depth[row, column] = -np.log10(cell["p"]) if is_there else np.nan
            texts[row, column] = f"{cell['p']:.2g}{MARKS.get(cell['finding'], '')}"
        bold = [[text.endswith(MARKS[FOUND]) for text in line] for line in texts]
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
