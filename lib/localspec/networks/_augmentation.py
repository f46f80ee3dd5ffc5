"""Augmentation: rotate, shift and flip images at random, a batch at a time."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def transform(
    images: torch.Tensor, angles: torch.Tensor, shifts: torch.Tensor, flipped: torch.Tensor
) -> torch.Tensor:
    """Rotate, shift and mirror images; what comes into view repeats the border (as in Keras).

    Images have shape (n_images, n_channels, height, width). They are mirrored left to right where
    `flipped`, then rotated by `angles` in degrees, and moved by `shifts`, shape (n_images, 2): to
    the right and down, as shares of width and height. Values between pixels are interpolated
    linearly.

    Examples
    --------
    >>> row, no, yes = torch.tensor([[[[1.0, 2.0, 3.0]]]]), torch.zeros(1), torch.ones(1).bool()
    >>> transform(row, no, torch.zeros(1, 2), yes).flatten().tolist()
    [3.0, 2.0, 1.0]
    >>> transform(row, no, torch.tensor([[1 / 3, 0.0]]), ~yes).flatten().tolist()
    [1.0, 1.0, 2.0]
    """
    height, width = images.shape[2:]
    images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    radians = angles.to(images.dtype) * (math.pi / 180)
    cosines, sines = radians.cos(), radians.sin()
    # from places in the result to places in the image; grids run from -1 to 1 whatever the size
    rows = torch.stack(
        [
            torch.stack([cosines, sines * (height / width)], dim=1),
            torch.stack([-sines * (width / height), cosines], dim=1),
        ],
        dim=1,
    )
    offsets = -rows @ (2 * shifts.to(images.dtype))[:, :, None]
    grid = F.affine_grid(torch.cat([rows, offsets], dim=2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def augment(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    max_rotation: float = 0.0,
    max_shift: float = 0.0,
    flip: bool = False,
) -> torch.Tensor:
    """Return a batch of images, each transformed at random.

    Angles are uniform up to `max_rotation` degrees to both sides, shifts up to `max_shift` of width
    and height in all four directions; `flip` mirrors half of the images, left to right.

    Hod et al., arXiv:2110.08058, "Networks and training".
    """
    options = {"generator": generator, "device": images.device, "dtype": images.dtype}
    drawn = torch.rand(len(images), 4, **options)  # always the same numbers, whatever is used
    angles, shifts = max_rotation * (2 * drawn[:, 0] - 1), max_shift * (2 * drawn[:, 1:3] - 1)
    return transform(images, angles, shifts, (drawn[:, 3] < 0.5) & flip)
