"""HTML of reports: one page with its style, script and pictures inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from localspec._utils.formatting import points
from localspec._utils.sprites import SpriteSheet, sprite_sheet
from localspec.screening._evidence import ShownImages, small_pictures
from localspec.screening._groups import Finding, Group
from localspec.screening._svg import histogram_paths, null_paths
from localspec.screening._tables import Count, chance_rate, near_chance
from localspec.statistics import at_most

SIDES = (96, 80, 64, 56, 48, 40, 32, 24)  # pixels of pictures; the largest that fits is taken
MOST_BYTES = 1_800_000  # of all pictures, of which base64 makes a third more
LOSSLESS = 32  # pixels up to which pictures are kept without losses
PER_SHEET = 64
MOST_CLASSES = 6  # bars of a card
MOST_UNITS = 400  # that a card names
N_FIRST = 3  # groups named in the summary

MEASURES = {
    "importance": (
        "important",
        "without it the network loses more accuracy than without random units",
    ),
    "class_coherence": (
        "class-coherent",
        "its loss hits some classes much harder than others",
    ),
    "input_coherence": ("input-coherent", "one image can excite all its units together"),
    "output_coherence": ("output-coherent", "on that image the network is surer of its answer"),
}
VALUES = {  # what a measure's value is
    "importance": "accuracy without it",
    "class_coherence": "range of damage over its mean",
    "input_coherence": "score of its image",
    "output_coherence": "entropy on its image",
}


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("localspec.screening"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "points": points}
    return environment


def number(value: float) -> str:
    """Return three significant digits, two below 0.01; a dash for what is undefined.

    Examples
    --------
    >>> number(0.71251), number(0.0012345), number(float("nan")), number(123456.0)
    ('0.713', '0.0012', '–', '123,456')
    """
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{2 if abs(value) < 0.01 else 3}g}"


def _asset(name: str) -> str:
    path = files("localspec.screening").joinpath("assets", name)
    return path.read_text(encoding="utf-8")


def _sheets(pictures: Sequence[np.ndarray], side: int) -> list[SpriteSheet]:
    """Return pictures of one shape in sheets, made smaller than `side` pixels."""
    sheets = []
    for start in range(0, len(pictures), PER_SHEET):
        part = np.stack(pictures[start : start + PER_SHEET]) / 255
        small = small_pictures(part, side) / 255
        lossless = max(small.shape[2:]) <= LOSSLESS and small.shape[1] == 1
        sheets.append(sprite_sheet(list(small), kind="png" if lossless else "webp"))
    return sheets


def _n_bytes(kinds: Sequence[Sequence[np.ndarray]], side: int) -> float:
    """Return about how many bytes pictures take, by the first sheet of each kind."""
    n_bytes = 0.0
    for pictures in kinds:
        for sheet in _sheets(pictures[:PER_SHEET], side):
            n_bytes += len(sheet.file) * max(1, len(pictures) / PER_SHEET)
    return n_bytes


class _Pictures:
    """All pictures of a page: sheets by the name of their class, and the place of each picture."""

    def __init__(self, groups: Sequence[Group], shown: ShownImages | None, most_bytes: int) -> None:
        made = [
            picture
            for group in groups
            for picture in (group.picture, group.random_picture)
            if picture.size
        ]
        self.has_made = bool(made)
        named = dict.fromkeys(int(index) for group in groups for index in group.exciting)
        self.order = {index: place for place, index in enumerate(named)}
        images = []
        if shown is not None and shown.pictures.size:
            rows = {int(index): row for row, index in enumerate(shown.indices)}
            images = [shown.pictures[rows[index]] for index in named]
        self.has_images = bool(images)
        side = next(
            (side for side in SIDES if _n_bytes((made, images), side) <= most_bytes), SIDES[-1]
        )
        self.sheets = {"m": _sheets(made, side), "i": _sheets(images, side)}

    def _place(self, kind: str, index: int) -> dict[str, Any]:
        sheet, position = divmod(index, PER_SHEET)
        row, column = self.sheets[kind][sheet].position(position)
        return {"sheet": f"{kind}{sheet}", "row": row, "column": column}

    def made(self, rank: int, which: int) -> dict[str, Any]:
        """Return the place of a group's picture (0), or of its random counterpart's (1)."""
        return self._place("m", 2 * rank + which)

    def image(self, index: int) -> dict[str, Any]:
        """Return the place of an image of the data."""
        return self._place("i", self.order[index])

    def by_class(self) -> dict[str, SpriteSheet]:
        """Return the sheets by the names of their classes."""
        return {
            f"{kind}{index}": sheet
            for kind, sheets in self.sheets.items()
            for index, sheet in enumerate(sheets)
        }


def _measure_rows(findings: Mapping[str, Finding]) -> list[dict[str, Any]]:
    return [
        {
            "name": name.replace("_", " "),
            "value": VALUES[name],
            "finding": finding,
            "paths": null_paths(finding.value, finding.draws, finding.side),
        }
        for name, finding in findings.items()
    ]


def _bars(
    group: Group, class_names: Sequence[str], class_sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the accuracies lost by the classes that change most, the largest loss first."""
    if not group.lost.size:
        return []
    largest = np.argsort(-np.abs(group.lost), kind="stable")[:MOST_CLASSES]
    longest = max(0.01, float(np.abs(group.lost).max()), float(group.random_lost.max()))
    return [
        {
            "name": class_names[label],
            "n_images": class_sizes[label],
            "lost": float(group.lost[label]),
            "length": f"{100 * abs(group.lost[label]) / longest:.3g}",
            "random": f"{max(0.0, 100 * group.random_lost[label] / longest):.3g}",
            "gained": bool(group.lost[label] < 0),
        }
        for label in sorted(largest.tolist(), key=lambda label: -group.lost[label])
    ]


def _card(group: Group, pictures: _Pictures, page: Mapping[str, Any]) -> dict[str, Any]:
    shown, names = page["shown"], page["about"]["class_names"]
    by_label = dict(zip(page["about"]["labels"], names, strict=True))
    sizes = page["about"]["class_sizes"]
    labels = {}
    if shown is not None:
        labels = dict(zip(shown.indices.tolist(), shown.labels.tolist(), strict=True))
    return {
        "group": group,
        "title": f"{group.layer}, cluster {group.cluster}",
        "badges": [MEASURES[name][0] for name in group.stands_out_in],
        "measures": _measure_rows(group.findings),
        "made": [pictures.made(group.rank, which) for which in (0, 1)] if pictures.has_made else [],
        "exciting": [
            {
                "index": index,
                "name": by_label.get(labels.get(index), ""),
                "place": pictures.image(index) if pictures.has_images else None,
            }
            for index in group.exciting.tolist()
        ],
        "bars": _bars(group, names, sizes),
        "histogram": histogram_paths(group.counts, group.random_counts),
        "sort_keys": _sort_keys(group),
        "units": group.units[:MOST_UNITS].tolist(),
    }


def _sort_keys(group: Group) -> dict[str, str]:
    """Return what cards are sorted by: numbers as text, empty where undefined."""
    keys = {"rank": str(group.rank), "size": str(len(group.units))}
    for name, finding in group.findings.items():
        key = name.replace("_", "-")
        keys[key] = "" if math.isnan(finding.p_value) else f"{finding.p_value:.9g}"
    return keys


def why(group: Group) -> str:
    """Say in one sentence in what a group stands out, and by how much.

    Of a group that stands out in nothing: that it does not.
    """
    said = []
    for name in group.stands_out_in:
        finding = group.findings[name]
        value, random = number(finding.value), number(finding.random_mean)
        said.append(
            {
                "importance": (
                    f"accuracy is {value} without it, {random} on average without random units"
                ),
                "class_coherence": (
                    f"its damage ranges over {value} times its mean, that of random units over "
                    f"{random} times"
                ),
                "input_coherence": (
                    f"its image scores {value}, that of random units {random} on average"
                ),
                "output_coherence": (
                    f"the entropy on its image is {value} nats, on those of random units {random}"
                ),
            }[name]
        )
    if not said:
        return "Stands out in nothing."
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}."


def _summary(
    groups: Sequence[Group], counts: Sequence[Count], page: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the summary of a page or of a notebook says."""
    about, tests = page["about"], page["tests"]
    settings, level = about["settings"], page["level"]
    longest = max(max(count.n_extreme, count.by_chance) for count in counts)
    tiles = [
        {
            "count": count,
            "word": MEASURES[count.measure][0],
            "meaning": MEASURES[count.measure][1],
            "length": f"{100 * count.n_extreme / max(longest, 1):.3g}",
            "chance": f"{100 * count.by_chance / max(longest, 1):.3g}",
        }
        for count in counts
    ]
    rows = []
    for name in settings["partitionings"]:
        part = tests[tests["partitioning"] == name].set_index("measure")["permutation_p"]
        cells = [float(part[measure]) for measure in settings["measures"]]
        rows.append({"name": name, "cells": cells, "low": at_most(cells, level).tolist()})
    whole = [low for row in rows for low in row["low"]]
    sizes = about["class_sizes"]
    n_groups = counts[0].n_groups
    return {
        "about": about,
        "settings": settings,
        "baseline": page["baseline"],
        "near_chance": near_chance(page["baseline"], about["chance"]),
        "level": level,
        "lowest_p": page["lowest_p"],
        "test_floor": 1 / (settings["n_draws"] + 1),
        "fewest_images": min(sizes),
        "most_images": max(sizes),
        "nothing_left": not any(whole) and not any(count.n_adjusted for count in counts),
        "undecidable": not at_most(page["lowest_p"], level),
        "rule": page["rule"],
        "n_groups": n_groups,
        "n_tests": n_groups * len(counts),
        "tiles": tiles,
        "rows": rows,
        "n_whole": len(whole),
        "n_whole_low": sum(whole),
        "whole_by_chance": len(whole) * chance_rate(level, settings["n_draws"], "conservative"),
        "measure_names": [name.replace("_", " ") for name in settings["measures"]],
        "first": [
            {
                "rank": group.rank,
                "title": f"{group.layer}, cluster {group.cluster}",
                "partitioning": group.partitioning,
                "n_units": len(group.units),
                "why": why(group),
                "badges": [MEASURES[name][0] for name in group.stands_out_in],
            }
            for group in groups[:N_FIRST]
            if group.stands_out_in
        ],
    }


def report_html(
    groups: Sequence[Group],
    counts: Sequence[Count],
    page: Mapping[str, Any],
    *,
    most_bytes: int = MOST_BYTES,
) -> str:
    """Return a report as a whole HTML page.

    Parameters
    ----------
    groups : sequence of Group
        In the order of the table.
    counts : sequence of Count
        One a measure.
    page : mapping
        What the report says beside its groups.
    most_bytes : int, optional
        Of all pictures: of more groups they are smaller.

    Returns
    -------
    str
        With its own style, script and pictures: nothing is loaded from anywhere. Without scripts
        all cards are there.
    """
    pictures = _Pictures(groups, page["shown"], most_bytes)
    return (
        _templates()
        .get_template("report.html.jinja")
        .render(
            summary=_summary(groups, counts, page),
            style=_asset("report.css"),
            script=_asset("report.js"),
            sheets=pictures.by_class(),
            cards=[_card(group, pictures, page) for group in groups],
            partitionings=list(dict.fromkeys(group.partitioning for group in groups)),
            layers=[name for name, _ in page["about"]["layers"]],
            sorts=[("rank", "those that stand out most"), ("size", "number of units")]
            + [
                (count.measure.replace("_", "-"), f"p of {count.measure}".replace("_", " "))
                for count in counts
            ],
            why=why,
        )
    )


def summary_html(groups: Sequence[Group], counts: Sequence[Count], page: Mapping[str, Any]) -> str:
    """Return the summary and a table of groups, for notebooks."""
    return (
        _templates()
        .get_template("notebook.html.jinja")
        .render(
            summary=_summary(groups, counts, page),
            style=_asset("report.css"),
            groups=groups,
            why=why,
        )
    )
