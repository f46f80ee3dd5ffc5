"""Data sets in memory: hold images with labels or targets, and refuse unusable ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from localspec._utils.validation import check_option, check_type, require, shown
from localspec.exceptions import InvalidInputError

DTYPES = {"float32": torch.float32, "float64": torch.float64}
TASKS = ("classification", "regression")
N_COMPARED = 64  # images that are looked at together


@dataclass(frozen=True)
class Dataset:
    """Images and labels, or inputs and targets, split into training and test sets.

    Attributes
    ----------
    name : str
    x_train, x_test : torch.Tensor, shape (n_images, n_channels, height, width)
        Pixels in [0, 1]. For regression: inputs of any size, shape (n_samples, n_inputs).
    y_train, y_test : torch.Tensor of int64, shape (n_images,)
        Labels. For regression: targets, floating point, shape (n_samples, n_targets).
    class_names : tuple of str
        Empty for regression.
    source : str
        What the data were made from: "original files" if their published MD5 sums are right, or
        for instance "image folder (.jpg)", whose pixels need not be the published ones.
    fingerprint : str
        SHA-256 sum of pixels (as whole numbers) and labels, or of what was drawn at random; empty
        for ``digits`` and for data sets made by hand.
    groups : tuple of str
        The group of each class, where classes have too few images for accuracies of their own;
        empty where they have enough.
    """

    name: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    class_names: tuple[str, ...]
    source: str = ""
    fingerprint: str = ""
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(
            isinstance(self.class_names, tuple | list),
            "class_names must be a tuple of names, one a class, or empty for regression, not "
            f"{shown(self.class_names)}",
        )
        require(
            isinstance(self.groups, tuple | list)
            and len(self.groups) in (0, len(self.class_names)),
            f"groups must be a tuple of {len(self.class_names)} names, one a class, or empty, not "
            f"{shown(self.groups)}",
        )

    @property
    def group_names(self) -> tuple[str, ...]:
        """What accuracies are taken over: groups of classes, or the classes themselves."""
        return tuple(dict.fromkeys(self.groups)) or self.class_names

    def group_labels(self, y: torch.Tensor) -> torch.Tensor:
        """Return the number of each label's group, in the order of `group_names`."""
        if not self.groups:
            return y
        numbers = {name: number for number, name in enumerate(self.group_names)}
        return torch.tensor([numbers[name] for name in self.groups], device=y.device)[y.long()]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image, (n_channels, height, width)."""
        return tuple(self.x_train.shape[1:])

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for regression."""
        return len(self.class_names)

    @property
    def task(self) -> str:
        """``"classification"``, or ``"regression"`` where there are no classes."""
        return "classification" if self.class_names else "regression"

    @property
    def n_outputs(self) -> int:
        """Number of outputs of a network for this data set: of classes or of targets."""
        return self.n_classes or self.y_train.shape[1]

    def to(self, device: torch.device) -> Dataset:
        """Return the data set on a device."""
        return replace(
            self,
            x_train=self.x_train.to(device),
            y_train=self.y_train.to(device),
            x_test=self.x_test.to(device),
            y_test=self.y_test.to(device),
        )


FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def _what(value: object, rows: str = "images") -> str:
    """Name what was given where a tensor of `rows` was wanted, and say how to make one of it."""
    own = ("x_test", 0) if rows == "images" else ("y_test", 1)
    if isinstance(value, torch.Tensor):
        return str(tuple(value.shape))
    if isinstance(value, np.ndarray):
        return f"a numpy array of shape {value.shape}: torch.from_numpy(...)"
    if isinstance(value, Dataset):
        return f"a Dataset: pass dataset.{own[0]}"
    if isinstance(value, DataLoader):
        return f"a DataLoader: torch.cat([batch[{own[1]}] for batch in loader])"
    if isinstance(value, TorchDataset):
        many = "stack" if rows == "images" else "tensor"
        return f"a data set ({type(value).__name__}): torch.{many}([pair[{own[1]}] for pair in it])"
    if isinstance(value, list | tuple):
        parts = "list" if isinstance(value, list) else "tuple"
        if value and all(isinstance(part, torch.Tensor) for part in value):
            return f"a {parts} of tensors: torch.stack(...)"
        if any(isinstance(part, str) for part in value):
            return f"a {parts} of text: torch.tensor(...) of the classes' numbers, from 0"
        return f"{parts}: torch.tensor(...)"
    if hasattr(value, "to_numpy"):
        return f"{type(value).__name__}: torch.tensor(frame.to_numpy())"
    return type(value).__name__


def _check_held(name: str, values: torch.Tensor) -> None:
    """Refuse tensors whose values are not all there, one beside the other."""
    if values.is_nested:
        raise InvalidInputError(f"{name} must all have one shape, not be a nested tensor")
    if values.layout != torch.strided:
        raise InvalidInputError(f"{name} must be a dense tensor, not {values.layout}: .to_dense()")
    if values.is_quantized:
        raise InvalidInputError(f"{name} must be plain numbers, not quantized: .dequantize()")
    if values.is_meta:
        raise InvalidInputError(f"{name} are on the device 'meta', without values: load them")


def _all_finite(values: torch.Tensor) -> bool:
    # extremes are found in one pass, and NaN is one; isfinite makes several arrays as large
    return not values.numel() or all(bool(end.isfinite()) for end in values.aminmax())


def check_images(x: torch.Tensor, y: torch.Tensor | None = None, *, name: str = "images") -> None:
    """Refuse images or labels that no later step can use.

    Parameters
    ----------
    x : torch.Tensor, shape (n_images, ...)
    y : torch.Tensor of integers, shape (n_images,), optional
    name : str, optional
        What messages call the images.

    Raises
    ------
    InvalidInputError
        If there are no images, a value is not finite, or the labels do not fit.
    """
    if isinstance(x, torch.Tensor):
        _check_held(name, x)
    if not isinstance(x, torch.Tensor) or x.ndim < 2 or not len(x):
        raise InvalidInputError(
            f"{name} must be a tensor of shape (n_images, ...) with at least one image, not "
            f"{_what(x)}"
        )
    if not x.numel():
        raise InvalidInputError(f"{name} must hold at least one pixel, not be of {_what(x)}")
    if x.dtype not in FLOATS:
        cure = "x.abs() or x.real" if x.is_complex() else "x.float() / 255"
        cure = "x.float()" if x.is_floating_point() or x.dtype == torch.bool else cure
        raise InvalidInputError(f"{name} must be floating point, not {x.dtype}: {cure}")
    if not _all_finite(x.detach()):
        raise InvalidInputError(
            f"{name} must be finite, but hold NaN or infinite values: clean the data first"
        )
    if y is not None:
        check_class_labels(y, len(x))


def other_image(x: torch.Tensor) -> int | None:
    """Return the first image that differs from the first one; None if all are alike.

    Parameters
    ----------
    x : torch.Tensor, shape (n_images, ...)

    Returns
    -------
    int or None
        Its index. Images are looked at a part at a time, up to that one.

    Examples
    --------
    >>> other_image(torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]]))
    2
    """
    for index, part in enumerate(x.split(N_COMPARED)):
        others = (part != x[:1]).flatten(1).any(dim=1).nonzero()
        if len(others):
            return index * N_COMPARED + int(others[0])
    return None


def check_class_labels(y: torch.Tensor, n_images: int | None = None) -> None:
    """Refuse labels that are not one whole number from 0 upwards an image.

    Parameters
    ----------
    y : torch.Tensor of integers, shape (n_images,)
    n_images : int, optional
        By default as many as there are labels, but one at least.

    Raises
    ------
    InvalidInputError
        If they are anything else.
    """
    if isinstance(y, torch.Tensor):
        _check_held("labels", y)
    fits = isinstance(y, torch.Tensor) and y.ndim == 1 and len(y) > 0
    if not fits or len(y) != (n_images or len(y)):
        cure = ""
        if isinstance(y, torch.Tensor) and y.ndim == 2:
            cure = ": y.flatten()" if y.shape[1] == 1 else ": y.argmax(1) of rows of scores"
        shape = f"({n_images or 'n_images'},)"
        raise InvalidInputError(
            f"labels must be a tensor of shape {shape}, one label an image, not "
            f"{_what(y, 'labels')}{cure}"
        )
    if y.dtype not in INTEGERS:
        raise InvalidInputError(f"labels must be integers from 0 upwards, not {y.dtype}: y.long()")
    if int(y.min()) < 0:
        raise InvalidInputError(
            f"labels must be integers from 0 upwards, not {int(y.min())}: leave images without a "
            "class out"
        )


def _check_targets(x: torch.Tensor, y: torch.Tensor) -> None:
    check_images(x)
    if isinstance(y, torch.Tensor):
        _check_held("targets", y)
    if not isinstance(y, torch.Tensor) or y.ndim != 2 or len(y) != len(x) or not y.shape[1]:
        raise InvalidInputError(
            f"targets must be a tensor of shape ({len(x)}, n_targets), not {_what(y, 'labels')}"
        )
    if y.dtype not in FLOATS:
        raise InvalidInputError(f"targets must be floating point, not {y.dtype}: y.float()")
    if not _all_finite(y):
        raise InvalidInputError("targets hold NaN or infinite values: clean the data first")


def _check_splits(dataset: Dataset) -> None:
    """Refuse test images that are not like the training images."""
    train, test = dataset.x_train, dataset.x_test
    if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
        raise InvalidInputError(
            f"images of data set {dataset.name!r} must have one shape and type, but those for "
            f"training are {tuple(train.shape[1:])} of {train.dtype}, those for tests "
            f"{tuple(test.shape[1:])} of {test.dtype}"
        )


def check_dataset(dataset: Dataset, *, task: str = "classification") -> None:
    """Refuse a data set that no network can be trained on.

    Parameters
    ----------
    dataset : Dataset
    task : {"classification", "regression"}
        What it is to be trained for.

    Raises
    ------
    InvalidInputError
        If images, labels or targets cannot be used, they are for the other task, a label has no
        class, or there is only one class.
    """
    check_type("dataset", dataset, Dataset, "load_dataset(...) or Dataset(...) makes one")
    if check_option("task", task, TASKS) == "regression":
        _check_targets(dataset.x_train, dataset.y_train)
        _check_targets(dataset.x_test, dataset.y_test)
        _check_splits(dataset)
        sizes = dataset.y_train.shape[1], dataset.y_test.shape[1]
        if sizes[0] != sizes[1]:
            raise InvalidInputError(f"{sizes[0]} training targets but {sizes[1]} test targets")
        return
    if dataset.task == "regression":
        raise InvalidInputError(
            f"data set {dataset.name!r} has no classes: it is for regression, not for a classifier"
        )
    for x, y in ((dataset.x_train, dataset.y_train), (dataset.x_test, dataset.y_test)):
        check_images(x)
        check_class_labels(y, len(x))
    _check_splits(dataset)
    if dataset.n_classes < 2:
        raise InvalidInputError(
            f"data set {dataset.name!r} has {dataset.n_classes} class(es): a classifier needs at "
            "least two"
        )
    highest = int(max(dataset.y_train.max(), dataset.y_test.max()))
    if highest >= dataset.n_classes:
        raise InvalidInputError(
            f"label {highest} of data set {dataset.name!r} is outside its {dataset.n_classes} "
            f"classes: labels must be from 0 to {dataset.n_classes - 1}"
        )
