"""A network's subclusters, drawn for until their p-values are decided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from localspec import more_draws
from localspec.errors import choose
from localspec.feature_visualization import Visualizations
from localspec.measures import MEASURES, VISUALIZED, Measure, coherence, importance
from localspec.pipeline import PARTITIONINGS, Replicate
from localspec.profiles import Profile, load_profile
from localspec.sections import MoreDrawsSection
from localspec.statistics import SequentialResult, sequential_p_values

LESIONED = tuple(name for name in MEASURES if name not in VISUALIZED)


class MoreDrawsReplicate(Replicate):
    """A replicate whose subclusters are drawn for until their p-values are decided.

    Parameters
    ----------
    profile : Profile
    network : str
    seed : int
    max_draws : int, optional
        Draws after which a subcluster is given up.
    max_exceedances : int, optional
        Draws at least as extreme that end the drawing.
    compute, progress
        As in :class:`localspec.pipeline.Replicate`.

    Notes
    -----
    The first draws are those of the other pages. Each round after them draws with a generator of
    its own, seeded by the network's seed, the partitioning and the number of the round. Subclusters
    of a partition share permutations as on the other pages: sequential stopping asks for no more
    than that each one's own draws are exchangeable with it.

    Each round is stored: a killed run goes on after the last one that was finished.
    """

    def __init__(
        self,
        profile: Profile,
        network: str,
        seed: int,
        *,
        max_draws: int = 999,
        max_exceedances: int = 10,
        compute: str = "auto",
        progress: bool = True,
    ) -> None:
        super().__init__(profile, network, seed, compute=compute, progress=progress)
        self.max_draws, self.max_exceedances = max_draws, max_exceedances
        self._sequential: dict[tuple[str, ...], tuple[tuple[SequentialResult, ...], ...]] = {}

    def like(self, profile: Profile, network: str) -> MoreDrawsReplicate:
        """Return the replicate of another profile's network that is like this one otherwise."""
        shared = {"max_draws": self.max_draws, "max_exceedances": self.max_exceedances}
        shared |= {"compute": self.compute, "progress": self.progress}
        return MoreDrawsReplicate(profile, network, self.seed, **shared)

    def sequential(self, name: str, partitioning: str) -> tuple[SequentialResult, ...]:
        """Return the sequential p-value of every tested subcluster.

        Parameters
        ----------
        name : {"importance", "class_coherence", "input_coherence", "output_coherence"}
        partitioning : str

        Returns
        -------
        tuple of SequentialResult
            In the order of the subclusters of :meth:`draws`; under the fork
            ``visualization_channels`` those of :meth:`subject`.

        References
        ----------
        Hod et al., arXiv:2110.08058, "p of a subcluster".
        """
        choose("measure", name, MEASURES)
        subject = self.subject(name)
        if subject is not self:
            return subject.sequential(name, partitioning)
        together = VISUALIZED if name in VISUALIZED else LESIONED  # from the same evidence
        key = (partitioning, *together)
        if key not in self._sequential:
            self._sequential[key] = self._drawn(together, partitioning)
        return self._sequential[key][together.index(name)]

    def _drawn(self, together: tuple[str, ...], partitioning: str):
        measures = [self.measure(name, partitioning) for name in together]
        values = np.stack([measure.values for measure in measures])

        def further(number: int, chosen: np.ndarray, n: int) -> np.ndarray:
            draws = self._further_draws(partitioning, number, chosen, n)
            found = self._further_measures(together, partitioning, number, draws, chosen)
            drawn = np.stack([measure.values for measure in found])
            # a draw of the true units ties with them, whatever else was computed beside it
            return np.where(draws.are_true, values[:, :1, chosen], drawn)

        return sequential_p_values(
            values[:, 0],
            values[:, 1:],
            further,
            [measure.side for measure in measures],
            max_exceedances=self.max_exceedances,
            max_draws=self.max_draws,
            undefined=self.conventions.undefined_ranges,
        )

    def _further_draws(self, partitioning: str, number: int, chosen: np.ndarray, n: int):
        return more_draws.further_draws(
            self.partition(partitioning),
            n,
            chosen,
            seed=(self.seed, PARTITIONINGS.index(partitioning), number),
            conventions=self.conventions,
        )

    def _further_measures(
        self, together: tuple[str, ...], partitioning: str, number: int, draws, chosen: np.ndarray
    ) -> list[Measure]:
        """Return the measures of one round's draws, of shape (n_draws, n_chosen)."""
        of_images = together == VISUALIZED
        parameters = {"round": number, "n_draws": draws.n_draws, "chosen": chosen.tolist()}
        parameters |= {"versions": more_draws.INNER_VERSIONS}
        if of_images:
            work, given = more_draws.further_visualizations, (draws, self.dataset.image_shape)
            options = {"n_steps": self.profile.method.n_steps, "seed": self.seed}
            parameters |= {"evidence": "visualizations", **options, **self._image_key()}
        else:
            work, given = more_draws.further_lesions, (*self.lesion_images(), draws)
            options = {"n_classes": self.dataset.n_classes, "conventions": self.conventions}
            options |= {"precision": self.settings.lesion_precision}
            parameters |= {"evidence": "lesions", **self.conventions.only("lesion_point")}
            parameters |= self.branching_conventions("lesion_readers") | self.lesion_key()

        def compute():
            return work(self.trained, *given, progress=self.progress, **options), {}

        inputs = (self._draws_key(partitioning),)
        arrays = self._cached("more_draws", more_draws, parameters, compute, inputs).arrays
        if of_images:
            images = np.empty(0)  # coherence needs numbers only
            seen = Visualizations(images, arrays["scores"], arrays["entropies"])
            return [coherence(seen, name.removesuffix("_coherence")) for name in VISUALIZED]
        accuracies = replace(self.lesioned(partitioning), lesioned=arrays["lesioned"])
        ranges = coherence(accuracies, "class", conventions=self.conventions)
        return [importance(accuracies), ranges]


def open_more_draws(section: MoreDrawsSection, *, progress: bool = True) -> MoreDrawsReplicate:
    """Return the network that a notebook's parameters name.

    Parameters
    ----------
    section : MoreDrawsSection
    progress : bool, optional

    Returns
    -------
    MoreDrawsReplicate

    Raises
    ------
    InvalidInputError
        If the profile, its network, data set or device does not exist, or more clusters are asked
        for than the network has units.
    """
    profile = load_profile(section.profile).select(section)
    profile.check_clusters(profile.method.n_clusters)
    (network,), (seed,) = profile.networks, profile.seeds
    return MoreDrawsReplicate(
        profile,
        network,
        seed,
        max_draws=section.max_draws,
        max_exceedances=section.max_exceedances,
        compute=section.compute,
        progress=progress,
    )
