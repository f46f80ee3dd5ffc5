"""Replicate: one trained network and every stage of it, loaded from disk or computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from localspec._utils.artifacts import (
    MODES,
    Artifact,
    artifact_key,
    cached,
    stage_key,
    stored_path,
    take_apart,
)
from localspec._utils.checkpoints import Checkpoint
from localspec._utils.hardware import resolve_device
from localspec._utils.validation import check_flag, check_option, check_seed, check_type
from localspec.clustering import (
    KINDS,
    PARTITIONINGS,
    Clusterability,
    Draws,
    Partition,
    UnitGraph,
    activation_graph,
    cluster,
    clusterability,
    draw_counterparts,
    ncut,
    quantile_strata,
    weight_graph,
)
from localspec.conventions import PAPER, Conventions
from localspec.data import DATASETS, Dataset, in_three_channels, load_dataset
from localspec.exceptions import ArtifactError
from localspec.lesions import LesionedAccuracies, lesion_draws, other_predictions
from localspec.measures import (
    LESIONED,
    MEASURES,
    Assessment,
    Measure,
    assess,
    coherence,
    conditioned_ranges,
    measure_named,
)
from localspec.networks import NetworkSettings, TrainedNetwork, build_network, prune, train
from localspec.pipeline._choices import CHECKS, PROFILE_CHOICES, Choices
from localspec.pipeline._profile import Profile
from localspec.pipeline._stages import STAGES
from localspec.units import trace_units, unit_strengths
from localspec.visualization import Visualizations, visualize

IMAGES_AT_ONCE = 512


@cache
def _dataset(name: str, dtype: str, image_channels: str) -> Dataset:
    """Return a data set; of each there is one copy for all replicates."""
    if image_channels == "own":
        return load_dataset(name, dtype=dtype)
    return in_three_channels(_dataset(name, dtype, "own"), image_channels)


class Replicate:
    """One trained network of a profile, with everything that pages ask of it.

    Parameters
    ----------
    profile : Profile
    network : str
        Name of one of the profile's networks.
    seed : int
        Of training; clustering, draws and visualization use it too.
    choices : Choices, optional
    compute : {"auto", "never", "always"}
        Load what is on disk and compute the rest; only load; or compute everything again.
    progress : bool

    Raises
    ------
    InvalidInputError
        If the network, its data set, the device, the seed or `compute` is not there or allowed;
        so that no replicate is trained where a later one could not be.

    Notes
    -----
    A partitioning is graph and scope, such as ``"weights/global"``.
    """

    def __init__(
        self,
        profile: Profile,
        network: str,
        seed: int,
        choices: Choices = PROFILE_CHOICES,
        *,
        compute: str = "auto",
        progress: bool = True,
    ) -> None:
        check_type("profile", profile, Profile, "load_profile(name) returns one")
        check_option("network", network, profile.networks)
        check_option("data set", profile.networks[network].dataset, DATASETS)
        check_option("compute", compute, MODES)
        check_seed(seed)
        check_type("choices", choices, Choices, "such as Choices(n_clusters=4)")
        check_flag("progress", progress)
        resolve_device(profile.device)
        self.profile, self.network, self.seed, self.choices = profile, network, seed, choices
        self.compute, self.progress = compute, progress
        self._artifacts: dict[str, Artifact] = {}  # by key
        self._loaded: dict[str, TrainedNetwork] = {}  # by the key of the artifact

    def with_choices(self, **changes: Any) -> Replicate:
        """Return the same network with other choices: fields of :class:`Choices`.

        Both replicates share what was loaded or computed.
        """
        other = copy(self)
        other.choices = replace(self.choices, **changes)
        return other

    # --- what was chosen

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
        return self.choices.conventions or Conventions.preset(self.profile.method.conventions)

    @property
    def reading(self) -> str:
        """What is read otherwise than plainly; ``"paper"`` if nothing is."""
        options = self.conventions.model_dump().items()
        other = [f"{name}: {value}" for name, value in options if value != getattr(PAPER, name)]
        return ", ".join(other) or "paper"

    @property
    def n_clusters(self) -> int:
        """Clusters of the whole network."""
        return self.choices.n_clusters or self.profile.method.n_clusters

    @property
    def dataset(self) -> Dataset:
        """The data set the network is trained on."""
        settings = self.settings
        return _dataset(settings.dataset, self.profile.dtype, settings.image_channels)

    # --- what is stored

    def _artifact(
        self,
        stage: str,
        compute: Callable[[], Any],
        parameters: Mapping[str, Any],
        inputs: tuple[str, ...] = (),
    ) -> Artifact:
        """Load or compute a stage, once in the life of this object.

        `compute` returns a dataclass, or a mapping of str to array.
        """
        key = artifact_key(stage, STAGES[stage], parameters, inputs)
        if key not in self._artifacts:
            self._artifacts[key] = cached(
                stage,
                STAGES[stage],
                parameters,
                lambda: take_apart(compute()),
                inputs=inputs,
                mode=self.compute,
            )
        return self._artifacts[key]

    def stored(
        self,
        stage: str,
        kind: Callable[..., Any],
        compute: Callable[[], Any],
        *,
        parameters: Mapping[str, Any],
        inputs: tuple[str, ...] = (),
    ) -> Any:
        """Return what a stage computes, from disk if it is there.

        Parameters
        ----------
        stage : str
            One of ``STAGES`` in ``_stages.py``.
        kind : callable
            Makes the result of its fields by name: a dataclass of arrays and JSON values, or dict.
        compute : callable
            Returns such a result.
        parameters : mapping
            Every setting that the result depends on, as JSON values.
        inputs : tuple of str, optional
            Keys of what it is computed from.
        """
        return self._artifact(stage, compute, parameters, inputs).rebuild(kind)

    # --- the network

    def _fit_settings(self) -> dict[str, Any]:
        """Return what training and pruning depend on besides the network's settings."""
        return {
            **self.conventions.subset("l2_first_layer"),
            "seed": self.seed,
            "dtype": self.profile.dtype,
            "device": resolve_device(self.profile.device).type,
        }

    def training_parameters(self) -> dict[str, Any]:
        """Return everything that the trained weights depend on."""
        data = {"data": self.dataset.fingerprint}
        return {**self.settings.training_key(), **self._fit_settings(), **data}

    def pruning_parameters(self) -> dict[str, Any]:
        """Return everything that the pruned weights depend on besides the trained ones."""
        settings = self.settings
        return {
            "n_pruning_epochs": settings.n_pruning_epochs,
            "pruning_penalties": settings.pruning_penalties,
            **self.conventions.subset("dropped_weights"),
            **self._fit_settings(),
        }

    def _fitted(
        self,
        stage: str,
        fit: Callable[..., TrainedNetwork],
        parameters: Mapping[str, Any],
        inputs: tuple[str, ...] = (),
    ) -> Artifact:
        """Load or compute a trained network, going on from where a killed process left it."""
        key = artifact_key(stage, STAGES[stage], parameters, inputs)
        if key in self._artifacts:
            return self._artifacts[key]
        checkpoint = Checkpoint(stage, key)
        if self.compute == "always":
            checkpoint.remove()

        def compute() -> dict[str, np.ndarray]:
            trained = fit(
                seed=self.seed,
                device=self.profile.device,
                conventions=self.conventions,
                progress=self.progress,
                checkpoint=checkpoint,
            )
            return trained.to_arrays()

        artifact = self._artifact(stage, compute, parameters, inputs)
        if self.compute != "never":
            checkpoint.remove()
        return artifact

    def stored_network(self) -> Artifact:
        """Return the weights as they are stored: those of training, or of pruning after it.

        A network of another origin overrides this method.
        """
        settings, data = self.settings, self.dataset
        fit = partial(train, settings, data, dtype=self.profile.dtype)
        trained = self._fitted("training", fit, self.training_parameters())
        if not settings.n_pruning_epochs:
            return trained

        def fit_further(**options: Any) -> TrainedNetwork:
            return prune(self._load(trained), settings, data, **options)

        return self._fitted("pruning", fit_further, self.pruning_parameters(), (trained.key,))

    def _load(self, artifact: Artifact) -> TrainedNetwork:
        module = build_network(
            self.settings,
            self.dataset.image_shape,
            self.dataset.n_outputs,
            seed=self.seed,
            dtype=self.profile.dtype,
        ).to(resolve_device(self.profile.device))
        try:
            return TrainedNetwork.from_arrays(module, artifact.arrays)
        except ArtifactError as error:
            raise ArtifactError(
                f"{self.name}, artifact {artifact.key}: {error}; restore its file with git, or "
                "train it again with compute='always'"
            ) from error

    @property
    def trained(self) -> TrainedNetwork:
        """The trained network; pruned, if its settings say so."""
        artifact = self.stored_network()
        if artifact.key not in self._loaded:
            self._loaded[artifact.key] = self._load(artifact)
        return self._loaded[artifact.key]

    @property
    def stored_path(self) -> Path | None:
        """Where the trained network is on disk; None if it is not."""
        stage, version = "training", STAGES["training"]
        key = artifact_key(stage, version, self.training_parameters(), ())
        if self.settings.n_pruning_epochs:
            stage, version = "pruning", STAGES["pruning"]
            key = artifact_key(stage, version, self.pruning_parameters(), (key,))
        return stored_path(stage, key)

    # --- graphs and partitions

    def graph(self, kind: str) -> UnitGraph:
        """Return the graph of a kind, "weights" or "activations"."""
        if check_option("kind", kind, KINDS) == "weights":
            return weight_graph(self.trained, conventions=self.conventions)
        return activation_graph(
            self.trained,
            self.training_images(self.profile.method.n_images),
            correlation=self.profile.method.correlation,
            conventions=self.conventions,
        )

    def training_images(self, n_images: int) -> torch.Tensor:
        """Return as many training images, drawn by the seed, in their order; at most all."""
        x = self.dataset.x_train
        chosen = np.random.default_rng(self.seed).permutation(len(x))
        return x[torch.from_numpy(np.sort(chosen[:n_images]))]

    def graph_key(self, kind: str) -> str:
        """Return the key of :meth:`graph`, which is cheap enough never to be stored."""
        method, conventions = self.profile.method, self.conventions
        if kind == "weights":
            own = conventions.subset("kernel_norm", "batch_norm_edges")
        else:
            own = conventions.subset("spatial_norm")
            own |= {"correlation": method.correlation, "n_images": method.n_images}
        parameters = {"kind": kind, **own, **conventions.subset("residual_units")}
        return stage_key("graph", STAGES["graph"], parameters, (self.stored_network().key,))

    def clusterability(self, kind: str = "weights", null: str = "permute") -> Clusterability:
        """Return the n-cut of the graph of a kind beside those of copies shuffled as `null` says.

        See :func:`localspec.clustering.clusterability`.
        """
        n_shuffles = self.profile.method.n_shuffles
        return self.stored(
            "clusterability",
            Clusterability,
            lambda: clusterability(
                self.graph(kind),
                self.n_clusters,
                n_shuffles=n_shuffles,
                null=null,
                seed=self.seed,
                progress=self.progress,
            ),
            parameters={
                "n_clusters": self.n_clusters,
                "n_shuffles": n_shuffles,
                "null": null,
                "seed": self.seed,
            },
            inputs=(self.graph_key(kind),),
        )

    def stored_partition(self, partitioning: str) -> Artifact:
        """Return the partition of one partitioning as it is stored."""
        kind, scope = check_option("partitioning", partitioning, PARTITIONINGS).split("/")
        seed = self.seed + self.choices.clustering_seed
        return self._artifact(
            "clustering",
            lambda: cluster(
                self.graph(kind),
                self.n_clusters,
                scope=scope,
                seed=seed,
                conventions=self.conventions,
            ),
            {
                "n_clusters": self.n_clusters,
                "scope": scope,
                "seed": seed,
                **self.conventions.subset("cluster_count_layers", "local_triples"),
            },
            (self.graph_key(kind),),
        )

    def partition(self, partitioning: str) -> Partition:
        """Return the partition of one partitioning."""
        return self.stored_partition(partitioning).rebuild(Partition.from_stored)

    def ncut(self) -> float:
        """Return the n-cut of the weights graph."""
        labels = self.partition("weights/global").labels
        return ncut(self.graph("weights").adjacency, labels)

    # --- random counterparts

    def strata(self) -> dict[str, np.ndarray] | None:
        """Return the quantile of each unit of each tested layer, lowest first; None without."""
        if self.choices.strata is None:
            return None
        unit_map = trace_units(self.trained, conventions=self.conventions)
        strengths = unit_strengths(unit_map, self.dataset.x_train, self.choices.strata)
        n_strata = self.choices.n_strata
        return {name: quantile_strata(values, n_strata) for name, values in strengths.items()}

    def draws(self, partitioning: str) -> Draws:
        """Return the tested subclusters of one partitioning and their random counterparts."""
        return draw_counterparts(
            self.partition(partitioning),
            self.profile.method.n_draws,
            seed=(self.seed + self.choices.draws_seed, PARTITIONINGS.index(partitioning)),
            strata=self.strata(),
            conventions=self.conventions,
        )

    def draws_key(self, partitioning: str) -> str:
        """Return the key of :meth:`draws`, which are cheap enough never to be stored."""
        parameters = {
            "n_draws": self.profile.method.n_draws,
            "partitioning": partitioning,
            "seed": self.seed + self.choices.draws_seed,
            "strata": self.choices.strata,
            "n_strata": self.choices.n_strata,
            **self.conventions.subset("draws", "min_units"),
        }
        partition = self.stored_partition(partitioning)
        return stage_key("draws", STAGES["draws"], parameters, (partition.key,))

    # --- lesions and visualizations

    def lesion_images(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the test images that lesions are tried on, with their labels."""
        x, y, n_images = self.dataset.x_test, self.dataset.y_test, self.settings.n_lesion_images
        if n_images is None or n_images >= len(x):
            return x, y
        chosen = np.random.default_rng(self.seed).permutation(len(x))[:n_images]
        indices = torch.from_numpy(np.sort(chosen))
        return x[indices], y[indices]

    def lesion_parameters(self) -> dict[str, Any]:
        """Return everything that accuracies under lesions of given units depend on."""
        return {
            **self.conventions.subset("lesion_point", "lesion_readers"),
            "n_images": self.settings.n_lesion_images,
            "images_seed": self.seed,
            "precision": self.settings.lesion_precision,
            "replacement": self.choices.replacement,
        }

    def lesioned(self, partitioning: str) -> LesionedAccuracies:
        """Return the accuracies under lesions of all subclusters and counterparts."""

        def compute() -> LesionedAccuracies:
            x, y = self.lesion_images()
            return lesion_draws(
                self.trained,
                x,
                y,
                self.draws(partitioning),
                n_classes=len(self.dataset.group_names),
                groups=self.dataset.group_labels(y),
                conventions=self.conventions,
                precision=self.settings.lesion_precision,
                replacement=self.choices.replacement,
                x_mean=self.dataset.x_train,
                progress=self.progress,
            )

        return self.stored(
            "lesions",
            LesionedAccuracies,
            compute,
            parameters={"result": "accuracies", **self.lesion_parameters()},
            inputs=(self.draws_key(partitioning),),
        )

    def other_predictions(self, partitioning: str) -> tuple[int, int]:
        """Return how many predictions under true subclusters' lesions the precision changes.

        Returns
        -------
        n_other, n_predictions : int
        """

        def compute() -> dict[str, np.ndarray]:
            counts = other_predictions(
                self.trained,
                self.lesion_images()[0],
                [part.as_lesion() for part in self.draws(partitioning).subclusters],
                precision=self.settings.lesion_precision,
                conventions=self.conventions,
            )
            return {"counts": np.array(counts)}

        counts = self.stored(
            "lesions",
            dict,
            compute,
            parameters={"result": "other predictions", **self.lesion_parameters()},
            inputs=(self.draws_key(partitioning),),
        )
        return tuple(counts["counts"].tolist())

    def visualizations(self, partitioning: str) -> Visualizations:
        """Return the visualizations of all subclusters and counterparts, arranged by draw."""
        n_steps = self.profile.method.n_steps

        def compute() -> Visualizations:
            draws = self.draws(partitioning)
            images = visualize(
                self.trained,
                draws.lesions(),
                self.dataset.image_shape,
                n_steps=n_steps,
                seed=self.seed,
                progress=self.progress,
            )
            return images.arranged(draws)

        return self.stored(
            "feature_visualization",
            Visualizations,
            compute,
            parameters={"n_steps": n_steps, "seed": self.seed},
            inputs=(self.draws_key(partitioning),),
        )

    def image_logits(self, partitioning: str) -> np.ndarray:
        """Return the logits on all visualizations, (n_draws + 1, n_subclusters, n_classes)."""
        images = self.visualizations(partitioning).images
        unit_map = trace_units(self.trained, conventions=self.conventions)
        flat = torch.from_numpy(images.reshape(-1, *self.dataset.image_shape))
        with torch.inference_mode():
            parts = [
                unit_map.run(part.to(unit_map.device, unit_map.dtype))[0].double().cpu().numpy()
                for part in flat.split(IMAGES_AT_ONCE)
            ]
        logits = np.concatenate([np.zeros((0, self.dataset.n_outputs)), *parts])
        logits = logits.reshape(*images.shape[:2], -1)
        for draw, subcluster in np.argwhere(self.draws(partitioning).are_true):
            logits[draw + 1, subcluster] = logits[0, subcluster]  # rounding does not part them
        return logits

    # --- measures

    def measure(self, name: str, partitioning: str) -> Measure:
        """Return one of `MEASURES` of one partitioning."""
        check_option("measure", name, MEASURES)
        if name in LESIONED:
            evidence = self.lesioned(partitioning)
        else:
            evidence = self.visualizations(partitioning)
        return measure_named(name, evidence, conventions=self.conventions)

    def assessment(self, name: str, partitioning: str) -> Assessment:
        """Return a measure of one partitioning with p-values and effects."""
        check = self.choices.check
        if name == "class_coherence" and check is not None:
            return checked_coherence(self, check, partitioning)
        return assess(
            self.measure(name, partitioning), conventions=self.conventions, seed=self.seed
        )


def checked_coherence(replicate: Replicate, check: str, partitioning: str) -> Assessment:
    """Assess class coherence without the help of counterparts that do hardly any damage.

    Parameters
    ----------
    replicate : Replicate
    check : {"defined", "equal_damage"}
        Rank ranges among defined ones alone; or rank, among defined ones, what
        :func:`localspec.measures.conditioned_ranges` makes of them.
    partitioning : str

    Returns
    -------
    Assessment
        With a p-value of NaN where the range, or that of every counterpart, is undefined. The
        rule "strict" counts all draws and is replaced by "mid", which it equals, shifted, where
        nothing ties.

    Raises
    ------
    InvalidInputError
        If the check is unknown.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Class coherence"; the checks are this project's.
    """
    check_option("check", check, CHECKS)
    accuracies = replicate.lesioned(partitioning)
    changed = {"undefined_ranges": "left_out"}
    if replicate.conventions.p_rule == "strict":  # which counts all draws, undefined or not
        changed["p_rule"] = "mid"
    conventions = replicate.conventions.model_copy(update=changed)
    if check == "equal_damage":
        layers = [part.layer for part in replicate.draws(partitioning).subclusters]
        measure = conditioned_ranges(accuracies, layers)
    else:
        measure = coherence(accuracies, "class", conventions=conventions)
    return assess(measure, conventions=conventions, seed=replicate.seed)
