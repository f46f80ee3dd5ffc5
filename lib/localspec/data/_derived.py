"""Derived data sets: pair images or evaluate polynomials, for tasks of known modular structure.

Every function takes one split and a generator; the training and the test set are derived each
from its own split alone.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import torch
from torch.nn.functional import interpolate

from localspec._utils.validation import check_option, check_type, require
from localspec.data._dataset import Dataset
from localspec.data._files import RawImages
from localspec.exceptions import InvalidInputError

SEED = 42  # numpy's legacy generator, whose numbers never change; as in the released code
N_POLYNOMIALS = (60_000, 10_000)  # training and test samples, as in the released code
N_INPUTS = 2
EXPONENTS = (0, 1, 2)
COEFFICIENTS = (0, 1)
VARIANTS = ("halves", "halves-same", "stacked", "stacked-same")


def generator() -> np.random.RandomState:
    """Return the generator for one derived data set: first its training set, then its test set.

    Seeded with :data:`SEED`, as in the released code: pairs of any two images and inputs of
    polynomials are the ones that it draws.

    Examples
    --------
    >>> generator().randint(0, 60_000, size=2).tolist()
    [56422, 15795]
    """
    return np.random.RandomState(SEED)


def squeeze(images: torch.Tensor) -> torch.Tensor:
    """Squeeze images to half their width.

    Bilinear interpolation with anti-aliasing; then the values are scaled so that the largest of
    all images is 255, and rounded.

    Of shape (n_images, n_channels, height, width); the width must be even.

    The released code's anti-aliasing is a Gaussian blur before the interpolation; here it is the
    wider triangle of the interpolation itself, as in PIL and torchvision.

    Examples
    --------
    >>> squeeze(torch.full((1, 1, 1, 4), 51, dtype=torch.uint8)).tolist()
    [[[[255, 255]]]]
    """
    height, width = images.shape[2:]
    require(width % 2 == 0, f"images of width {width} have no halves: the width must be even")
    small = interpolate(images.float(), (height, width // 2), mode="bilinear", antialias=True)
    largest = small.max().clamp(min=1)  # black images stay black
    return small.mul_(255).div_(largest).round_().to(torch.uint8)


def pairs(labels: torch.Tensor, *, same: bool, rng: np.random.RandomState) -> torch.Tensor:
    """Draw pairs of images, one for each label.

    Indices of shape (n_images, 2): image i with a random one of its class (itself included), if
    `same`; otherwise both are drawn from all images, with replacement.

    In the released code, a partner of the same class is one of the first n of its class, where n
    is the size of the smallest class; here any of its class.
    """
    n_images = len(labels)
    if not same:
        return torch.from_numpy(rng.randint(0, n_images, size=(n_images, 2)))
    by_class = torch.argsort(labels, stable=True).numpy()
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    partners = by_class[starts[labels] + rng.randint(0, sizes[labels])]
    return torch.from_numpy(np.stack([np.arange(n_images), partners], axis=1))


def derive_split(
    variant: str,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    n_classes: int,
    rng: np.random.RandomState,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Derive one split of a data set of paired images.

    Images keep their shape; stacked ones have twice the channels. The variants are those of
    :func:`derive`.
    """
    same, halves = variant.endswith("-same"), variant.startswith("halves")
    parts = squeeze(images) if halves else images
    first, second = pairs(labels, same=same, rng=rng).unbind(1)
    joined = torch.cat([parts[first], parts[second]], dim=3 if halves else 1)
    return joined, labels if same else (labels[first] + labels[second]) % n_classes


def derive(images: RawImages, variant: str) -> RawImages:
    """Derive a data set of paired images; every split has as many pairs as it had images.

    ``halves``: two random images side by side, each squeezed to half its width; the label is the
    sum of their labels modulo the number of classes. ``halves-same``: image i and a random one of
    its class, whose label they keep. ``stacked`` and ``stacked-same``: the same pairs as channels
    of one image. Class names are the sums, or those of `images` for pairs of one class.

    Hod et al., arXiv:2110.08058, "Networks and training": data variants.
    """
    n_classes, rng = len(images.class_names), generator()
    x_train, y_train = derive_split(
        variant, images.x_train, images.y_train, n_classes=n_classes, rng=rng
    )
    x_test, y_test = derive_split(
        variant, images.x_test, images.y_test, n_classes=n_classes, rng=rng
    )
    sums = tuple(str(label) for label in range(n_classes))
    return RawImages(
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        class_names=images.class_names if variant.endswith("-same") else sums,
        source=images.source,
    )


def polynomial_coefficients() -> np.ndarray:
    """Return the coefficients of all polynomials in x and y with coefficients 0 and 1.

    Shape (512, 9): row p has the binary digits of p; the columns belong to the terms ``x^i y^j``
    with (i, j) = (0, 0), (0, 1), (0, 2), (1, 0), ..., (2, 2).

    Examples
    --------
    >>> polynomial_coefficients()[5]
    array([0., 0., 0., 0., 0., 0., 1., 0., 1.])
    """
    n_terms = len(EXPONENTS) ** N_INPUTS
    return np.array(list(product(COEFFICIENTS, repeat=n_terms)), dtype=np.float64)


def evaluate_polynomials(inputs: np.ndarray) -> np.ndarray:
    """Evaluate all polynomials.

    From x and y, shape (n_samples, 2), to shape (n_samples, 512), in the order of
    :func:`polynomial_coefficients`.

    Examples
    --------
    >>> float(evaluate_polynomials(np.array([[3.0, 2.0]]))[0, 5])  # x^2 + x^2 y^2
    45.0
    """
    powers = inputs[:, :, None] ** np.array(EXPONENTS)
    terms = powers[:, 0, :, None] * powers[:, 1, None, :]
    return terms.reshape(len(inputs), -1) @ polynomial_coefficients().T


def polynomials(n_samples: int, *, rng: np.random.RandomState) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw inputs from the normal distribution and evaluate all polynomials at them.

    Inputs have shape (n_samples, 2), targets shape (n_samples, 512).

    The data set ``polynomials`` has as many samples as the released code draws by default,
    :data:`N_POLYNOMIALS`; targets are not scaled.
    """
    inputs = rng.normal(size=(n_samples, N_INPUTS))
    return torch.from_numpy(inputs), torch.from_numpy(evaluate_polynomials(inputs))


IMAGE_CHANNELS = ("own", "copies", "squeezed")


def three_channels(images: torch.Tensor, how: str) -> torch.Tensor:
    """Return grey images as images of three channels.

    Three copies; or, "squeezed", what a reshape makes of three images side by side: channel ``c``
    has in column ``w`` the image's column ``(3 w + c) mod width``, so that each channel shows three
    images squeezed to a third of their width.

    Hod et al., arXiv:2110.08058, "Feature visualization".

    Examples
    --------
    >>> row = torch.arange(4.0).reshape(1, 1, 1, 4)
    >>> three_channels(row, "squeezed")[0, :, 0].tolist()
    [[0.0, 3.0, 2.0, 1.0], [1.0, 0.0, 3.0, 2.0], [2.0, 1.0, 0.0, 3.0]]
    """
    if how == "copies":
        return images.expand(-1, 3, -1, -1).contiguous()
    n_images, _, height, width = images.shape
    side_by_side = images[:, 0].tile(1, 1, 3)
    return side_by_side.reshape(n_images, height, width, 3).permute(0, 3, 1, 2).contiguous()


def in_three_channels(dataset: Dataset, how: str) -> Dataset:
    """Return a data set of grey images in three channels, or as it is (``"own"``).

    Raises
    ------
    InvalidInputError
        If its images are not grey.
    """
    check_type("dataset", dataset, Dataset, "load_dataset(...) or Dataset(...) makes one")
    if check_option("image_channels", how, IMAGE_CHANNELS) == "own":
        return dataset
    shape = dataset.image_shape
    require(
        len(shape) == 3,
        f"image_channels={how!r} is for images (n_channels, height, width), but those of "
        f"{dataset.name!r} have the shape {shape}: use 'own'",
    )
    if shape[0] != 1:
        raise InvalidInputError(
            f"image_channels={how!r} makes three channels of one, but the images of "
            f"{dataset.name!r} have {shape[0]}: use 'own'"
        )
    return replace(
        dataset,
        x_train=three_channels(dataset.x_train, how),
        x_test=three_channels(dataset.x_test, how),
    )
