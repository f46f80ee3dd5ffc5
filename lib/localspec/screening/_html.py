"""HTML of reports: one page with its style, script and pictures inside."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from localspec._utils.cards import LEAST_LONGEST_BAR, asset, class_bars, templates
from localspec._utils.formatting import number, sort_key
from localspec._utils.sprites import SpriteSheet, sprite_sheet
from localspec.screening._evidence import ShownImages, small_pictures
from localspec.screening._groups import Finding, Group, ScreenedGroup
from localspec.screening._svg import histogram_paths, null_paths
from localspec.screening._tables import Count, chance_rate, near_chance
from localspec.statistics import at_most

ROOM = "localspec.screening"
TEMPLATES = templates(ROOM)
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


def _pictures(
    groups: Sequence[ScreenedGroup], shown: ShownImages | None, most_bytes: int
) -> tuple[dict[str, SpriteSheet], dict[Hashable, dict]]:
    """Return the sheets of a page by the names of their classes, and the places of its pictures.

    Of a group: by its rank and 0, or 1 for its random counterpart; of an image: by its index.
    """
    made = {
        (group.rank, which): picture
        for group in groups
        for which, picture in enumerate((group.picture, group.random_picture))
        if picture.size
    }
    images = {}
    if shown is not None and shown.pictures.size:
        by_index = dict(zip(shown.indices.tolist(), shown.pictures, strict=True))
        images = {index: by_index[index] for group in groups for index in group.exciting.tolist()}
    kinds = {"m": made, "i": images}
    pictures = [list(of_kind.values()) for of_kind in kinds.values()]
    side = next((side for side in SIDES if _n_bytes(pictures, side) <= most_bytes), SIDES[-1])
    sheets, places = {}, {}
    for kind, of_kind in kinds.items():
        for index, sheet in enumerate(_sheets(list(of_kind.values()), side)):
            name = f"{kind}{index}"
            sheets[name] = sheet
            places |= sheet.places(name, list(of_kind)[index * PER_SHEET :][:PER_SHEET])
    return sheets, places


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
    group: ScreenedGroup, class_names: Sequence[str], class_sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Return the accuracies lost by the classes that change most, the largest loss first."""
    lost, random_lost = group.lost, group.random_lost
    longest = max(np.abs(lost).max(initial=LEAST_LONGEST_BAR), random_lost.max(initial=0.0))
    bars = class_bars(lost, random_lost, class_names, longest=longest, n_shown=MOST_CLASSES)
    return [
        bar | {"n_images": class_sizes[bar["label"]]}
        for bar in sorted(bars, key=lambda bar: -bar["lost"])
    ]


def _card(
    group: ScreenedGroup, places: Mapping[Hashable, dict], page: Mapping[str, Any]
) -> dict[str, Any]:
    shown, names = page["shown"], page["about"]["class_names"]
    by_label = dict(zip(page["about"]["labels"], names, strict=True))
    sizes = page["about"]["class_sizes"]
    labels = {}
    if shown is not None:
        labels = dict(zip(shown.indices.tolist(), shown.labels.tolist(), strict=True))
    return {
        "group": group,
        "badges": _badges(group),
        "measures": _measure_rows(group.findings),
        "made": [places.get((group.rank, which)) for which in (0, 1)],
        "exciting": [
            {
                "index": index,
                "name": by_label.get(labels.get(index), ""),
                "place": places.get(index),
            }
            for index in group.exciting.tolist()
        ],
        "bars": _bars(group, names, sizes),
        "histogram": histogram_paths(group.counts, group.random_counts),
        "sort_keys": _sort_keys(group),
        "units": group.units[:MOST_UNITS].tolist(),
    }


def _badges(group: Group) -> list[str]:
    return [MEASURES[name][0] for name in group.stands_out_in]


def _sort_keys(group: ScreenedGroup) -> dict[str, str]:
    """Return what cards are sorted by: numbers as text, empty where undefined."""
    keys = {"rank": str(group.rank), "size": str(group.n_units)}
    for name, finding in group.findings.items():
        keys[name.replace("_", "-")] = sort_key(finding.p_value)
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
    groups: Sequence[ScreenedGroup], counts: Sequence[Count], page: Mapping[str, Any]
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
            {"group": group, "why": why(group), "badges": _badges(group)}
            for group in groups[:N_FIRST]
            if group.stands_out_in
        ],
    }


def report_html(
    groups: Sequence[ScreenedGroup],
    counts: Sequence[Count],
    page: Mapping[str, Any],
    *,
    most_bytes: int = MOST_BYTES,
) -> str:
    """Return a report as a whole HTML page, groups in the order of the table, a count a measure.

    `page` is what the report says beside its groups. Pictures take at most `most_bytes`: of more
    groups they are smaller. Style, script and pictures are inside: nothing is loaded from anywhere.
    Without scripts all cards are there.
    """
    sheets, places = _pictures(groups, page["shown"], most_bytes)
    sorts = [("rank", "those that stand out most"), ("size", "number of units")]
    for count in counts:
        sorts.append((count.measure.replace("_", "-"), f"p of {count.measure}".replace("_", " ")))
    return TEMPLATES.get_template("report.html.jinja").render(
        summary=_summary(groups, counts, page),
        style=asset(ROOM, "report.css"),
        script=asset(ROOM, "report.js"),
        sheets=sheets,
        cards=[_card(group, places, page) for group in groups],
        partitionings=list(dict.fromkeys(group.partitioning for group in groups)),
        layers=[name for name, _ in page["about"]["layers"]],
        sorts=sorts,
        why=why,
    )


def summary_html(
    groups: Sequence[ScreenedGroup], counts: Sequence[Count], page: Mapping[str, Any]
) -> str:
    """Return the summary and a table of groups, for notebooks."""
    return TEMPLATES.get_template("notebook.html.jinja").render(
        summary=_summary(groups, counts, page),
        style=asset(ROOM, "report.css"),
        groups=groups,
        why=why,
    )
