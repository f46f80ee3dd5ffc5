"""Every stage of one network and seed, loaded from disk or computed when first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from localspec import (
    clusterability,
    clustering,
    feature_visualization,
    graphs,
    lesions,
    subclusters,
)
from localspec.artifacts import Artifact, stage_key
from localspec.correlations import activation_graph
from localspec.measures import VISUALIZED, Assessment, Measure, assess, coherence, importance
from localspec.partitions import Partition
from localspec.profiles import Profile, Section, load_profile
from localspec.spectral import may_have_weak_units
from localspec.trained_replicates import TrainedReplicate

PARTITIONINGS = (
    "weights/global",
    "weights/local",
    "activations/global",
    "activations/local",
)


class Replicate(TrainedReplicate):
    """One trained network of a profile, with everything that the sections ask of it.

    Parameters
    ----------
    profile : Profile
    network : str
        Name of one of the profile's networks.
    seed : int
        Of training; clustering, draws and visualization use it too.
    compute : {"auto", "never", "always"}
        What to do where a result is not on disk, see :func:`localspec.artifacts.cached`.
    progress : bool

    Notes
    -----
    A partitioning is graph and scope, such as ``"weights/global"``.
    """

    @property
    def clustering_seed(self) -> int:
        """Seed of k-means."""
        return self.seed

    @property
    def draws_seed(self) -> int:
        """Seed of random counterparts."""
        return self.seed

    def graph(self, kind: str) -> graphs.UnitGraph:
        """Return the graph of a kind, "weights" or "activations"."""
        if kind == "weights":
            return graphs.weight_graph(self.trained, conventions=self.conventions)
        method = self.profile.method
        n_train = len(self.dataset.x_train)
        chosen = np.random.default_rng(self.seed).permutation(n_train)[: method.n_images]
        return activation_graph(
            self.trained,
            self.dataset.x_train[torch.from_numpy(np.sort(chosen))],
            correlation=method.correlation,
            conventions=self.conventions,
        )

    @cached_property
    def _weak_units(self) -> dict[str, str]:
        """What is named in keys only where it matters, so that other results stay current."""
        return {"weak_units": "follow"} if may_have_weak_units(self.graph("weights")) else {}

    def _graph_key(self, kind: str) -> str:
        parameters = {"kind": kind, **self.conventions.only("kernel_norm", "batch_norm_edges")}
        if kind == "activations":
            method = self.profile.method
            parameters = {"kind": kind, **self.conventions.only("spatial_norm")}
            parameters |= {"correlation": method.correlation, "n_images": method.n_images}
            if self.profile.dtype != "float64":  # there what counts as constant has not changed
                parameters |= {"constant": "rounding"}
        parameters |= self.branching_conventions("residual_units")
        parameters |= self._weak_units if kind == "weights" else {}
        return stage_key("graph", graphs.STAGE_VERSION, parameters, (self._network.key,))

    def clusterability(self) -> clusterability.Clusterability:
        """Return the n-cut of the weights graph beside those of shuffled copies."""
        method = self.profile.method

        def compute():
            result = clusterability.clusterability(
                self.graph("weights"),
                method.n_clusters,
                n_shuffles=method.n_shuffles,
                seed=self.seed,
                progress=self.progress,
            )
            fields = {name: value for name, value in vars(result).items() if name != "null"}
            return {"null": result.null}, fields

        parameters = {"n_clusters": method.n_clusters, "n_shuffles": method.n_shuffles}
        artifact = self._cached(
            "clusterability",
            clusterability,
            {**parameters, "seed": self.seed},
            compute,
            inputs=(self._graph_key("weights"),),
        )
        return clusterability.Clusterability(null=artifact.arrays["null"], **artifact.description)

    def _partition(self, partitioning: str) -> Artifact:
        kind, scope = partitioning.split("/")
        n_clusters = self.profile.method.n_clusters

        def compute():
            partition = clustering.cluster(
                self.graph(kind),
                n_clusters,
                scope=scope,
                seed=self.clustering_seed,
                conventions=self.conventions,
            )
            layers = [vars(layer) for layer in partition.layers]
            return {"labels": partition.labels}, {"layers": layers}

        parameters = {"n_clusters": n_clusters, "scope": scope, "seed": self.clustering_seed}
        parameters |= self.conventions.only("cluster_count_layers")
        parameters |= self.conventions.only("local_triples") if scope == "local" else {}
        inputs = (self._graph_key(kind),)
        return self._cached("clustering", clustering, parameters, compute, inputs)

    def partition(self, partitioning: str) -> Partition:
        """Return the partition of one partitioning."""
        artifact = self._partition(partitioning)
        layers = tuple(graphs.LayerRange(**layer) for layer in artifact.description["layers"])
        n_clusters, scope = self.profile.method.n_clusters, partitioning.split("/")[1]
        return Partition(artifact.arrays["labels"], layers, n_clusters, scope)

    def draws(self, partitioning: str) -> subclusters.Draws:
        """Return the tested subclusters of one partitioning and their random counterparts."""
        return subclusters.draw_counterparts(
            self.partition(partitioning),
            self.profile.method.n_draws,
            seed=(self.draws_seed, PARTITIONINGS.index(partitioning)),
            conventions=self.conventions,
        )

    def _draws_key(self, partitioning: str) -> str:
        parameters = {
            "n_draws": self.profile.method.n_draws,
            "partitioning": partitioning,
            "seed": self.draws_seed,
            **self.conventions.only("draws", "min_units"),
        }
        version = subclusters.STAGE_VERSION
        return stage_key("draws", version, parameters, (self._partition(partitioning).key,))

    def lesioned(self, partitioning: str) -> lesions.LesionedAccuracies:
        """Return the accuracies under lesions of all subclusters and counterparts."""

        def compute():
            result = lesions.lesion_draws(
                self.trained,
                *self.lesion_images(),
                self.draws(partitioning),
                n_classes=self.dataset.n_classes,
                conventions=self.conventions,
                precision=self.settings.lesion_precision,
                progress=self.progress,
            )
            return vars(result), {}

        parameters = self.conventions.only("lesion_point") | self.lesion_key()
        parameters |= self.branching_conventions("lesion_readers")
        inputs = (self._draws_key(partitioning),)
        artifact = self._cached("lesions", lesions, parameters, compute, inputs)
        return lesions.LesionedAccuracies(**artifact.arrays)

    def other_predictions(self, partitioning: str) -> tuple[int, int]:
        """Return how many predictions under true subclusters' lesions the precision changes."""

        def compute():
            parts = self.draws(partitioning).subclusters
            counts = lesions.other_predictions(
                self.trained,
                self.lesion_images()[0],
                [part.as_lesion() for part in parts],
                precision=self.settings.lesion_precision,
                conventions=self.conventions,
            )
            return {"counts": np.array(counts)}, {}

        parameters = {"compared": True, **self.conventions.only("lesion_point")}
        parameters |= self.lesion_key() | self.branching_conventions("lesion_readers")
        inputs = (self._draws_key(partitioning),)
        artifact = self._cached("lesions", lesions, parameters, compute, inputs)
        return tuple(artifact.arrays["counts"].tolist())

    @cached_property
    def visualized(self) -> Replicate:
        """The replicate that visualizations are made of: this one, unless a fork trains another.

        Under the fork ``visualization_channels`` it is the same architecture trained on the same
        grey images in three channels, with partitions of its own.
        """
        how = self.conventions.visualization_channels
        if how == "own" or self.dataset.image_shape[0] != 1:
            return self
        n_epochs = self.settings.n_visualization_epochs or self.settings.n_epochs
        changed = {"image_channels": how, "n_epochs": n_epochs}
        name = f"{self.network} in three channels"
        networks = {name: self.settings.model_copy(update=changed)}
        return self.like(self.profile.model_copy(update={"networks": networks}), name)

    def like(self, profile: Profile, network: str) -> Replicate:
        """Return the replicate of another profile's network that is like this one otherwise."""
        shared = {"compute": self.compute, "progress": self.progress}
        return type(self)(profile, network, self.seed, **shared)

    def subject(self, measure: str) -> Replicate:
        """Return the replicate whose network and subclusters a measure speaks of."""
        return self.visualized if measure in VISUALIZED else self

    def visualizations(self, partitioning: str) -> feature_visualization.Visualizations:
        """Return the visualizations of all subclusters and counterparts, arranged by draw."""
        if self.visualized is not self:
            return self.visualized.visualizations(partitioning)
        n_steps = self.profile.method.n_steps

        def compute():
            draws = self.draws(partitioning)
            result = feature_visualization.visualize(
                self.trained,
                draws.lesions(),
                self.dataset.image_shape,
                n_steps=n_steps,
                seed=self.seed,
                progress=self.progress,
            )
            return vars(result.arranged(draws)), {}

        artifact = self._cached(
            "feature_visualization",
            feature_visualization,
            {"n_steps": n_steps, "seed": self.seed, **self._image_key()},
            compute,
            inputs=(self._draws_key(partitioning),),
        )
        return feature_visualization.Visualizations(**artifact.arrays)

    def measure(self, name: str, partitioning: str) -> Measure:
        """Return one of the four measures of one partitioning."""
        if name == "importance":
            return importance(self.lesioned(partitioning))
        if name == "class_coherence":
            evidence = self.lesioned(partitioning)
        else:
            evidence = self.visualizations(partitioning)
        return coherence(evidence, name.removesuffix("_coherence"), conventions=self.conventions)

    def assessment(self, name: str, partitioning: str) -> Assessment:
        """Return a measure of one partitioning with p-values and effects."""
        return assess(
            self.measure(name, partitioning), conventions=self.conventions, seed=self.seed
        )


def by_network(replicates: Sequence[Replicate]) -> list[list[Replicate]]:
    """Return the replicates of each network, in the order in which networks come."""
    names = dict.fromkeys(one.network for one in replicates)
    return [[one for one in replicates if one.network == name] for name in names]


def open_replicates(section: Section, *, progress: bool = True) -> list[Replicate]:
    """Return the replicates that a notebook's parameters name.

    Parameters
    ----------
    section : Section
        Its values take precedence over the profile's.
    progress : bool, optional

    Returns
    -------
    list of Replicate
        Networks x seeds.

    Raises
    ------
    InvalidInputError
        If the profile, one of its networks or data sets, or its device does not exist, or more
        clusters are asked for than a network has units.
    """
    profile = load_profile(section.profile).select(section)
    if "n_clusters" in type(section).model_fields:
        profile.check_clusters(profile.method.n_clusters)
    return [
        Replicate(profile, network, seed, compute=section.compute, progress=progress)
        for network in profile.networks
        for seed in profile.seeds
    ]
