"""What a killed training goes on from: its state after an epoch, beside the artifact it makes."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from localspec.artifacts import artifact_key, artifact_path, write_atomically
from localspec.errors import CheckpointWarning

VERSION = 1  # raise it when the meaning of a state's tensors changes
INTERVAL_S = 10.0  # a training that takes less writes none


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape};".encode())
        found.update(array.tobytes())
    return found.hexdigest()


class Checkpoint:
    """The last stored state of a training.

    Parameters
    ----------
    stage, key : str
        Of the artifact that the training makes.
    root : Path, optional
        Folder for results; by default :func:`localspec.artifacts.results_root`.
    interval_s : float, optional
        Seconds that pass at least from one write to the next.
    """

    def __init__(
        self, stage: str, key: str, *, root: Path | None = None, interval_s: float = INTERVAL_S
    ) -> None:
        self.key = artifact_key("checkpoint", VERSION, {"stage": stage}, (key,))
        self.path = artifact_path(stage, key, root).with_suffix(".checkpoint")
        self.interval_s, self.last = interval_s, time.monotonic()

    def save_if_due(self, state: Mapping[str, torch.Tensor]) -> None:
        """Store a state, unless the last one was stored a moment ago.

        Raises
        ------
        ArtifactError
            If the folder cannot be written.
        """
        if time.monotonic() - self.last < self.interval_s:
            return
        arrays = {name: value.detach().cpu().contiguous().numpy() for name, value in state.items()}
        metadata = {"localspec_key": self.key, "sha256": _digest(arrays)}
        write_atomically(self.path, lambda part: save_file(arrays, part, metadata=metadata))
        self.last = time.monotonic()

    def load(self) -> dict[str, torch.Tensor] | None:
        """Return the stored state, or None where there is none to trust.

        Warns
        -----
        CheckpointWarning
            If the file is damaged or another training's: it is ignored.
        """
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError) as error:
            return self._ignore(f"cannot be read ({error})")
        if metadata.get("localspec_key") != self.key:
            return self._ignore("is another training's or another version's")
        if metadata.get("sha256") != _digest(arrays):
            return self._ignore("is damaged: its check sum is wrong")
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _ignore(self, why: str) -> None:
        message = f"checkpoint {self.path} {why}: training begins anew"
        warnings.warn(message, CheckpointWarning, stacklevel=3)

    def remove(self) -> None:
        """Remove what is stored, if anything."""
        self.path.unlink(missing_ok=True)
