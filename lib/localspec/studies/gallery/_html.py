"""The gallery as one piece of HTML that holds all it needs: style, script and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

import pandas as pd

from localspec.errors import InvalidInputError
from localspec.measures import MEASURES
from localspec.studies.gallery._cards import attributes, card, share
from localspec.studies.gallery._records import Gallery
from localspec.studies.gallery._sprites import SpriteSheet
from localspec.tables import format_number

WIDTHS = (24, 48, 176)  # of an image in pixels of the screen: least, at first, largest
STEP = 0.25  # of their ratio to pixels of the image
FIRST_DIRECTION = {"p": "ascending", "effect": "descending"}
LEGEND = (
    "Random: mean of the random counterparts. Bold: p at most 0.05, not adjusted for the number of "
    "tests. Bars: accuracy lost, in another colour where it rose; thin marks: means of the random "
    "counterparts."
)


def _button(text: str, key: str, first: str, label: str) -> str:
    values = {"type": "button", "data-key": key, "data-first": first, "aria-pressed": "false"}
    return f"<button {attributes({**values, 'aria-label': label})}>{text}</button>"


def _head() -> str:
    def header(content: str, kind: str = "") -> str:
        return f'<th scope="col" role="columnheader"{kind}>{content}</th>'

    sortable = ' aria-sort="none"'
    cells = [
        header("subcluster " + _button("in order", "order", "ascending", "list order"), sortable),
        header(
            "size " + _button("units", "units", "descending", "sort by number of units"), sortable
        ),
    ]
    for name in MEASURES:
        words = name.replace("_", " ")
        buttons = (
            _button(part, f"{name.replace('_', '-')}-{part}", first, f"sort by {part} of {words}")
            for part, first in FIRST_DIRECTION.items()
        )
        cells.append(header(f"{words} {' '.join(buttons)}", sortable))
    unsorted = ("visualizations", "exciting test images", "accuracy lost by class", "units")
    cells += [header(text, ' class="lsg-unsorted"') for text in unsorted]
    return f'<thead role="rowgroup"><tr role="row">{"".join(cells)}</tr></thead>'


def _tools(gallery: Gallery, scales: tuple[float, float, float] | None) -> str:
    def choice(label: str, name: str, values: Sequence[str]) -> str:
        options = "".join(f"<option>{escape(value)}</option>" for value in values)
        return (
            f'<label>{label}<select data-filter="{name}"><option value="">all</option>{options}'
            "</select></label>"
        )

    partitionings = list(dict.fromkeys(record.partitioning for record in gallery.records))
    layers = list(dict.fromkeys(record.layer for record in gallery.records))
    size = ""
    if scales is not None:
        low, start, high = scales
        size = (
            f'<label>size of images<input type="range" min="{low}" max="{high}" step="{STEP}" '
            f'value="{start}" autocomplete="off"></label>'
        )
    return (
        '<div class="lsg-tools" role="group" aria-label="filter the subclusters">'
        f"{choice('partitioning', 'partitioning', partitionings)}"
        f"{choice('layer', 'layer', layers)}"
        '<label>text<input type="search" data-filter="text" placeholder="dense2 cluster 3" '
        f'autocomplete="off"></label>{size}<button type="button" data-clear>show all</button>'
        '<output aria-live="polite"></output></div>'
    )


def _scales(sheets: Mapping[str, SpriteSheet]) -> tuple[float, float, float] | None:
    """Return how many pixels of the screen one of an image has: least, at first, largest."""
    if not sheets:
        return None
    width = max(sheet.width for sheet in sheets.values())
    low, start, high = (max(1, round(size / width / STEP)) * STEP for size in WIDTHS)
    return low, start, high


def _style(sheets: Mapping[str, SpriteSheet]) -> str:
    rules = [
        f".lsg .{name}{{--w:{sheet.width};--h:{sheet.height};--rows:{sheet.n_rows};"
        f"--columns:{sheet.n_columns};background-image:url({sheet.data_uri})}}"
        for name, sheet in sheets.items()
    ]
    return f"<style>{_asset('gallery.css')}{''.join(rules)}</style>"


def _asset(name: str) -> str:
    return files("localspec.studies.gallery").joinpath("assets", name).read_text(encoding="utf-8")


def gallery_html(gallery: Gallery) -> str:
    """Return the gallery as HTML: a card for every subcluster, to filter and to sort.

    Parameters
    ----------
    gallery : Gallery

    Returns
    -------
    str
        A fragment for the body of a page, with its own style, script and images: nothing is
        loaded from anywhere. Without scripts all cards are there, in the order of the records.

    Raises
    ------
    InvalidInputError
        If no subcluster was tested.

    Notes
    -----
    A table by its roles, so that screen readers can tell columns and their order; shown as cards.
    Images are losslessly compressed sheets of eight bits a channel. One gallery a page: names of
    cards are not unique among several.
    """
    if not gallery.records:
        raise InvalidInputError(
            f"no subcluster of {gallery.name} was tested: ask for other n_clusters"
        )
    shared = share(gallery)
    scales = _scales(shared.sheets)
    scale = "" if scales is None else f' style="--scale:{scales[1]}"'
    rows = (card(record, shared, order) for order, record in enumerate(gallery.records))
    return (
        f'{_style(shared.sheets)}<div class="lsg"{scale}>{_tools(gallery, scales)}'
        f'<p class="lsg-legend">{LEGEND} The longest bar: {100 * shared.largest_loss:.0f} '
        "points.</p>"
        '<table role="table"><caption>Tested subclusters of '
        f"{escape(gallery.name)}</caption>{_head()}"
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table></div>'
        f"<script>{_asset('gallery.js')}</script>"
    )


def linked_table(table: pd.DataFrame) -> str:
    """Return a table as HTML whose names of cards lead to the cards on the same page.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`~localspec.studies.gallery.gallery_table` makes it, with numbers or text in its
        cells.
    """
    shown = table.map(lambda value: escape(str(format_number(value))))
    shown["id"] = [f'<a href="#{name}">{name}</a>' for name in shown["id"]]
    content = shown.to_html(index=False, escape=False, border=0)
    return f'<div style="overflow-x:auto">{content}</div>'
