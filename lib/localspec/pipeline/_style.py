"""Style of all figures: colours, heat maps, and p-values against the uniform distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from localspec.pipeline._replicate import Replicate

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"
PINK, SKY = "#CC79A7", "#56B4E9"
DEEPEST = 4.0  # -log10 p at which the colour of a heat map is full
MIN_NUMBERED = 0.08  # share of the widest layer from which on a bar is wide enough for its number


def use_style() -> None:
    """Use the project's style of figures from now on, and show long texts in tables whole."""
    pd.set_option("display.max_colwidth", None)
    plt.style.use(str(files("localspec.pipeline").joinpath("localspec.mplstyle")))


def name_networks(figure: Figure, replicates: Sequence[Replicate]) -> None:
    """Write the names of the networks above a figure, on the left."""
    names = list(dict.fromkeys(replicate.network for replicate in replicates))
    figure.suptitle(", ".join(names), x=0.01, ha="left")


def annotated_heatmap(
    axis: Axes,
    values: ArrayLike,
    texts: ArrayLike,
    *,
    limit: float,
    diverging: bool = False,
    linear_up_to: float | None = None,
    bold: ArrayLike | None = None,
    fontsize: float | None = None,
) -> AxesImage:
    """Draw a matrix as coloured cells, with a text in each that stands out from the colour.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    values : array_like of float, shape (n_rows, n_columns)
        NaN leaves a cell without colour.
    texts : array_like of str, shape (n_rows, n_columns)
        Empty where a cell has none.
    limit : float
        Value with the deepest colour.
    diverging : bool, optional
        Colours from red at ``-limit`` over white at 0 to blue; otherwise from white at 0 to blue.
    linear_up_to : float, optional
        Value from which on colours deepen with the logarithm of what they stand for; by default
        they are linear everywhere.
    bold : array_like of bool, shape (n_rows, n_columns), optional
        Whose texts are bold.
    fontsize : float, optional
        By default that of the style.

    Returns
    -------
    matplotlib.image.AxesImage
        For a colour bar.
    """
    values, texts = np.asarray(values, dtype=float), np.asarray(texts)
    bold = np.zeros(values.shape, dtype=bool) if bold is None else np.asarray(bold)
    colours = "RdBu" if diverging else "Blues"
    lowest = -limit if diverging else 0
    norm = Normalize(lowest, limit)
    if linear_up_to is not None:
        norm = SymLogNorm(linear_up_to, linscale=0.5, vmin=lowest, vmax=limit)
    image = axis.imshow(values, cmap=colours, norm=norm, aspect="auto")
    depth = np.abs(norm(values) - norm(0)) / (norm(limit) - norm(0))
    is_dark = np.ma.filled(depth, 0) > (0.6 if diverging else 0.55)
    for row, column in np.argwhere(texts != ""):
        axis.text(
            column,
            row,
            texts[row, column],
            ha="center",
            va="center",
            fontsize=fontsize,
            weight="bold" if bold[row, column] else "normal",
            color="white" if is_dark[row, column] else "black",
        )
    axis.grid(False)
    return image


def plot_against_uniform(
    axis: Axes,
    p_values: Mapping[str, np.ndarray],
    *,
    colours: Mapping[str, str] | None = None,
    linewidth: float = 1.6,
    diagonal: str = GREY,
    lowest: float = 0.0,
) -> None:
    """Draw sorted p-values against what uniform ones would be: one curve for each sample.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    p_values : mapping of str to numpy.ndarray
        The p-values of each sample, which is named in a legend; NaN comes last, without a point.
    colours : mapping of str to str, optional
        Of each sample's curve; by default those of the style in turn.
    linewidth : float, optional
        Of the curves, in points.
    diagonal : str, optional
        Colour of the line on which uniform p-values lie.
    lowest : float, optional
        Where that line begins; above 0 for logarithmic axes.
    """
    axis.plot([lowest, 1], [lowest, 1], color=diagonal, linewidth=1, linestyle="--")
    for name, sample in p_values.items():
        ordered = np.sort(sample, axis=None)
        expected = (np.arange(len(ordered)) + 0.5) / len(ordered)
        colour = None if colours is None else colours[name]
        axis.plot(expected, ordered, color=colour, linewidth=linewidth, label=name)
