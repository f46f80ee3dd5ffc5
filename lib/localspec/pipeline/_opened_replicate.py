"""Opened replicate: a network of torchvision in place of one that is trained here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from localspec._utils.artifacts import Artifact, stage_key
from localspec._utils.hardware import resolve_device
from localspec.networks import TrainedNetwork, open_torchvision, weights_sum
from localspec.pipeline._replicate import Replicate
from localspec.pipeline._stages import STAGES


class OpenedReplicate(Replicate):
    """One network of torchvision, with the weights of a file of the user's or with random ones.

    Parameters are those of :class:`Replicate`; the network's settings are `TorchvisionSettings`.
    Weights are never stored: they are read or drawn anew.
    """

    @property
    def stored_path(self) -> Path | None:
        """None: there is nothing that could be published."""
        return None

    def stored_network(self) -> Artifact:
        """Return an artifact without arrays, whose key stands for the weights and the images."""
        parameters = {
            "architecture": self.settings.architecture,
            "weights": weights_sum(self.settings),
            "data": self.dataset.fingerprint,
            "seed": self.seed,
            "dtype": self.profile.dtype,
            "device": resolve_device(self.profile.device).type,
        }
        return Artifact({}, {}, stage_key("opening", STAGES["opening"], parameters, ()))

    def _load(self, artifact: Artifact) -> TrainedNetwork:
        opened = open_torchvision(self.settings, seed=self.seed, dtype=self.profile.dtype)
        return replace(opened, module=opened.module.to(resolve_device(self.profile.device)))
