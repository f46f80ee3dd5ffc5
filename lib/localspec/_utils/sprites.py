"""Sprite sheets: put many small images into one, of which a page shows parts."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from localspec._utils.validation import require

MODES = {1: "L", 3: "RGB"}  # by number of channels
OPTIONS = {"png": {"optimize": True}, "webp": {"quality": 60, "method": 4}}


@dataclass(frozen=True)
class SpriteSheet:
    """Images of one size in a grid, row by row, of eight bits a channel."""

    file: bytes
    kind: str  # "png", lossless, or "webp", several times smaller
    height: int  # of one image
    width: int
    n_rows: int
    n_columns: int

    def position(self, index: int) -> tuple[int, int]:
        """Return the row and column of an image."""
        return divmod(index, self.n_columns)

    def places(self, name: str, keys: Iterable[Hashable]) -> dict[Hashable, dict]:
        """Return where each image is, by its key, in a sheet of that name."""
        where = {}
        for index, key in enumerate(keys):
            row, column = self.position(index)
            where[key] = {"sheet": name, "row": row, "column": column}
        return where

    @property
    def data_uri(self) -> str:
        """Address that holds the file itself."""
        return f"data:image/{self.kind};base64,{base64.b64encode(self.file).decode('ascii')}"


def sprite_sheet(images: Sequence[np.ndarray], *, kind: str = "png") -> SpriteSheet:
    """Put one or more images of one shape into a sheet of about as many columns as rows.

    Images are grey or in three channels, (n_channels, height, width), in [0, 1].

    Examples
    --------
    >>> sheet = sprite_sheet([np.zeros((1, 2, 2)), np.ones((1, 2, 2)), np.zeros((1, 2, 2))])
    >>> sheet.n_rows, sheet.n_columns, sheet.position(2)
    (2, 2, (1, 0))
    >>> sheet.places("made", ["a", "b"])["b"]
    {'sheet': 'made', 'row': 0, 'column': 1}
    """
    shapes = {np.shape(image) for image in images}
    require(
        len(shapes) == 1
        and all(len(shape) == 3 and shape[0] in MODES and min(shape) for shape in shapes),
        f"images of a sheet must share one shape (1 or 3, height, width), not {sorted(shapes)}",
    )
    ((n_channels, height, width),) = shapes
    n_columns = math.ceil(math.sqrt(len(images)))
    n_rows = -(-len(images) // n_columns)
    grid = np.zeros((n_rows * n_columns, n_channels, height, width), np.uint8)
    grid[: len(images)] = np.round(255 * np.clip(images, 0, 1))
    rows = grid.reshape(n_rows, n_columns, n_channels, height, width)
    pixels = rows.transpose(0, 3, 1, 4, 2).reshape(n_rows * height, n_columns * width, n_channels)
    file = io.BytesIO()
    sheet = Image.fromarray(pixels.squeeze(2) if n_channels == 1 else pixels, MODES[n_channels])
    sheet.save(file, kind, **OPTIONS[kind])
    return SpriteSheet(
        file=file.getvalue(),
        kind=kind,
        height=height,
        width=width,
        n_rows=n_rows,
        n_columns=n_columns,
    )
