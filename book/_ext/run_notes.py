"""Put the notes on a published page into it: what this profile's run of the notebook shows.

A notebook serves many profiles, so its own text holds for all of them. What is said of one
profile's numbers lies in `book/notes/<profile>/<page>.md`: the part before the heading
`## What differs and why` is shown below the page's title and introduction, the part after it at the
end of the page's section of that name. Its numbers come from the tables, see `note_numbers`.
"""

import ast
import json
import re
from pathlib import Path

from note_numbers import filled
from run_stamps import PAGE, RUNS, injected_parameters
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

NOTES = "book/notes"
DIFFERS = "## What differs and why"
RUN_OF = {  # what the titles of a profile's pages say besides the notebook's
    "cifar10": "CIFAR-10",
    "fashion-controls": "Fashion-MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "imagenet": "SqueezeNet, ImageNet",
    "imagenet-ncuts": "published n-cuts",
    "mnist": "MNIST",
    "mnist-controls": "MNIST",
    "mnist-dropout": "MNIST, CNN with dropout",
    "paper": "the paper's protocol",
    "polynomials": "polynomials",
}
RUN_TIME = re.compile(r"\s+Expected run\s+time[^*]*\*")  # the box has this run's
PARAMETERS = "Show the parameters of this run"


def with_notes(notebook: dict, notes: str) -> dict:
    """Return a notebook with the two parts of its notes in their places."""
    first, _, differs = notes.partition(DIFFERS)
    cells = [dict(cell) for cell in notebook["cells"]]
    texts = [index for index, cell in enumerate(cells) if cell["cell_type"] == "markdown"]
    if differs:
        places = [index for index in texts if DIFFERS in "".join(cells[index]["source"])]
        if not places:
            raise ExtensionError(f"the notes have a part {DIFFERS!r}, which the page lacks")
        text = "".join(cells[places[0]]["source"])
        before, after = text.split(DIFFERS)
        section, *others = after.split("\n## ")
        parts = [f"{before}{DIFFERS}{section.rstrip()}\n{differs.strip()}\n", *others]
        cells[places[0]]["source"] = "\n## ".join(parts)
    note = {"cell_type": "markdown", "id": "notes", "metadata": {}, "source": first.strip()}
    return {**notebook, "cells": [*cells[: texts[0] + 1], note, *cells[texts[0] + 1 :]]}


def with_values(source: str, parameters: dict[str, object]) -> str:
    """Return a cell of parameters with the values of a run in place of the defaults."""
    lines = source.split("\n")
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and node.target.id in parameters:
            line, value = lines[node.lineno - 1], node.value
            text = (
                json.dumps(parameters[node.target.id])
                if isinstance(parameters[node.target.id], str)
                else repr(parameters[node.target.id])
            )
            lines[node.lineno - 1] = line[: value.col_offset] + text + line[value.end_col_offset :]
    return "\n".join(lines)


def of_this_run(notebook: dict, profile: str) -> dict:
    """Return a notebook whose title names its profile, with the run's parameters, cells folded."""
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
    title = next((cell for cell in cells if cell["cell_type"] == "markdown"), None)
    if title is not None:
        first, *rest = RUN_TIME.sub("*", "".join(title["source"])).split("\n")
        if profile in RUN_OF:
            first = f"{first.rstrip('?')}: {RUN_OF[profile]}"
        title["source"] = "\n".join([first, *rest])
    return {**notebook, "cells": cells}


def insert_notes(app: Sphinx, docname: str, source: list[str]) -> None:
    match = PAGE.fullmatch(docname)
    if not match:
        return
    path = Path(app.srcdir, NOTES, match["profile"], f"{match['page']}.md")
    app.env.note_dependency(str(path))
    notebook = of_this_run(json.loads(source[0]), match["profile"])
    if path.is_file():
        notes = path.read_text(encoding="utf-8")
        notebook = with_notes(notebook, filled(notes, Path(app.srcdir, RUNS), match["profile"]))
    source[0] = json.dumps(notebook)


def setup(app: Sphinx) -> dict:
    app.connect("source-read", insert_notes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
