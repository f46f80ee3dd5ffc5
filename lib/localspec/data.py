"""Named data sets, as tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from localspec.errors import InvalidInputError, choose

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Dataset:
    """Images and labels, split into training and test sets.

    Attributes
    ----------
    name : str
    x_train, x_test : torch.Tensor, shape (n_images, n_channels, height, width)
        Pixels in [0, 1].
    y_train, y_test : torch.Tensor of int64, shape (n_images,)
    class_names : tuple of str
    """

    name: str
    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    class_names: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one image, (n_channels, height, width)."""
        return tuple(self.x_train.shape[1:])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def to(self, device: torch.device) -> Dataset:
        """Return the data set on a device."""
        tensors = ("x_train", "y_train", "x_test", "y_test")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


def _digits(dtype: torch.dtype) -> Dataset:
    bunch = load_digits()
    images = torch.tensor(bunch.images[:, None] / 16.0, dtype=dtype)
    labels = torch.tensor(bunch.target, dtype=torch.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.5, stratify=bunch.target, random_state=0
    )
    names = tuple(str(name) for name in bunch.target_names)
    return Dataset("digits", images[train], labels[train], images[test], labels[test], names)


LOADERS = {"digits": _digits}


def load_dataset(name: str, *, dtype: str = "float32") -> Dataset:
    """Load a named data set.

    Parameters
    ----------
    name : {"digits"}
        ``digits``: scikit-learn's bundled 1,797 handwritten digits of 8 x 8 pixels, split in
        two halves with the same share of every class.
    dtype : {"float32", "float64"}
        Type of the pixels.

    Raises
    ------
    InvalidInputError
        If the name or dtype is unknown.

    Examples
    --------
    >>> load_dataset("digits").x_test.shape
    torch.Size([899, 1, 8, 8])
    """
    loader = LOADERS[choose("data set", name, LOADERS)]
    return loader(DTYPES[choose("dtype", dtype, DTYPES)])


def _what(value: object) -> str:
    """Name what was given where a tensor was wanted: its shape, or its type."""
    if isinstance(value, torch.Tensor):
        return str(tuple(value.shape))
    if isinstance(value, np.ndarray):
        return f"a numpy array of shape {value.shape}: torch.from_numpy(...)"
    return type(value).__name__


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
    if not torch.isfinite(x).all():
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


def check_dataset(dataset: Dataset) -> None:
    """Refuse a data set that no classifier can be trained on.

    Parameters
    ----------
    dataset : Dataset

    Raises
    ------
    InvalidInputError
        If images or labels cannot be used, a label has no class, or there is only one class.
    """
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
