"""HTML of a gallery: write one piece with its style, script and images inside."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
import pandas as pd

from localspec._utils.cards import LEAST_LONGEST_BAR, asset, class_bars, templates
from localspec._utils.formatting import sort_key
from localspec._utils.sprites import SpriteSheet, sprite_sheet
from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import format_number
from localspec.studies.gallery._records import NOTABLE, Gallery, GalleryRecord

MAX_CLASSES = 20  # bars of one card; of more classes, those with the largest changes
WIDTHS = {"least": 24, "initial": 48, "largest": 176}  # of an image in pixels of the screen
SCALE_STEP = 0.25  # of the ratio of pixels of the screen to pixels of the image

ROOM = "localspec.studies.gallery"
TEMPLATES = templates(ROOM)


def _sheets(gallery: Gallery) -> tuple[dict[str, SpriteSheet], dict[Hashable, dict]]:
    """Return the sheets by the names of their classes, and the places of their images.

    Of a record: by its anchor and 0, or 1 for its random counterpart; of an image: by its index.
    """
    made = {
        (record.anchor, which): picture
        for record in gallery.records
        for which, picture in enumerate((record.picture, record.random_picture))
    }
    sheets, places = {}, {}
    for name, images in (("lsg-made", made), ("lsg-test", gallery.test_images)):
        if images:
            sheets[name] = sprite_sheet(list(images.values()))
            places |= sheets[name].places(name, images)
    return sheets, places


def _sort_keys(record: GalleryRecord) -> dict[str, str]:
    """Return what a record can be sorted by: numbers as text, empty where undefined."""
    keys = {"units": str(record.n_units)}
    for name in MEASURES:
        finding, key = record.findings[name], name.replace("_", "-")
        keys[f"{key}-p"] = sort_key(finding.p_value)
        keys[f"{key}-effect"] = sort_key(finding.effect)
    return keys


def _exciting(
    record: GalleryRecord, gallery: Gallery, places: Mapping[Hashable, dict]
) -> list[dict]:
    """Return the test images that excite a subcluster most."""
    return [
        {
            "index": index,
            "class_name": gallery.class_names[gallery.labels[index]],
            "score": format_number(score),
            "place": places.get(index),
        }
        for index, score in zip(
            record.exciting.tolist(), record.exciting_scores.tolist(), strict=True
        )
    ]


def _scales(sheets: Iterable[SpriteSheet]) -> dict[str, float]:
    """Return how many pixels of the screen one of an image has."""
    width = max(sheet.width for sheet in sheets)
    steps = {name: max(1, round(size / width / SCALE_STEP)) for name, size in WIDTHS.items()}
    return {"step": SCALE_STEP} | {name: n * SCALE_STEP for name, n in steps.items()}


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
    sheets, places = _sheets(gallery)
    lost = [(record.lost, record.random_lost) for record in gallery.records]
    longest_bar = float(np.abs(lost).max(initial=LEAST_LONGEST_BAR))
    cards = [
        {
            "record": record,
            "order": order,
            "sort_keys": _sort_keys(record),
            "made": [places[record.anchor, which] for which in (0, 1)],
            "exciting": _exciting(record, gallery, places),
            "bars": class_bars(
                record.lost,
                record.random_lost,
                gallery.class_names,
                longest=longest_bar,
                n_shown=MAX_CLASSES,
            ),
        }
        for order, record in enumerate(gallery.records)
    ]
    return TEMPLATES.get_template("gallery.html.jinja").render(
        name=gallery.name,
        style=asset(ROOM, "gallery.css"),
        script=asset(ROOM, "gallery.js"),
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
