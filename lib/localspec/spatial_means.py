"""Means over space of a layer's values, without the values of a convolution.

A convolution sums its kernel over windows, and a mean over all places sums again; so the mean is
the kernel applied to the means of what each of its entries meets::

    mean over places of conv(x)  =  sum over channels and kernel entries of
                                        kernel[channel, i, j] * mean of x[channel] where
                                                                entry (i, j) reads it
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec.units import UnitMap


def _windows(convolution: nn.Conv2d, height: int, width: int) -> torch.Tensor:
    """Return the share of each pixel in each kernel entry's mean, shape (pixels, entries)."""
    shares = []
    for axis, size in enumerate((height, width)):
        n_entries = convolution.kernel_size[axis]
        padding = convolution.padding
        read = F.conv1d(
            torch.eye(size, dtype=torch.float64)[:, None],
            torch.eye(n_entries, dtype=torch.float64)[:, None],
            stride=convolution.stride[axis],
            padding=padding if isinstance(padding, str) else padding[axis],
            dilation=convolution.dilation[axis],
        )
        shares.append(read.mean(dim=2))
    return torch.einsum("yi,xj->yxij", *shares).reshape(height * width, -1)


def _of_convolution(convolution: nn.Conv2d) -> Callable[[torch.Tensor], torch.Tensor]:
    weight = convolution.weight.detach().flatten(1)
    bias = None if convolution.bias is None else convolution.bias.detach()
    windows: dict[tuple[int, int], torch.Tensor] = {}

    def means(x: torch.Tensor) -> torch.Tensor:
        size = (x.shape[2], x.shape[3])
        if size not in windows:
            windows[size] = _windows(convolution, *size).to(x)
        if x.is_contiguous(memory_format=torch.channels_last):
            met = (windows[size].T @ x.permute(0, 2, 3, 1).flatten(1, 2)).transpose(1, 2)
        else:
            met = x.flatten(2) @ windows[size]
        return F.linear(met.flatten(1), weight, bias)

    return means


def _of_values(value: torch.Tensor) -> torch.Tensor:
    return value.mean(dim=(2, 3)) if value.ndim == 4 else value


def spatial_means(
    unit_map: UnitMap, node: fx.Node
) -> tuple[fx.Node, Callable[[torch.Tensor], torch.Tensor]]:
    """Return how to take means over space of a node's values with the least work.

    Parameters
    ----------
    unit_map : UnitMap
    node : torch.fx.Node
        What a layer's values are read at: dense, or of shape (n_images, n_units, height, width).

    Returns
    -------
    torch.fx.Node
        The node to run the network up to: `node`, or what a convolution in its place reads.
    callable
        From that node's value to means, shape (n_images, n_units).

    Notes
    -----
    Batch normalization scales and shifts, which commutes with the mean. The weights are taken as
    constants.
    """
    is_module = node.op == "call_module"
    module = unit_map.graph_module.get_submodule(node.target) if is_module else None
    if isinstance(module, nn.Conv2d) and module.groups == 1 and module.padding_mode == "zeros":
        return node.all_input_nodes[0], _of_convolution(module)
    if isinstance(module, nn.BatchNorm2d) and not module.training and module.track_running_stats:
        before, means = spatial_means(unit_map, node.all_input_nodes[0])
        return before, lambda value: module(means(value)[:, :, None, None]).flatten(1)
    return node, _of_values
