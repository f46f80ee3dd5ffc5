"""The trained network of one profile entry and seed, loaded from disk or computed."""

from __future__ import annotations

import json
from functools import cached_property, lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from localspec import pruning, training
from localspec.artifacts import MODES, Artifact, artifact_key, cached, stored_path
from localspec.channels import with_channels
from localspec.checkpoints import Checkpoint
from localspec.conventions import Conventions
from localspec.data import LOADERS, Dataset, load_dataset
from localspec.errors import choose, whole
from localspec.networks import build_network, resolve_device
from localspec.profiles import Profile
from localspec.settings import NetworkSettings

_dataset = lru_cache(maxsize=None)(load_dataset)  # one copy of each, for all replicates


class TrainedReplicate:
    """One trained network of a profile.

    Parameters
    ----------
    profile : Profile
    network : str
        Name of one of the profile's networks.
    seed : int
    compute : {"auto", "never", "always"}
        What to do where a result is not on disk, see :func:`localspec.artifacts.cached`.
    progress : bool

    Raises
    ------
    InvalidInputError
        If the network, its data set, the device, the seed or `compute` is not there or allowed;
        so that no replicate is trained where a later one could not be.
    """

    def __init__(
        self,
        profile: Profile,
        network: str,
        seed: int,
        *,
        compute: str = "auto",
        progress: bool = True,
    ) -> None:
        choose("network", network, profile.networks)
        choose("data set", profile.networks[network].dataset, LOADERS)
        choose("compute", compute, MODES)
        whole("seed", seed, 0)
        resolve_device(profile.device)
        self.profile, self.network, self.seed = profile, network, seed
        self.compute, self.progress = compute, progress
        self._artifacts: dict[tuple, Artifact] = {}

    @property
    def name(self) -> str:
        """The network's name and the seed, for figures and tables."""
        return f"{self.network}, seed {self.seed}"

    @property
    def settings(self) -> NetworkSettings:
        """Settings of the network."""
        return self.profile.networks[self.network]

    @property
    def conventions(self) -> Conventions:
        """The reading of the method."""
        return Conventions.preset(self.profile.method.conventions)

    def branching_conventions(self, *names: str) -> dict[str, str]:
        """Return the named options if the network branches: others do not depend on them."""
        return self.conventions.only(*names) if self.settings.branches else {}

    @cached_property
    def dataset(self) -> Dataset:
        """The data set the network is trained on."""
        loaded = _dataset(self.settings.dataset, dtype=self.profile.dtype)
        return with_channels(loaded, self.settings.image_channels)

    def _cached(self, stage: str, module, parameters: dict, compute, inputs=()) -> Artifact:
        """Load or compute a stage once in the life of this object."""
        memo = (stage, json.dumps(parameters, sort_keys=True), *inputs)
        if memo not in self._artifacts:
            self._artifacts[memo] = cached(
                stage,
                module.STAGE_VERSION,
                parameters,
                compute,
                inputs=tuple(inputs),
                mode=self.compute,
            )
        return self._artifacts[memo]

    def _resumable(self, stage: str, module, parameters: dict, fit, inputs=()) -> Artifact:
        """Load or compute a trained network, going on from where a killed process left it."""
        key = artifact_key(stage, module.STAGE_VERSION, parameters, tuple(inputs))
        checkpoint = Checkpoint(stage, key)
        if self.compute == "always":
            checkpoint.remove()

        def compute():
            found = fit(progress=self.progress, checkpoint=checkpoint, **self._mode())
            return found.to_arrays(), {}

        artifact = self._cached(stage, module, parameters, compute, inputs)
        if self.compute != "never":
            checkpoint.remove()
        return artifact

    def _training_parameters(self) -> dict:
        return {**self.settings.training_key(), **self._mode_key(), **self._data_key()}

    def _image_key(self) -> dict:
        """Return what visualizations depend on besides their settings.

        Entropies are of double precision; keys of networks of that precision need not say so.
        """
        return {} if self.profile.dtype == "float64" else {"entropies": "float64"}

    def _data_key(self) -> dict:
        return {"data": self.dataset.fingerprint} if self.dataset.fingerprint else {}

    def _pruning_parameters(self) -> dict:
        settings = self.settings
        penalties = {} if settings.pruning_penalties else {"pruning_penalties": False}
        dropped = self.conventions.only("dropped_weights")
        n_epochs = {"n_pruning_epochs": settings.n_pruning_epochs}
        return {**n_epochs, **penalties, **dropped, **self._mode_key()}

    @property
    def stored_path(self) -> Path | None:
        """Where the trained network is on disk; None if it is not."""
        parameters = self._training_parameters()
        stage, key = "training", artifact_key("training", training.STAGE_VERSION, parameters, ())
        if self.settings.n_pruning_epochs:
            parameters = self._pruning_parameters()
            stage, key = (
                "pruning",
                artifact_key("pruning", pruning.STAGE_VERSION, parameters, (key,)),
            )
        return stored_path(stage, key)

    @cached_property
    def _training(self) -> Artifact:
        fit = partial(training.train, self.settings, self.dataset, dtype=self.profile.dtype)
        return self._resumable("training", training, self._training_parameters(), fit)

    @cached_property
    def _network(self) -> Artifact:
        """The training artifact, or that of pruning after it."""
        n_epochs = self.settings.n_pruning_epochs
        if not n_epochs:
            return self._training

        def fit(**options):
            return pruning.prune(self._load(self._training), self.settings, self.dataset, **options)

        parameters = self._pruning_parameters()
        return self._resumable("pruning", pruning, parameters, fit, (self._training.key,))

    def _mode(self) -> dict:
        return {"seed": self.seed, "device": self.profile.device, "conventions": self.conventions}

    def _mode_key(self) -> dict:
        return {
            **self.conventions.only("l2_first_layer"),
            "seed": self.seed,
            "dtype": self.profile.dtype,
            "device": resolve_device(self.profile.device).type,
        }

    def _load(self, artifact: Artifact) -> training.TrainedNetwork:
        shape, n_outputs = self.dataset.image_shape, self.dataset.n_outputs
        module = build_network(
            self.settings, shape, n_outputs, seed=self.seed, dtype=self.profile.dtype
        ).to(resolve_device(self.profile.device))
        return training.TrainedNetwork.from_arrays(module, artifact.arrays)

    @cached_property
    def trained(self) -> training.TrainedNetwork:
        """The trained network; pruned, if its settings say so."""
        return self._load(self._network)

    def lesion_images(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the test images that lesions are tried on, with their labels."""
        x, y, n_images = self.dataset.x_test, self.dataset.y_test, self.settings.n_lesion_images
        if n_images is None or n_images >= len(x):
            return x, y
        chosen = np.random.default_rng(self.seed).permutation(len(x))[:n_images]
        indices = torch.from_numpy(np.sort(chosen))
        return x[indices], y[indices]

    def lesion_key(self) -> dict[str, int | str]:
        """Return what results depend on where lesions are not of all images in full precision."""
        n_images, precision = self.settings.n_lesion_images, self.settings.lesion_precision
        images = {} if n_images is None else {"n_images": n_images, "images_seed": self.seed}
        return images | ({} if precision == "full" else {"precision": precision})
