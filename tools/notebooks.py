"""Keep notebooks/*.ipynb the twins of notebooks/*.md: same cells, no outputs. The .md wins.

Usage: python tools/notebooks.py sync     write every .ipynb from its .md
       python tools/notebooks.py check    say which ones are not what sync would write
"""

import sys
from pathlib import Path

import jupytext
import nbformat
from jupytext.combine import combine_inputs_with_outputs
from nbformat import NotebookNode
from project import NOTEBOOKS, refuse, shown, write


def sources(folder: Path) -> list[Path]:
    """Return the notebooks among the .md files of a folder: those with jupytext's header."""
    headers = {path: path.read_text(encoding="utf-8")[:500] for path in folder.glob("*.md")}
    return sorted(p for p, text in headers.items() if text.startswith("---") and "jupytext" in text)


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """Strip outputs and execution counts, in place."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def twin(source: Path) -> str:
    """Return the text of the .ipynb of `source`; cells that are in the old one keep their ids."""
    target = source.with_suffix(".ipynb")
    notebook = jupytext.read(source)
    notebook.nbformat_minor = 5
    if target.is_file():
        # what `jupytext --update` does
        notebook = combine_inputs_with_outputs(notebook, nbformat.read(target, as_version=4))
    return jupytext.writes(without_outputs(notebook), "ipynb")


def problems(folder: Path) -> list[str]:
    """Return one line for each notebook that is not what `sync` would write."""
    known, found = sources(folder), []
    for source in known:
        target = source.with_suffix(".ipynb")
        if not target.is_file():
            found.append(f"{shown(target)} is missing")
        elif target.read_text(encoding="utf-8") != twin(source):
            old = nbformat.read(target, as_version=4)
            full = any(cell.get("outputs") or cell.get("execution_count") for cell in old.cells)
            why = "has outputs" if full else f"differs from {source.name}"
            found.append(f"{shown(target)} {why}")
    twins = {source.with_suffix(".ipynb") for source in known}
    alone = sorted(set(folder.glob("*.ipynb")) - twins)
    return found + [f"{shown(path)} has no .md twin" for path in alone]


def main() -> None:
    if sys.argv[1:] == ["sync"]:
        for source in sources(NOTEBOOKS):
            write(source.with_suffix(".ipynb"), twin(source))
    elif sys.argv[1:] == ["check"]:
        found = problems(NOTEBOOKS)
        if found:
            refuse("\n".join([*found, "edit the .md, then: make sync"]))
    else:
        refuse("usage: python tools/notebooks.py sync|check")


if __name__ == "__main__":
    main()
