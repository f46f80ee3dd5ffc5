"""Files: where the project and its results are, and how files are written whole or not at all."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from localspec.exceptions import ArtifactError

RESULTS_VARIABLE = "LOCALSPEC_RESULTS"
RECORD_VARIABLE = "LOCALSPEC_RECORD"


def project_root(start: Path | None = None) -> Path:
    """Return the nearest folder upwards from `start` that holds ``notebooks/profiles``.

    Raises
    ------
    ArtifactError
        If there is none.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "notebooks" / "profiles").is_dir():
            return folder
    raise ArtifactError(
        f"no project found upwards from {start}: run inside a clone (a folder that holds "
        f"notebooks/profiles), or set {RESULTS_VARIABLE} to the folder for results"
    )


def results_root() -> Path:
    """Return the folder for results: ``LOCALSPEC_RESULTS``, else ``results/`` of the project."""
    named = os.environ.get(RESULTS_VARIABLE)
    return Path(named).expanduser() if named else project_root() / "results"


def record(**entry: Any) -> None:
    """Append `entry` to the record of the running page, if one is being kept."""
    path = os.environ.get(RECORD_VARIABLE)
    if path:
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry, sort_keys=True) + "\n")
        except OSError as error:
            raise ArtifactError(
                f"cannot write the page's record {path}: {error}; free some space or unset "
                f"{RECORD_VARIABLE}"
            ) from error


def write_atomically(
    path: Path, write: Callable[[Path], None], *, variable: str = RESULTS_VARIABLE
) -> None:
    """Let `write` fill a temporary file in `path`'s folder, then move it into place.

    Parameters
    ----------
    path : Path
    write : callable
        Takes the path of the temporary file.
    variable : str, optional
        The environment variable that names the folder, for the message.

    Raises
    ------
    ArtifactError
        If the folder cannot be written or the disk is full; an older file at `path` stays.
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
            f"cannot write {path}: {error}; free some space or choose another folder with "
            f"{variable}"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def locked(
    path: Path, *, variable: str = RESULTS_VARIABLE, timeout_s: float = -1
) -> Iterator[None]:
    """Hold the lock of `path` inside the block, so that only one process makes it.

    Parameters
    ----------
    path : Path
        What is made; its folder is made if need be, and the lock lies beside it.
    variable : str, optional
        The environment variable that names the folder, for the message.
    timeout_s : float, optional
        Seconds to wait while another process holds it; by default without end.

    Raises
    ------
    ArtifactError
        If the folder cannot be written.
    filelock.Timeout
        If another process held it for `timeout_s`.
    """
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=timeout_s)
    except Timeout:  # an OSError, too
        raise
    except OSError as error:
        raise ArtifactError(
            f"cannot write to {path.parent}: {error}; choose another folder with {variable}"
        ) from error
    try:
        yield
    finally:
        lock.release()
