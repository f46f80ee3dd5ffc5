"""One card for each subcluster of a gallery, as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from localspec.comparison import RTOL
from localspec.measures import MEASURES
from localspec.studies.gallery._records import Gallery, GalleryRecord
from localspec.studies.gallery._sprites import SpriteSheet, sprite_sheet
from localspec.tables import format_number

NOTABLE = 0.05  # p-values up to here are bold
MEASURE_HEAD = "".join(
    f'<span class="lsg-dim" aria-hidden="true">{text}</span>'
    for text in ("", "p", "effect", "value", "random")
)
MAX_CLASSES = 20  # bars of one card; of more classes, those with the largest changes


@dataclass(frozen=True)
class Shared:
    """What all cards of a gallery share.

    Attributes
    ----------
    gallery : Gallery
    made, tests : SpriteSheet or None
        Visualizations and test images, where there are any.
    made_place, test_place : mapping
        Places in those sheets: by a record's name, of its own visualization (that of its random
        counterpart is the next one); by the index of a test image.
    largest_loss : float
        What the longest bar stands for, at least 0.01.
    """

    gallery: Gallery
    made: SpriteSheet | None
    tests: SpriteSheet | None
    made_place: Mapping[str, int]
    test_place: Mapping[int, int]
    largest_loss: float

    @property
    def sheets(self) -> dict[str, SpriteSheet]:
        """Sheets that there are, by the class of their sprites."""
        both = {"lsg-made": self.made, "lsg-test": self.tests}
        return {name: sheet for name, sheet in both.items() if sheet is not None}


def share(gallery: Gallery) -> Shared:
    """Make the sheets of a gallery's images and find the scale of its bars.

    Parameters
    ----------
    gallery : Gallery

    Returns
    -------
    Shared
    """
    seen = [record for record in gallery.records if record.image is not None]
    made = [image for record in seen for image in (record.image, record.random_image)]
    lost = [
        float(np.abs(part).max())
        for record in gallery.records
        for part in (record.accuracy_lost, record.accuracy_lost_random)
        if part is not None
    ]
    return Shared(
        gallery,
        sprite_sheet(made) if made else None,
        sprite_sheet(list(gallery.test_images.values())) if gallery.test_images else None,
        {record.anchor: 2 * place for place, record in enumerate(seen)},
        {index: place for place, index in enumerate(gallery.test_images)},
        max([0.01, *lost]),
    )


def sort_keys(record: GalleryRecord) -> dict[str, str]:
    """Return what a record can be sorted by: numbers as text, empty where undefined.

    Examples
    --------
    Nine digits: values that differ by rounding stay in the order of the list.

    >>> from localspec.studies.gallery._records import Finding
    >>> found = {"importance": Finding(0.5, 0.6, 1 / 40, float("nan"))}
    >>> record = GalleryRecord(
    ...     "a", "mlp", "weights/local", "dense1", 0, np.arange(3), found, *[None] * 4,
    ...     *[float("nan")] * 2, np.arange(0), np.arange(0.0)
    ... )
    >>> keys = sort_keys(record)
    >>> keys["units"], keys["importance-p"], keys["importance-effect"]
    ('3', '0.025', '')
    """
    keys = {"units": str(record.n_units)}
    for name in MEASURES:
        found = record.findings.get(name)
        for part, value in (
            ("p", found.p_value if found else math.nan),
            ("effect", found.effect if found else math.nan),
        ):
            key = f"{name.replace('_', '-')}-{part}"
            keys[key] = "" if math.isnan(value) else f"{value:.9g}"
    return keys


def attributes(values: Mapping[str, object]) -> str:
    """Return the attributes of an element, escaped."""
    return " ".join(f'{name}="{escape(str(value))}"' for name, value in values.items())


def _number(value: float) -> str:
    """Return a number with three significant digits (the table has four), two below 0.01."""
    if math.isnan(value):
        return '<abbr title="undefined">\u2013</abbr>'
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.{2 if abs(value) < 0.01 else 3}g}"


def _sprite(sheet: SpriteSheet, name: str, index: int, text: str) -> str:
    row, column = sheet.position(index)
    return (
        f'<span class="lsg-sprite {name}" role="img" aria-label="{escape(text)}" '
        f'title="{escape(text)}" style="--x:{column};--y:{row}"></span>'
    )


def _measure_cell(name: str, record: GalleryRecord) -> str:
    found = record.findings.get(name)
    words = name.replace("_", " ")
    head = MEASURE_HEAD if name == MEASURES[0] else ""
    if found is None:
        content = f"<span>{words}</span><span>of another network</span>"
        return f'<td class="lsg-measure" role="cell">{head}{content}</td>'
    p = _number(found.p_value)
    p = f"<strong>{p}</strong>" if found.p_value <= NOTABLE * (1 + RTOL) else p
    numbers = {
        "p": p,
        "effect": _number(found.effect),
        "value": _number(found.value),
        "random": _number(found.random_mean),
    }
    spans = "".join(
        f'<span><span class="lsg-heard">{what} </span>{number}</span>'
        for what, number in numbers.items()
    )
    return f'<td class="lsg-measure" role="cell">{head}<span>{words}</span>{spans}</td>'


def _made_cell(record: GalleryRecord, shared: Shared) -> str:
    if shared.made is None or record.image is None:
        return '<td class="lsg-images" role="cell"></td>'
    place = shared.made_place[record.anchor]
    items = (
        f"<li>{_sprite(shared.made, 'lsg-made', index, f'image that excites {units}')}"
        f"<b>{name}</b>{_number(score)}</li>"
        for index, name, units, score in (
            (place, "this", "this subcluster", record.score),
            (place + 1, "random", "as many random units", record.random_score),
        )
    )
    return (
        '<td class="lsg-images" role="cell"><span class="lsg-dim">visualizations and their scores'
        f'</span><ul class="lsg-strip">{"".join(items)}</ul></td>'
    )


def _exciting_cell(record: GalleryRecord, shared: Shared) -> str:
    items = []
    for index, score in zip(record.exciting, record.exciting_scores, strict=True):
        class_name = shared.gallery.class_names[shared.gallery.labels[int(index)]]
        if shared.tests is None:
            items.append(f'<li class="lsg-text">{index} ({escape(class_name)})</li>')
            continue
        text = f"test image {index}, class {class_name}, score {format_number(float(score))}"
        sprite = _sprite(shared.tests, "lsg-test", shared.test_place[int(index)], text)
        items.append(f"<li>{sprite}<b>{escape(class_name)}</b></li>")
    return (
        '<td class="lsg-images" role="cell"><span class="lsg-dim">test images that excite it '
        f'most</span><ol class="lsg-strip">{"".join(items)}</ol></td>'
    )


def _points(lost: float) -> str:
    """Return an accuracy lost in points, with one decimal and without a negative zero."""
    return f"{round(100 * lost, 1) + 0.0:.1f}".replace("-", "\u2212")


def _damage_cell(record: GalleryRecord, shared: Shared) -> str:
    lost, random = record.accuracy_lost, record.accuracy_lost_random
    if lost is None or random is None:
        return '<td class="lsg-dim" role="cell"></td>'
    shown = np.sort(np.argsort(-np.abs(lost), kind="stable")[:MAX_CLASSES])
    items = []
    for index in shown:
        bar, tick = (100 * loss / shared.largest_loss for loss in (lost[index], random[index]))
        gained = ' class="lsg-gained"' if bar < 0 else ""
        name = escape(shared.gallery.class_names[index])
        items.append(
            f'<li{gained} style="--lost-by:{abs(bar):.3g};--random:{max(tick, 0.0):.3g}">'
            f'<span title="{name}">{name}</span><i></i><b>{_points(lost[index])}</b></li>'
        )
    some = f", {len(shown)} of {len(lost)}" if len(shown) < len(lost) else ""
    return (
        f'<td role="cell"><span class="lsg-dim">accuracy lost by class, in points{some}</span>'
        f'<ul class="lsg-damage">{"".join(items)}</ul></td>'
    )


def card(record: GalleryRecord, shared: Shared, order: int) -> str:
    """Return the card of a record, the `order`-th of its gallery, as the row of a table."""
    words = [record.network, record.partitioning, record.layer, f"cluster {record.cluster}"]
    named = {
        "role": "row",
        "id": record.anchor,
        "data-partitioning": record.partitioning,
        "data-order": order,
        "data-layer": record.layer,
        "data-text": " ".join([*words, record.anchor]),
        **{f"data-{key}": value for key, value in sort_keys(record).items()},
    }
    units = " ".join(map(str, record.units))
    cells = [
        f'<th scope="row" role="rowheader"><a href="#{escape(record.anchor)}">'
        f"{escape(record.layer)}, cluster {record.cluster}</a> "
        f'<span class="lsg-dim">{escape(record.partitioning)}</span></th>',
        f'<td class="lsg-size" role="cell">{record.n_units} units</td>',
        *(_measure_cell(name, record) for name in MEASURES),
        _made_cell(record, shared),
        _exciting_cell(record, shared),
        _damage_cell(record, shared),
        '<td class="lsg-units" role="cell"><details><summary>which units</summary>'
        f"<p>{units}</p></details></td>",
    ]
    return f"<tr {attributes(named)}>{''.join(cells)}</tr>"
