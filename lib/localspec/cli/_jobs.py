"""Jobs of a run: what each one does now, how it ended, and why.

A job is named like its files in ``results/<profile>/.jobs``: ``03_importance`` is a page,
``03_importance/mlp/0`` the part of one network and seed, and ``train/mlp/0`` the training of that
network. Its state says that it is running, that it is done, or why it failed. One that still says
"running" when the run has ended was killed: it could not say so itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from papermill.exceptions import PapermillExecutionError

from localspec._utils.files import write_atomically
from localspec.cli._files import inside, shown
from localspec.exceptions import ArtifactError

ANSI = re.compile(r"\x1b\[[0-9;]*m")
FULL_DISK = ("No space left on device", "Disk quota exceeded")
NO_MEMORY = ("MemoryError", "OutOfMemoryError", "can't allocate memory", "out of memory")
BEGAN = "began"  # a file whose date says when the run began
LITTLE_SPACE = 1_000_000  # bytes that a full disk may have left: of other files' last blocks
KILLED = "it was killed: most likely memory ran out"


@dataclass
class State:
    """State of a job: what it does, and how it ended."""

    title: str  # for people
    status: str = "running"  # or "done" or "failed"
    line: str = ""  # what it says of its end
    notebook: str = ""  # path of what it executed up to its end, if that is there
    lacking: bool = False  # it failed because what other jobs should have stored is not there


def jobs_folder(results: Path, profile: str) -> Path:
    """Return the folder for states and logs of a profile's jobs."""
    return inside(results, profile, ".jobs")


def begin(folder: Path) -> None:
    """Forget the states that an earlier run left, and note when this one began."""
    for path in _state_files(folder):
        path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BEGAN).touch()


def began(folder: Path) -> float:
    """Return when the run began, in seconds of the clock; now if that was not noted."""
    path = folder / BEGAN
    return path.stat().st_mtime if path.exists() else time.time()


def title_of(name: str) -> str:
    """Return what people call a job.

    Examples
    --------
    >>> title_of("train/mlp/0"), title_of("03_importance/mlp/0"), title_of("03_importance")
    ('training of mlp, seed 0', '03_importance (mlp, seed 0)', '03_importance')
    """
    kind, *replicate = name.split("/")
    if not replicate:
        return kind
    network, seed = replicate
    what = f"{network}, seed {seed}"
    return f"training of {what}" if kind == "train" else f"{kind} ({what})"


def reason(error: BaseException) -> str:
    """Return in one line why a job failed; a lack of memory or disk is called that."""
    if isinstance(error, PapermillExecutionError):
        message = " ".join(ANSI.sub("", error.evalue).split())
        line = f"cell [{error.exec_count}] failed with {error.ename}: {message}"
    else:
        line = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if any(sign in line for sign in FULL_DISK):
        return f"the disk is full: {line}"
    if any(sign in line for sign in NO_MEMORY):
        return f"memory ran out: {line}"
    return line


@contextmanager
def kept_state(folder: Path, name: str) -> Iterator[State]:
    """Keep the state of the job `name` in `folder` while the block does its work.

    The block may give the state a line and a notebook; an error's reason becomes its line.
    """
    path, state = folder / f"{name}.state", State(title_of(name))

    def keep() -> None:
        text = json.dumps(asdict(state))
        write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))

    keep()
    try:
        yield state
    except BaseException as error:
        state.status, state.line = "failed", state.line or reason(error)
        with suppress(ArtifactError):  # no space for it: `why_stopped` sees the full disk
            keep()
        raise
    state.status = "done"
    keep()


def _state_files(folder: Path) -> list[Path]:
    """Return the files with states; jobs may remove folders meanwhile, which `rglob` refuses."""
    files = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return sorted(path for path in files if path.suffix == ".state")


def states(folder: Path) -> dict[str, State]:
    """Return the states of the jobs that began, by name."""
    found = {}
    for path in _state_files(folder):
        with suppress(OSError, ValueError, TypeError):  # removed or damaged meanwhile
            name = path.relative_to(folder).with_suffix("").as_posix()
            found[name] = State(**json.loads(path.read_text(encoding="utf-8")))
    return found


def why_stopped(folder: Path) -> str:
    """Return a line for every job that failed or was killed, and where to look."""
    full = shutil.disk_usage(folder if folder.is_dir() else Path.cwd()).free < LITTLE_SPACE
    lines = [f"the disk of {shown(folder.parent)} is full: free some space"] if full else []
    for name, state in states(folder).items():
        if state.status == "done":
            continue
        killed = "it was killed" if full else KILLED
        line = state.line if state.status == "failed" else killed
        log = folder / f"{name}.log"
        where = [shown(Path(state.notebook))] if state.notebook else []
        where += [shown(log)] if log.is_file() else []
        lines.append(f"{state.title}: {line}")
        lines += [f"  see {' and '.join(where)}"] if where else []
    return "\n".join(lines)
