"""Files of the command line: where they are, how they are shown, written and compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import click
import nbformat
from nbformat import NotebookNode

from localspec._utils.files import RESULTS_VARIABLE, project_root, results_root, write_atomically
from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.pipeline import Profile, check_name, load_profile

# what reading a damaged file may raise
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


def profile_path(profile: str) -> Path:
    """Return the path of a profile: itself, or by its name in ``notebooks/profiles``."""
    if profile.endswith((".yml", ".yaml")):
        return Path(profile).resolve()
    return project_root() / "notebooks" / "profiles" / f"{profile}.yml"


def load_named_profile(name: str) -> Profile:
    """Load a profile of ``notebooks/profiles``, whose pages are run and published; no path."""
    return load_profile(check_name("profile", name))


def results_folder() -> Path:
    """Return the absolute folder for results."""
    results = results_root().resolve()
    for path in (results, *results.parents):
        if path.exists():
            if not path.is_dir():
                raise click.ClickException(
                    f"{shown(path)} is no folder, so that results cannot lie there: move it away, "
                    f"or name another folder with {RESULTS_VARIABLE}"
                )
            break
    return results


def read_notebook(path: Path, remedy: str) -> NotebookNode:
    """Read a notebook; `remedy` says what to do where it is damaged."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (*UNREADABLE, nbformat.ValidationError) as error:
        why = " ".join(str(error).split())[:120]
        raise click.ClickException(
            f"{shown(path)} cannot be read as a notebook ({type(error).__name__}: {why}): {remedy}"
        ) from error
    return notebook


def notebook_problem(path: Path) -> str | None:
    """Return what is wrong with the notebook of a page that was run, if anything."""
    if not path.is_file():
        return "its notebook is missing"
    try:
        read_notebook(path, "")
    except click.ClickException:
        return "its notebook is damaged"
    return None


def inside(folder: Path, *names: str) -> Path:
    """Return the path of what is written or deleted in `folder`, and by no name or link outside."""
    path = folder.joinpath(*names)
    if not path.resolve().is_relative_to(folder.resolve()) or path == folder:
        raise InvalidInputError(
            f"{path} lies outside of {folder}, where nothing is written or deleted: choose another "
            "name, or remove the link"
        )
    return path


def shown(path: Path) -> str:
    """Return `path` as people type it: relative to the project where it lies inside."""
    try:
        root = project_root()
    except ArtifactError:  # while Snakemake works in a folder for results outside of it
        return str(path)
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def write_if_changed(path: Path, content: str | bytes) -> None:
    """Write a file atomically; leave a file that already has this content as it is."""
    data = content.encode() if isinstance(content, str) else content
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, lambda temporary: temporary.write_bytes(data))


def as_json(value: Any) -> str:
    """Return `value` as JSON of one line a key, in the order of the keys."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
