"""Load-or-compute on disk: atomic, locked, keyed by what went in.

An artifact is a set of named arrays and a JSON description in one safetensors file. Its key is a
hash of the stage's name and version, its parameters, and the keys of its inputs, so that editing
a plot invalidates nothing and changing a formula (with its stage's version) everything after it.
A digest of its content lies inside, too: a file that is damaged is never taken for a result.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from localspec._utils.files import (
    RESULTS_VARIABLE,
    check_is_file,
    locked,
    project_root,
    record,
    results_root,
    write_atomically,
)
from localspec._utils.validation import check_option
from localspec.exceptions import ArtifactError, ArtifactWarning

MODES = ("auto", "never", "always")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Artifact:
    """What one stage computed: arrays, a JSON description, and the key they are stored under."""

    arrays: Mapping[str, np.ndarray]
    description: Mapping[str, Any]
    key: str

    def rebuild(self, kind: Callable[..., Result]) -> Result:
        """Return `kind` of the arrays and description by name; refuse names that it lacks."""
        try:
            return kind(**self.arrays, **self.description)
        except TypeError as error:
            raise ArtifactError(
                f"artifact {self.key} does not hold what belongs under its name ({error}): "
                "compute it again with compute='always'"
            ) from error


def fingerprint(*tensors: torch.Tensor, names: Iterable[str] = ()) -> str:
    """Return the SHA-256 sum of the types, shapes and values of tensors on the CPU.

    `names` are counted too, where they tell the tensors apart.

    Examples
    --------
    >>> fingerprint(torch.zeros(2)) == fingerprint(torch.zeros(2, 1))
    False
    """
    digest = hashlib.sha256("".join(f"{name}\n" for name in names).encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy())
    return digest.hexdigest()


def artifact_key(stage: str, version: int, parameters: Mapping[str, Any], inputs: tuple) -> str:
    """Return the key of an artifact: a hash of all that determines its content.

    `parameters` are JSON values, dtype and execution mode among them; `inputs` are the keys of the
    artifacts that it is computed from, in a fixed order.
    """
    identity = {"stage": stage, "version": version, "parameters": parameters, "inputs": inputs}
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def stage_key(
    stage: str, version: int, parameters: Mapping[str, Any], inputs: tuple[str, ...] = ()
) -> str:
    """Return and record the key of a stage that is cheap enough never to be stored."""
    key = artifact_key(stage, version, parameters, inputs)
    record(stage=stage, version=version, key=key)
    return key


def artifact_path(stage: str, key: str, root: Path | None = None) -> Path:
    """Return where an artifact is stored, in `root` or :func:`results_root`."""
    return (root or results_root()) / "artifacts" / stage / f"{key}.safetensors"


def stored_path(stage: str, key: str, root: Path | None = None) -> Path | None:
    """Return where an artifact is: in results, or in ``book/runs/<profile>/networks``; or None.

    Published networks have names for readers: the key is inside the file, and one that cannot be
    read is left out, with a warning. The content is not looked at: :func:`cached` does so where it
    reads it.
    """
    path = artifact_path(stage, key, root)
    try:
        if path.exists():
            return path
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error}; see to the right to read it") from error
    try:
        runs = project_root() / "book" / "runs"
    except ArtifactError:  # outside of a clone of the project
        return None
    published = sorted(runs.glob("*/networks/*.safetensors"))
    return next((path for path in published if _published_key(path) == key), None)


@cache
def _published_key(path: Path) -> str | None:
    """Return the key inside a file, of which only the header is read, once in a process."""
    try:
        with opened(path) as file:
            return (file.metadata() or {}).get("localspec_key")
    except ArtifactError as error:
        warnings.warn(f"{error}: left out; restore it with git", ArtifactWarning, stacklevel=4)
        return None


class _DamagedError(ArtifactError):
    """The content of a file is not what was written under its name."""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file of arrays; refuse one that is missing or damaged, there or inside the block."""
    try:
        check_is_file(path)
        with safe_open(path, framework="numpy") as file:
            yield file
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error}") from error
    except (
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise _DamagedError(f"{path} is damaged ({error})") from error


def _digest(arrays: Mapping[str, np.ndarray], description: str) -> str:
    """Return the SHA-256 sum of what an artifact holds; arrays are contiguous and in order."""
    digest = hashlib.sha256(f"{description}\n".encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array)
    return digest.hexdigest()


def read_artifact(path: Path, key: str) -> Artifact:
    """Read a file of arrays; refuse another key than the one it was written under, and damage."""
    with opened(path) as file:
        metadata = file.metadata() or {}
        stored_key = metadata.get("localspec_key")
        if stored_key != key:
            raise _DamagedError(
                f"{path} is damaged (it was not written under this name, but key {stored_key!r})"
            )
        arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        if "sha256" not in metadata:
            raise _DamagedError(f"{path} is damaged (it holds no digest of its content)")
        if metadata["sha256"] != _digest(arrays, metadata["description"]):
            raise _DamagedError(f"{path} is damaged (its content is not what its digest says)")
        description = json.loads(metadata["description"])
        if not isinstance(description, dict):
            raise _DamagedError(f"{path} is damaged (its description is not one of names)")
        return Artifact(arrays, description, key)


def write_artifact(
    path: Path,
    key: str,
    arrays: Mapping[str, np.ndarray],
    description: Mapping[str, Any],
    *,
    variable: str = RESULTS_VARIABLE,
) -> Artifact:
    """Write arrays and a description under a key, whole or not at all; see :func:`read_artifact`.

    `variable` is what messages say to choose another folder with.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    text = json.dumps(description)
    metadata = {"localspec_key": key, "description": text, "sha256": _digest(arrays, text)}
    write_atomically(
        path, lambda part: save_file(arrays, part, metadata=metadata), variable=variable
    )
    return Artifact(arrays, json.loads(text), key)


def check_artifact(path: Path) -> None:
    """Refuse a file of an artifact, whatever its key, whose content is damaged."""
    with opened(path) as file:
        key = (file.metadata() or {}).get("localspec_key", "")
    read_artifact(path, key)


def take_apart(result: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays of a dataclass or mapping, and its other fields as JSON values."""
    fields = asdict(result) if is_dataclass(result) else dict(result)
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    return arrays, {name: value for name, value in fields.items() if name not in arrays}


def cached(
    stage: str,
    version: int,
    parameters: Mapping[str, Any],
    compute: Callable[[], tuple[Mapping[str, np.ndarray], Mapping[str, Any]]],
    *,
    inputs: tuple[str, ...] = (),
    mode: str = "auto",
    root: Path | None = None,
    variable: str = RESULTS_VARIABLE,
) -> Artifact:
    """Load the artifact with this identity, or compute and store it.

    The version is that of the stage in ``localspec.pipeline.STAGES``; parameters are JSON values.
    `compute` returns arrays and a description, and is called only when needed, in one process at a
    time. `inputs` are the keys of the artifacts that this one is computed from. The mode "auto"
    loads what is there, else computes; "never" computes nothing; "always" computes again. Results
    lie in `root`, by default :func:`results_root`; `variable` is what messages say to choose
    another folder with.

    A damaged file is computed again, with a warning; in the mode "never" it is refused, as a
    missing one is.
    """
    check_option("compute", mode, MODES)
    key = stage_key(stage, version, parameters, inputs)
    path, stored = artifact_path(stage, key, root), stored_path(stage, key, root)
    if mode == "never" and stored is None:
        raise ArtifactError(
            f"stage {stage!r} has not been computed for {json.dumps(parameters, sort_keys=True)} "
            f"(no {path.name}): run the page's profile first, or pass compute='auto'"
        )
    if mode != "always" and stored is not None:
        try:
            return read_artifact(stored, key)
        except _DamagedError as error:
            if mode == "never":
                cure = "compute it again with compute='auto'"
                cure = cure if stored == path else f"restore it with git, or {cure}"
                raise ArtifactError(f"{error}: {cure}") from error
            warnings.warn(f"{error}: it is computed again", ArtifactWarning, stacklevel=2)
    with locked(path, variable=variable):
        if mode != "always" and path.exists():  # another process may have computed it meanwhile
            with suppress(_DamagedError):
                return read_artifact(path, key)
        for part in path.parent.glob(f".{path.stem}.*.part"):  # of killed processes
            part.unlink(missing_ok=True)
        artifact = write_artifact(path, key, *compute(), variable=variable)
        Path(f"{path}.lock").unlink(missing_ok=True)  # whoever waits for it finds the artifact
    return artifact
