"""Pictures and notebooks for the tests of the command line."""

import base64
import io

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image


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
