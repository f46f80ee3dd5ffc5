"""Files of data sets: where they lie, and what is wrong with them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from localspec.artifacts import project_root
from localspec.errors import ArtifactError, InvalidInputError

DATA_VARIABLE = "LOCALSPEC_DATA"
ORIGINAL = "original files"


@dataclass(frozen=True)
class Images:
    """A data set as it was decoded.

    Attributes
    ----------
    x_train, x_test : torch.Tensor of uint8, shape (n_images, n_channels, height, width)
    y_train, y_test : torch.Tensor of int64, shape (n_images,)
    class_names : tuple of str
    source : str
        Which files it was made from.
    """

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    class_names: tuple[str, ...]
    source: str


def fingerprint(*tensors: torch.Tensor) -> str:
    """Return the SHA-256 sum of the types, shapes and values of tensors.

    Examples
    --------
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.zeros(2, 1))
    False
    """
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy())
    return digest.hexdigest()


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder for data sets.

    Parameters
    ----------
    root : str or Path, optional
        By default ``LOCALSPEC_DATA``, else ``data/`` of the project.

    Raises
    ------
    InvalidInputError
        If it is not named and there is no project, or if it is a file.
    """
    named = root if root is not None else os.environ.get(DATA_VARIABLE)
    try:
        folder = Path(named).expanduser() if named else project_root() / "data"
    except ArtifactError as error:
        raise InvalidInputError(
            f"there is no folder for data sets: pass root=..., set {DATA_VARIABLE}, or run inside "
            "a clone of the project"
        ) from error
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(
            f"the folder for data sets, {folder}, is a file: pass another root=... or set "
            f"{DATA_VARIABLE}"
        )
    return folder


def check_md5(path: Path, md5: str, *, what: str, cure: str, shown: Path | None = None) -> None:
    """Refuse a file that is missing or has other content.

    Parameters
    ----------
    path : Path
    md5 : str
        Its MD5 sum, as published or as torchvision has it.
    what : str
        What the file should be.
    cure : str
        What to do about it.
    shown : Path, optional
        The file to name in the message, if `path` is a temporary copy of it.

    Raises
    ------
    InvalidInputError
        If the file is missing, cannot be read or has another sum.
    """
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        raise InvalidInputError(f"cannot read {shown or path}, {what}: {error}; {cure}") from error
    if found.hexdigest() != md5:
        raise InvalidInputError(
            f"{shown or path} is not {what}: its MD5 sum is {found.hexdigest()}, not {md5} "
            f"(damaged, cut off or another file); {cure}"
        )


def fetch_and_move(
    name: str, fetch: Callable[[Path], object], move: Callable[[Path], None], *, root: Path
) -> None:
    """Download or unpack into a temporary folder, and move what is whole into place.

    Parameters
    ----------
    name : str
        Of the data set, for the message.
    fetch : callable
        Downloads or unpacks into the folder it is given, as torchvision does.
    move : callable
        Checks what is in that folder, then moves it out.
    root : Path
        Folder for data sets, on the same file system as what is moved.

    Raises
    ------
    InvalidInputError
        If that fails.
    """
    with TemporaryDirectory(dir=root, prefix=f".{name}-", suffix=".part") as folder:
        try:
            fetch(Path(folder))
        except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError is torchvision's
            reason = " ".join(str(error).split())  # torchvision's has several lines
            raise InvalidInputError(
                f"{name} cannot be put into {root}: {reason}; see to the network and the space on "
                "the disk and try again, or put its files there by hand, as torchvision lays them "
                "out"
            ) from error
        move(Path(folder))
