"""Which conclusions survive other choices: draws, lesions, numbers of clusters, seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from localspec import lesions, subclusters
from localspec.artifacts import stage_key
from localspec.coherence_checks import checked_coherence
from localspec.errors import choose
from localspec.lesion_replacement import mean_outputs
from localspec.lesions import LesionedAccuracies
from localspec.measures import LESIONED, MEASURES, Assessment
from localspec.pipeline import PARTITIONINGS, Replicate
from localspec.profiles import Profile, SensitivitySection, load_profile
from localspec.units import UnitLayer, trace_units

STRATA = ("weight norm", "mean activation")


@dataclass(frozen=True)
class Variation:
    """One choice made otherwise.

    Attributes
    ----------
    name : str
    measures : tuple of str
        Those that the choice concerns.
    strata : {"weight norm", "mean activation"}, optional
        Draws match the subcluster in how many units of each quantile of this it has.
    replacement : {"zero", "mean"}
        What lesioned units are replaced by.
    check : {"defined", "equal_damage"}, optional
        How class coherence is checked, see :func:`localspec.coherence_checks.checked_coherence`.
    n_clusters : int, optional
    clustering_seed : int, optional
        Of k-means, added to the network's seed.
    """

    name: str
    measures: tuple[str, ...] = MEASURES
    strata: str | None = None
    replacement: str = "zero"
    check: str | None = None
    n_clusters: int | None = None
    clustering_seed: int = 0


BASELINE = Variation("as on the other pages")
OTHER_SEED = 1000  # far from any training seed


def variations(other_n_clusters: Sequence[int] = (4, 8)) -> tuple[Variation, ...]:
    """Return the variations of the sensitivity page, the choices of the other pages first."""
    return (
        BASELINE,
        *(Variation(f"draws matched in {name}", strata=name) for name in STRATA),
        Variation("mean in place of zero", LESIONED, replacement="mean"),
        Variation("defined draws only", ("class_coherence",), check="defined"),
        Variation("at equal damage", ("class_coherence",), check="equal_damage"),
        *(Variation(f"k = {k}", n_clusters=k) for k in other_n_clusters),
        Variation("other k-means seed", clustering_seed=OTHER_SEED),
    )


class VariedReplicate(Replicate):
    """A replicate with one choice made otherwise.

    Parameters
    ----------
    profile : Profile
    network : str
    seed : int
    variation : Variation
    n_strata : int, optional
        Quantiles of the variations with strata.
    compute, progress
        As in :class:`localspec.pipeline.Replicate`.
    """

    def __init__(
        self,
        profile: Profile,
        network: str,
        seed: int,
        variation: Variation = BASELINE,
        *,
        n_strata: int = 4,
        compute: str = "auto",
        progress: bool = True,
    ) -> None:
        if variation.n_clusters is not None:
            method = profile.method.model_copy(update={"n_clusters": variation.n_clusters})
            profile = profile.model_copy(update={"method": method})
        super().__init__(profile, network, seed, compute=compute, progress=progress)
        self.variation, self.n_strata = variation, n_strata

    def varied(self, variation: Variation) -> VariedReplicate:
        """Return the same network with another choice."""
        return self.like(self.profile, self.network, variation)

    def like(
        self, profile: Profile, network: str, variation: Variation | None = None
    ) -> VariedReplicate:
        """Return the replicate of another profile's network, with this choice or another."""
        shared = {"n_strata": self.n_strata, "compute": self.compute, "progress": self.progress}
        return VariedReplicate(profile, network, self.seed, variation or self.variation, **shared)

    @property
    def clustering_seed(self) -> int:
        """Seed of k-means."""
        return self.seed + self.variation.clustering_seed

    def strata(self) -> dict[str, np.ndarray]:
        """Return the quantile of each unit of each tested layer, lowest first."""
        unit_map = trace_units(self.trained, conventions=self.conventions)
        values = unit_strengths(unit_map, self.dataset.x_train, self.variation.strata)
        return {
            name: subclusters.quantile_strata(strengths, self.n_strata)
            for name, strengths in values.items()
        }

    def draws(self, partitioning: str) -> subclusters.Draws:
        """Return the tested subclusters of one partitioning and their random counterparts."""
        if self.variation.strata is None:
            return super().draws(partitioning)
        return subclusters.draw_counterparts(
            self.partition(partitioning),
            self.profile.method.n_draws,
            seed=(self.seed, PARTITIONINGS.index(partitioning)),
            strata=self.strata(),
            conventions=self.conventions,
        )

    def _draws_key(self, partitioning: str) -> str:
        key = super()._draws_key(partitioning)
        if self.variation.strata is None:
            return key
        parameters = {"strata": self.variation.strata, "n_strata": self.n_strata}
        return stage_key("draws", subclusters.STAGE_VERSION, parameters, (key,))

    def lesioned(self, partitioning: str) -> LesionedAccuracies:
        """Return the accuracies under lesions of all subclusters and counterparts."""
        if self.variation.replacement == "zero":
            return super().lesioned(partitioning)

        def compute():
            result = lesions.lesion_draws(
                self.trained,
                *self.lesion_images(),
                self.draws(partitioning),
                n_classes=self.dataset.n_classes,
                conventions=self.conventions,
                precision=self.settings.lesion_precision,
                replacement=self.variation.replacement,
                x_mean=self.dataset.x_train,
                progress=self.progress,
            )
            return vars(result), {}

        parameters = {"replacement": self.variation.replacement, **self.lesion_key()}
        parameters |= self.branching_conventions("lesion_readers")
        inputs = (self._draws_key(partitioning),)
        artifact = self._cached("lesions", lesions, parameters, compute, inputs)
        return LesionedAccuracies(**artifact.arrays)

    def assessment(self, name: str, partitioning: str) -> Assessment:
        """Return a measure of one partitioning with p-values and effects."""
        if name == "class_coherence" and self.variation.check is not None:
            return checked_coherence(self, self.variation.check, partitioning)
        return super().assessment(name, partitioning)


def _incoming(layer: UnitLayer) -> torch.Tensor:
    """Return all weights into a layer's units, shape (n_units, n_weights)."""
    parts = []
    for writer in layer.writers:
        rows = writer.reader.module.weight.detach().flatten(1)
        after = layer.n_units - writer.start - len(rows)
        parts.append(torch.nn.functional.pad(rows, (0, 0, writer.start, after)))
    return torch.cat(parts, dim=1) if parts else torch.zeros(layer.n_units, 1)


def unit_strengths(network, x: torch.Tensor, kind: str) -> dict[str, np.ndarray]:
    """Return one number a unit: how strong it is, before anything is lesioned.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    x : torch.Tensor, shape (n_images, ...)
    kind : {"weight norm", "mean activation"}
        Euclidean norm of the unit's incoming weights, or the mean of what it hands on.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_units,)
        For each tested layer.
    """
    choose("strata", kind, STRATA)
    unit_map = trace_units(network)
    if kind == "weight norm":
        strengths = {
            layer.name: torch.linalg.vector_norm(_incoming(layer), dim=1)
            for layer in unit_map.tested
        }
    else:
        means = mean_outputs(unit_map, x)
        strengths = {
            name: mean.flatten(1).mean(dim=1) if mean.ndim > 1 else mean
            for name, mean in means.items()
        }
    return {name: value.double().cpu().numpy() for name, value in strengths.items()}


def open_varied(
    section: SensitivitySection, *, progress: bool = True
) -> dict[Variation, list[VariedReplicate]]:
    """Return the replicates of a notebook's parameters under every variation.

    Raises
    ------
    InvalidInputError
        If the profile or one of its networks does not exist.
    """
    profile = load_profile(section.profile).select(section)
    shared = {"n_strata": section.n_strata, "compute": section.compute, "progress": progress}
    return {
        variation: [
            VariedReplicate(profile, network, seed, variation, **shared)
            for network in profile.networks
            for seed in profile.seeds
        ]
        for variation in variations(section.other_n_clusters)
    }
