"""Stamps: what a page says of its run, and executed notebooks reduced to what the run says."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

import localspec
from localspec._utils.files import project_root
from localspec._utils.hardware import machine
from localspec.cli._files import UNREADABLE, checksum, notebook_problem, shown
from localspec.pipeline import Profile

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
LIBRARY = Path(localspec.__file__).parent

NOTEBOOK_METADATA = ("kernelspec", "language_info")
CELL_METADATA = ("mystnb", "tags")
INJECTED = "injected-parameters"
PROMPT = "Show the parameters of this run"
WIDGETS = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")


# what a page depends on, by the names of its hashes in a stamp's information
SOURCES = {
    "profile_hash": "the profile's entry",
    "notebook_hash": "the notebook",
    "library_hash": "the library",
}


def _hash_of_files(folder: Path, paths: Iterable[Path]) -> str:
    """Return one hash over the names and contents of files in a folder."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def library_hash() -> str:
    """Return one hash over the library's modules and data."""
    files = (path for path in LIBRARY.rglob("*") if path.is_file())
    return _hash_of_files(LIBRARY, (file for file in files if file.parent.name != "__pycache__"))


def _profile_hash(profile: Profile, parameters: Mapping[str, Any]) -> str:
    """Return a hash of a page's entry: its parameters, its networks, and the method's settings."""
    entry = {
        "parameters": parameters,
        "networks": {
            name: profile.networks[name].model_dump(mode="json")
            for name in parameters.get("networks", [])
            if name in profile.networks
        },
        "method": profile.method.model_dump(mode="json"),
        "dtype": profile.dtype,
        "device": profile.device,
    }
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def entry_hashes(profile: Profile, page: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of what a notebook is given, and of the notebook.

    The notebook of one's own network counts the examples, which hold that network.
    """
    notebooks = project_root() / "notebooks"
    files = [notebooks / f"{page}.ipynb"]
    if page == "your_network":
        files += (notebooks / "examples").glob("*.py")
    return {
        "profile_hash": _profile_hash(profile, parameters),
        "notebook_hash": _hash_of_files(notebooks, files),
    }


def source_hashes(profile: Profile, pages: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return, by page, the hashes of all that decides what it says, as it is now."""
    library = {"library_hash": library_hash()}
    return {page: entry_hashes(profile, page, profile.parameters(page)) | library for page in pages}


def read_record(marker: Path, hashes: Mapping[str, str]) -> tuple[dict, str | None]:
    """Return a page's record, and why it is not that of what is there now, if it is not."""
    try:
        record = json.loads(marker.read_text(encoding="utf-8"))
        about = record.get("information", {})
        changed = [what for name, what in SOURCES.items() if about.get(name) != hashes[name]]
        if changed:
            return record, f"{' and '.join(changed)} changed after the run"
        problem = table_problem(record, marker.with_name("tables"))
    except UNREADABLE:
        return {}, f"its record {shown(marker)} cannot be read"
    return record, problem or notebook_problem(marker.with_suffix(".ipynb"))


def table_problem(record: dict, tables: Path) -> str | None:
    """Return what is wrong with the tables of a page's record, if anything."""
    for name, expected in record["tables"].items():
        if not (tables / name).is_file():
            return f"table {name} is missing"
        if checksum(tables / name) != expected:
            return f"table {name} was changed after the run"
    return None


def summarise(entries: Iterable[dict]) -> dict:
    """Return a page's stages, tables, figures and device from what the library recorded by line."""
    stages: dict[str, dict] = {}
    tables: dict[str, str] = {}
    figures: dict[str, str] = {}
    device = "cpu"
    for entry in entries:
        if "stage" in entry:
            stage = stages.setdefault(entry["stage"], {"version": entry["version"], "keys": []})
            stage["keys"] = sorted({*stage["keys"], entry["key"]})
        elif "table" in entry:
            tables[entry["table"]] = entry["sha256"]
        elif "figure" in entry:
            figures[entry["figure"]] = entry["sha256"]
        elif "device" in entry:
            device = entry["device"]
    return {"stages": stages, "tables": tables, "figures": figures, "device": device}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=project_root(), capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit() -> str | None:
    """Return the commit that is checked out, marked where library or notebooks differ from it.

    None without git, also where git knows a folder around the project, but not the project.
    """
    head = _git("ls-files", "notebooks") and _git("rev-parse", "HEAD")
    changed = head and _git("status", "--porcelain", "--", "lib", "notebooks")
    return f"{head}-dirty" if changed else head or None


def versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def information(
    device: str, duration_s: float, hashes: Mapping[str, str], figures: Mapping[str, str]
) -> dict:
    """Return what a stamp tells of a run beside its results; hashes are those when it began.

    Checksums of files of figures hang on the processor and on libraries that do not change a
    printed number, so that they are no result.
    """
    return {
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        **hashes,
        "figures": dict(sorted(figures.items())),
        "python": platform.python_version(),
        "packages": versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "machine": machine(),
        "device": device,
        "duration_s": round(duration_s, 1),
    }


def tidy_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Drop what is no result (stderr, widgets), join what buffering split, order the types."""
    tidied: list[NotebookNode] = []
    for output in map(deepcopy, outputs):
        if output.output_type == "stream":
            if output.name == "stderr":
                continue
            if tidied and tidied[-1].output_type == "stream":
                tidied[-1].text += output.text
                continue
        elif "data" in output:
            if any(kind in output.data for kind in WIDGETS):
                continue
            output.data = NotebookNode(sorted(output.data.items()))
        tidied.append(output)
    return tidied


def _metadata(cell: NotebookNode) -> NotebookNode:
    metadata = NotebookNode(
        {key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata}
    )
    if INJECTED in metadata.get("tags", []):
        metadata.tags = [INJECTED, "hide-input"]
        metadata.mystnb = NotebookNode(code_prompt_show=PROMPT)
    if not metadata.get("tags", True):  # papermill gives every cell an empty list
        del metadata["tags"]
    return metadata


def tidy(executed: NotebookNode, source: NotebookNode) -> NotebookNode:
    """Return a tidied copy of an executed notebook.

    Cells keep the ids they have in `source`; the cell with the injected parameters, which is not
    there, gets a fixed one. Versions of Python are left to the page's stamp.
    """
    known = {cell.get("id") for cell in source.cells}
    notebook = deepcopy(executed)
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first format with ids
    notebook.metadata = NotebookNode(
        {key: notebook.metadata[key] for key in NOTEBOOK_METADATA if key in notebook.metadata}
    )
    notebook.metadata.get("language_info", {}).pop("version", None)
    for position, cell in enumerate(notebook.cells):
        cell.metadata = _metadata(cell)
        if INJECTED in cell.metadata.get("tags", []):
            cell.id = INJECTED
        elif cell.get("id") not in known:
            cell.id = f"cell-{position}"
        if cell.cell_type == "code":
            cell.outputs = tidy_outputs(cell.outputs)
    return notebook
