"""Data sets in memory: hold images with labels or targets, and refuse unusable ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from localspec._utils.validation import check_option
from localspec.exceptions import InvalidInputError

DTYPES = {"float32": torch.float32, "float64": torch.float64}
TASKS = ("classification", "regression")


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
    """

    name: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    class_names: tuple[str, ...]
    source: str = ""
    fingerprint: str = ""

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


def _what(value: object) -> str:
    """Name what was given where a tensor was wanted: its shape, or its type."""
    if isinstance(value, torch.Tensor):
        return str(tuple(value.shape))
    if isinstance(value, np.ndarray):
        return f"a numpy array of shape {value.shape}: torch.from_numpy(...)"
    return type(value).__name__


def _all_finite(values: torch.Tensor) -> bool:
    # extremes are found in one pass, and NaN is one; isfinite makes several arrays as large
    return not values.numel() or all(bool(end.isfinite()) for end in values.aminmax())


def check_images(x: torch.Tensor, y: torch.Tensor | None = None) -> None:
    """Refuse images or labels that no later step can use.

    Parameters
    ----------
    x : torch.Tensor, shape (n_images, ...)
    y : torch.Tensor of integers, shape (n_images,), optional

    Raises
    ------
    InvalidInputError
        If there are no images, a value is not finite, or the labels do not fit.
    """
    if not isinstance(x, torch.Tensor) or x.ndim < 2 or not len(x):
        raise InvalidInputError(
            f"images must be a tensor of shape (n_images, ...) with at least one image, not "
            f"{_what(x)}"
        )
    if not x.is_floating_point():
        raise InvalidInputError(f"images must be floating point, not {x.dtype}: x.float() / 255")
    if not _all_finite(x):
        raise InvalidInputError("images hold NaN or infinite values: clean the data first")
    if y is None:
        return
    if not isinstance(y, torch.Tensor) or y.shape != (len(x),):
        raise InvalidInputError(
            f"labels must be a tensor of shape ({len(x)},), one label an image, not {_what(y)}"
        )
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise InvalidInputError(f"labels must be integers from 0 upwards, not {y.dtype}: y.long()")
    if int(y.min()) < 0:
        raise InvalidInputError(f"labels must be integers from 0 upwards, not {int(y.min())}")


def _check_targets(x: torch.Tensor, y: torch.Tensor) -> None:
    check_images(x)
    if not isinstance(y, torch.Tensor) or y.ndim != 2 or len(y) != len(x) or not y.shape[1]:
        raise InvalidInputError(
            f"targets must be a tensor of shape ({len(x)}, n_targets), not {_what(y)}"
        )
    if not y.is_floating_point():
        raise InvalidInputError(f"targets must be floating point, not {y.dtype}: y.float()")
    if not _all_finite(y):
        raise InvalidInputError("targets hold NaN or infinite values: clean the data first")


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
    if check_option("task", task, TASKS) == "regression":
        _check_targets(dataset.x_train, dataset.y_train)
        _check_targets(dataset.x_test, dataset.y_test)
        sizes = dataset.y_train.shape[1], dataset.y_test.shape[1]
        if sizes[0] != sizes[1]:
            raise InvalidInputError(f"{sizes[0]} training targets but {sizes[1]} test targets")
        return
    if dataset.task == "regression":
        raise InvalidInputError(
            f"data set {dataset.name!r} has no classes: it is for regression, not for a classifier"
        )
    check_images(dataset.x_train, dataset.y_train)
    check_images(dataset.x_test, dataset.y_test)
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
