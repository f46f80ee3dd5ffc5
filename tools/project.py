"""What the tools share: where things are, and how files are written and read."""

import hashlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED = ROOT / "book" / "runs"


def results_root() -> Path:
    """Return the absolute folder for results, so that it means the same in every process."""
    named = os.environ.get("LOCALSPEC_RESULTS")
    return Path(named).expanduser().resolve() if named else ROOT / "results"


def shown(path: Path) -> str:
    """Return `path` as people type it: relative to the project where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def refuse(message: str) -> NoReturn:
    """End the program with one line that says what is wrong."""
    print(message, file=sys.stderr)
    raise SystemExit(1)


def write(path: Path, content: str | bytes) -> None:
    """Write a file as a whole or not at all; leave one that already has this content alone.

    The temporary file has a fixed name: what a killed run left is overwritten by the next one.
    """
    data = content.encode() if isinstance(content, str) else content
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def as_json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def table_problem(record: dict, tables: Path) -> str | None:
    """Return what is wrong with the tables of a page's record, if anything."""
    for name, expected in record["tables"].items():
        if not (tables / name).is_file():
            return f"table {name} is missing"
        if checksum(tables / name) != expected:
            return f"table {name} was changed after the run"
    return None


def die_with_parent(parent: int, interval_s: float = 0.5) -> None:
    """End this process soon after process `parent`, which started it, has ended, however it did.

    A killed `make` cannot tell its children, and one that goes on would write into the folder of
    the next run. Kernels watch their parent in the same way. The parent says who it is: one that
    ended while this process was starting can no longer be asked for.
    """
    if os.getppid() != parent:
        refuse(f"process {parent}, which this one was started for, has ended")

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval_s)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="die-with-parent").start()
