"""Verification of published tables: parts of pages computed anew here, every number compared.

A part is a page's notebook for one network and one seed. It starts from the published network where
there is one and from an empty store. Its tables are compared with those rows of the published ones
that speak of this network and seed.
"""

from __future__ import annotations

import datetime
import json
import math
import platform
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click
import pandas as pd

from localspec._utils.files import project_root
from localspec._utils.hardware import machine
from localspec.cli._files import (
    UNREADABLE,
    as_json,
    inside,
    load_named_profile,
    shown,
    write_if_changed,
)
from localspec.cli._jobs import State
from localspec.cli._page import run_page
from localspec.cli._stamp import commit, versions
from localspec.exceptions import InvalidInputError
from localspec.pipeline import Profile

DIGITS = 4  # of a published number
OF_A_NETWORK = ["network", "seed"]  # columns by which the rows of a part are known


def digits_agreed(published: str, computed: str) -> int:
    """Return to how many significant digits two printed values agree; texts agree or do not.

    Examples
    --------
    >>> digits_agreed("0.9723", "0.9723"), digits_agreed("0.9723", "0.9726")
    (4, 3)
    >>> digits_agreed("significant", "mixed")
    0
    """
    if published == computed:
        return DIGITS
    try:
        first, second = float(published), float(computed)
    except ValueError:
        return 0
    if first == second:  # 0 and -0, or 10000 and 1e+04
        return DIGITS
    if not math.isfinite(first) or not math.isfinite(second):
        return 0
    difference = abs(first - second) / max(abs(first), abs(second))
    return max(0, min(DIGITS - 1, math.floor(-math.log10(difference))))


def compare(published: pd.DataFrame, computed: pd.DataFrame) -> dict[str, int]:
    """Compare two tables of texts cell by cell; those of other rows or columns agree in none.

    ``agree`` counts cells that are the same as printed; ``digits``: the fewest to which one agrees.
    """
    n_cells = published.size
    if list(published) != list(computed) or len(published) != len(computed):
        return {"cells": n_cells, "agree": 0, "digits": 0}
    digits = [
        digits_agreed(before, now)
        for before, now in zip(published.to_numpy().flat, computed.to_numpy().flat, strict=True)
    ]
    agree = sum(number == DIGITS for number in digits)
    return {"cells": n_cells, "agree": agree, "digits": min(digits, default=DIGITS)}


def read_table(path: Path) -> pd.DataFrame:
    """Read a table as the texts that it holds."""
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise click.ClickException(
            f"{shown(path)} cannot be read ({why}): restore it with git"
        ) from error


def parts(record: Mapping, tables: Path) -> list[tuple[str, int]]:
    """Return the networks and seeds that a published page has rows of."""
    named: dict[tuple[str, int], None] = {}
    for name in record["tables"]:
        table = read_table(tables / name)
        if {*OF_A_NETWORK} <= {*table}:
            rows = zip(table["network"], table["seed"], strict=True)
            named |= dict.fromkeys((name, int(seed)) for name, seed in rows if seed.isdecimal())
    return list(named)


def recompute(
    profile: Profile, record: Mapping, published: Path, part: tuple[str, int] | None
) -> list[dict]:
    """Compute a page, or a network and a seed of it, in an empty folder; return a row a table."""
    page, parameters = record["page"], dict(record["parameters"])
    state = State(page)
    if part is not None:
        parameters |= {"networks": [part[0]], "seeds": [part[1]]}
    tables = {name: read_table(published / name) for name in sorted(record["tables"])}
    rows = []
    with tempfile.TemporaryDirectory(prefix="localspec-") as folder:
        try:
            run_page(profile, page, Path(folder), state, parameters=parameters)
        except click.ClickException as error:  # without the path of a notebook that is deleted here
            if not state.line:
                raise
            raise click.ClickException(f"{page}: {state.line}") from error
        for name, before in tables.items():
            path = Path(folder, profile.name, "tables", name)
            # a table that the page no longer writes agrees in no cell
            now = read_table(path) if path.exists() else before.iloc[:0]
            about = {"page": page, "network": "all", "seed": "all"}
            if part is not None:
                if not {*OF_A_NETWORK} <= {*before}:
                    continue  # it speaks of all networks together
                about |= {"network": part[0], "seed": part[1]}
                if {*OF_A_NETWORK} <= {*now}:
                    before, now = rows_of(before, part), rows_of(now, part)
            rows.append(about | {"table": name} | compare(before, now))
    return rows


def rows_of(table: pd.DataFrame, part: tuple[str, int]) -> pd.DataFrame:
    """Return the rows of a table that speak of a network and a seed."""
    wanted = pd.Series({"network": part[0], "seed": str(part[1])})
    return table[(table[OF_A_NETWORK] == wanted).all(axis=1)]


def stamps_of(profile: str, folder: Path) -> dict[str, dict]:
    """Return the stamps of a published profile."""
    path = folder / "stamps.json"
    if not path.is_file():
        raise click.ClickException(
            f"no page of {profile} is published ({shown(path)} is missing): "
            f"make run PROFILE={profile}, then make publish PROFILE={profile}"
        )
    try:
        stamps = json.loads(path.read_text(encoding="utf-8"))["pages"]
        for record in stamps.values():
            _ = [record[key] for key in ("page", "parameters", "tables")]
        return stamps
    except UNREADABLE as error:
        raise click.ClickException(f"{shown(path)} cannot be read: restore it") from error


def chosen_parts(
    stamps: Mapping[str, Mapping], tables: Path, n: int, seed: int
) -> list[tuple[str, tuple[str, int]]]:
    """Draw parts of pages at random, without repetition."""
    every = [(page, part) for page, record in stamps.items() for part in parts(record, tables)]
    if not every:
        raise InvalidInputError("no table of these pages has rows of single networks: use --page")
    return random.Random(seed).sample(every, min(n, len(every)))


@click.command()
@click.argument("profile", default="digits")
@click.option("--page", help="All of this page, in place of a sample.")
@click.option(
    "--parts",
    "n_parts",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many parts to draw: a page for one network and one seed each.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--record", is_flag=True, help="Write what was found to book/runs/PROFILE/verified.")
def verify(profile: str, page: str | None, n_parts: int, seed: int, record: bool) -> None:
    """Recompute a random sample of the published numbers of PROFILE (digits) on this machine.

    Networks that are published are not trained again. The command ends with status 1 if a number is
    not the published one.
    """
    loaded = load_named_profile(profile)
    folder = project_root() / "book" / "runs" / loaded.name
    stamps = stamps_of(profile, folder)
    if page is not None and page not in stamps:
        raise click.ClickException(
            f"{page} of {profile} is not published; choose one of {', '.join(stamps)}"
        )
    if page is not None and not stamps[page]["tables"]:
        raise click.ClickException(f"{page} of {profile} has no table: choose another page")
    chosen = [(page, None)] if page else chosen_parts(stamps, folder / "tables", n_parts, seed)
    rows = []
    for name, part in chosen:
        rows += recompute(loaded, stamps[name], folder / "tables", part)
    table = pd.DataFrame(rows)
    click.echo(table.to_string(index=False))
    if record:
        path = write_record(folder, table)
        click.echo(f"recorded in {shown(path)}: commit it to say that you have reproduced this")
    if (table["agree"] < table["cells"]).any():
        raise SystemExit(1)


def write_record(folder: Path, table: pd.DataFrame) -> Path:
    """Write what was found, on which machine, when and with which versions; return the path."""
    now = datetime.datetime.now(datetime.UTC)
    content = {
        "commit": commit(),
        "compared": table.to_dict(orient="records"),
        "date": now.strftime("%Y-%m-%d"),
        "machine": machine(),
        "packages": versions(),
        "python": platform.python_version(),
    }
    path = inside(folder, "verified", f"{now:%Y%m%d-%H%M%S}.json")
    write_if_changed(path, as_json(content))
    return path
