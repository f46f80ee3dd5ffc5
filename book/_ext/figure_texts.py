"""Give each figure of a published page a caption, and a text for those who cannot see it.

Both stand in `book/figures.yml`, by the function that draws the figure.
"""

import json
import re
from pathlib import Path

import yaml
from run_stamps import PAGE
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

TEXTS = "book/figures.yml"
DRAWN = re.compile(r"\b(plot_\w+)\(")


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


def describe_figures(app: Sphinx, docname: str, source: list[str]) -> None:
    if not PAGE.fullmatch(docname):
        return
    path = Path(app.srcdir, TEXTS)
    app.env.note_dependency(str(path))
    texts = yaml.safe_load(path.read_text(encoding="utf-8"))
    source[0] = json.dumps(with_texts(json.loads(source[0]), texts))


def setup(app: Sphinx) -> dict:
    app.connect("source-read", describe_figures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
