"""User files: read a network and its data from a Python file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from localspec.exceptions import InvalidInputError


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let files of a folder be imported, as Python does for a file that it runs."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


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
    name = f"_localspec_file_{path.stem}"  # in the way of no other module
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"{path} is not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there
    try:
        with importable(path.parent):
            spec.loader.exec_module(module)
    except Exception as error:  # whatever the file's own code raises
        del sys.modules[name]
        raise InvalidInputError(
            f"{path} cannot be imported ({type(error).__name__}: {error}): run it with Python on "
            "its own first"
        ) from error
    missing = [name for name in functions if not callable(getattr(module, name, None))]
    if missing:
        raise InvalidInputError(
            f"{path} must define " + " and ".join(f"{name}()" for name in missing)
        )
    return module


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
