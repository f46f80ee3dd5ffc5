"""Data sets, and images that no later step can use."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from localspec.data import DATASETS, Dataset, check_dataset, check_images, load_dataset


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
    assert data.fingerprint == ""  # their results keep their keys


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


def test_names_of_data_sets():
    variants = ("", "-halves", "-halves-same", "-stacked", "-stacked-same")
    derived = {f"{name}{variant}" for name in ("mnist", "fashion-mnist") for variant in variants}
    assert set(DATASETS) == {"digits", "cifar10", "polynomials", "imagenet-sample", *derived}
