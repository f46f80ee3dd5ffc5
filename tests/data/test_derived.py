"""Halves, stacked images, polynomials and three channels, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.data import TEST_DATA, needs_test_data, write

from localspec.data import in_three_channels, load_dataset
from localspec.data._derived import (
    derive,
    derive_split,
    evaluate_polynomials,
    generator,
    pairs,
    polynomial_coefficients,
    polynomials,
    squeeze,
    three_channels,
)
from localspec.data._files import RawImages
from localspec.exceptions import InvalidInputError

VALUES = [51, 102, 153, 204, 255]  # a fifth of white to white
LABELS = torch.tensor([0, 7, 8, 7, 9])
FLAT = torch.tensor(VALUES, dtype=torch.uint8)[:, None, None, None].expand(5, 1, 2, 4).clone()
NAMES = tuple("abcdefghij")


def raw(x_train, y_train, x_test, y_test):
    return RawImages(
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=NAMES,
        source="by hand",
    )


def made(images=FLAT, labels=LABELS):
    return raw(images, labels, images[:2], labels[:2])


def test_squeezing_weighs_neighbours():
    # half the width: a pixel is the mean of four, weighted 1 : 3 : 3 : 1; at the edges 3 : 3 : 1
    image = torch.tensor([[7, 14, 0, 0, 0, 0, 0, 84]], dtype=torch.uint8)[None, None]
    weighted = [(3 * 7 + 3 * 14) / 7, 14 / 8, 0, 3 * 84 / 7]  # the largest is 36
    expected = [round(value * 255 / 36) for value in weighted]
    assert expected == [64, 12, 0, 255]
    assert squeeze(image).flatten().tolist() == expected


def test_squeezing_scales_all_images_alike():
    dark = FLAT[:2]  # 51 and 102
    assert squeeze(dark)[:, 0, 0].tolist() == [[128, 128], [255, 255]]  # 127.5 to the even number
    assert squeeze(torch.zeros(2, 1, 2, 2, dtype=torch.uint8)).max() == 0


def test_odd_widths_have_no_halves():
    with pytest.raises(InvalidInputError, match="images of width 3 have no halves"):
        derive(made(FLAT[..., :3]), "halves")


def test_halves_of_flat_images():
    images, labels = derive_split("halves", FLAT, LABELS, n_classes=10, rng=generator())
    assert images.shape == FLAT.shape
    left, right = images[..., :2], images[..., 2:]
    for side in (left, right):  # one of the images, flat as they are
        assert (side == side[:, :, :1, :1]).all()
    first = [VALUES.index(int(value)) for value in left[:, 0, 0, 0]]
    second = [VALUES.index(int(value)) for value in right[:, 0, 0, 0]]
    sums = LABELS[first] + LABELS[second]
    assert labels.tolist() == (sums % 10).tolist()
    # the released code's draws: np.random.seed(42), then randint(0, 5, size=2) for each image
    assert list(zip(first, second, strict=True)) == [(3, 4), (2, 4), (4, 1), (2, 2), (2, 4)]


def test_stacked_images_are_the_same_pairs_as_channels():
    images, labels = derive_split("stacked", FLAT, LABELS, n_classes=10, rng=generator())
    halves, of_halves = derive_split("halves", FLAT, LABELS, n_classes=10, rng=generator())
    assert images.shape == (5, 2, 2, 4)
    assert torch.equal(images[:, 0, 0, 0], halves[:, 0, 0, 0])
    assert torch.equal(images[:, 1, 0, 0], halves[:, 0, 0, 3])
    assert labels.tolist() == of_halves.tolist()


@pytest.mark.parametrize("variant", ["halves-same", "stacked-same"])
def test_pairs_of_one_class(variant):
    seen = set()
    rng = generator()
    for _ in range(20):
        images, labels = derive_split(variant, FLAT, LABELS, n_classes=10, rng=rng)
        assert labels.tolist() == LABELS.tolist()
        first = images[:, 0, 0, 0].tolist()
        second = images[:, -1, 0, -1].tolist()
        assert first == VALUES
        assert [second[i] for i in (0, 2, 4)] == [VALUES[i] for i in (0, 2, 4)]  # alone in a class
        seen |= {(i, second[i]) for i in (1, 3)}
    assert seen == {(1, 102), (1, 204), (3, 102), (3, 204)}


def test_partners_are_uniform_over_the_class():
    labels = torch.tensor([0] * 3 + [1] * 6)
    rng = np.random.RandomState(0)
    drawn = torch.cat([pairs(labels, same=True, rng=rng)[-1:, 1] for _ in range(3000)])
    counts = torch.bincount(drawn, minlength=9)
    assert counts[:3].sum() == 0
    assert (counts[3:] - 500).abs().max() < 4 * np.sqrt(500)


def test_splits_are_derived_from_themselves():
    black = torch.zeros_like(FLAT)
    derived = derive(raw(FLAT, LABELS, black, LABELS), "halves")
    assert derived.x_test.max() == 0
    assert derived.x_train.min() > 0
    other = derive(raw(FLAT, LABELS, FLAT, LABELS * 0), "halves")
    assert torch.equal(other.x_train, derived.x_train)
    assert other.y_test.tolist() == [0] * 5


def test_names_of_classes_and_source():
    assert derive(made(), "halves").class_names == tuple("0123456789")
    assert derive(made(), "stacked-same").class_names == NAMES
    assert derive(made(), "stacked").source == "by hand"
    assert derive(made(), "stacked").x_test.shape == (2, 2, 2, 4)


def test_deriving_repeats():
    first, second = derive(made(), "halves"), derive(made(), "halves")
    assert torch.equal(first.x_train, second.x_train)
    assert torch.equal(first.x_test, second.x_test)


def test_polynomials_by_hand():
    x, y = 2.0, -3.0
    terms = [1, y, y**2, x, x * y, x * y**2, x**2, x**2 * y, x**2 * y**2]
    assert terms == [1, -3, 9, 2, -6, 18, 4, -12, 36]
    values = evaluate_polynomials(np.array([[x, y], [0.0, 0.0]]))
    assert values.shape == (2, 512)
    assert values[0, [256, 128, 64, 32, 16, 8, 4, 2, 1]].tolist() == terms
    assert values[0, 0] == 0
    assert values[0, 511] == sum(terms) == 49
    assert values[0, 0b100100001] == 1 + 2 + 36
    assert values[1].tolist() == [0] * 256 + [1] * 256  # the constant term alone is left


def test_all_polynomials_are_there_once():
    coefficients = polynomial_coefficients()
    assert coefficients.shape == (512, 9)
    assert len({tuple(row) for row in coefficients.tolist()}) == 512
    assert set(coefficients.ravel().tolist()) == {0, 1}


def test_inputs_of_polynomials_are_the_released_codes():
    inputs, targets = polynomials(3, rng=generator())
    # np.random.seed(42); np.random.normal(size=(3, 2))
    expected = [[0.49671415, -0.1382643], [0.64768854, 1.52302986], [-0.23415337, -0.23413696]]
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)
    np.testing.assert_allclose(targets, evaluate_polynomials(np.array(expected)), rtol=1e-6)


def test_polynomials_as_a_data_set():
    data = load_dataset("polynomials", dtype="float64", root="nowhere")
    assert data.x_train.shape == (60_000, 2)
    assert data.x_test.shape == (10_000, 2)
    assert data.y_train.shape == (60_000, 512)
    assert data.y_test.shape == (10_000, 512)
    assert data.y_train.dtype == torch.float64
    assert (data.task, data.class_names) == ("regression", ())
    assert (data.n_outputs, data.n_classes) == (512, 0)
    assert data.image_shape == (2,)
    assert float(data.x_train.mean()) == pytest.approx(0, abs=0.01)
    assert float(data.x_train.std()) == pytest.approx(1, abs=0.01)
    assert not torch.isin(data.x_test, data.x_train).any()
    assert torch.allclose(data.y_test[:, 511], (1 + data.x_test + data.x_test**2).prod(1))
    assert len(data.fingerprint) == 64


@needs_test_data
def test_mnist_halves(tmp_path):
    packed = {path.name: path.read_bytes() for path in Path(TEST_DATA, "MNIST", "raw").glob("*.gz")}
    write(tmp_path / "MNIST" / "raw", packed)
    plain, halves, same, stacked = (
        load_dataset(name, root=tmp_path, download=False)
        for name in ("mnist", "mnist-halves", "mnist-halves-same", "mnist-stacked")
    )
    assert halves.x_train.shape == same.x_train.shape == (60_000, 1, 28, 28)
    assert stacked.x_test.shape == (10_000, 2, 28, 28)
    assert (halves.x_train.min(), halves.x_train.max()) == (0, 1)
    assert torch.equal(same.y_train, plain.y_train)
    assert torch.equal(halves.y_train, stacked.y_train)
    i, j = 56422, 15795  # the first draws of np.random.seed(42)
    assert torch.equal(stacked.x_train[0], plain.x_train[[i, j], 0])
    assert halves.y_train[0] == (plain.y_train[i] + plain.y_train[j]) % 10
    # squeezing keeps the mean of an image but for what its edges weigh
    assert float(halves.x_train[0, 0, :, :14].mean()) == pytest.approx(
        float(plain.x_train[i].mean()), abs=0.01
    )
    assert len({data.fingerprint for data in (plain, halves, same, stacked)}) == 4


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
