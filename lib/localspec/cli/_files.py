"""Files of the command line: where they are, how they are shown, written and compared."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from localspec._utils.files import project_root, write_atomically
from localspec.exceptions import InvalidInputError
from localspec.pipeline import Profile, check_name, load_profile


def profile_path(profile: str) -> Path:
    """Return the path of a profile: itself, or by its name in ``notebooks/profiles``."""
    if profile.endswith((".yml", ".yaml")):
        return Path(profile).resolve()
    return project_root() / "notebooks" / "profiles" / f"{profile}.yml"


def load_named_profile(name: str) -> Profile:
    """Load a profile of ``notebooks/profiles``, whose pages are run and published.

    Raises
    ------
    InvalidInputError
        If this is no name but a path, there is no such profile, or its content is not allowed.
    """
    return load_profile(check_name("profile", name))


def inside(folder: Path, *names: str) -> Path:
    """Return the path of what is written or deleted in `folder`.

    Raises
    ------
    InvalidInputError
        If it lies somewhere else, by its name or by a link.
    """
    path = folder.joinpath(*names)
    if not path.resolve().is_relative_to(folder.resolve()) or path == folder:
        raise InvalidInputError(
            f"{path} lies outside of {folder}, where nothing is written or deleted: choose another "
            "name, or remove the link"
        )
    return path


def shown(path: Path) -> str:
    """Return `path` as people type it: relative to the project where it lies inside."""
    root = project_root()
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
