"""Put measured numbers into a page: from the tables of `benchmarks/tables`, when the book is built.

In a sentence, one number of one row (table, what its row holds, a format of its columns):

    {measured}`grid_times | cores=100, part=the full grid | {days:.3g}`

A table of several rows, with the same three parts as options, the cells separated by ``|``:

    ```{measured-table} grid
    :where: step=lesions
    :head: Network | Core hours
    :cells: {network} | {core_hours:.3g}
    ```

A build fails where a table, a column, a row or a number is missing, or a sentence's row is not the
only one.
"""

import csv
import math
from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective, SphinxRole

TABLES = "benchmarks/tables"


class MeasuredError(ExtensionError):
    """A page asks for a number that was not measured."""

    category = "Measured numbers"


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def read_rows(path: Path, where: str = "") -> list[dict[str, float | str]]:
    """Return the rows of a table whose columns have the values that `where` lists.

    `where` is a text such as ``"network=MLP, step=lesions"``; numbers are compared as text.
    """
    if not path.is_file():
        raise MeasuredError(f"{path} is missing: run the benchmark that writes it")
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for condition in filter(None, (part.strip() for part in where.split(","))):
        name, _, wanted = condition.partition("=")
        unknown = [row for row in rows if name not in row]
        if unknown:
            raise MeasuredError(f"{path} has no column {name!r}")
        rows = [row for row in rows if row[name] == wanted]
    if not rows:
        raise MeasuredError(f"{path} has no row where {where!r}")
    return [{name: _value(text) for name, text in row.items()} for row in rows]


def filled(path: Path, pattern: str, row: dict[str, float | str]) -> str:
    """Return a format with a row's values in it."""
    try:
        text = pattern.format_map(row)
    except (KeyError, ValueError) as error:
        raise MeasuredError(f"{path}: {pattern!r} cannot be filled ({error!r})") from error
    names = [name for name in row if f"{{{name}" in pattern]
    missing = [name for name in names if row[name] == "" or row[name] is None]
    missing += [name for name in names if isinstance(row[name], float) and math.isnan(row[name])]
    if missing:
        raise MeasuredError(f"{path}: {', '.join(missing)} is missing where {pattern!r} needs it")
    return text


def sentence_part(tables: Path, text: str) -> tuple[Path, str]:
    """Return the table that a role names, and what stands in its place."""
    parts = [part.strip() for part in text.split("|")]
    if len(parts) != 3:
        raise MeasuredError(f"{text!r} must be `table | conditions | format`")
    path = tables / f"{parts[0]}.csv"
    rows = read_rows(path, parts[1])
    if len(rows) != 1:
        raise MeasuredError(f"{path} has {len(rows)} rows where {parts[1]!r}, not one")
    return path, filled(path, parts[2], rows[0])


class Measured(SphinxRole):
    """A number in a sentence."""

    def run(self) -> tuple[list[nodes.Node], list]:
        path, text = sentence_part(Path(self.env.srcdir, TABLES), self.text)
        self.env.note_dependency(str(path))
        return [nodes.Text(text)], []


class MeasuredTable(SphinxDirective):
    """A table of measured numbers; it scrolls in its own box."""

    required_arguments = 1
    option_spec = {  # noqa: RUF012 (docutils wants a plain attribute)
        "where": directives.unchanged,
        "head": directives.unchanged_required,
        "cells": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir, TABLES, f"{self.arguments[0]}.csv")
        self.env.note_dependency(str(path))
        head = [part.strip() for part in self.options["head"].split("|")]
        cells = [part.strip() for part in self.options["cells"].split("|")]
        if len(head) != len(cells):
            raise MeasuredError(f"{path}: {len(head)} titles for {len(cells)} columns")
        lines = ["".join(f"<th scope='col'>{escape(title)}</th>" for title in head)]
        for row in read_rows(path, self.options.get("where", "")):
            texts = [escape(filled(path, cell, row)) for cell in cells]
            lines.append("".join(f"<td>{text}</td>" for text in texts))
        first, *others = (f"<tr>{line}</tr>" for line in lines)
        html = (
            '<div class="measured"><table class="table">'
            f"<thead>{first}</thead><tbody>{''.join(others)}</tbody></table></div>"
        )
        return [nodes.raw("", html, format="html")]


def setup(app: Sphinx) -> dict:
    app.add_role("measured", Measured())
    app.add_directive("measured-table", MeasuredTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
