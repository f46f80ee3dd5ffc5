"""Architectures: build chains and residual networks, with Keras's initialisation."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from localspec._utils.validation import (
    as_integers,
    check_integer,
    check_option,
    check_seed,
    check_type,
    require,
    shown,
)
from localspec.data import DTYPES
from localspec.exceptions import InvalidInputError
from localspec.networks._initialisation import initialise, initialise_clusterable
from localspec.networks._settings import MOST_WEIGHTS, NetworkSettings, TorchvisionSettings

NORM_OPTIONS = {"eps": 1e-3, "momentum": 0.01}  # Keras's epsilon, and its momentum of 0.99


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, whose result is added to the input.

    Where the number of channels changes, the first convolution has stride 2 and the input goes
    through a 1 x 1 convolution of stride 2 (He et al. 2016)::

        x -- conv1 -- norm1 -- ReLU -- conv2 -- norm2 -- + -- ReLU
          `------------- (shortcut -- norm) -----------'
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        stride = 1 if n_in == n_out else 2
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out, **NORM_OPTIONS)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out, **NORM_OPTIONS)
        self.shortcut: nn.Module | None = None
        if stride == 2:
            narrow = nn.Conv2d(n_in, n_out, 1, stride=2, bias=False)
            self.shortcut = nn.Sequential(narrow, nn.BatchNorm2d(n_out, **NORM_OPTIONS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block's output, shape (n_images, n_out, ...)."""
        inner = F.relu(self.norm1(self.conv1(x)))
        skipped = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.norm2(self.conv2(inner)) + skipped)


def resnet(n_image_channels: int, channels: tuple[int, ...], n_outputs: int) -> nn.Sequential:
    """Return a residual network, by the channels of its first convolution and of each block."""
    first = nn.Conv2d(n_image_channels, channels[0], 3, padding=1, bias=False)
    layers: dict[str, nn.Module] = {
        "conv1": first,
        "norm_conv1": nn.BatchNorm2d(channels[0], **NORM_OPTIONS),
        "relu_conv1": nn.ReLU(),
    }
    for index in range(1, len(channels)):
        layers[f"block{index}"] = ResidualBlock(*channels[index - 1 : index + 1])
    layers |= {"mean": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten()}
    layers["output"] = nn.Linear(channels[-1], n_outputs)
    return nn.Sequential(OrderedDict(layers))


def _block(
    name: str, layer: nn.Module, *, batch_norm: str, pool: bool, dropout: float
) -> dict[str, nn.Module]:
    """Return a layer with what follows it: batch norm, ReLU, pooling, dropout."""
    is_conv = isinstance(layer, nn.Conv2d)
    norm: nn.Module | None = None
    if batch_norm != "none":
        kind = nn.BatchNorm2d if is_conv else nn.BatchNorm1d
        norm = kind(layer.weight.shape[0], **NORM_OPTIONS)
    parts: dict[str, nn.Module | None] = {
        name: layer,
        f"norm_{name}": norm if batch_norm == "before" else None,
        f"relu_{name}": nn.ReLU(),
        f"pool_{name}": nn.MaxPool2d(2) if pool else None,
        f"norm_after_{name}": norm if batch_norm == "after" else None,
        f"dropout_{name}": nn.Dropout(dropout) if dropout else None,
    }
    return {key: part for key, part in parts.items() if part is not None}


def _rate(dropout: float | tuple[float, ...], index: int) -> float:
    """Return the rate of a layer, counted from 1."""
    return dropout[index - 1] if isinstance(dropout, tuple) else dropout


def mlp(
    n_inputs: int,
    hidden: tuple[int, ...],
    n_outputs: int,
    *,
    dropout: float | tuple[float, ...] = 0.0,
    batch_norm: str = "none",
    norm_last: bool = True,
) -> nn.Sequential:
    """Return a multilayer perceptron with ReLU after every hidden layer.

    `dropout` is the probability of dropping a hidden unit in training, of each layer, if several.
    Batch normalization stands before or after each activation, but behind the last hidden layer
    only if `norm_last`. Inputs so many that no memory holds the first layer's weights are refused.
    """
    n_first = hidden[0] if hidden else n_outputs
    require(
        n_inputs * n_first <= MOST_WEIGHTS,
        f"{n_inputs:,} inputs and {n_first:,} units are joined by {n_inputs * n_first:,} weights: "
        f"take fewer of them, for at most {MOST_WEIGHTS:,}",
    )
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    width = n_inputs
    for index, n_units in enumerate(hidden, start=1):
        norm = batch_norm if norm_last or index < len(hidden) else "none"
        layers |= _block(
            f"dense{index}",
            nn.Linear(width, n_units),
            batch_norm=norm,
            pool=False,
            dropout=_rate(dropout, index),
        )
        width = n_units
    layers["output"] = nn.Linear(width, n_outputs)
    return nn.Sequential(OrderedDict(layers))


def cnn(
    image_shape: tuple[int, ...],
    channels: tuple[int | str, ...],
    hidden: tuple[int, ...],
    n_outputs: int,
    *,
    dropout: float | tuple[float, ...] = 0.0,
    conv_dropout: float | tuple[float, ...] = 0.0,
    batch_norm: str = "none",
    norm_last: bool = True,
) -> nn.Sequential:
    """Return a chain of 3 x 3 convolutions followed by a multilayer perceptron.

    Images have the shape (n_channels, height, width); ``"pool"`` after a convolution's channels is
    2 x 2 max pooling, and must leave something of them. `hidden`, `dropout` and `norm_last` are
    those of :func:`mlp`, `conv_dropout` is that of entries of each convolution's output. Batch
    normalization stands before each activation, or after it and the pooling.
    """
    if len(image_shape) != 3:
        raise InvalidInputError(
            f"inputs of shape {tuple(image_shape)} are no images (n_channels, height, width): "
            "use architecture 'mlp'"
        )
    width, height, breadth = image_shape
    layers: dict[str, nn.Module] = {}
    convolutions = [position for position, item in enumerate(channels) if item != "pool"]
    for index, position in enumerate(convolutions, start=1):
        pool = channels[position + 1 : position + 2] == ("pool",)
        conv = nn.Conv2d(width, int(channels[position]), 3, padding=1)
        layers |= _block(
            f"conv{index}",
            conv,
            batch_norm=batch_norm,
            pool=pool,
            dropout=_rate(conv_dropout, index),
        )
        width = int(channels[position])
        height, breadth = (height // 2, breadth // 2) if pool else (height, breadth)
    if not height * breadth:
        raise InvalidInputError(
            f"images of {image_shape[1]} x {image_shape[2]} are too small for the pooling in "
            f"channels={list(channels)}: leave some out"
        )
    head = mlp(
        width * height * breadth,
        hidden,
        n_outputs,
        dropout=dropout,
        batch_norm=batch_norm,
        norm_last=norm_last,
    )
    return nn.Sequential(OrderedDict(layers | dict(head.named_children())))


def build_network(
    settings: NetworkSettings,
    image_shape: tuple[int, ...],
    n_outputs: int,
    *,
    seed: int,
    dtype: str = "float32",
) -> nn.Module:
    """Build an untrained network.

    Parameters
    ----------
    settings : NetworkSettings
    image_shape : tuple of int
        (n_channels, height, width).
    n_outputs : int
    seed : int
        Seed of the initial weights.
    dtype : {"float32", "float64"}

    Returns
    -------
    torch.nn.Module
        Reads images (n_images, n_channels, height, width) and returns logits (n_images, n_outputs).

    Raises
    ------
    InvalidInputError
        If the architecture or its initialisation does not fit images or outputs.
    """
    check_type("settings", settings, NetworkSettings, "NetworkSettings(dataset=..., hidden=...)")
    check_option("dtype", dtype, DTYPES)
    require(
        not isinstance(settings, TorchvisionSettings),
        f"{settings.architecture} is built and read by open_torchvision(settings), and not trained",
    )
    n_outputs, seed = check_integer("n_outputs", n_outputs, 1), check_seed(seed)
    n_last = int((settings.hidden or settings.channels)[-1])
    require(
        n_last * n_outputs <= MOST_WEIGHTS,
        f"{n_last:,} units and {n_outputs:,} outputs are joined by {n_last * n_outputs:,} weights: "
        f"take fewer of them, for at most {MOST_WEIGHTS:,}",
    )
    shape = as_integers("image_shape", image_shape)
    require(
        shape.ndim == 1 and shape.size > 0 and min(shape) > 0,
        f"image_shape must be (n_channels, height, width), not {shown(image_shape)}",
    )
    image_shape = tuple(shape.tolist())
    require(
        len(image_shape) == 3 or settings.architecture != "resnet",
        f"inputs of shape {image_shape} are no images (n_channels, height, width): use "
        "architecture 'mlp'",
    )
    shared: dict[str, Any] = {"dropout": settings.dropouts or settings.dropout}
    shared["batch_norm"] = settings.batch_norm
    if settings.architecture == "vgg":
        shared |= {"batch_norm": "after", "norm_last": False}
    # layers draw weights from torch's generator when they are made
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        if settings.architecture in ("cnn", "vgg"):
            shared["conv_dropout"] = settings.conv_dropouts or settings.conv_dropout
            module = cnn(image_shape, settings.channels, settings.hidden, n_outputs, **shared)
        elif settings.architecture == "resnet":
            module = resnet(image_shape[0], settings.channels, n_outputs)
        else:
            module = mlp(math.prod(image_shape), settings.hidden, n_outputs, **shared)
    module = module.to(DTYPES[dtype])
    generator = torch.Generator().manual_seed(seed)
    initialise(module, generator, settings.initialisation)
    if settings.module_distance is not None:
        initialise_clusterable(module, settings.module_distance, generator)
    return module
