"""The published pages as they are stored: really run, to the end, and with their tables."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.book

RUNS = Path(__file__).resolve().parents[2] / "book" / "runs"
PAGES = sorted(RUNS.glob("*/*.ipynb"))
PROFILES = sorted(path.parent for path in RUNS.glob("*/stamps.json"))
NAMES = [f"{path.parent.name}/{path.stem}" for path in PAGES]


def code_cells(notebook: dict) -> list[dict]:
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells
    return cells


def problems(notebook: dict) -> list[str]:
    """Return what shows that a stored page was not run, or not to its end."""
    found = []
    for number, cell in enumerate(code_cells(notebook)):
        if cell["execution_count"] != number + 1:
            found.append(f"code cell {number} has execution count {cell['execution_count']}")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"code cell {number} ended in an error")
            if output.get("name") == "stderr":
                found.append(f"code cell {number} shows stderr")
    return found


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_every_cell_was_run_without_an_error(path):
    assert problems(json.loads(path.read_text(encoding="utf-8"))) == []


def test_cells_that_were_not_run_or_failed_are_found():
    def cell(count, *outputs):
        return {"cell_type": "code", "execution_count": count, "outputs": list(outputs)}

    error = {"output_type": "error", "ename": "ValueError"}
    found = ["code cell 0 has execution count None", "code cell 1 ended in an error"]
    assert problems({"cells": [cell(None), cell(2, error), cell(3)]}) == found


@pytest.mark.parametrize("folder", PROFILES, ids=lambda folder: folder.name)
def test_pages_tables_and_stamps_belong_together(folder):
    stamps = json.loads((folder / "stamps.json").read_text(encoding="utf-8"))
    assert stamps["profile"] == folder.name
    assert {path.stem for path in folder.glob("*.ipynb")} == set(stamps["pages"])
    stamped = {name for record in stamps["pages"].values() for name in record["tables"]}
    assert {path.name for path in (folder / "tables").glob("*")} == stamped
    assert all(record["profile"] == folder.name for record in stamps["pages"].values())
