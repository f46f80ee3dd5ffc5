"""Give each figure of a published page its caption, a text for those who cannot see it, its files.

Caption and text stand in `book/figures.yml`, by the function that draws the figure. A run writes
each figure as SVG and PDF, with the numbers that it draws as CSV, and for narrow screens as a
second SVG. `localspec publish` puts all but the PDF beside the page's tables. Below each figure are
links to what is published, and a fold with the command that writes all files, with the parameters
of the page. Narrow screens are shown the second SVG.
"""

import base64
import hashlib
import json
import re
import shlex
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
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
PUBLISHED = (("svg", "SVG"), ("csv", "data (CSV)"), ("csv.gz", "data (CSV, gzip)"))
NARROW = "(max-width: 600px)"
IMAGE = re.compile(r'<img [^>]*src="[^"]*/(?P<name>[0-9a-f]{64}\.png)"[^>]*/?>')


def images_of(cell: dict) -> list[dict]:
    """Return the outputs of a cell that are pictures."""
    return [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]


def with_texts(notebook: dict, texts: dict[str, dict[str, str]]) -> dict:
    """Return a notebook whose cells with figures say what these are."""
    for cell in notebook["cells"]:
        if not images_of(cell):
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


def written_name(cell: dict) -> tuple[str, str] | None:
    """Return what a cell calls its figures, `*` for what changes, and their folder, if any."""
    source = "".join(cell["source"])
    written = WRITTEN.search(source)
    if written is None:
        return None
    name = written["name"]
    if name is None:
        name = re.search(rf'{written["variable"]} = f?"([^"]+)"', source)[1]
    return re.sub(r"{.*?}", "*", name), written["folder"].strip('"')


def with_names(notebook: dict, record: dict) -> dict:
    """Return a notebook whose pictures have the names of their figures in their metadata.

    A name that changes from figure to figure does so by network, in the order of the page.
    """
    for cell in notebook["cells"]:
        images, written = images_of(cell), written_name(cell)
        if not images or written is None:
            continue
        names = [written[0]]
        if "*" in written[0]:
            names = [written[0].replace("*", name) for name in record["parameters"]["networks"]]
        if len(names) == len(images):
            for image, name in zip(images, names, strict=True):
                image.setdefault("metadata", {})["figure"] = name
    return notebook


def files_html(cell: dict, record: dict, published: set[str]) -> str:
    """Return what stands below the figures of a cell; empty where it writes none."""
    written = written_name(cell)
    if written is None:
        return ""
    names = [image.get("metadata", {}).get("figure", written[0]) for image in images_of(cell)]
    lines = []
    for name in names:
        files = [(kind, f"{name}.{end}") for end, kind in PUBLISHED if f"{name}.{end}" in published]
        links = [
            f'<a href="figures/{escape(file)}" download>{escape(kind)}</a>' for kind, file in files
        ]
        if links:
            lines.append(f"<p>{escape(name)}: {', '.join(links)}</p>")
    folder = record["profile"] if written[1] == "profile" else written[1]
    files = ", ".join(f"<code>{escape(written[0])}.{kind}</code>" for kind in KINDS)
    page, parameters = record["page"], shlex.quote(json.dumps(record["parameters"]))
    command = f".venv/bin/papermill notebooks/{page}.ipynb {page}.ipynb -y {parameters}"
    links = ", ".join(
        f'<a href="tables/{escape(table)}" download>{escape(table)}</a>'
        for table in sorted(record["tables"])
    )
    tables = f"<p>Tables of this page: {links}.</p>" if links else ""
    title = "Tables, and the command" if lines else "Tables, and the command for SVG, PDF and data"
    return (
        f'<div class="figure-files">{"".join(lines)}<details><summary>{title}</summary>'
        f"<p>This command writes {files} (the numbers that are drawn) into "
        f"<code>results/{escape(folder)}/figures/</code>:</p>"
        f"<pre>{escape(command)}</pre>{tables}</details></div>"
    )


def with_files(notebook: dict, record: dict, published: set[str]) -> dict:
    """Return a notebook with the files of each figure below it."""
    cells = []
    for cell in notebook["cells"]:
        cells.append(cell)
        if images_of(cell):
            files = files_html(cell, record, published)
            if files:
                below = {"cell_type": "markdown", "id": f"files-{len(cells)}", "metadata": {}}
                cells.append({**below, "source": files})
    return {**notebook, "cells": cells}


def narrow_pictures(notebook: dict, published: set[str]) -> dict[str, str]:
    """Return the names of pictures of which a narrow figure is published, with that file's name.

    MyST-NB calls a picture by the checksum of its content.
    """
    return {
        f"{hashlib.sha256(base64.b64decode(image['data']['image/png'])).hexdigest()}.png": file
        for cell in notebook["cells"]
        for image in images_of(cell)
        for file in [f"{image.get('metadata', {}).get('figure')}-narrow.svg"]
        if file in published
    }


def with_narrow(body: str, pictures: dict[str, str]) -> str:
    """Return the HTML of a page that shows narrow figures on narrow screens."""

    def picture(match: re.Match) -> str:
        file = pictures.get(match["name"])
        if file is None:
            return match[0]
        source = f'<source media="{NARROW}" srcset="figures/{escape(file)}">'
        return f"<picture>{source}{match[0]}</picture>"

    return IMAGE.sub(picture, body)


def published_page(app: Sphinx, docname: str) -> tuple[Path, dict, set[str]]:
    """Return where a published page is, its record, and the names of its figures' files."""
    path = Path(app.env.doc2path(docname))
    record = read_stamps(path.parent)[path.stem]
    named = record["information"].get("figures", {})
    folder = path.parent / "figures"
    return path, record, {name for name in named if (folder / name).is_file()}


def add_names(app: Sphinx, docname: str, source: list[str]) -> None:
    if PAGE.fullmatch(docname):
        _, record, _ = published_page(app, docname)
        source[0] = json.dumps(with_names(json.loads(source[0]), record))


def add_files(app: Sphinx, docname: str, source: list[str]) -> None:
    if PAGE.fullmatch(docname):
        _, record, published = published_page(app, docname)
        source[0] = json.dumps(with_files(json.loads(source[0]), record, published))


def add_narrow(
    app: Sphinx, pagename: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    if doctree is None or not PAGE.fullmatch(pagename) or app.builder.name != "html":
        return
    path, record, published = published_page(app, pagename)
    notebook = with_names(json.loads(path.read_text(encoding="utf-8")), record)
    context["body"] = with_narrow(context["body"], narrow_pictures(notebook, published))


def describe_figures(app: Sphinx, docname: str, source: list[str]) -> None:
    if not PAGE.fullmatch(docname):
        return
    path = Path(app.srcdir, TEXTS)
    app.env.note_dependency(str(path))
    texts = yaml.safe_load(path.read_text(encoding="utf-8"))
    source[0] = json.dumps(with_texts(json.loads(source[0]), texts))


def setup(app: Sphinx) -> dict:
    app.connect("source-read", add_names, priority=400)  # before one of them is moved
    app.connect("source-read", describe_figures)
    app.connect("source-read", add_files, priority=600)  # below figures that were moved, too
    app.connect("html-page-context", add_narrow)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
