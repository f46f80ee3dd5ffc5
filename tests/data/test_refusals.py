"""Data sets that are refused: unknown, missing, damaged, or not fit for the task."""

from dataclasses import replace

import pytest
import torch
from helpers.refusals import IMAGES, LABELS, cases, check_refused

from localspec.data import Dataset, check_dataset, load_dataset
from localspec.exceptions import InvalidInputError

MADE = Dataset("made", IMAGES, LABELS, IMAGES, LABELS, ("a", "b", "c"))
CASES = {
    "a classifier of targets": (
        lambda: check_dataset(replace(MADE, class_names=(), y_train=torch.rand(30, 5))),
        "'made' has no classes",
        "for regression",
    ),
    "labels for regression": (
        lambda: check_dataset(MADE, task="regression"),
        "targets",
        "shape (30, n_targets)",
        "not (30,)",
    ),
    "data set": (lambda: load_dataset("mnits"), "data set='mnits' is not known", "'mnist'"),
    "task": (lambda: check_dataset(MADE, task="ranking"), "'ranking'", "'regression'"),
    "dtype": (lambda: load_dataset("digits", dtype="half"), "'half'", "'float32', 'float64'"),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)


RAW, ARCHIVE = "MNIST/raw/train-images-idx3-ubyte", "cifar-10-python.tar.gz"
MNIST_HEADER = bytes.fromhex("00000803 0000ea60 0000001c 0000001c")
DATA_SETS = {  # files in the folder for data sets -> what is said when the data set is loaded
    "nothing there": ("mnist", {}, "is not in", "train-images-idx3-ubyte", "download=True"),
    "nothing to derive from": ("mnist-halves", {}, "MNIST/raw", "LOCALSPEC_DATA"),
    "no CIFAR-10": ("cifar10", {}, "is not in", ARCHIVE, "CIFAR10/train/<class>"),
    "a file of nothing": (
        "mnist",
        {f"{RAW}.gz": b"", "MNIST/raw/train-labels-idx1-ubyte": b""},
        "t10k-images-idx3-ubyte",
        "not found",
    ),
    "an archive of something else": ("cifar10", {ARCHIVE: b"PK"}, ARCHIVE, "MD5", "delete it"),
    "batches in part": (
        "cifar10",
        {"cifar-10-batches-py/data_batch_2": b"no pickle"},
        "cannot read",
        "data_batch_1 of CIFAR-10",
        "delete",
    ),
    "images of other classes": (
        "cifar10",
        {"CIFAR10/train/ant/1.jpg": b""},
        "CIFAR10/train are not those expected",
        "'airplane'",
        "not expected ['ant']",
        "delete",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(
    ("name", "files", "words"),
    [pytest.param(n, files, words, id=key) for key, (n, files, *words) in DATA_SETS.items()],
)
def test_data_sets_that_are_missing_or_damaged(tmp_path, name, files, words):
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    check_refused(
        lambda: load_dataset(name, root=tmp_path, download=False), [str(tmp_path), *words]
    )


@pytest.mark.usefixtures("no_long_work")
def test_a_data_set_that_is_cut_off(tmp_path):
    sizes = {"train": 60_000, "t10k": 10_000}
    for split, n in sizes.items():
        for kind, header in (("images-idx3", MNIST_HEADER), ("labels-idx1", b"")):
            path = tmp_path / "MNIST" / "raw" / f"{split}-{kind}-ubyte"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(header + bytes(n))
    with pytest.raises(InvalidInputError, match=r"\(60,016 bytes\), not 6bbc9ace.*cut off"):
        load_dataset("mnist", root=tmp_path, download=False)
