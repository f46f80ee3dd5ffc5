"""Architectures, with Keras's initialisation."""

from __future__ import annotations

import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from localspec.clusterable import initialise_clusterable
from localspec.data import DTYPES
from localspec.errors import InvalidInputError, choose
from localspec.module_files import importable, load_module_file
from localspec.residual import resnet
from localspec.settings import NetworkSettings

NORM_OPTIONS = {"eps": 1e-3, "momentum": 0.01}  # Keras's epsilon, and its momentum of 0.99


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

    Parameters
    ----------
    n_inputs : int
        Number of pixels.
    hidden : tuple of int
        Units of each hidden layer.
    n_outputs : int
    dropout : float or tuple of float, optional
        Probability of dropping a hidden unit in training; of each layer, if several.
    batch_norm : {"none", "before", "after"}, optional
        Batch normalization before or after each activation.
    norm_last : bool, optional
        Whether the last hidden layer has batch normalization like the others.
    """
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

    Parameters
    ----------
    image_shape : tuple of int
        (n_channels, height, width).
    channels : tuple of int or "pool"
        Channels of each convolution; ``"pool"`` after one is 2 x 2 max pooling.
    hidden : tuple of int
        Units of the dense layers.
    n_outputs : int
    dropout, conv_dropout : float or tuple of float, optional
        Probability of dropping a dense unit, or an entry of a convolution's output; of each
        layer, if several.
    batch_norm : {"none", "before", "after"}, optional
        Batch normalization before each activation, or after it and the pooling.
    norm_last : bool, optional
        Whether the last hidden dense layer has batch normalization like the others.

    Raises
    ------
    InvalidInputError
        If the inputs are no images, or pooling leaves nothing of them.
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


def initialise(module: nn.Module, generator: torch.Generator, kernels: str = "glorot") -> None:
    """Draw uniform kernels, Glorot's (Keras's default) or He's; set biases to zero, in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            if kernels == "he":
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            else:
                nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


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
        Reads images (n_images, *image_shape) and returns logits (n_images, n_outputs).

    Raises
    ------
    InvalidInputError
        If the architecture or its initialisation does not fit images or outputs.
    """
    shared: dict[str, Any] = {"dropout": settings.dropouts or settings.dropout}
    shared["batch_norm"] = settings.batch_norm
    if settings.architecture == "vgg":
        shared |= {"batch_norm": "after", "norm_last": False}
    with torch.random.fork_rng(devices=[]):  # layers draw weights from it when they are made
        if settings.architecture in ("cnn", "vgg"):
            shared["conv_dropout"] = settings.conv_dropouts or settings.conv_dropout
            module = cnn(image_shape, settings.channels, settings.hidden, n_outputs, **shared)
        elif settings.architecture == "resnet":
            module = resnet(image_shape[0], settings.channels, n_outputs, NORM_OPTIONS)
        else:
            module = mlp(math.prod(image_shape), settings.hidden, n_outputs, **shared)
    module = module.to(DTYPES[choose("dtype", dtype, DTYPES)])
    generator = torch.Generator().manual_seed(seed)
    initialise(module, generator, settings.initialisation)
    if settings.module_distance is not None:
        initialise_clusterable(module, settings.module_distance, generator)
    return module


def resolve_device(name: str) -> torch.device:
    """Return the device of that name; ``"auto"`` is CUDA where there is one, else the CPU.

    Raises
    ------
    InvalidInputError
        If the name is unknown or the device is not there.
    """
    choose("device", name, ("auto", "cpu", "cuda"))
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InvalidInputError("device 'cuda' is not there: use 'cpu' or 'auto'")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def open_network_file(path: str | Path) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return what the functions ``network`` and ``data`` of a Python file return.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    network : torch.nn.Module
        In evaluation mode.
    data : dict of str to torch.Tensor
        ``x`` and ``y``, and ``x_train`` if the file gives it.

    Raises
    ------
    InvalidInputError
        If the file cannot be used, or a function fails or returns something else.
    """
    module = load_module_file(path, ("network", "data"))
    returned: dict[str, Any] = {}
    for name in ("network", "data"):
        try:
            with importable(Path(path).parent):
                returned[name] = getattr(module, name)()
        except Exception as error:  # whatever the file's own code raises
            raise InvalidInputError(
                f"{name}() of {path} failed with {type(error).__name__}: {error}"
            ) from error
    network, data = returned["network"], returned["data"]
    if not isinstance(network, nn.Module):
        raise InvalidInputError(
            f"network() of {path} must return a torch.nn.Module, not {type(network).__name__}"
        )
    if not isinstance(data, dict) or not {"x", "y"} <= data.keys() <= {"x", "y", "x_train"}:
        keys = ", ".join(map(repr, data)) if isinstance(data, dict) else type(data).__name__
        raise InvalidInputError(
            f"data() of {path} must return a dict with 'x', 'y' and, if wanted, 'x_train', not "
            f"{keys or 'an empty one'}"
        )
    return network.eval(), data
