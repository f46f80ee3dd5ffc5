"""Pictures, notebooks and small projects for the tests of the command line."""

import base64
import io
import json
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from localspec.pipeline import load_profile

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def picture():
    """Function that returns a square picture as base64, with some pixels changed."""

    def make(n_changed: int = 0, size: int = 100) -> str:
        pixels = np.full((size, size, 3), 255, dtype=np.uint8)
        pixels.reshape(-1, 3)[:n_changed, 0] = 254
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="png")
        return base64.b64encode(buffer.getvalue()).decode()

    return make


@pytest.fixture
def notebook_with():
    """Function that returns a notebook of one cell that shows a picture."""

    def make(image: str, *, source: str = "plot()", printed: str = "ncut 5.1\n", count: int = 1):
        outputs = [
            new_output("stream", name="stdout", text=printed),
            new_output("display_data", data={"image/png": image, "text/plain": "<Figure>"}),
        ]
        cell = new_code_cell(source, outputs=outputs, execution_count=count, id="a-cell")
        return new_notebook(cells=[cell])

    return make


PROFILE = {
    "device": "cpu",
    "dtype": "float64",
    "networks": {"mlp": {"dataset": "digits", "hidden": [10, 8], "n_epochs": 2, "n_threads": 1}},
    "seeds": [0],
    "method": {"n_clusters": 3},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Function that makes a project whose pages run the given code; returns its folder."""

    def make(pages: dict[str, str], **settings: object) -> Path:
        root = tmp_path / "project"
        (root / "notebooks" / "profiles").mkdir(parents=True)
        shutil.copy(ROOT / "Snakefile", root)
        shutil.copytree(ROOT / "profiles", root / "profiles")
        path = root / "notebooks" / "profiles" / "small.yml"
        path.write_text(json.dumps(PROFILE | {"pages": list(pages)} | settings))
        monkeypatch.chdir(root)
        monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
        for page, code in pages.items():
            declared = load_profile("small").parameters(page)
            text = "\n".join(f"{name} = {value!r}" for name, value in declared.items())
            cells = [new_code_cell(text, metadata={"tags": ["parameters"]}), new_code_cell(code)]
            metadata = {
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
            }
            nbformat.write(
                new_notebook(cells=cells, metadata=metadata), root / "notebooks" / f"{page}.ipynb"
            )
        return root

    return make
