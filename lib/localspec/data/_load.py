"""Data sets: load them by name, as tensors, and refuse what no later step can use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from localspec._utils.artifacts import fingerprint
from localspec._utils.validation import check_flag, check_option, require, shown
from localspec.data._cifar10 import load_cifar10
from localspec.data._dataset import DTYPES, Dataset
from localspec.data._derived import N_POLYNOMIALS, VARIANTS, derive, generator, polynomials
from localspec.data._files import RawImages, data_root
from localspec.data._imagenet import NAME as IMAGENET_SAMPLE
from localspec.data._imagenet import load_imagenet_sample
from localspec.data._mnist import load_fashion_mnist, load_mnist
from localspec.exceptions import InvalidInputError


def _digits(dtype: torch.dtype) -> Dataset:
    bunch = load_digits()
    images = torch.tensor(bunch.images[:, None] / 16.0, dtype=dtype, device="cpu")
    labels = torch.tensor(bunch.target, dtype=torch.int64, device="cpu")
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


COMPUTED = {"digits": _digits, "polynomials": _polynomials}  # from no files
FROM_FILES = {
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
}
DERIVED = {  # name -> (data set it is derived from, variant)
    f"{name}-{variant}": (name, variant)
    for name in ("mnist", "fashion-mnist")
    for variant in VARIANTS
}
DATASETS = (*COMPUTED, *FROM_FILES, *DERIVED, IMAGENET_SAMPLE)


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
          the same of ``fashion-mnist``: pairs of images, see ``derive``;
        - ``imagenet-sample``: one colour image of 224 x 224 pixels of each of the 1,000 classes of
          ImageNet, whose classes have groups; the user brings them, see ``load_imagenet_sample``;
        - ``polynomials``, for regression: 60,000 + 10,000 pairs of normal numbers and the values
          of 512 polynomials at them, see ``polynomials``.
    dtype : {"float32", "float64"}
        Type of pixels, inputs and targets.
    root : str or Path, optional
        Folder for data sets; by default ``LOCALSPEC_DATA`` (a whole path), else ``data/`` of the
        project. See ``load_idx`` and ``load_cifar10`` for the files that are understood.
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
    ``generator``, so that a name stands for one data set.

    Examples
    --------
    >>> load_dataset("digits").x_test.shape
    torch.Size([899, 1, 8, 8])
    """
    check_option("data set", name, DATASETS)
    torch_dtype = DTYPES[check_option("dtype", dtype, DTYPES)]
    check_flag("download", download)
    require(
        root is None or isinstance(root, str | Path),
        f"root must be the path of a folder, or None for the usual one, not {shown(root)}",
    )
    if name in COMPUTED:
        return COMPUTED[name](torch_dtype)
    original, variant = DERIVED.get(name, (name, None))
    folder = data_root(root)
    try:
        if name == IMAGENET_SAMPLE:
            return load_imagenet_sample(folder, torch_dtype)
        images = FROM_FILES[original](folder, download=download)
    except OSError as error:  # of what could not even be looked at
        raise InvalidInputError(
            f"cannot read the files of {original} in {folder}: {error}; see to the right to read"
        ) from error
    return _scaled(name, images if variant is None else derive(images, variant), torch_dtype)
