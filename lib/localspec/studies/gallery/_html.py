"""HTML of a gallery: write one piece with its style, script and images inside."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from importlib.resources import files

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from localspec._utils.formatting import points
from localspec._utils.sprites import SpriteSheet, sprite_sheet
from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import format_number
from localspec.statistics import at_most
from localspec.studies.gallery._records import Gallery, GalleryRecord

NOTABLE = 0.05  # p-values up to here are bold
MAX_CLASSES = 20  # bars of one card; of more classes, those with the largest changes
LEAST_LONGEST_BAR = 0.01  # accuracy that the longest bar stands for, at least
# width of an image in pixels of the screen
LEAST_WIDTH = 24
INITIAL_WIDTH = 48
LARGEST_WIDTH = 176
SCALE_STEP = 0.25  # of the ratio of pixels of the screen to pixels of the image

TEMPLATES = Environment(
    loader=PackageLoader("localspec.studies.gallery"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class _Sprites:
    """Images in one sheet, and the place of each.

    Parameters
    ----------
    images : mapping of key to numpy.ndarray, shape (n_channels, height, width)
        Without images there is no sheet.
    """

    def __init__(self, images: Mapping[object, np.ndarray]):
        self.sheet: SpriteSheet | None = sprite_sheet(list(images.values())) if images else None
        self._indices = {key: index for index, key in enumerate(images)}

    def place(self, key: object) -> dict[str, int]:
        """Return the row and column of an image; nothing without a sheet."""
        if self.sheet is None:
            return {}
        row, column = self.sheet.position(self._indices[key])
        return {"row": row, "column": column}


def _visualization_sprites(gallery: Gallery) -> _Sprites:
    images = {}
    for record in gallery.records:
        images[record.anchor, "this"] = record.image
        images[record.anchor, "random"] = record.random_image
    return _Sprites(images)


def _number(value: float) -> str:
    """Return three significant digits (the table has four), two below 0.01; empty for NaN."""
    if math.isnan(value):
        return ""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.{2 if abs(value) < 0.01 else 3}g}"


def _sort_keys(record: GalleryRecord) -> dict[str, str]:
    """Return what a record can be sorted by: numbers as text, empty where undefined.

    Nine digits: values that differ by rounding stay in the order of the list.
    """
    keys = {"units": str(record.n_units)}
    for name in MEASURES:
        finding = record.findings[name]
        for part, value in (("p", finding.p_value), ("effect", finding.effect)):
            key = f"{name.replace('_', '-')}-{part}"
            keys[key] = "" if math.isnan(value) else f"{value:.9g}"
    return keys


def _measures(record: GalleryRecord) -> dict[str, dict]:
    """Return the numbers of every measure as text."""
    return {
        name: {
            "p": _number(record.findings[name].p_value),
            "notable": bool(at_most(record.findings[name].p_value, NOTABLE)),
            "effect": _number(record.findings[name].effect),
            "value": _number(record.findings[name].value),
            "random": _number(record.findings[name].random_mean),
        }
        for name in MEASURES
    }


def _visualizations(record: GalleryRecord, sprites: _Sprites) -> list[dict]:
    """Return the images of a subcluster and of its random counterpart."""
    return [
        {
            "name": "this",
            "units": "this subcluster",
            "score": _number(record.score),
            "place": sprites.place((record.anchor, "this")),
        },
        {
            "name": "random",
            "units": "as many random units",
            "score": _number(record.random_score),
            "place": sprites.place((record.anchor, "random")),
        },
    ]


def _exciting(record: GalleryRecord, gallery: Gallery, sprites: _Sprites) -> list[dict]:
    """Return the test images that excite a subcluster most."""
    return [
        {
            "index": index,
            "class_name": gallery.class_names[gallery.labels[index]],
            "score": format_number(score),
            "place": sprites.place(index),
        }
        for index, score in zip(
            record.exciting.tolist(), record.exciting_scores.tolist(), strict=True
        )
    ]


def _bars(record: GalleryRecord, class_names: tuple[str, ...], longest_bar: float) -> list[dict]:
    """Return the accuracies lost by the classes that change most, in the order of the classes."""
    lost, lost_random = record.accuracy_lost, record.accuracy_lost_random
    largest_first = np.argsort(-np.abs(lost), kind="stable")
    bars = []
    for label in np.sort(largest_first[:MAX_CLASSES]):
        length = 100 * lost[label] / longest_bar
        random = 100 * lost_random[label] / longest_bar
        bars.append(
            {
                "class_name": class_names[label],
                "points": points(lost[label]),
                "length": f"{abs(length):.3g}",
                "random": f"{max(random, 0.0):.3g}",
                "gained": length < 0,
            }
        )
    return bars


def _longest_bar(gallery: Gallery) -> float:
    """Return the accuracy that the longest bar stands for."""
    lost = [(record.accuracy_lost, record.accuracy_lost_random) for record in gallery.records]
    return max(LEAST_LONGEST_BAR, float(np.abs(lost).max()))


def _scales(sheets: Iterable[SpriteSheet]) -> dict[str, float]:
    """Return how many pixels of the screen one of an image has."""
    width = max(sheet.width for sheet in sheets)

    def scale(size: int) -> float:
        return max(1, round(size / width / SCALE_STEP)) * SCALE_STEP

    return {
        "least": scale(LEAST_WIDTH),
        "initial": scale(INITIAL_WIDTH),
        "largest": scale(LARGEST_WIDTH),
        "step": SCALE_STEP,
    }


def _asset(name: str) -> str:
    path = files("localspec.studies.gallery").joinpath("assets", name)
    return path.read_text(encoding="utf-8")


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
    visualizations = _visualization_sprites(gallery)
    test_images = _Sprites(gallery.test_images)
    sprites = {"lsg-made": visualizations, "lsg-test": test_images}
    sheets = {name: part.sheet for name, part in sprites.items() if part.sheet is not None}
    longest_bar = _longest_bar(gallery)
    cards = [
        {
            "record": record,
            "order": order,
            "sort_keys": _sort_keys(record),
            "measures": _measures(record),
            "visualizations": _visualizations(record, visualizations),
            "exciting": _exciting(record, gallery, test_images),
            "bars": _bars(record, gallery.class_names, longest_bar),
        }
        for order, record in enumerate(gallery.records)
    ]
    return TEMPLATES.get_template("gallery.html.jinja").render(
        name=gallery.name,
        style=_asset("gallery.css"),
        script=_asset("gallery.js"),
        sheets=sheets,
        scales=_scales(sheets.values()),
        partitionings=list(dict.fromkeys(record.partitioning for record in gallery.records)),
        layers=list(dict.fromkeys(record.layer for record in gallery.records)),
        notable=NOTABLE,
        longest_bar=f"{100 * longest_bar:.0f}",
        measures=MEASURES,
        cards=cards,
    )


def linked_table(table: pd.DataFrame) -> str:
    """Return a table as HTML whose names of cards lead to the cards on the same page.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`~localspec.studies.gallery.gallery_table` makes it, with numbers or text in its
        cells.

    Returns
    -------
    str
    """
    rows = table.map(format_number).to_dict("records")
    return TEMPLATES.get_template("table.html.jinja").render(columns=list(table), rows=rows)
