"""Data sets that are refused: unknown, missing, damaged, or not fit for the task."""

from dataclasses import replace

import pytest
import torch
from helpers.refusals import IMAGES, LABELS, cases, check_refused

from localspec.data import Dataset, check_dataset, in_three_channels, load_dataset
from localspec.exceptions import InvalidInputError

MADE = Dataset("made", IMAGES, LABELS, IMAGES, LABELS, ("a", "b", "c"))
NUMBERS = replace(MADE, x_train=IMAGES.flatten(1), x_test=IMAGES.flatten(1))
TARGETS = replace(MADE, class_names=(), y_train=torch.rand(30, 2), y_test=torch.rand(30, 2))


def checked(**changes):
    return check_dataset(replace(MADE, **changes))


def regression(**changes):
    return check_dataset(replace(TARGETS, **changes), task="regression")


CASES = {
    "a classifier of targets": (
        lambda: check_dataset(replace(MADE, class_names=(), y_train=torch.rand(30, 5))),
        "'made' has no classes: it is for regression",
    ),
    "labels for regression": (
        lambda: check_dataset(MADE, task="regression"),
        "shape (30, n_targets), not (30,)",
    ),
    "data set": (lambda: load_dataset("mnits"), "data set='mnits' is not known", "'mnist'"),
    "task": (lambda: check_dataset(MADE, task="ranking"), "'ranking'", "'regression'"),
    "dtype": (lambda: load_dataset("digits", dtype="half"), "'half'", "'float32', 'float64'"),
    "no data set": (
        lambda: check_dataset((IMAGES, LABELS)),
        "dataset must be a Dataset, not tuple: load_dataset(...)",
    ),
    "a data set by name": (lambda: check_dataset("mnist"), "not str", "load_dataset(...)"),
    "images of bytes": (lambda: checked(x_train=IMAGES.byte()), "uint8", "x.float() / 255"),
    "infinite pixels": (lambda: checked(x_train=IMAGES / 0), "NaN or infinite"),
    "images in a list": (lambda: checked(x_test=IMAGES.tolist()), "must be a tensor", "not list"),
    "labels in a list": (lambda: checked(y_train=LABELS.tolist()), "must be a tensor", "not list"),
    "no labels": (lambda: checked(y_test=None), "labels must be a tensor", "NoneType"),
    "labels of floats": (lambda: checked(y_train=LABELS.float()), "float32", "y.long()"),
    "one-hot labels": (lambda: checked(y_train=torch.eye(3)[LABELS]), "(30, 3)", "y.argmax(1)"),
    "negative labels": (lambda: checked(y_test=LABELS - 1), "not -1", "leave images without"),
    "labels of no class": (
        lambda: checked(class_names=("a", "b")),
        "label 2 of data set 'made' is outside its 2 classes",
        "from 0 to 1",
    ),
    "classes by number": (
        lambda: checked(class_names=3),
        "class_names must be a tuple of names",
        "not 3",
    ),
    "classes in a text": (lambda: checked(class_names="abc"), "tuple of names", "'abc'"),
    "groups of fewer classes": (
        lambda: checked(groups=("even", "odd")),
        "groups must be a tuple of 3 names",
        "('even', 'odd')",
    ),
    "one class": (lambda: checked(class_names=("a",)), "1 class(es)", "at least two"),
    "test images of another size": (
        lambda: checked(x_test=torch.rand(30, 1, 5, 5)),
        "'made' must have one shape",
        "(1, 4, 4) of torch.float32, those for tests (1, 5, 5)",
    ),
    "test images of another type": (
        lambda: checked(x_test=IMAGES.double()),
        "one shape and type",
        "torch.float32, those for tests (1, 4, 4) of torch.float64",
    ),
    "test targets of other number": (
        lambda: regression(y_test=torch.rand(30, 3)),
        "2 training targets but 3 test targets",
    ),
    "targets of whole numbers": (
        lambda: regression(y_train=LABELS[:, None]),
        "floating point, not torch.int64: y.float()",
    ),
    "no targets": (
        lambda: regression(y_train=torch.rand(30, 0)),
        "shape (30, n_targets), not (30, 0)",
    ),
    "targets of other images": (
        lambda: regression(y_test=torch.rand(29, 2)),
        "shape (30, n_targets), not (29, 2)",
    ),
    "undefined targets": (lambda: regression(y_test=TARGETS.y_test / 0), "targets hold NaN"),
    "targets in a list": (lambda: regression(y_train=[1.0]), "not list"),
    "sparse targets": (
        lambda: regression(y_train=torch.rand(30, 2).to_sparse()),
        "targets must be a dense tensor, not torch.sparse_coo: .to_dense()",
    ),
    "task by number": (lambda: check_dataset(MADE, task=1), "task=1", "'classification'"),
    "no name": (lambda: load_dataset(None), "data set=None", "'digits'"),
    "names in a list": (lambda: load_dataset(["mnist"]), "data set=['mnist']", "'mnist'"),
    "dtype of torch": (
        lambda: load_dataset("digits", dtype=torch.float32),
        "dtype=torch.float32",
        "'float32', 'float64'",
    ),
    "root by number": (
        lambda: load_dataset("mnist", root=7),
        "root must be the path of a folder",
        "not 7",
    ),
    "download by text": (
        lambda: load_dataset("mnist", download="no"),
        "download must be True or False, not 'no'",
    ),
    "channels of what is no data set": (
        lambda: in_three_channels(IMAGES, "copies"),
        "dataset must be a Dataset, not Tensor",
    ),
    "channels of no kind": (
        lambda: in_three_channels(MADE, "rgb"),
        "image_channels='rgb'",
        "'own', 'copies', 'squeezed'",
    ),
    "channels of numbers": (
        lambda: in_three_channels(NUMBERS, "copies"),
        "(n_channels, height, width)",
        "(16,): use 'own'",
    ),
    "channels of colours": (
        lambda: in_three_channels(replace(MADE, x_train=torch.rand(30, 3, 4, 4)), "copies"),
        "'made' have 3: use 'own'",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)


RAW = "MNIST/raw/train-images-idx3-ubyte"
MNIST_HEADER = bytes.fromhex("00000803 0000ea60 0000001c 0000001c")
DATA_SETS = {  # files in the folder for data sets -> what is said when the data set is loaded
    "nothing there": ("mnist", {}, "is not in", "train-images-idx3-ubyte", "download=True"),
    "nothing to derive from": ("mnist-halves", {}, "MNIST/raw", "LOCALSPEC_DATA"),
    "a file of nothing": (
        "mnist",
        {f"{RAW}.gz": b"", "MNIST/raw/train-labels-idx1-ubyte": b""},
        "t10k-images-idx3-ubyte",
        "not found",
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
