"""Standardization: let a network read images in [0, 1]."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from localspec._utils.validation import as_floats, check_type, require, shown


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
        ``standardization`` (a batch normalization with these numbers), then ``network``, in
        evaluation mode.

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
    means, deviations = as_floats("mean", mean), as_floats("std", std)
    fits = means.ndim == 1 and means.shape == deviations.shape and means.size > 0
    finite = bool(np.isfinite(means).all() and np.isfinite(deviations).all())
    require(
        fits and finite and bool((deviations > 0).all()),
        "mean and std must have a finite number for each channel, and std be positive, not "
        f"{shown(mean)} and {shown(std)}",
    )
    norm = nn.BatchNorm2d(len(means), eps=0.0, affine=False)
    shift, scale = torch.from_numpy(np.stack([means, deviations]))
    norm.running_mean, norm.running_var = shift, scale.square()
    first = next(network.parameters(), torch.zeros(1))
    parts = {"standardization": norm.to(first.device, first.dtype), "network": network}
    return nn.Sequential(OrderedDict(parts)).eval()
