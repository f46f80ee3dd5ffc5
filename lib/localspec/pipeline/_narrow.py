"""Figures for narrow screens: the same panels, one below the other."""

from __future__ import annotations

import pickle
import textwrap

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import FixedFormatter, FixedLocator

WIDTH = 4.2  # inches: shrunk to the width of a phone, letters of 8 points have 9 pixels
HIGHEST = 3.6  # inches, of one of several panels
MOST_COLUMNS = 4  # of panels; more of them are small multiples, which stay side by side
CORE = 0.8  # share of a text's box that must be free of others
MANY = 200  # points, from which on they become a picture inside the file
LINE = 48  # characters of a title that fit into a line
TITLE = 9.5  # points


def narrow_figure(figure: Figure) -> Figure | None:
    """Return a copy of a figure with constrained layout for a narrow screen.

    Its panels stand in one column, about as high as before, with legend and colour bar below them;
    titles are broken into lines. None if the panels stand in more than `MOST_COLUMNS` columns, or
    texts would run into each other.
    """
    copy = pickle.loads(pickle.dumps(figure))
    plt.close(copy)  # else a notebook shows it, too
    panels = [axis for axis in copy.axes if axis.get_subplotspec() and axis.get_visible()]
    shapes = {axis.get_subplotspec().get_gridspec().get_geometry() for axis in panels}
    if len(shapes) != 1 or next(iter(shapes))[1] > MOST_COLUMNS:
        return None
    n_rows, n_columns = next(iter(shapes))
    height = figure.get_figheight()
    if n_columns > 1:
        height = min(height / n_rows, HIGHEST) * len(panels)
        _stack(copy, panels)
    for axis in panels:
        axis.set_title(_broken(axis.get_title("left")), loc="left", fontsize=TITLE)
        for points in axis.collections:
            points.set_rasterized(len(points.get_offsets()) > MANY)
        if any(label.get_rotation() for label in axis.get_xticklabels()):
            axis.tick_params("x", labelrotation=90)
    if copy.get_suptitle():
        copy.suptitle(_broken(copy.get_suptitle()), x=0.01, ha="left", fontsize=TITLE)
    if copy.get_supxlabel():  # the legend would lie on it
        panels[-1].set_xlabel(copy.get_supxlabel())
        copy.supxlabel("")
    for legend in list(copy.legends):
        _move_legend(copy, legend)
    for bar in [image.colorbar for axis in panels for image in axis.images if image.colorbar]:
        _move_colour_bar(copy, bar, panels)
    copy.set_size_inches(WIDTH, height)
    copy.draw_without_rendering()
    return None if any(_texts_collide(axis) for axis in panels) else copy


def _broken(text: str) -> str:
    return "\n".join(textwrap.fill(line, LINE) for line in text.split("\n"))


def _stack(figure: Figure, panels: list[Axes]) -> None:
    grid = figure.add_gridspec(len(panels), 1)
    first_of_row: dict[int, Axes] = {}
    for place, axis in enumerate(panels):
        first = first_of_row.setdefault(axis.get_subplotspec().rowspan.start, axis)
        if not axis.get_ylabel():
            axis.set_ylabel(first.get_ylabel())
        axis.tick_params(labelleft=True)
        axis.set_subplotspec(grid[place])


def _texts_collide(axis: Axes) -> bool:
    """Whether texts of a panel that was drawn run into each other."""
    texts = list(axis.texts)
    for side in (axis.xaxis, axis.yaxis):
        if isinstance(side.get_major_formatter(), FixedFormatter):  # numbers make room themselves
            texts += side.get_ticklabels()
    boxes = [text.get_window_extent() for text in texts if text.get_visible() and text.get_text()]
    cores = [box.expanded(CORE, CORE) for box in boxes]
    return any(box.count_overlaps(cores) > 1 for box in cores)


def _move_legend(figure: Figure, legend: Legend) -> None:
    handles, labels = legend.legend_handles, [text.get_text() for text in legend.get_texts()]
    legend.remove()
    figure.legend(handles=handles, labels=labels, loc="outside lower center", ncols=2, fontsize=9)


def _move_colour_bar(figure: Figure, bar: Colorbar, panels: list[Axes]) -> None:
    image, label = bar.mappable, bar.ax.get_ylabel()
    chosen = isinstance(bar.locator, FixedLocator)
    bar.remove()
    figure.colorbar(
        image,
        ax=panels,
        label=label,
        extend=bar.extend,
        location="bottom",
        aspect=40,
        ticks=bar.locator if chosen else None,
        format=bar.formatter if chosen else None,
    )
