"""Three channels: show grey images as networks made for feature visualization read them."""

from __future__ import annotations

from dataclasses import replace

import torch

from localspec.data import Dataset
from localspec.errors import InvalidInputError, choose

IMAGE_CHANNELS = ("own", "copies", "squeezed")


def three_channels(images: torch.Tensor, how: str) -> torch.Tensor:
    """Return grey images as images of three channels.

    Parameters
    ----------
    images : torch.Tensor, shape (n_images, 1, height, width)
    how : {"copies", "squeezed"}
        Three copies; or what a reshape makes of three images side by side: channel ``c`` has in
        column ``w`` the image's column ``(3 w + c) mod width``, so that each channel shows three
        images squeezed to a third of their width.

    Returns
    -------
    torch.Tensor, shape (n_images, 3, height, width)

    References
    ----------
    Hod et al., arXiv:2110.08058, "Feature visualization".

    Examples
    --------
    >>> row = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> three_channels(row, "squeezed")[0, :, 0].tolist()
    [[0.0, 3.0, 2.0, 1.0], [1.0, 0.0, 3.0, 2.0], [2.0, 1.0, 0.0, 3.0]]
    """
    choose("image_channels", how, IMAGE_CHANNELS[1:])
    if how == "copies":
        return images.expand(-1, 3, -1, -1).contiguous()
    n_images, _, height, width = images.shape
    side_by_side = images[:, 0].tile(1, 1, 3)
    return side_by_side.reshape(n_images, height, width, 3).permute(0, 3, 1, 2).contiguous()


def in_three_channels(dataset: Dataset, how: str) -> Dataset:
    """Return a data set of grey images in three channels, or as it is (``"own"``).

    Raises
    ------
    InvalidInputError
        If its images are not grey.
    """
    if choose("image_channels", how, IMAGE_CHANNELS) == "own":
        return dataset
    if dataset.image_shape[0] != 1:
        raise InvalidInputError(
            f"image_channels={how!r} makes three channels of one, but the images of "
            f"{dataset.name!r} have {dataset.image_shape[0]}: use 'own'"
        )
    return replace(
        dataset,
        x_train=three_channels(dataset.x_train, how),
        x_test=three_channels(dataset.x_test, how),
    )
