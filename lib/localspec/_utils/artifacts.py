"""Load-or-compute on disk: atomic, locked, keyed by what went in.

An artifact is a set of named arrays and a JSON description in one safetensors file. Its key is a
hash of the stage's name and version, its parameters, and the keys of its inputs, so that editing
a plot invalidates nothing and changing a formula (with its stage's version) everything after it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from localspec._utils.files import locked, project_root, record, results_root, write_atomically
from localspec._utils.validation import check_option
from localspec.exceptions import ArtifactError

MODES = ("auto", "never", "always")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Artifact:
    """What one stage computed: arrays, a JSON description, and the key they are stored under."""

    arrays: Mapping[str, np.ndarray]
    description: Mapping[str, Any]
    key: str

    def rebuild(self, kind: Callable[..., Result]) -> Result:
        """Return what was stored: `kind` of the arrays and the description, by name."""
        return kind(**self.arrays, **self.description)


def fingerprint(*tensors: torch.Tensor, names: Iterable[str] = ()) -> str:
    """Return the SHA-256 sum of the types, shapes and values of tensors, and of their names.

    Parameters
    ----------
    *tensors : torch.Tensor
        On the CPU.
    names : iterable of str, optional
        Counted too, where they tell the tensors apart.

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

    Parameters
    ----------
    stage : str
    version : int
    parameters : mapping
        JSON values only; dtype and execution mode belong here.
    inputs : tuple of str
        Keys of the artifacts it is computed from, in a fixed order.
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

    Published networks have names for readers: the key is inside the file.

    Raises
    ------
    ArtifactError
        If a published network cannot be read.
    """
    path = artifact_path(stage, key, root)
    if path.exists():
        return path
    try:
        runs = project_root() / "book" / "runs"
    except ArtifactError:  # outside of a clone of the project
        return None
    published = sorted(runs.glob("*/networks/*.safetensors"))
    return next((path for path in published if _published_key(path) == key), None)


@cache
def _published_key(path: Path) -> str | None:
    """Return the key inside a file, of which only the header is read, once in a process."""
    with _readable(path) as file:
        return (file.metadata() or {}).get("localspec_key")


@contextmanager
def _readable(path: Path) -> Iterator[Any]:
    """Open a file of arrays, and say what to do where it cannot be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error}") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise ArtifactError(
            f"{path} is damaged ({error}): delete the file to compute it again"
        ) from error


def _sweep(path: Path) -> None:
    """Remove half-written files of killed processes; the caller holds the lock of `path`."""
    for part in path.parent.glob(f".{path.stem}.*.part"):  # of its checkpoint too
        part.unlink(missing_ok=True)


def _read(path: Path, key: str) -> Artifact:
    with _readable(path) as file:
        metadata = file.metadata() or {}
        if metadata.get("localspec_key") != key:
            raise ArtifactError(
                f"{path} was not written under this name (it says key "
                f"{metadata.get('localspec_key')!r}): delete the file to compute it again"
            )
        arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        return Artifact(arrays, json.loads(metadata["description"]), key)


def take_apart(result: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays of a result, and its other fields as JSON values.

    Parameters
    ----------
    result : dataclass or mapping of str to numpy.ndarray

    Examples
    --------
    >>> take_apart({"counts": np.arange(2)})
    ({'counts': array([0, 1])}, {})
    """
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
) -> Artifact:
    """Load the artifact with this identity, or compute and store it.

    Parameters
    ----------
    stage : str
    version : int
        The stage's version, from :data:`localspec.pipeline.STAGES`.
    parameters : mapping
        The stage's own parameters, as JSON values.
    compute : callable
        Returns ``(arrays, description)``; called only when needed, in one process at a time.
    inputs : tuple of str, optional
        Keys of the artifacts this one is computed from.
    mode : {"auto", "never", "always"}
        Load if there, else compute; never compute; compute again even if there.
    root : Path, optional
        Folder for results; by default :func:`results_root`.

    Returns
    -------
    Artifact

    Raises
    ------
    ArtifactError
        If a stored file is damaged or foreign, if it is missing and `mode` is ``"never"``, or if
        the folder cannot be written.
    """
    check_option("compute", mode, MODES)
    key = stage_key(stage, version, parameters, inputs)
    path, found = artifact_path(stage, key, root), stored_path(stage, key, root)
    if mode != "always" and found is not None:
        return _read(found, key)
    if mode == "never":
        raise ArtifactError(
            f"stage {stage!r} has not been computed for {json.dumps(parameters, sort_keys=True)} "
            f"(no {path.name}): run the page's profile first, or pass compute='auto'"
        )
    with locked(path):
        if mode != "always" and path.exists():
            return _read(path, key)
        _sweep(path)
        arrays, description = compute()
        arrays = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
        metadata = {"localspec_key": key, "description": json.dumps(description)}
        write_atomically(path, lambda part: save_file(arrays, part, metadata=metadata))
        Path(f"{path}.lock").unlink(missing_ok=True)  # whoever waits for it finds the artifact
    return Artifact(arrays, json.loads(metadata["description"]), key)
