"""Tables of published pages: the columns that decide first, a link to the file, sortable.

pandas prints a table as it is. Here each gets a caption with a link to its CSV, loses the numbers
of its rows, and shows the columns that `book/tables.yml` names; a check box shows the others.
Numbers stand on the right. `_static/tables.js` sorts; without it nothing is lost.
"""

import csv
import json
import re
from html import escape, unescape
from pathlib import Path
from xml.etree import ElementTree

import yaml
from docutils import nodes
from run_stamps import PAGE
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

SETTINGS = "book/tables.yml"
TABLE = re.compile(r'<table border="1" class="dataframe">.*?</table>', re.DOTALL)
WRITTEN = re.compile(r'write_table\(.*?"(\w+)",\s*profile=', re.DOTALL)
LONG = 32  # characters, from which on a cell wraps
ENTITIES = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d+);)(\w+);")


def read_settings(path: Path) -> dict[str, dict]:
    """Return of each table by name its caption and the columns that are shown first."""
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, entry in settings.items():
        if set(entry) - {"caption", "columns"} or "caption" not in entry:
            raise ExtensionError(f"{path}: {name} needs a caption, and may have columns")
    return settings


def inner(cell: ElementTree.Element) -> str:
    """Return what is inside a cell, as HTML."""
    text = escape(cell.text or "", quote=False)
    return text + "".join(ElementTree.tostring(part, "unicode", method="html") for part in cell)


def read_table(html: str) -> tuple[list[str], list[list[str]]]:
    """Return names of columns and rows of cells of a table as pandas prints it.

    The names of the rows are a column, unless they only count them.
    """
    table = ElementTree.fromstring(ENTITIES.sub(lambda match: unescape(match[0]), html))
    header, *others = [[inner(cell) for cell in row] for row in table.find("thead")]
    rows = [[inner(cell) for cell in row] for row in table.find("tbody")]
    if others:  # the name of the rows stands in a row of its own
        header = [others[0][0] or header[0], *header[1:]]
    if not header[0] and all(row[0].isdigit() or row[0] == "..." for row in rows):
        header, rows = header[1:], [row[1:] for row in rows]
    return header, rows


def is_number(text: str) -> bool:
    """Whether the text of a cell is a number, or nothing."""
    try:
        float(text.removesuffix("*") or "nan")  # an asterisk marks significance
    except ValueError:
        return text == "..."
    return True


def render(header: list[str], rows: list[list[str]], name: str, entry: dict) -> str:
    """Return a table as HTML, with its caption."""
    first = [column for column in entry.get("columns", header) if column in header] or header
    order = [header.index(column) for column in first]
    order += [index for index in range(len(header)) if index not in order]
    numeric = [all(is_number(row[index]) for row in rows) for index in range(len(header))]
    classes = {index: [] if numeric[index] else ["text"] for index in order}
    for index in order:
        if any(len(row[index]) > LONG for row in rows):
            classes[index].append("long")
    for index in order[len(first) :]:
        classes[index].append("more")

    def cells(tag: str, values: list[str]) -> str:
        parts = []
        for place, index in enumerate(order):
            kind = f' class="{" ".join(classes[index])}"' if classes[index] else ""
            row_header = place == 0 and tag == "td"
            element, scope = ("th", ' scope="row"') if row_header else (tag, "")
            scope = ' scope="col"' if tag == "th" else scope
            parts.append(f"<{element}{scope}{kind}>{values[index]}</{element}>")
        return f"<tr>{''.join(parts)}</tr>"

    whole = not any("..." in row for row in rows)
    title = entry.get("caption", "")
    caption = [escape(title)]
    if name:
        caption.append(f'<a href="tables/{name}.csv" download>All of it as CSV</a>.')
    if len(first) < len(header):
        caption.append(f'<label><input type="checkbox"> show all {len(header)} columns</label>')
    sortable = " sortable" if whole and len(rows) > 1 else ""
    body = "".join(cells("td", row) for row in rows)
    label = escape(title.rstrip(".") or "Table")
    return (
        f'<figure class="run-table"><figcaption>{" ".join(caption)}</figcaption>'
        f'<div class="run-table-box" role="region" tabindex="0" aria-label="{label}">'
        f'<table class="dataframe{sortable}"><thead>{cells("th", header)}</thead>'
        f"<tbody>{body}</tbody></table></div></figure>"
    )


class CsvTable(SphinxDirective):
    """Put the table of a CSV file beside the page here: its name is that of the settings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.doc2path(self.env.docname)).parent / f"{self.arguments[0]}.csv"
        settings = Path(self.env.srcdir, SETTINGS)
        for file in (path, settings):
            self.env.note_dependency(str(file))
        with open(path, encoding="utf-8", newline="") as file:
            header, *rows = [[escape(cell) for cell in row] for row in csv.reader(file)]
        html = render(header, rows, "", read_settings(settings).get(path.stem, {}))
        return [nodes.raw("", html, format="html")]


def with_tables(notebook: dict, settings: dict[str, dict]) -> dict:
    """Return a notebook whose tables are shown so; see the module."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            html = "".join(output.get("data", {}).get("text/html", ""))
            match = TABLE.search(html)
            if match is None or html.count("<table") > 1:
                continue
            names = WRITTEN.findall("".join(cell["source"]))
            name = names[-1] if names else ""
            header, rows = read_table(match[0])
            output["data"]["text/html"] = render(header, rows, name, settings.get(name, {}))
    return notebook


def show_tables(app: Sphinx, docname: str, source: list[str]) -> None:
    if not PAGE.fullmatch(docname):
        return
    path = Path(app.srcdir, SETTINGS)
    app.env.note_dependency(str(path))
    source[0] = json.dumps(with_tables(json.loads(source[0]), read_settings(path)))


def setup(app: Sphinx) -> dict:
    app.add_directive("shown-csv", CsvTable)
    app.connect("source-read", show_tables)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
