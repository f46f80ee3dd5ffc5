"""Architectures, with Keras's initialisation."""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from localspec.data import DTYPES
from localspec.errors import InvalidInputError, choose
from localspec.profiles import NetworkSettings


def mlp(
    n_inputs: int, hidden: tuple[int, ...], n_outputs: int, *, dropout: float = 0.0
) -> nn.Sequential:
    """Return a multilayer perceptron with ReLU after every hidden layer.

    Parameters
    ----------
    n_inputs : int
        Number of pixels.
    hidden : tuple of int
        Units of each hidden layer.
    n_outputs : int
    dropout : float, optional
        Probability of dropping a hidden unit in training.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    width = n_inputs
    for index, n_units in enumerate(hidden, start=1):
        layers[f"dense{index}"] = nn.Linear(width, n_units)
        layers[f"relu{index}"] = nn.ReLU()
        if dropout:
            layers[f"dropout{index}"] = nn.Dropout(dropout)
        width = n_units
    layers["output"] = nn.Linear(width, n_outputs)
    return nn.Sequential(layers)


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw Glorot-uniform kernels and set biases to zero, in place (Keras's defaults)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
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
    """
    n_inputs = int(torch.tensor(image_shape).prod())
    module = mlp(n_inputs, settings.hidden, n_outputs, dropout=settings.dropout)
    module = module.to(DTYPES[choose("dtype", dtype, DTYPES)])
    initialise(module, torch.Generator().manual_seed(seed))
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


def load_module_file(path: str | Path, functions: tuple[str, ...]) -> ModuleType:
    """Import a Python file that defines the named functions.

    Raises
    ------
    InvalidInputError
        If the file is not there or lacks one of the functions.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInputError(
            f"there is no file {path}: give the path of a Python file that defines "
            + " and ".join(f"{name}()" for name in functions)
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"{path} is not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    missing = [name for name in functions if not callable(getattr(module, name, None))]
    if missing:
        raise InvalidInputError(
            f"{path} must define " + " and ".join(f"{name}()" for name in missing)
        )
    return module
