"""Write `notebooks/colab`: each notebook with a first cell, tagged `colab`, that installs all.

Colab opens single files of a repository and knows nothing of the project. The cell clones it from
the address that `_config.yml` has under `repository`; without one, nothing is written. `make colab`
runs this.
"""

import json
from pathlib import Path

import yaml

TAG = "colab"
INSTALL = """\
!git clone --quiet --depth 1 --branch {branch} {url} localspec
%pip install --quiet ./localspec[book]
%cd localspec"""


def with_install_cell(notebook: dict, url: str, branch: str) -> dict:
    """Return a notebook that begins with the cell that installs the project."""
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": TAG,
        "metadata": {"tags": [TAG]},
        "outputs": [],
        "source": INSTALL.format(url=url, branch=branch),
    }
    return {**notebook, "cells": [cell, *notebook["cells"]]}


def write_notebooks(root: Path) -> list[Path]:
    """Write the notebooks for Colab of the project in `root`; return their paths."""
    repository = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
    if not repository["url"]:
        return []
    folder = root / "notebooks" / "colab"
    folder.mkdir(exist_ok=True)
    written = []
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        notebook = with_install_cell(notebook, repository["url"], repository["branch"])
        written.append(folder / path.name)
        content = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        written[-1].write_text(content, encoding="utf-8")
    return written


if __name__ == "__main__":
    write_notebooks(Path(__file__).resolve().parents[1])
