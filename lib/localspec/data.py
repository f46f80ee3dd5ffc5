"""Data sets: load them by name, as tensors, and refuse what no later step can use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from localspec.artifacts import fingerprint
from localspec.cifar10_data import load_cifar10
from localspec.data_files import RawImages, data_root
from localspec.derived_data import N_POLYNOMIALS, VARIANTS, derive, generator, polynomials
from localspec.errors import InvalidInputError, choose
from localspec.idx_data import load_fashion_mnist, load_mnist

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


def _digits(dtype: torch.dtype) -> Dataset:
    bunch = load_digits()
    images = torch.tensor(bunch.images[:, None] / 16.0, dtype=dtype)
    labels = torch.tensor(bunch.target, dtype=torch.int64)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=0.5, stratify=bunch.target, random_state=0
    )
    return Dataset(
        name="digits",
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
        class_names=tuple(str(name) for name in bunch.target_names),
        source="scikit-learn",
    )


def _polynomials(dtype: torch.dtype) -> Dataset:
    rng = generator()
    n_train, n_test = N_POLYNOMIALS
    x_train, y_train = polynomials(n_train, rng=rng)
    x_test, y_test = polynomials(n_test, rng=rng)
    return Dataset(
        name="polynomials",
        x_train=x_train.to(dtype),
        y_train=y_train.to(dtype),
        x_test=x_test.to(dtype),
        y_test=y_test.to(dtype),
        class_names=(),
        source="computed",
        fingerprint=fingerprint(x_train, x_test),
    )


def _scaled(name: str, images: RawImages, dtype: torch.dtype) -> Dataset:
    """Return images as a data set, their pixels scaled from 0 .. 255 to [0, 1]."""
    return Dataset(
        name=name,
        x_train=images.x_train.to(dtype).div_(255),
        y_train=images.y_train,
        x_test=images.x_test.to(dtype).div_(255),
        y_test=images.y_test,
        class_names=images.class_names,
        source=images.source,
        fingerprint=fingerprint(images.x_train, images.y_train, images.x_test, images.y_test),
    )


MADE = {"digits": _digits, "polynomials": _polynomials}  # from no files
READ = {
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
}
DERIVED = {  # name -> (data set it is derived from, variant)
    f"{name}-{variant}": (name, variant)
    for name in ("mnist", "fashion-mnist")
    for variant in VARIANTS
}
LOADERS = ("digits", *READ, *DERIVED, "polynomials")


def load_dataset(
    name: str, *, dtype: str = "float32", root: str | Path | None = None, download: bool = True
) -> Dataset:
    """Load a named data set.

    Parameters
    ----------
    name : str
        - ``digits``: scikit-learn's bundled 1,797 handwritten digits of 8 x 8 pixels, split in
          two halves with the same share of every class;
        - ``mnist``, ``fashion-mnist``: 60,000 + 10,000 images of 28 x 28 pixels;
        - ``cifar10``: 50,000 + 10,000 colour images of 32 x 32 pixels;
        - ``mnist-halves``, ``mnist-halves-same``, ``mnist-stacked``, ``mnist-stacked-same`` and
          the same of ``fashion-mnist``: pairs of images, see
          :func:`localspec.derived_data.derive`;
        - ``polynomials``, for regression: 60,000 + 10,000 pairs of normal numbers and the values
          of 512 polynomials at them, see :func:`localspec.derived_data.polynomials`.
    dtype : {"float32", "float64"}
        Type of pixels, inputs and targets.
    root : str or Path, optional
        Folder for data sets; by default ``LOCALSPEC_DATA``, else ``data/`` of the project. See
        :func:`localspec.idx_data.load_idx` and :func:`localspec.cifar10_data.load_cifar10` for
        the files that are understood.
    download : bool, optional
        Whether torchvision may download what is not there.

    Returns
    -------
    Dataset

    Raises
    ------
    InvalidInputError
        If the name or dtype is unknown, or the data set's files are missing or damaged.
    ArtifactError
        If files must be written into `root` and cannot.

    Notes
    -----
    Pairs of images and inputs of polynomials are always drawn with the same seed, see
    :func:`localspec.derived_data.generator`, so that a name stands for one data set.

    Examples
    --------
    >>> load_dataset("digits").x_test.shape
    torch.Size([899, 1, 8, 8])
    """
    choose("data set", name, LOADERS)
    torch_dtype = DTYPES[choose("dtype", dtype, DTYPES)]
    if name in MADE:
        return MADE[name](torch_dtype)
    original, variant = DERIVED.get(name, (name, None))
    images = READ[original](data_root(root), download=download)
    return _scaled(name, images if variant is None else derive(images, variant), torch_dtype)


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
    if choose("task", task, TASKS) == "regression":
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
