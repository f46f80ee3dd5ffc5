"""Open a published page with what was found: a summary, a figure, then the notes on the run.

A notebook serves many profiles, so its own text holds for all of them. A page shows the text that
its notebook has now, wherever the code that follows is still that of the run. What is said of one
profile's numbers lies in `book/notes/<profile>/<page>.md`, in three parts:

- the summary, before the first heading: at most 60 words, shown in a box below the page's title;
- from the first heading, which says a finding, to the heading `## What differs and why`: shown
  below the introduction of the notebook;
- what follows that heading: shown at the end of the page's section of that name.

Between the summary and the introduction stands the figure that `book/opening.yml` names, moved
there from the cell that drew it. Numbers of notes come from the tables, see `note_numbers`.
"""

import ast
import json
import re
from pathlib import Path

import yaml
from contents import TOC, titles
from note_numbers import filled
from run_stamps import PAGE, RUNS, injected_parameters
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

NOTES = "book/notes"
NOTEBOOKS = "notebooks"
OPENING = "book/opening.yml"
SUMMARY = "In short"  # the title of the box
MOST_WORDS = 60  # of the box, its title included
FIGURES = {"image/png", "text/html"}  # kinds of outputs that can open a page
ANCHOR = '<span id="first-figure"></span>'
MOVED = '*<a href="#first-figure">This figure</a> is at the top of the page.*'
DIFFERS = "## What differs and why"
# the line on what a notebook computes: the title and the box say it on the page
COMPUTES = re.compile(r"^\*(?:Computes|Rebuilds|Control): [^*]*\*\n*", re.MULTILINE)
RUN_TIME = re.compile(r"\s+Expected run\s+time[^*]*\*")  # the box has this run's
PARAMETERS = "Show the parameters of this run"
LINK = re.compile(r"(?<=\{doc\}`)\d\d_\w+(?=`)")  # to another page of the same profile
PROTOCOL = "paper"  # the profile that has all sections


def markdown(source: str, name: str) -> dict:
    """Return a cell of text."""
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source.strip()}


def split_notes(notes: str) -> tuple[str, str, str]:
    """Return the summary, the finding under its heading, and what differs."""
    before, _, differs = notes.partition(DIFFERS)
    summary, heading, finding = before.partition("\n## ")
    if not summary.strip() or not finding.partition("\n")[2].strip():
        raise ExtensionError("notes need a summary, then a heading that says a finding, then text")
    return summary.strip(), heading.strip() + " " + finding.strip(), differs.strip()


def n_words(text: str) -> int:
    """Return the number of words that a reader sees of a text in MyST."""
    return len(re.sub(r"{[a-z]+}|<[^>]*>", " ", text).split())


def summary_box(summary: str) -> str:
    """Return a summary as a box, in MyST; too long a summary is refused."""
    words = n_words(f"{SUMMARY} {summary}")
    if words > MOST_WORDS:
        raise ExtensionError(f"a summary of {words} words; at most {MOST_WORDS}: {summary}")
    return f":::{{admonition}} {SUMMARY}\n:class: run-summary\n\n{summary}\n:::"


def take_figure(cells: list[dict], functions: list[str]) -> dict:
    """Take the first figure of the first of some functions out of its cell; return it as a cell.

    What is left in its place says where it is.
    """
    for name in functions:
        for index, cell in enumerate(cells):
            if cell["cell_type"] != "code" or f"{name}(" not in "".join(cell["source"]):
                continue
            for output in cell["outputs"]:
                if FIGURES & output.get("data", {}).keys():
                    rest = [other for other in cell["outputs"] if other is not output]
                    cells[index] = {**cell, "outputs": rest}
                    cells.insert(index + 1, markdown(MOVED, "moved-figure"))
                    metadata = {**cell["metadata"], "tags": ["remove-input"]}
                    return {**cell, "id": "first-figure", "metadata": metadata, "outputs": [output]}
    raise ExtensionError(f"the page has no figure of {' or '.join(functions)}")


def opening_functions(openings: dict[str, list[str]], profile: str, page: str) -> list[str]:
    """Return which functions draw the figure that opens a profile's page."""
    return openings.get(f"{profile}/{page}", openings[page])


def with_opening(notebook: dict, notes: str, functions: list[str]) -> dict:
    """Return a notebook with its notes and its first figure in their places."""
    summary, finding, differs = split_notes(notes)
    cells = [dict(cell) for cell in notebook["cells"]]
    texts = [index for index, cell in enumerate(cells) if cell["cell_type"] == "markdown"]
    if differs:
        places = [index for index in texts if DIFFERS in "".join(cells[index]["source"])]
        if not places:
            raise ExtensionError(f"the notes have a part {DIFFERS!r}, which the page lacks")
        text = "".join(cells[places[0]]["source"])
        before, after = text.split(DIFFERS)
        section, *others = after.split("\n## ")
        parts = [f"{before}{DIFFERS}{section.rstrip()}\n{differs}\n", *others]
        cells[places[0]]["source"] = "\n## ".join(parts)
    title, _, introduction = "".join(cells[0]["source"]).partition("\n")
    figure = take_figure(cells, functions)
    opening = [
        {**cells[0], "source": title},
        markdown(f"{summary_box(summary)}\n\n{ANCHOR}", "summary"),
        figure,
        markdown(introduction, "introduction"),
        markdown(finding, "notes"),
    ]
    return {**notebook, "cells": [*opening, *cells[1:]]}


def with_values(source: str, parameters: dict[str, object]) -> str:
    """Return a cell of parameters with the values of a run in place of the defaults."""
    lines = source.split("\n")
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and node.target.id in parameters:
            line, value = lines[node.lineno - 1], node.value
            given = parameters[node.target.id]
            text = json.dumps(given) if isinstance(given, str) else repr(given)
            lines[node.lineno - 1] = line[: value.col_offset] + text + line[value.end_col_offset :]
    return "\n".join(lines)


def texts(notebook: dict) -> dict[str, tuple[str, str]]:
    """Return the texts of a notebook by the ids of their cells, each with the code that follows."""
    found, code = {}, ""
    for cell in reversed(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            code = source
        else:
            found[cell.get("id")] = (source, code)
    return found


def with_present_texts(page: dict, notebook: dict) -> dict:
    """Return a page with the texts that its notebook has now, where the code is still the same."""
    then, now = texts(page), texts(notebook)
    cells = [dict(cell) for cell in page["cells"]]
    for cell in cells:
        name = cell.get("id")
        same = name in now and name in then and now[name][1] == then[name][1]
        if cell["cell_type"] == "markdown" and same:
            cell["source"] = now[name][0]
    return {**page, "cells": cells}


def of_this_run(notebook: dict, title: str | None) -> dict:
    """Return a notebook with its title in the book, the run's parameters, and cells folded.

    Without a title it keeps its own.
    """
    injected, cells = injected_parameters(notebook), []
    for cell in map(dict, notebook["cells"]):
        tags = cell["metadata"].get("tags", [])
        if "injected-parameters" in tags:
            continue  # its values are put where the defaults stood
        if "parameters" in tags:
            cell["source"] = with_values("".join(cell["source"]), injected)
            cell["metadata"] = {**cell["metadata"], "mystnb": {"code_prompt_show": PARAMETERS}}
        if cell["cell_type"] == "code":
            tags = [*cell["metadata"].get("tags", []), "hide-input"]
            cell["metadata"] = {**cell["metadata"], "tags": tags}
        cells.append(cell)
    opening = next((cell for cell in cells if cell["cell_type"] == "markdown"), None)
    if opening is not None:
        text = COMPUTES.sub("", RUN_TIME.sub("*", "".join(opening["source"])))
        own, *rest = text.split("\n")
        opening["source"] = "\n".join([own if title is None else f"# {title}", *rest])
    return {**notebook, "cells": cells}


def with_known_links(text: str, profile: str, runs: Path) -> str:
    """Let links to pages that a profile lacks lead to those of the paper's protocol."""

    def known(match: re.Match) -> str:
        there = (runs / profile / f"{match[0]}.ipynb").is_file()
        return match[0] if there else f"../{PROTOCOL}/{match[0]}"

    return LINK.sub(known, text)


def insert_notes(app: Sphinx, docname: str, source: list[str]) -> None:
    match = PAGE.fullmatch(docname)
    if not match:
        return
    path = Path(app.srcdir, NOTES, match["profile"], f"{match['page']}.md")
    opening, toc = Path(app.srcdir, OPENING), Path(app.srcdir, TOC)
    for file in (path, opening, toc):
        app.env.note_dependency(str(file))
    notebook, present = json.loads(source[0]), Path(app.srcdir, NOTEBOOKS, f"{match['page']}.ipynb")
    if present.is_file():
        app.env.note_dependency(str(present))
        notebook = with_present_texts(notebook, json.loads(present.read_text(encoding="utf-8")))
    text = with_known_links(json.dumps(notebook), match["profile"], Path(app.srcdir, RUNS))
    notebook = of_this_run(json.loads(text), titles(toc).get(docname))
    if path.is_file():
        notes = filled(path.read_text(encoding="utf-8"), Path(app.srcdir, RUNS), match["profile"])
        openings = yaml.safe_load(opening.read_text(encoding="utf-8"))
        functions = opening_functions(openings, match["profile"], match["page"])
        try:
            notebook = with_opening(notebook, notes, functions)
        except ExtensionError as error:
            raise ExtensionError(f"{path}: {error}") from error
    source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict:
    app.connect("source-read", insert_notes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
