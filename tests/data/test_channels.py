"""Grey images in three channels: copies, and what a reshape makes of three side by side."""

import numpy as np
import pytest
import torch

from localspec.data import in_three_channels, load_dataset
from localspec.data._derived import three_channels
from localspec.exceptions import InvalidInputError


def test_copies_are_the_image_three_times():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert three_channels(image, "copies").tolist() == [[[[1, 2], [3, 4]]] * 3]


def test_squeezed_channels_hold_every_third_column_of_three_images_side_by_side():
    # Row 1 2 3 4 5 side by side: 1 2 3 4 5 1 2 3 4 5 1 2 3 4 5; in threes, a pixel's channels:
    # (1 2 3) (4 5 1) (2 3 4) (5 1 2) (3 4 5)
    row = torch.tensor([[[[1.0, 2.0, 3.0, 4.0, 5.0]]]])
    channels = three_channels(row, "squeezed")[0, :, 0].tolist()
    assert channels == [[1, 4, 2, 5, 3], [2, 5, 3, 1, 4], [3, 1, 4, 2, 5]]


def test_squeezed_is_numpys_tile_and_reshape():
    images = np.random.default_rng(0).random((4, 6, 8))
    expected = np.tile(images, 3).reshape(4, 6, 8, 3).transpose(0, 3, 1, 2)
    channels = three_channels(torch.from_numpy(images)[:, None], "squeezed")
    assert (channels.numpy() == expected).all()


def test_a_data_set_in_three_channels_keeps_its_labels():
    digits = load_dataset("digits")
    assert in_three_channels(digits, "own") is digits
    copies = in_three_channels(digits, "copies")
    assert copies.image_shape == (3, 8, 8)
    assert copies.y_train is digits.y_train
    with pytest.raises(InvalidInputError, match="'digits' have 3: use 'own'"):
        in_three_channels(copies, "squeezed")
    with pytest.raises(InvalidInputError, match="choose one of 'own', 'copies', 'squeezed'"):
        in_three_channels(digits, "rgb")
