"""Files: where the project and its results are, and how files are written whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from localspec.exceptions import ArtifactError, InvalidInputError

RESULTS_VARIABLE = "LOCALSPEC_RESULTS"
RECORD_VARIABLE = "LOCALSPEC_RECORD"


def project_root(start: Path | None = None) -> Path:
    """Return the nearest folder upwards from `start` that holds ``notebooks/profiles``.

    Raises
    ------
    ArtifactError
        If there is none.
    """
    try:
        start = (start or Path.cwd()).resolve()
    except OSError as error:  # somebody removed it
        raise ArtifactError(f"the working folder is gone: {error}; change into another") from error
    for folder in (start, *start.parents):
        if (folder / "notebooks" / "profiles").is_dir():
            return folder
    raise ArtifactError(
        f"no project found upwards from {start}: run inside a clone (a folder that holds "
        f"notebooks/profiles), or set {RESULTS_VARIABLE} to the folder for results"
    )


def named_folder(variable: str) -> Path | None:
    """Return the folder that an environment variable names, there or not; None if it is not set."""
    named = os.environ.get(variable)
    if not named:
        return None
    try:
        folder = Path(named).expanduser()
        is_other = folder.exists() and not folder.is_dir()
    except (OSError, RuntimeError) as error:  # RuntimeError: no home of that user
        raise InvalidInputError(
            f"{variable} = {named!r} names no folder: {error}; set it to another one"
        ) from error
    if is_other:
        raise InvalidInputError(f"{variable} = {named!r} is a file: set it to a folder")
    return folder


def results_root() -> Path:
    """Return the folder for results: ``LOCALSPEC_RESULTS``, else ``results/`` of the project."""
    return named_folder(RESULTS_VARIABLE) or project_root() / "results"


def check_is_file(path: Path) -> None:
    """Refuse folders, pipes and devices by OSError before they are opened: reading may not end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("it is no file; move it away")


def why_not_written(error: Exception) -> str:
    """Say why a file could not be written, in words for a message."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if full or os.strerror(errno.ENOSPC) in str(error):  # safetensors gives the words alone
        return f"the disk is full ({error}), and what was stored before is still there"
    return str(error)


def record(**entry: Any) -> None:
    """Append `entry` to the record of the running page, if one is being kept."""
    path = os.environ.get(RECORD_VARIABLE)
    if path:
        try:
            if os.path.exists(path):
                check_is_file(Path(path))
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry, sort_keys=True) + "\n")
        except OSError as error:
            raise ArtifactError(
                f"cannot write the page's record {path}: {why_not_written(error)}; free some "
                f"space or unset {RECORD_VARIABLE}"
            ) from error


def write_atomically(
    path: Path, write: Callable[[Path], None], *, variable: str = RESULTS_VARIABLE
) -> None:
    """Let `write` fill a temporary file in `path`'s folder, then move it into place.

    Where that fails, an older file at `path` stays. `variable` is the environment variable that
    names the folder, for the message.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        temporary.touch()
        mode = temporary.stat().st_mode  # what the umask lets others read; some writers narrow it
        write(temporary)
        temporary.chmod(mode)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"cannot write {path}: {why_not_written(error)}; free some space or choose another "
            f"folder with {variable}"
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):  # such as a name that is too long, which is said already
                temporary.unlink()


@contextmanager
def locked(
    path: Path, *, variable: str = RESULTS_VARIABLE, timeout_s: float = -1
) -> Iterator[None]:
    """Hold the lock of `path` inside the block, so that only one process makes it.

    Its folder is made if need be, and the lock lies beside it. While another process holds the lock
    this waits for `timeout_s` seconds (by default without end), then raises filelock.Timeout.
    `variable` is the environment variable that names the folder, for the message.
    """
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout_s)
    except Timeout:  # an OSError, too
        raise
    except OSError as error:
        raise ArtifactError(
            f"cannot write to {path.parent}: {why_not_written(error)}; choose another folder with "
            f"{variable}"
        ) from error
    try:
        yield
    finally:
        lock.release()
