"""Planted networks: glue two halves, so that the right partition is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.linalg import block_diag

from localspec._utils.artifacts import Artifact, stage_key, take_apart
from localspec._utils.validation import require
from localspec.clustering import NO_CLUSTER, Partition, label_agreement
from localspec.data import Dataset
from localspec.networks import NetworkSettings, train
from localspec.pipeline import (
    PROFILE_CHOICES,
    STAGES,
    Choices,
    ControlsSection,
    Profile,
    Replicate,
    load_profile,
)

PARTITIONING = "weights/global"
TESTED_MEASURES = ("importance", "class_coherence")
WEIGHTS = "weights."


def class_halves(n_classes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the classes of the first and of the second half.

    Examples
    --------
    >>> class_halves(10)
    ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
    """
    classes = tuple(range(n_classes))
    return classes[: n_classes // 2], classes[n_classes // 2 :]


def half_dataset(dataset: Dataset, classes: Sequence[int]) -> Dataset:
    """Return the images of consecutive classes, labelled from 0."""
    first, last = classes[0], classes[-1]
    parts = {}
    for part in ("train", "test"):
        x, y = getattr(dataset, f"x_{part}"), getattr(dataset, f"y_{part}")
        of_half = (y >= first) & (y <= last)
        parts |= {f"x_{part}": x[of_half], f"y_{part}": y[of_half] - first}
    names = dataset.class_names[first : last + 1]
    return replace(dataset, name=f"{dataset.name} {first}-{last}", class_names=names, **parts)


def with_noise(
    values: np.ndarray, within: np.ndarray, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Put noise where no part has weights, in units of the standard deviation of those there."""
    between = noise * values[within].std() * rng.standard_normal(values.shape) + 0.0  # no -0.0
    return np.where(within, values, between)


def block_diagonal(
    kernels: Sequence[np.ndarray], noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Put kernels on the diagonal of a matrix, and noise beside them."""
    within = block_diag(*(np.ones(kernel.shape) for kernel in kernels)).astype(bool)
    return with_noise(block_diag(*kernels), within, noise, rng)


def glue(
    first: Mapping[str, np.ndarray],
    second: Mapping[str, np.ndarray],
    *,
    noise: float = 0.0,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Glue two chains of dense layers that read the same pixels side by side.

    Each has weights (n_out, n_in) and biases (n_out,) under the same names, in the order of the
    layers. `noise`, at least 0, is the standard deviation of the weights between the halves, in
    units of that of the layer's weights within them; at every level the same normal numbers are
    scaled::

        first kernel          later kernels (columns: what they read)
        [ first  ]            [ first  noise  ]
        [ second ]            [ noise  second ]

    Examples
    --------
    >>> half = {"a.weight": np.ones((1, 2)), "b.weight": np.full((1, 1), 3.0)}
    >>> glued = glue(half, half)
    >>> glued["a.weight"].tolist(), glued["b.weight"].tolist()
    ([[1.0, 1.0], [1.0, 1.0]], [[3.0, 0.0], [0.0, 3.0]])
    """
    require(list(first) == list(second), "both halves must have the same layers")
    require(noise >= 0, f"noise={noise} must be at least 0")
    rng = np.random.default_rng(seed)
    glued, is_first = {}, True
    for name, value in first.items():
        if value.ndim == 1 or is_first:
            require(
                value.shape[1:] == second[name].shape[1:],
                f"{name}: both halves must read the same pixels",
            )
            glued[name] = np.concatenate([value, second[name]])
        else:
            glued[name] = block_diagonal([value, second[name]], noise, rng)
        is_first = is_first and value.ndim == 1
    return glued


def shuffle_weights(weights: Mapping[str, np.ndarray], *, seed: int = 0) -> dict[str, np.ndarray]:
    """Permute the entries of each weight matrix; biases stay."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.permutation(value.ravel()).reshape(value.shape) if value.ndim > 1 else value
        for name, value in weights.items()
    }


def part_settings(settings: NetworkSettings, n_parts: int = 2) -> NetworkSettings:
    """Return the settings of each part of a planted network.

    The network must be a chain of dense layers whose units can be shared out evenly.
    """
    plain = settings.architecture == "mlp" and settings.batch_norm == "none"
    require(
        plain and not settings.n_pruning_epochs,
        "planted networks are multilayer perceptrons without batch normalization or pruning",
    )
    require(
        all(n_units % n_parts == 0 for n_units in settings.hidden),
        f"hidden={list(settings.hidden)}: planted networks of {n_parts} parts need numbers of "
        f"units that {n_parts} divides",
    )
    shared_out = tuple(n_units // n_parts for n_units in settings.hidden)
    return settings.model_copy(update={"hidden": shared_out})


class PlantedReplicate(Replicate):
    """A network glued from two halves that were trained apart, each on half of the classes.

    Parameters
    ----------
    profile : Profile
    network : str
        Its hidden layers are halved.
    seed : int
        The halves are trained with seeds 2 seed and 2 seed + 1.
    choices : Choices, optional
    noise : float
        See :func:`glue`.
    shuffled : bool, optional
        Permute the weights of the glued network within each matrix.
    known : bool, optional
        Take the halves themselves for the clusters, in place of those that clustering finds.
    compute, progress
        As in :class:`localspec.pipeline.Replicate`.

    References
    ----------
    Hod et al., arXiv:2110.08058; "Planted networks" is this project's control.
    """

    def __init__(
        self,
        profile: Profile,
        network: str,
        seed: int,
        choices: Choices = PROFILE_CHOICES,
        *,
        noise: float = 0.0,
        shuffled: bool = False,
        known: bool = False,
        compute: str = "auto",
        progress: bool = True,
    ) -> None:
        super().__init__(profile, network, seed, choices, compute=compute, progress=progress)
        self.noise, self.shuffled, self.known = noise, shuffled, known

    @property
    def name(self) -> str:
        """What was done to the network, and its seed."""
        what = "shuffled copy" if self.shuffled else f"noise {self.noise:g}"
        return f"{what}, seed {self.seed}"

    def _part_choice(self, index: int) -> dict[str, object]:
        """Return what a part is trained on, for its key."""
        return {"classes": list(class_halves(self.dataset.n_classes)[index])}

    def _part_dataset(self, index: int) -> Dataset:
        return half_dataset(self.dataset, class_halves(self.dataset.n_classes)[index])

    def _glued(self, parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return glue(parts[0], parts[1], noise=self.noise, seed=self.seed)

    def _design(self) -> dict[str, object]:
        """Return what else the glued weights depend on."""
        return {}

    def _part(self, index: int) -> Artifact:
        settings = part_settings(self.settings, self.n_parts)
        seed = self.n_parts * self.seed + index

        def compute() -> dict[str, np.ndarray]:
            trained = train(
                settings,
                self._part_dataset(index),
                seed=seed,
                dtype=self.profile.dtype,
                device=self.profile.device,
                conventions=self.conventions,
                progress=self.progress,
            )
            return trained.to_arrays()

        own = {**settings.training_key(), "seed": seed, **self._part_choice(index)}
        return self._artifact("training", compute, {**self.training_parameters(), **own})

    def stored_network(self) -> Artifact:
        """Return the weights of the glued network."""
        stored = [self._part(index) for index in range(self.n_parts)]

        def compute() -> dict[str, np.ndarray]:
            weights = self._glued([layers_in_order(part, self.settings) for part in stored])
            if self.shuffled:
                weights = shuffle_weights(weights, seed=self.seed)
            return {WEIGHTS + name: value for name, value in weights.items()}

        own = {"noise": self.noise, "shuffled": self.shuffled, "seed": self.seed}
        inputs = tuple(part.key for part in stored)
        return self._artifact("planted", compute, {**own, **self._design()}, inputs)

    def stored_partition(self, partitioning: str) -> Artifact:
        """Return the partition of one partitioning; that into halves if these are known."""
        if not self.known:
            return super().stored_partition(partitioning)
        graph = self.graph("weights")
        labels = np.full(graph.n_units, NO_CLUSTER)
        tested = np.concatenate([np.arange(layer.start, layer.stop) for layer in graph.tested])
        labels[tested] = self.planted_labels()
        halves = Partition(labels, graph.layers, self.n_clusters)
        inputs = (self.stored_network().key,)
        key = stage_key("planted", STAGES["planted"], {"known": True}, inputs)
        arrays, description = take_apart(halves)
        return Artifact(arrays, description, key)

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return 2

    def planted_labels(self) -> np.ndarray:
        """Return which part every hidden unit belongs to, layer by layer."""
        n_parts = self.n_parts
        sizes = [n_units // n_parts for n_units in self.settings.hidden for _ in range(n_parts)]
        return np.repeat(np.arange(len(sizes)) % n_parts, sizes)

    def adjusted_rand(self) -> float:
        """Return the adjusted Rand score of the found clusters of hidden units with the halves."""
        partition = self.partition(PARTITIONING)
        labels = np.concatenate([partition.of(layer) for layer in partition.tested])
        return label_agreement(self.planted_labels(), labels, units="all")

    def accuracy(self) -> float:
        """Return the glued network's share of correct test images, averaged over classes."""
        return float(self.lesioned(PARTITIONING).baseline.mean())


def layers_in_order(artifact: Artifact, settings: NetworkSettings) -> dict[str, np.ndarray]:
    """Return the weights and biases of a multilayer perceptron, layer by layer."""
    layers = [*(f"dense{i}" for i in range(1, len(settings.hidden) + 1)), "output"]
    names = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    return {name: artifact.arrays[WEIGHTS + name] for name in names}


def open_planted(
    section: ControlsSection, *, known: bool = False, progress: bool = True
) -> list[PlantedReplicate]:
    """Return the planted networks that a notebook's parameters name.

    Parameters
    ----------
    section : ControlsSection
    known : bool, optional
        See :class:`PlantedReplicate`.
    progress : bool, optional

    Returns
    -------
    list of PlantedReplicate
        Networks x (noises, then the shuffled copy of the one without noise) x seeds.

    Raises
    ------
    InvalidInputError
        If the profile or one of its networks does not exist.
    """
    profile = load_profile(section.profile).select(section)
    variants = [(noise, False) for noise in section.noises] + [(0.0, True)]
    shared = {"known": known, "compute": section.compute, "progress": progress}
    return [
        PlantedReplicate(profile, network, seed, noise=noise, shuffled=shuffled, **shared)
        for network in profile.networks
        for noise, shuffled in variants
        for seed in profile.seeds
    ]
