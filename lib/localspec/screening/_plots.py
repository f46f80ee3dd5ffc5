"""Figures of reports."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from localspec.screening._groups import Finding, Group

OUT, OWN, RANDOM = "#b34700", "#0b5cad", "0.7"


def _draw(axis, position: float, finding: Finding) -> None:
    """Draw one value over its random counterparts, upwards."""
    defined = finding.draws[~np.isnan(finding.draws)]
    axis.scatter(np.full(len(defined), position), defined, s=5, color=RANDOM)
    colour = OUT if finding.stands_out else OWN
    axis.scatter([position], [finding.value], s=24, color=colour, zorder=3)


def plot_measure(groups: Sequence[Group], measure: str) -> Figure:
    """Draw one measure of every group, an axis for each partitioning."""
    names = list(dict.fromkeys(group.partitioning for group in groups))
    figure, axes = plt.subplots(
        max(1, len(names)),
        1,
        figsize=(8, 2.2 * max(1, len(names))),
        layout="constrained",
        squeeze=False,
        sharey=True,
    )
    label = measure.replace("_", " ")
    for axis, name in zip(axes[:, 0], names, strict=False):
        own = [group for group in groups if group.partitioning == name]
        for position, group in enumerate(own):
            _draw(axis, position, group.findings[measure])
        out = sum(group.findings[measure].stands_out for group in own)
        side = own[0].findings[measure].side
        axis.set_title(f"{name}: {out} of {len(own)} stand out", fontsize=9)
        axis.set_ylabel(f"{label}\n({side} is extreme)", fontsize=8)
        axis.set_xticks([])
    axes[-1, 0].set_xlabel("groups, those that stand out most first; grey: random groups")
    plt.close(figure)  # else a notebook shows it twice: as drawn, and as returned
    return figure


def plot_group(group: Group) -> Figure:
    """Draw the measures of one group against its random counterparts, and its pictures."""
    pictures = [
        (title, picture)
        for title, picture in (("this group", group.picture), ("random", group.random_picture))
        if picture.size
    ]
    n_rows = max(2, len(group.findings))  # two: a picture in each
    figure = plt.figure(figsize=(8, 1.1 * n_rows), layout="constrained")
    grid = figure.add_gridspec(n_rows, 2, width_ratios=[3, 1])
    for row, (name, finding) in enumerate(group.findings.items()):
        axis = figure.add_subplot(grid[row, 0])
        defined = finding.draws[~np.isnan(finding.draws)]
        axis.scatter(defined, np.zeros(len(defined)), s=10, color=RANDOM)
        axis.scatter([finding.value], [0], s=40, color=OUT if finding.stands_out else OWN, zorder=3)
        axis.set_yticks([])
        title = f"{name.replace('_', ' ')}: p {finding.p_value:.2g}, {finding.side} is extreme"
        axis.set_title(title, fontsize=9)
        axis.tick_params(labelsize=8)
    height = n_rows // 2
    for index, (title, picture) in enumerate(pictures):
        axis = figure.add_subplot(grid[index * height : (index + 1) * height, 1])
        pixels = picture.transpose(1, 2, 0)
        axis.imshow(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels, cmap="gray")
        axis.set_axis_off()
        axis.set_title(title, fontsize=9)
    figure.suptitle(f"{group.title} ({group.n_units} units, {group.partitioning})", fontsize=10)
    plt.close(figure)
    return figure
