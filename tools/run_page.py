"""Run one page of a profile: results/<profile>/<page>.ipynb and its marker <page>.json.

Usage: python tools/run_page.py [--parent PID] PROFILE PAGE

The marker is the page's record (parameters, stages, tables, and information on the run); it is
written last, so that a page that has one is whole.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from project import (
    NOTEBOOKS,
    ROOT,
    as_json,
    die_with_parent,
    refuse,
    results_root,
    shown,
    table_problem,
    write,
)
from tidy import tidy
from traitlets.config import Config

PACKAGES = (
    "localspec",
    "matplotlib",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
)
LIBRARY = ROOT / "lib" / "localspec"
# between papermill and kernel, where both can; without it the kernel warns
ENCRYPTED = Config(KernelManager={"transport_encryption": "auto"})
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def summarise(entries: Iterable[dict]) -> dict:
    """Return stages, tables and device of a page from what the library recorded line by line."""
    stages: dict[str, dict] = {}
    tables: dict[str, str] = {}
    device = "cpu"
    for entry in entries:
        if "stage" in entry:
            stage = stages.setdefault(entry["stage"], {"version": entry["version"], "keys": []})
            stage["keys"] = sorted({*stage["keys"], entry["key"]})
        elif "table" in entry:
            tables[entry["table"]] = entry["sha256"]
        elif "device" in entry:
            device = entry["device"]
    return {"stages": stages, "tables": tables, "device": device}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit() -> str | None:
    """Return the commit that is checked out, marked where library or notebooks differ from it."""
    head = _git("rev-parse", "HEAD")
    changed = head and _git("status", "--porcelain", "--", "lib", "notebooks")
    return f"{head}-dirty" if changed else head


def library_hash() -> str:
    """Return one hash over the library's modules and data."""
    total = hashlib.sha256()
    for path in library_files():
        total.update(path.relative_to(LIBRARY).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def library_files() -> list[Path]:
    kinds = {".py", ".csv", ".mplstyle", ".css", ".js", ".jinja"}
    return sorted(path for path in LIBRARY.rglob("*") if path.suffix in kinds)


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def information(device: str, duration_s: float) -> dict:
    return {
        "commit": commit(),
        "library_hash": library_hash(),
        "python": platform.python_version(),
        "packages": _versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device,
        "duration_s": round(duration_s, 1),
    }


def in_declared_order(notebook: NotebookNode, parameters: dict, page: str) -> dict:
    """Return the parameters in the order in which the notebook declares them.

    Parameters that it does not declare are refused: papermill would only warn.
    """
    if not any("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells):
        refuse(f"{page}: the notebook has no cell tagged 'parameters'")
    declared = papermill.inspect_notebook(notebook)
    unknown = sorted(parameters.keys() - declared.keys())
    if unknown:
        refuse(f"{page}: the notebook has no parameter {', '.join(unknown)}")
    return {name: parameters[name] for name in declared if name in parameters}


def failure(page: str, error: Exception, partial: Path) -> str:
    """Return in one message which cell failed, how, and where to look."""
    if isinstance(error, PapermillExecutionError):
        said = ANSI.sub("", error.evalue)
        what = f"cell [{error.exec_count}] failed with {error.ename}: {said}"
    elif isinstance(error, DeadKernelError):
        what = "the kernel died (killed, or out of memory)"
    else:
        what = f"{type(error).__name__}: {error}"
    seen = f"\n  the notebook up to there: {shown(partial)}" if partial.is_file() else ""
    return f"{page}: {what}{seen}"


def execute(notebook: NotebookNode, page: str, partial: Path, parameters: dict) -> NotebookNode:
    """Execute a notebook in the folder of its output, where nbval will execute it again."""
    folder = partial.parent
    # results outside the project: the library finds the project upwards from the kernel's folder
    where = folder if folder.is_relative_to(ROOT) else ROOT
    bar = {"desc": page, "leave": False} if sys.stderr.isatty() else False
    try:
        return papermill.execute_notebook(
            notebook,
            partial,
            parameters=parameters,
            kernel_name="python3",
            language="python",
            progress_bar=bar,
            start_timeout=300,
            cwd=where,
            config=ENCRYPTED,
            # the kernel logs as an error that it was interrupted, which is how it is shut down
            extra_arguments=["--log-level=CRITICAL"],
        )
    except Exception as error:  # whatever ends a page is told in one message
        refuse(failure(page, error, partial))


def first_on_path(folder: Path, others: str | None) -> str:
    """Return the path of modules on which this tree's library, which is stamped, comes first."""
    return os.pathsep.join(filter(None, [str(folder), others]))


def run_page(profile: str, page: str, parameters: dict) -> None:
    """Run a page and write its notebook, then its marker."""
    folder = results_root() / profile
    target, marker = folder / f"{page}.ipynb", folder / f"{page}.json"
    partial, record = folder / f"{page}.partial.ipynb", folder / f".{page}.record"
    folder.mkdir(parents=True, exist_ok=True)
    for path in (marker, record, partial):
        path.unlink(missing_ok=True)
    os.environ.update(
        LOCALSPEC_RECORD=str(record),
        LOCALSPEC_RESULTS=str(results_root()),
        PYTHONPATH=first_on_path(LIBRARY.parent, os.environ.get("PYTHONPATH")),
        PYDEVD_DISABLE_FILE_VALIDATION="1",
        # this environment's kernel, not one of that name in the user's folder
        JUPYTER_PATH=str(Path(sys.prefix, "share", "jupyter")),
    )
    source = nbformat.read(NOTEBOOKS / f"{page}.ipynb", as_version=4)
    parameters = in_declared_order(source, parameters, page)
    print(f"{page}: running", file=sys.stderr)
    start = time.monotonic()
    executed = execute(source, page, partial, parameters)
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    summary = summarise(map(json.loads, lines))
    duration_s = time.monotonic() - start
    about = information(summary.pop("device"), duration_s)
    stamp = {"page": page, "profile": profile, "parameters": parameters, **summary}
    problem = table_problem(stamp, folder / "tables")
    if problem:
        refuse(f"{page}: {problem}")
    write(target, nbformat.writes(tidy(executed, source)) + "\n")
    write(marker, as_json({**stamp, "information": about}))
    partial.unlink(missing_ok=True)
    record.unlink(missing_ok=True)
    print(f"{page}: done in {duration_s:.1f} s", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile")
    parser.add_argument("page")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this caller ends")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with_parent(arguments.parent)
    from localspec.errors import LocalspecError
    from localspec.profiles import load_profile

    try:
        path = NOTEBOOKS / "profiles" / f"{arguments.profile}.yml"
        parameters = load_profile(path).parameters(arguments.page)
    except LocalspecError as error:
        refuse(str(error))
    run_page(arguments.profile, arguments.page, parameters)


if __name__ == "__main__":
    main()
