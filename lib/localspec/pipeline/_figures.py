"""Figures: as they are shown on a page, so they are written to disk, with the numbers drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedFormatter, FuncFormatter

from localspec._utils.files import record, write_atomically
from localspec.pipeline._narrow import narrow_figure
from localspec.pipeline._tables import format_table, job_folder, page_folder

MAX_CELLS = 20_000  # of a picture or a matrix whose values are listed
COLUMNS = ["panel", "title", "kind", "label", "x", "y", "value"]


def write_figure(figure: Figure, name: str, *, profile: str) -> None:
    """Write a figure and its data to ``<results>/<profile>/figures``.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        The files are ``<name>.svg``, ``<name>.pdf`` and ``<name>.csv``; where the panels can stand
        in one column, ``<name>-narrow.svg`` is for narrow screens.
    profile : str

    Raises
    ------
    ArtifactError
        If a file cannot be written.

    Notes
    -----
    The same figure gives the same bytes: without a date, and with identifiers made from its name.
    A job of a single network writes none, and closes the figure, so that the notebook shows none.
    """
    if job_folder() is not None:
        plt.close(figure)
        return
    folder = page_folder(profile) / "figures"
    content = format_table(drawn_data(figure)).to_csv(index=False)
    # letters stay letters: smaller files, which can be searched and edited
    with plt.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        _write(folder / f"{name}.svg", lambda part: _save(figure, part, "svg", "Date"))
        _write(folder / f"{name}.pdf", lambda part: _save(figure, part, "pdf", "CreationDate"))
        narrow = narrow_figure(figure)
        if narrow is not None:
            path = folder / f"{name}-narrow.svg"
            _write(path, lambda part: _save(narrow, part, "svg", "Date"))
    _write(folder / f"{name}.csv", lambda part: part.write_text(content, encoding="utf-8"))


def _save(figure: Figure, path: Path, kind: str, date: str) -> None:
    figure.savefig(path, format=kind, metadata={date: None})


def _write(path: Path, write: Callable[[Path], object]) -> None:
    write_atomically(path, write)
    record(figure=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def drawn_data(figure: Figure) -> pd.DataFrame:
    """Return the numbers that a figure draws.

    Parameters
    ----------
    figure : matplotlib.figure.Figure

    Returns
    -------
    pandas.DataFrame
        One row a point, cell, bar or named tick. ``panel`` counts the axes and ``title`` is
        theirs; ``kind`` is line, points, segments, bar, cell, x tick or y tick; ``label`` is that
        of the legend or the tick; ``x`` and ``y`` are positions in the units of the axes (of a bar,
        its far corner; of a cell, its column and row); ``value`` is a cell's value, or the number
        that colours a point. A matrix of more than `MAX_CELLS` cells is not listed.

    Examples
    --------
    >>> figure, axis = plt.subplots()
    >>> _ = axis.plot([0, 1], [2.0, 3.0], label="ours")
    >>> drawn_data(figure)[["kind", "label", "x", "y"]].query("kind == 'line'").values.tolist()
    [['line', 'ours', 0.0, 2.0], ['line', 'ours', 1.0, 3.0]]
    >>> plt.close(figure)
    """
    rows = []
    for panel, axis in enumerate(figure.axes):
        title = " ".join(axis.get_title(loc) for loc in ("left", "center", "right")).strip()
        for kind, label, x, y, value in _rows_of(axis):
            row = {"panel": panel, "title": title, "kind": kind, "label": label}
            rows.append(row | {"x": float(x), "y": float(y), "value": float(value)})
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows_of(axis: Axes) -> Iterator[tuple]:
    for artist in axis.get_children():
        if artist is not axis.patch and artist.get_visible():
            label = str(artist.get_label())
            label = "" if label.startswith("_") else label  # matplotlib's own names
            for kind, x, y, value in _points_of(artist):
                yield kind, label, x, y, value
    for name, side in (("x tick", axis.xaxis), ("y tick", axis.yaxis)):
        formatter, positions = side.get_major_formatter(), side.get_ticklocs()
        if not isinstance(formatter, FixedFormatter | FuncFormatter):
            continue  # numbers, which the positions are
        for position, text in zip(positions, formatter.format_ticks(positions), strict=True):
            at = (position, np.nan) if side is axis.xaxis else (np.nan, position)
            yield name, text, at[0], at[1], np.nan


def _points_of(artist: Artist) -> Iterator[tuple]:
    if isinstance(artist, Line2D):
        for x, y in zip(artist.get_xdata(), artist.get_ydata(), strict=True):
            yield "line", x, y, np.nan
    elif isinstance(artist, PathCollection):
        offsets = np.ma.getdata(artist.get_offsets())
        values = artist.get_array()
        values = np.full(len(offsets), np.nan) if values is None else np.ma.getdata(values)
        for (x, y), value in zip(offsets, values, strict=True):
            yield "points", x, y, value
    elif isinstance(artist, LineCollection):
        for segment in artist.get_segments():
            for x, y in segment:
                yield "segments", x, y, np.nan
    elif isinstance(artist, AxesImage):
        values = np.ma.filled(np.ma.asarray(artist.get_array(), dtype=float), np.nan)
        if values.ndim == 2 and values.size <= MAX_CELLS:
            for (row, column), value in np.ndenumerate(values):
                yield "cell", column, row, value
    elif isinstance(artist, Rectangle):
        yield (
            "bar",
            artist.get_x() + artist.get_width(),
            artist.get_y() + artist.get_height(),
            np.nan,
        )
