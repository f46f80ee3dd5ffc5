"""Checkpoints: resume an interrupted training from its state after an epoch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.numpy import save_file

from localspec._utils.artifacts import artifact_key, artifact_path, fingerprint, opened
from localspec._utils.files import write_atomically
from localspec.exceptions import ArtifactError, CheckpointWarning

VERSION = 2  # raise it when the meaning of a state's tensors or of their sum changes
INTERVAL_S = 10.0  # a training that takes less writes none


class Checkpoint:
    """The last stored state of the training that makes the artifact of a stage and key.

    At least `interval_s` seconds pass from one write to the next.
    """

    def __init__(
        self, stage: str, key: str, *, root: Path | None = None, interval_s: float = INTERVAL_S
    ) -> None:
        self.key = artifact_key("checkpoint", VERSION, {"stage": stage}, (key,))
        self.path = artifact_path(stage, key, root).with_suffix(".checkpoint")
        self.interval_s, self.last = interval_s, time.monotonic()

    def save_if_due(self, state: Mapping[str, torch.Tensor]) -> None:
        """Store a state, unless the last one was stored a moment ago."""
        if time.monotonic() - self.last < self.interval_s:
            return
        tensors = {name: state[name].detach().cpu().contiguous() for name in sorted(state)}
        sha256 = fingerprint(*tensors.values(), names=tensors)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        metadata = {"localspec_key": self.key, "sha256": sha256}
        write_atomically(self.path, lambda part: save_file(arrays, part, metadata=metadata))
        self.last = time.monotonic()

    def load(self) -> dict[str, torch.Tensor] | None:
        """Return the stored state, or None where there is none to trust.

        A file that is damaged or another training's is ignored, with a warning.
        """
        if not self.path.exists():
            return None
        try:
            with opened(self.path) as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in sorted(file.keys())}
        except ArtifactError as error:
            return self._ignore(f"cannot be read ({error})")
        if metadata.get("localspec_key") != self.key:
            return self._ignore("is another training's or another version's")
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if metadata.get("sha256") != fingerprint(*tensors.values(), names=tensors):
            return self._ignore("is damaged: its check sum is wrong")
        return tensors

    def _ignore(self, why: str) -> None:
        message = f"checkpoint {self.path} {why}: training begins anew"
        warnings.warn(message, CheckpointWarning, stacklevel=3)

    def remove(self) -> None:
        """Remove what is stored, if anything."""
        self.path.unlink(missing_ok=True)
