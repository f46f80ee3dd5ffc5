"""Files of data sets: find their folder, fetch what is missing, refuse what is damaged."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch

from localspec._utils.files import (
    check_is_file,
    locked,
    named_folder,
    project_root,
    why_not_written,
)
from localspec.exceptions import ArtifactError, InvalidInputError

DATA_VARIABLE = "LOCALSPEC_DATA"
ORIGINAL = "original files"
LARGEST = 200_000_000  # bytes; the largest file, CIFAR-10's archive, has 170,498,071


@dataclass(frozen=True)
class RawImages:
    """A data set as its files hold it: pixels are whole numbers from 0 to 255, labels int64."""

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    class_names: tuple[str, ...]
    source: str  # which files it was made from


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder for data sets.

    Parameters
    ----------
    root : str or Path, optional
        By default ``LOCALSPEC_DATA``, else ``data/`` of the project.

    Raises
    ------
    InvalidInputError
        If it is not named and there is no project, if it is or can be no folder, or if
        ``LOCALSPEC_DATA`` does not name its whole path.
    """
    if root is None:
        return _default_root()
    try:
        folder = Path(root).expanduser()
        is_other = folder.exists() and not folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:  # no home of that user, a null byte
        raise InvalidInputError(f"root = {str(root)!r} can be no folder: {error}") from error
    if is_other:
        raise InvalidInputError(
            f"the folder for data sets, {folder}, is a file: pass another root=... or set "
            f"{DATA_VARIABLE}"
        )
    return folder


def _default_root() -> Path:
    named = named_folder(DATA_VARIABLE)
    if named is None:
        try:
            return project_root() / "data"
        except ArtifactError as error:
            raise InvalidInputError(
                f"there is no folder for data sets: pass root=..., set {DATA_VARIABLE}, or run "
                "inside a clone of the project"
            ) from error
    if not named.is_absolute():
        raise InvalidInputError(
            f"{DATA_VARIABLE} = {str(named)!r} would be another folder for every page, which run "
            f"in folders of their own: set it to the whole path, {str(named.absolute())!r}"
        )
    return named


def check_md5(path: Path, md5: str, *, what: str, cure: str, shown: Path | None = None) -> None:
    """Refuse a file that is missing, too large, cannot be read or has another MD5 sum.

    `what` the file should be, and the `cure`, are for the message, which names `shown` if `path` is
    a temporary copy of it.
    """
    try:
        check_is_file(path)
        n_bytes = path.stat().st_size
        if n_bytes > LARGEST:
            raise InvalidInputError(
                f"{shown or path} is not {what}: it has {n_bytes:,} bytes, more than any file of a "
                f"data set; {cure}"
            )
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    except OSError as error:
        raise InvalidInputError(f"cannot read {shown or path}, {what}: {error}; {cure}") from error
    if digest.hexdigest() != md5:
        raise InvalidInputError(
            f"{shown or path} is not {what}: its MD5 sum is {digest.hexdigest()} ({n_bytes:,} "
            f"bytes), not {md5} (damaged, cut off or another file); {cure}"
        )


def fetch_missing(
    name: str, paths: list[Path], fetch: Callable[[Path], object], *, root: Path
) -> None:
    """Download or unpack what is missing of a data set, in only one process at a time.

    `paths` are missing files or folders, relative to `root`. `fetch` fills a temporary folder, laid
    out as `root`, from which they are moved into place when it is complete. What a killed process
    left in that folder is removed. `name` is that of the data set, for lock, folder and messages.
    """
    temporary = root / f".{name}.part"
    with locked(root / name, variable=DATA_VARIABLE):
        if all((root / path).exists() for path in paths):  # another process was faster
            return
        try:
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            fetch(temporary)
            for path in paths:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(temporary / path, root / path)
        except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError is torchvision's
            reason = " ".join(why_not_written(error).split())  # torchvision's has several lines
            raise InvalidInputError(
                f"{name} cannot be put into {root}: {reason}; see to the network, the space on "
                "the disk and the right to write and try again, or put its files there by hand, "
                "as torchvision lays them out"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
