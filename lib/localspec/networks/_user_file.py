"""User files: read a network and its data from a Python file."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from localspec._utils.validation import check_path, cut
from localspec.exceptions import InvalidInputError


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let files of a folder be imported, as Python does for a file that it runs."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        with suppress(ValueError):  # somebody else's code took it away
            sys.path.remove(entry)


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)  # None: no mode of torch's


# how to get and how to set what a file may change
RANDOM_STATES: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (random.getstate, random.setstate),
    (np.random.get_state, np.random.set_state),
    (torch.get_rng_state, torch.set_rng_state),
)
SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (sys.getrecursionlimit, sys.setrecursionlimit),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.get_default_device, _set_default_device),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    (os.getcwd, os.chdir),  # last: it fails where the folder is gone
)


@contextmanager
def _kept() -> Iterator[None]:
    """Put back after the block what it changed: settings, random states, filters of warnings."""
    states = [get() for get, _ in RANDOM_STATES]
    settings = [get() for get, _ in SETTINGS]
    streams = sys.stdout, sys.stderr
    try:
        with warnings.catch_warnings():
            yield
    finally:
        sys.stdout, sys.stderr = streams
        for (_, put), state in zip(RANDOM_STATES, states, strict=True):
            put(state)
        for (get, put), value in zip(SETTINGS, settings, strict=True):
            if get() != value:
                put(value)


@contextmanager
def _running(path: Path, what: str, cure: str = "") -> Iterator[None]:
    """Run code of a file; whatever ends it, but for Ctrl+C, becomes one clear error."""
    try:
        with _kept(), importable(path.parent):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, too, and whatever else the file's own code raises
        reason = cut(f"{type(error).__name__}: {error}".removesuffix(": "))
        if isinstance(error, ModuleNotFoundError):
            cure = f": install {error.name!r} into this environment, or do without it"
        raise InvalidInputError(f"{what} ({reason}){cure}") from error


def load_module_file(path: str | Path, functions: tuple[str, ...]) -> ModuleType:
    """Import a Python file that defines the named functions.

    Its code runs with the rights of this process. What it changes of the folder, of torch's
    settings and of random states is put back.
    """
    path = check_path("path", path)
    if not os.path.isfile(path):  # nor may be looked at
        raise InvalidInputError(
            f"there is no file {path}: give the path of a Python file that defines "
            + " and ".join(f"{name}()" for name in functions)
        )
    name = f"_localspec_file_{path.stem}"  # in the way of no other module
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"{path} is not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    try:
        with _running(path, f"{path} cannot be imported", ": run it with Python on its own first"):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    missing = [name for name in functions if not callable(getattr(module, name, None))]
    if missing:
        raise InvalidInputError(
            f"{path} must define " + " and ".join(f"{name}()" for name in missing)
        )
    return module


def open_network_file(path: str | Path) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return what the functions ``network`` and ``data`` of a Python file return.

    The file is code and runs with your rights: open none that you would not run.

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
        with _running(Path(path), f"{name}() of {path} failed"):
            returned[name] = getattr(module, name)()
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
    with _running(Path(path), f"eval() of the network of {path} failed"):
        network.eval()
    return network, data
