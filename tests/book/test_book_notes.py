"""Notes on one profile's run: in their places on the page, and of pages that are published."""

import json
from pathlib import Path

import pytest
import run_notes
from sphinx.errors import ExtensionError

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
NOTES = sorted((ROOT / "book" / "notes").glob("*/*.md"))
TITLE, CODE = "# A page\n\nText.", "print(1)"
DIFFERS = "## What differs and why\n\n- First.\n"


def page(*texts: str) -> dict:
    cells = [{"cell_type": "markdown", "source": text.splitlines(True)} for text in texts]
    cells.insert(1, {"cell_type": "code", "source": CODE})
    return {"cells": cells, "metadata": {}}


def sources(notebook: dict) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def test_both_parts_are_put_in_their_places():
    given = page(TITLE, DIFFERS)
    found = run_notes.with_notes(given, f"**Here.** Seven.\n\n{run_notes.DIFFERS}\n\n- Second.\n")
    assert sources(found) == [TITLE, "**Here.** Seven.", CODE, f"{DIFFERS}- Second.\n"]
    assert sources(given) == [TITLE, CODE, DIFFERS]  # left as it is


def test_a_section_among_others_of_one_cell():
    given = page(TITLE, f"## One\n\nA.\n\n{DIFFERS}\n## Three\n\nC.\n")
    found = run_notes.with_notes(given, f"Seven.\n\n{run_notes.DIFFERS}\n\n- Second.\n")
    expected = f"## One\n\nA.\n\n{DIFFERS}- Second.\n\n## Three\n\nC.\n"
    assert sources(found)[-1] == expected


def test_the_second_part_may_be_missing():
    found = run_notes.with_notes(page(TITLE, DIFFERS), "Seven.\n")
    assert sources(found) == [TITLE, "Seven.", CODE, DIFFERS]


def cell(kind: str, source: str, *tags: str) -> dict:
    return {"cell_type": kind, "source": source, "metadata": {"tags": list(tags)}}


def test_a_title_names_the_profile():
    given = {"cells": [cell("markdown", TITLE)]}
    assert sources(run_notes.of_this_run(given, "mnist")) == ["# A page: MNIST\n\nText."]
    assert sources(run_notes.of_this_run(given, "digits")) == [TITLE]
    given = {
        "cells": [cell("markdown", "# Which?\n\n*Rebuilds: A. Expected run time\non digits: 1 s.*")]
    }
    assert sources(run_notes.of_this_run(given, "mnist")) == ["# Which: MNIST\n\n*Rebuilds: A.*"]
    assert sources(run_notes.of_this_run(given, "digits")) == ["# Which?\n\n*Rebuilds: A.*"]


def test_the_parameters_of_a_run_stand_where_the_defaults_stood_and_code_is_folded():
    defaults = (
        'profile: str = "digits"  # a name\nseeds: list = [0, 1]  # seeds\nlevel: float = 0.05'
    )
    injected = '# Parameters\nprofile = "paper"\nseeds = [0, 1, 2]\n'
    given = {
        "cells": [
            cell("markdown", TITLE),
            cell("code", defaults, "parameters"),
            cell("code", injected, "injected-parameters", "hide-input"),
            cell("code", CODE),
        ]
    }
    shown = run_notes.of_this_run(given, "digits")
    parameters = (
        'profile: str = "paper"  # a name\nseeds: list = [0, 1, 2]  # seeds\nlevel: float = 0.05'
    )
    assert sources(shown) == [TITLE, parameters, CODE]
    assert [part["metadata"]["tags"][-1:] for part in shown["cells"]] == [
        [],
        ["hide-input"],
        ["hide-input"],
    ]
    assert len(given["cells"]) == 4  # left as it is


def test_every_profile_but_that_of_the_digits_is_named():
    profiles = {path.name for path in (ROOT / "book" / "runs").iterdir()}
    assert profiles - set(run_notes.RUN_OF) == {"digits", "digits-controls"}


def test_a_page_without_the_section():
    with pytest.raises(ExtensionError, match="which the page lacks"):
        run_notes.with_notes(page(TITLE), f"Seven.\n\n{run_notes.DIFFERS}\n\n- Second.\n")


@pytest.mark.parametrize("path", NOTES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_notes_belong_to_a_published_page(path):
    published = ROOT / "book" / "runs" / path.parent.name / f"{path.stem}.ipynb"
    notebook = json.loads(published.read_text(encoding="utf-8"))
    found = run_notes.with_notes(notebook, path.read_text(encoding="utf-8"))
    assert len(found["cells"]) == len(notebook["cells"]) + 1
