"""Give each figure of a published page its caption, a text for those who cannot see it, its files.

Caption and text stand in `book/figures.yml`, by the function that draws the figure. A run writes
each figure as SVG and PDF, with the numbers that it draws as CSV. These files are not published:
below each figure a fold names them and has the command that writes them, with the parameters of the
page, and links to the page's tables.
"""

import json
import re
import shlex
from html import escape
from pathlib import Path

import yaml
from run_stamps import PAGE, read_stamps
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

TEXTS = "book/figures.yml"
DRAWN = re.compile(r"\b(plot_\w+)\(")
WRITTEN = re.compile(
    r'write_figure\(.*?, (?:f?"(?P<name>[^"]+)"|(?P<variable>\w+)), '
    r'profile=(?P<folder>"\w+"|profile)\)',
    re.DOTALL,
)
KINDS = ("svg", "pdf", "csv")


def with_texts(notebook: dict, texts: dict[str, dict[str, str]]) -> dict:
    """Return a notebook whose cells with figures say what these are."""
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", [])
        if not any("image/png" in output.get("data", {}) for output in outputs):
            continue
        functions = DRAWN.findall("".join(cell["source"]))
        if not functions or functions[-1] not in texts:
            raise ExtensionError(f"{TEXTS} has no text for the figure of {functions or cell}")
        text = texts[functions[-1]]
        cell["metadata"]["mystnb"] = {
            **cell["metadata"].get("mystnb", {}),
            "image": {"alt": text["alt"]},
            "figure": {"caption": text["caption"]},
        }
    return notebook


def files_html(source: str, record: dict) -> str:
    """Return the fold below a figure; empty where a cell writes none."""
    written = WRITTEN.search(source)
    if written is None:
        return ""
    name, folder = written["name"], written["folder"].strip('"')
    if name is None:
        name = re.search(rf'{written["variable"]} = f?"([^"]+)"', source)[1]
    name = re.sub(r"{.*?}", "*", name)
    folder = record["profile"] if folder == "profile" else folder
    files = ", ".join(f"<code>{escape(name)}.{kind}</code>" for kind in KINDS)
    page, parameters = record["page"], shlex.quote(json.dumps(record["parameters"]))
    command = f".venv/bin/papermill notebooks/{page}.ipynb {page}.ipynb -y {parameters}"
    links = ", ".join(
        f'<a href="tables/{escape(table)}" download>{escape(table)}</a>'
        for table in sorted(record["tables"])
    )
    tables = f"<p>Tables of this page: {links}.</p>" if links else ""
    return (
        '<details class="figure-files"><summary>SVG, PDF, data and command</summary>'
        f"<p>This command writes {files} (the numbers that are drawn) into "
        f"<code>results/{escape(folder)}/figures/</code>:</p>"
        f"<pre>{escape(command)}</pre>{tables}</details>"
    )


def with_files(notebook: dict, record: dict) -> dict:
    """Return a notebook with a fold below each figure."""
    cells = []
    for cell in notebook["cells"]:
        cells.append(cell)
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            fold = files_html("".join(cell["source"]), record)
            if fold:
                fold_cell = {"cell_type": "markdown", "id": f"files-{len(cells)}", "metadata": {}}
                cells.append({**fold_cell, "source": fold})
    return {**notebook, "cells": cells}


def add_files(app: Sphinx, docname: str, source: list[str]) -> None:
    match = PAGE.fullmatch(docname)
    if match:
        folder = Path(app.env.doc2path(docname)).parent
        record = read_stamps(folder)[match["page"]]
        source[0] = json.dumps(with_files(json.loads(source[0]), record))


def describe_figures(app: Sphinx, docname: str, source: list[str]) -> None:
    if not PAGE.fullmatch(docname):
        return
    path = Path(app.srcdir, TEXTS)
    app.env.note_dependency(str(path))
    texts = yaml.safe_load(path.read_text(encoding="utf-8"))
    source[0] = json.dumps(with_texts(json.loads(source[0]), texts))


def setup(app: Sphinx) -> dict:
    app.connect("source-read", describe_figures)
    app.connect("source-read", add_files, priority=600)  # below figures that were moved, too
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
