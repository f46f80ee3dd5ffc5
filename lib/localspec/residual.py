"""Small residual networks: the branching architecture of the digits pages."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, whose result is added to the input.

    Where the number of channels changes, the first convolution has stride 2 and the input goes
    through a 1 x 1 convolution of stride 2 (He et al. 2016)::

        x -- conv1 -- norm1 -- ReLU -- conv2 -- norm2 -- + -- ReLU
          `------------- (shortcut -- norm) -----------'

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    norm_options : dict
        Of each batch normalization.
    """

    def __init__(self, n_in: int, n_out: int, norm_options: dict) -> None:
        super().__init__()
        stride = 1 if n_in == n_out else 2
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out, **norm_options)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out, **norm_options)
        self.shortcut: nn.Module | None = None
        if stride == 2:
            narrow = nn.Conv2d(n_in, n_out, 1, stride=2, bias=False)
            self.shortcut = nn.Sequential(narrow, nn.BatchNorm2d(n_out, **norm_options))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output, shape (n_images, n_out, ...)."""
        inner = F.relu(self.norm1(self.conv1(x)))
        skipped = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.norm2(self.conv2(inner)) + skipped)


def resnet(
    n_image_channels: int, channels: tuple[int, ...], n_outputs: int, norm_options: dict
) -> nn.Sequential:
    """Return a residual network.

    Parameters
    ----------
    n_image_channels : int
    channels : tuple of int
        Of the first convolution, then of each block.
    n_outputs : int
    norm_options : dict
        Of each batch normalization.
    """
    first = nn.Conv2d(n_image_channels, channels[0], 3, padding=1, bias=False)
    layers: dict[str, nn.Module] = {
        "conv1": first,
        "norm_conv1": nn.BatchNorm2d(channels[0], **norm_options),
        "relu_conv1": nn.ReLU(),
    }
    for index in range(1, len(channels)):
        layers[f"block{index}"] = ResidualBlock(*channels[index - 1 : index + 1], norm_options)
    layers |= {"mean": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    layers["output"] = nn.Linear(channels[-1], n_outputs)
    return nn.Sequential(OrderedDict(layers))
