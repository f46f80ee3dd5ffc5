"""Networks whose partitions lend their sizes to null partitions."""

from __future__ import annotations

from dataclasses import replace

from localspec import calibration
from localspec.calibration import NullEvidence, null_draws, null_evidence
from localspec.pipeline import Replicate
from localspec.profiles import Profile, load_profile
from localspec.sections import CalibrationSection

PARTITIONING = "weights/global"  # its partition gives the sizes


class NullReplicate(Replicate):
    """A trained network whose partition lends its sizes to null partitions.

    Parameters
    ----------
    profile : Profile
    network : str
    seed : int
    n_partitions : int
        Null partitions of this network.
    compute, progress
        As in :class:`localspec.pipeline.Replicate`.
    """

    def __init__(
        self,
        profile: Profile,
        network: str,
        seed: int,
        *,
        n_partitions: int,
        compute: str = "auto",
        progress: bool = True,
    ) -> None:
        super().__init__(profile, network, seed, compute=compute, progress=progress)
        self.n_partitions = n_partitions

    def evidence(self) -> NullEvidence:
        """Return the null partitions' lesions and visualizations, from disk if they are there."""
        method = self.profile.method

        def compute():
            draws = null_draws(
                self.partition(PARTITIONING),
                self.n_partitions,
                method.n_draws,
                seed=self.seed,
                conventions=self.conventions,
            )
            x, y = self.lesion_images()
            result = null_evidence(
                self.trained,
                replace(self.dataset, x_test=x, y_test=y),
                draws,
                n_steps=method.n_steps,
                seed=self.seed,
                conventions=self.conventions,
                precision=self.settings.lesion_precision,
                progress=self.progress,
            )
            return vars(result), {}

        parameters = {
            "n_partitions": self.n_partitions,
            "n_draws": method.n_draws,
            "n_steps": method.n_steps,
            "seed": self.seed,
            "versions": calibration.INNER_VERSIONS,
            **self.conventions.only("min_units", "lesion_point"),
            **self.branching_conventions("lesion_readers"),
            **self.lesion_key(),
            **self._image_key(),
        }
        inputs = (self._partition(PARTITIONING).key,)
        artifact = self._cached("calibration", calibration, parameters, compute, inputs)
        return NullEvidence(**artifact.arrays)


def open_null_replicates(
    section: CalibrationSection, *, progress: bool = True
) -> list[NullReplicate]:
    """Return the networks that a notebook's parameters name.

    Parameters
    ----------
    section : CalibrationSection
    progress : bool, optional

    Returns
    -------
    list of NullReplicate
        Networks x seeds.

    Raises
    ------
    InvalidInputError
        If the profile, one of its networks or data sets, or its device does not exist, or more
        clusters are asked for than a network has units.
    """
    profile = load_profile(section.profile).select(section)
    profile.check_clusters(profile.method.n_clusters)
    shared = {"n_partitions": section.n_partitions, "compute": section.compute}
    return [
        NullReplicate(profile, network, seed, progress=progress, **shared)
        for network in profile.networks
        for seed in profile.seeds
    ]
