"""Standardization: let a network read images in [0, 1]."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from localspec._utils.validation import as_floats, check_type, require, shown
from localspec.exceptions import InvalidInputError


def standardized(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Sequential:
    """Return a network that reads images in [0, 1] and standardizes them itself.

    Parameters
    ----------
    network : torch.nn.Module
        Reads images of which every channel was shifted and scaled.
    mean, std : sequence of float, length n_channels
        What was subtracted from each channel, and what it was then divided by.

    Returns
    -------
    torch.nn.Sequential
        ``standardization`` (a batch normalization with these numbers), then ``network``, both in
        evaluation mode: `network` itself is put into it.

    Raises
    ------
    InvalidInputError
        If there are not as many means as deviations, a number is not finite, or a deviation is
        not positive.

    Examples
    --------
    >>> network = standardized(nn.Flatten(), mean=[0.5], std=[0.25])
    >>> network(torch.tensor([[[[0.0, 0.5, 1.0]]]])).tolist()
    [[-2.0, 0.0, 2.0]]
    """
    check_type("network", network, nn.Module, "pass the module of what holds one")
    means, deviations = _checked(mean, std)
    norm = nn.BatchNorm2d(len(means), eps=0.0, affine=False, device="cpu")
    shift, scale = torch.tensor([means, deviations], dtype=torch.float64, device="cpu")
    norm.running_mean, norm.running_var = shift, scale.square()
    first = next(network.parameters(), torch.zeros(1))
    parts = {"standardization": norm.to(first.device, first.dtype), "network": network}
    return nn.Sequential(OrderedDict(parts)).eval()


@dataclass(frozen=True, eq=False)
class Preprocess:
    """How a network's images were standardized, and how they were made of files."""

    mean: tuple[float, ...]  # one number a channel
    std: tuple[float, ...]
    transform: Callable | None = None  # makes a tensor of an image of PIL, standardized or not
    categories: tuple[str, ...] = ()  # names of the network's classes, where weights name them

    def tensors(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and std as tensors that fit images."""
        require(
            len(self.mean) == x.shape[1],
            f"preprocess has {len(self.mean)} means for images of {x.shape[1]} channels",
        )
        values = torch.tensor([self.mean, self.std], dtype=x.dtype, device=x.device)
        mean, std = values[:, :, None, None]
        return mean, std


def read_preprocess(given: object) -> Preprocess | None:
    """Read how images were standardized; None where nothing is given.

    What is given is (mean, std); a mapping that has both, such as a configuration of timm; a
    transform of torchvision that holds a ``Normalize``, or has both as attributes; or weights of
    torchvision.
    """
    if given is None or isinstance(given, Preprocess):
        return given
    categories: tuple[str, ...] = ()
    if hasattr(given, "transforms") and hasattr(given, "meta"):  # weights of torchvision
        categories = tuple((given.meta or {}).get("categories") or ())
        given = given.transforms()
    if isinstance(given, Mapping) and {"mean", "std"} <= given.keys():
        return Preprocess(*_checked(given["mean"], given["std"]), categories=categories)
    if isinstance(given, tuple | list) and len(given) == 2:
        return Preprocess(*_checked(*given), categories=categories)
    steps = getattr(given, "transforms", None)
    last = steps[-1] if isinstance(steps, list | tuple) and steps else given
    if callable(given) and hasattr(last, "mean") and hasattr(last, "std"):
        mean, std = _checked(last.mean, last.std)
        return Preprocess(mean, std, transform=given, categories=categories)
    raise InvalidInputError(
        "preprocess must be (mean, std), a mapping with both, weights of torchvision, or a "
        f"transform that ends in a Normalize, not {shown(given)}"
    )


def _checked(mean: object, std: object) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std as numbers, one a channel."""
    means, deviations = as_floats("mean", mean), as_floats("std", std)
    fits = means.ndim == 1 and means.shape == deviations.shape and means.size > 0
    finite = bool(np.isfinite(means).all() and np.isfinite(deviations).all())
    require(
        fits and finite and bool((deviations > 0).all()),
        "mean and std must have a finite number for each channel, and std be positive, not "
        f"{shown(mean)} and {shown(std)}",
    )
    return tuple(means.tolist()), tuple(deviations.tolist())
