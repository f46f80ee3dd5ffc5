"""Rotations, shifts and flips, by hand and against scipy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from localspec.networks._augmentation import augment, transform

IMAGES = torch.from_numpy(np.random.default_rng(0).random((6, 3, 8, 8)))
OPTIONS = {"max_rotation": 15.0, "max_shift": 0.1, "flip": True}


def transformed(images=IMAGES, angle=0.0, shift=(0.0, 0.0), flipped=False):
    n = len(images)
    return transform(
        images,
        torch.full((n,), float(angle)),
        torch.tensor([shift] * n),
        torch.full((n,), flipped),
    )


def drawn(seed=0, images=IMAGES, **options):
    return augment(images, torch.Generator().manual_seed(seed), **(options or OPTIONS))


def test_nothing_to_do_changes_nothing():
    assert transformed() == pytest.approx(IMAGES, abs=1e-6)
    assert drawn(max_rotation=0.0) == pytest.approx(IMAGES, abs=1e-6)


def test_a_flip_is_exact():
    flipped = transformed(flipped=True)
    assert flipped == pytest.approx(IMAGES.numpy()[..., ::-1], abs=1e-6)
    assert transformed(flipped, flipped=True) == pytest.approx(IMAGES, abs=1e-6)


def test_a_quarter_turn():
    assert transformed(angle=90) == pytest.approx(np.rot90(IMAGES, -1, axes=(2, 3)), abs=1e-6)


def test_a_rotation_of_images_that_are_no_squares_keeps_angles():
    # inside a circle around the middle nothing comes from outside
    images = torch.from_numpy(ndimage.gaussian_filter(np.random.default_rng(1).random((20, 30)), 2))
    rotated = transformed(images[None, None], angle=15)[0, 0].numpy()
    expected = ndimage.rotate(images.numpy(), -15, reshape=False, order=1, mode="nearest")
    assert rotated[4:16, 6:24] == pytest.approx(expected[4:16, 6:24], abs=1e-6)


def test_a_shift_repeats_the_border():
    right, down = transformed(shift=(0.25, 0.0)), transformed(shift=(0.0, 0.125))
    assert right[..., 2:] == pytest.approx(IMAGES[..., :-2], abs=1e-6)
    assert right[..., :2] == pytest.approx(IMAGES[..., :1].expand(-1, -1, -1, 2), abs=1e-6)
    assert down[:, :, 1:] == pytest.approx(IMAGES[:, :, :-1], abs=1e-6)
    assert down[:, :, 0] == pytest.approx(IMAGES[:, :, 0], abs=1e-6)


def test_every_image_has_a_transformation_of_its_own():
    same = IMAGES[:1].expand(6, -1, -1, -1)
    drawings = drawn(images=same)
    assert all(not torch.allclose(drawings[0], other) for other in drawings[1:])


def test_the_generator_alone_decides():
    assert torch.equal(drawn(seed=1), drawn(seed=1))
    assert not torch.equal(drawn(seed=1), drawn(seed=2))
    before = torch.random.get_rng_state()
    drawn()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_half_are_flipped_and_shifts_fill_their_range():
    columns = torch.arange(100.0).expand(2000, 1, 1, 100)
    flipped = drawn(images=columns, flip=True)[:, 0, 0, 0] > 50
    assert flipped.double().mean().item() == pytest.approx(0.5, abs=0.05)
    middle = drawn(images=columns, max_shift=0.1)[:, 0, 0, 50]
    assert (middle.min().item(), middle.max().item()) == pytest.approx((40, 60), abs=0.3)
    assert middle.mean().item() == pytest.approx(50, abs=0.5)
