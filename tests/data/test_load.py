"""Data sets, and images that no later step can use."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from localspec.data import DATASETS, Dataset, check_dataset, check_images, load_dataset
from localspec.exceptions import InvalidInputError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_digits(dtype):
    data = load_dataset("digits", dtype=dtype)
    assert data.x_train.shape == (898, 1, 8, 8)
    assert data.x_test.shape == (899, 1, 8, 8)
    assert data.x_train.dtype == data.x_test.dtype == getattr(torch, dtype)
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    assert data.image_shape == (1, 8, 8)
    assert data.n_classes == 10
    assert data.class_names == tuple("0123456789")
    assert data.y_train.dtype == data.y_test.dtype == torch.int64


def test_digits_are_all_there_once():
    data = load_dataset("digits", dtype="float64")
    x = torch.cat([data.x_train, data.x_test]).flatten(1).numpy() * 16
    y = torch.cat([data.y_train, data.y_test]).numpy()
    bunch = load_digits()
    images = sorted(map(tuple, np.column_stack([x, y]).tolist()))
    assert images == sorted(map(tuple, np.column_stack([bunch.data, bunch.target]).tolist()))


def test_both_halves_have_the_same_share_of_every_class():
    data = load_dataset("digits")
    train, test = torch.bincount(data.y_train), torch.bincount(data.y_test)
    assert (train - test).abs().max() <= 1


def test_loading_repeats():
    assert torch.equal(load_dataset("digits").x_test, load_dataset("digits").x_test)


def test_to_a_device():
    data = load_dataset("digits").to(torch.device("cpu"))
    assert data.x_train.device.type == "cpu"
    assert data.name == "digits"


IMAGES = torch.ones(3, 1, 2, 2)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.ones((3, 4)), None, "must be a tensor"),
        ([[1.0]], None, "not list"),
        (torch.ones(0, 4), None, "at least one image"),
        (torch.ones(4), None, r"shape \(n_images, ...\).*not \(4,\)"),
        (IMAGES.to(torch.uint8), None, "floating point, not torch.uint8"),
        (IMAGES * torch.nan, None, "NaN or infinite"),
        (IMAGES / 0, None, "NaN or infinite"),
        (IMAGES, torch.tensor([0, 1]), r"shape \(3,\)"),
        (IMAGES, torch.tensor([[0, 1, 2]]), r"shape \(3,\)"),
        (IMAGES, [0, 1, 2], "not list"),
        (IMAGES, torch.tensor([0.0, 1.0, 2.0]), "integers from 0 upwards, not torch.float32"),
        (IMAGES, torch.tensor([True, False, True]), "integers from 0 upwards, not torch.bool"),
        (IMAGES, torch.tensor([0, -1, 2]), "integers from 0 upwards"),
    ],
)
def test_images_and_labels_that_are_refused(x, y, message):
    with pytest.raises(InvalidInputError, match=message):
        check_images(x, y)


def test_images_that_are_fine():
    check_images(IMAGES)
    check_images(IMAGES.double(), torch.tensor([0, 5, 2], dtype=torch.uint8))


def regression(y_train=None, y_test=None):
    y_train = torch.rand(3, 5) if y_train is None else y_train
    y_test = torch.rand(2, 5) if y_test is None else y_test
    return Dataset("sums", torch.rand(3, 4), y_train, torch.rand(2, 4), y_test, ())


def test_regression():
    data = regression()
    check_dataset(data, task="regression")
    assert (data.task, data.n_outputs, data.n_classes) == ("regression", 5, 0)
    assert load_dataset("digits").task == "classification"
    assert load_dataset("digits").n_outputs == 10


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"y_test": torch.rand(3, 5)}, r"shape \(2, n_targets\), not \(3, 5\)"),
        ({"y_train": torch.rand(3, 0)}, r"shape \(3, n_targets\), not \(3, 0\)"),
        ({"y_test": torch.full((2, 5), torch.nan)}, "targets hold NaN"),
        ({"y_train": [1.0]}, "not list"),
    ],
)
def test_targets_that_are_refused(targets, message):
    with pytest.raises(InvalidInputError, match=message):
        check_dataset(regression(**targets), task="regression")


def test_names_of_data_sets():
    variants = ("", "-halves", "-halves-same", "-stacked", "-stacked-same")
    derived = {f"{name}{variant}" for name in ("mnist", "fashion-mnist") for variant in variants}
    assert set(DATASETS) == {"digits", "cifar10", "polynomials", "imagenet-sample", *derived}


def test_digits_have_no_fingerprint():
    assert load_dataset("digits").fingerprint == ""  # their results keep their keys
