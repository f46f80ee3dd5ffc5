"""Null evidence: send partitions without meaning through every measure of a network.

A null partition permutes the labels of a network's real partition within each layer, so that its
subclusters have the real sizes and random units. Whatever a test finds there is a false positive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from localspec._utils.validation import check_integer, check_option
from localspec.clustering import MOST_OF_LAYER, Draws, Partition, draw_counterparts, permuted_labels
from localspec.conventions import Conventions, resolve
from localspec.data import Dataset
from localspec.exceptions import InvalidInputError
from localspec.lesions import LesionedAccuracies, class_sizes, lesion_accuracies
from localspec.measures import LESIONED, MEASURES, Measure, measure_named
from localspec.pipeline._replicate import Replicate
from localspec.pipeline._stages import REPEATED_STAGES
from localspec.units import Network, trace_units
from localspec.visualization import Visualizations, visualize

PARTITIONING = "weights/global"  # its partition gives the sizes


@dataclass(frozen=True)
class NullEvidence:
    """What lesions and visualization say about the null partitions of one network.

    Attributes
    ----------
    n_units : numpy.ndarray of int, shape (n_subclusters,)
        Units of every subcluster, the same in all null partitions.
    layer_sizes : numpy.ndarray of int, shape (n_subclusters,)
        Units of the layer that each subcluster is in.
    baseline : numpy.ndarray, shape (n_classes,)
        Accuracies without a lesion.
    class_sizes : numpy.ndarray of int, shape (n_classes,)
    lesioned : numpy.ndarray, shape (n_partitions, n_draws + 1, n_subclusters, n_classes)
        Row 0 of the second axis belongs to the null partition itself, the others to the random
        counterparts drawn for it alone.
    scores, entropies : numpy.ndarray, shape (n_partitions, n_draws + 1, n_subclusters)
    """

    n_units: np.ndarray
    layer_sizes: np.ndarray
    baseline: np.ndarray
    class_sizes: np.ndarray
    lesioned: np.ndarray
    scores: np.ndarray
    entropies: np.ndarray

    @property
    def n_partitions(self) -> int:
        """Number of null partitions."""
        return len(self.scores)

    @property
    def n_draws(self) -> int:
        """Random counterparts of each null subcluster."""
        return self.scores.shape[1] - 1

    def independent(self) -> NullEvidence:
        """Return the same null partitions with counterparts drawn for each subcluster alone.

        Takes more null partitions than subclusters.

        A joint draw gives all subclusters of a partition their counterparts at once. Here
        subcluster s of null partition i takes those that were drawn for its namesake in null
        partition i + s + 1: sets of the same size, none used twice, and those of one partition's
        subclusters come from different permutations.
        """
        n_subclusters = len(self.n_units)
        if self.n_partitions <= n_subclusters:
            raise InvalidInputError(
                f"n_partitions={self.n_partitions} must exceed the {n_subclusters} subclusters "
                "for independent draws: raise n_partitions"
            )

        def shifted(values: np.ndarray) -> np.ndarray:
            turned = values.copy()
            for index in range(n_subclusters):
                turned[:, 1:, index] = np.roll(values[:, 1:, index], -(index + 1), axis=0)
            return turned

        parts = ("lesioned", "scores", "entropies")
        return replace(self, **{name: shifted(getattr(self, name)) for name in parts})

    def measure(self, name: str, *, conventions: Conventions | str = "paper") -> Measure:
        """Return one of `MEASURES` of all null partitions.

        Values have shape (n_partitions, n_draws + 1, n_subclusters). Of the conventions it uses
        ``undefined_ranges``, and ``min_units="three"`` to leave smaller subclusters out.
        """
        check_option("measure", name, MEASURES)
        conventions = resolve(conventions)
        tested = np.full(len(self.n_units), True)
        if conventions.min_units == "three":
            most = MOST_OF_LAYER * self.layer_sizes
            tested = (self.n_units > 2) & (self.n_units < most)
        lesioned = self.lesioned[:, :, tested]
        accuracies = LesionedAccuracies(self.baseline, lesioned, self.class_sizes)
        if name in LESIONED:
            return measure_named(name, accuracies, conventions=conventions)
        images = np.empty(0)  # coherence needs numbers only
        visualizations = Visualizations(
            images, self.scores[:, :, tested], self.entropies[:, :, tested]
        )
        return measure_named(name, visualizations, conventions=conventions)


def null_draws(
    partition: Partition,
    n_partitions: int,
    n_draws: int,
    *,
    seed: int,
    conventions: Conventions | str = "paper",
) -> list[Draws]:
    """Make null partitions and draw the random counterparts of each.

    `partition` gives the sizes. Null partition i and its draws depend on `seed` and i only. Of the
    conventions it uses ``min_units``; draws are always joint, since a permutation test needs whole
    partitions.

    Examples
    --------
    >>> partition = Partition.from_labels({"dense1": np.array([0, 0, 1, 1, 1])})
    >>> draws = null_draws(partition, 3, 2, seed=0)
    >>> [[part.n_units for part in of_partition.subclusters] for of_partition in draws]
    [[2, 3], [2, 3], [2, 3]]
    """
    n_partitions = check_integer("n_partitions", n_partitions, 1)
    joint = resolve(conventions).model_copy(update={"draws": "joint"})
    draws = []
    for index in range(n_partitions):
        rng = np.random.default_rng((seed, index, 0))
        null = replace(partition, labels=permuted_labels(partition, rng))
        draws.append(draw_counterparts(null, n_draws, seed=(seed, index, 1), conventions=joint))
    return draws


def null_evidence(
    network: Network,
    dataset: Dataset,
    draws: list[Draws],
    *,
    n_steps: int,
    seed: int = 0,
    conventions: Conventions | str = "paper",
    precision: str = "full",
    progress: bool = False,
) -> NullEvidence:
    """Lesion and visualize every subcluster of null partitions, and their counterparts.

    Lesions are judged on the test images. Of the conventions it uses ``lesion_point`` and
    ``lesion_readers``.

    Cost: n_partitions x (n_draws + 1) x n_subclusters lesions of all test images, and as many
    images optimised.
    """
    sets = [lesion for of_partition in draws for lesion in of_partition.lesions()]
    accuracies = lesion_accuracies(
        network,
        dataset.x_test,
        dataset.y_test,
        [{}, *sets],
        n_classes=dataset.n_classes,
        conventions=conventions,
        precision=precision,
        progress=progress,
    )
    images = visualize(
        network, sets, dataset.image_shape, n_steps=n_steps, seed=seed, progress=progress
    )

    def arranged(values: np.ndarray) -> np.ndarray:
        per_partition = np.split(values, len(draws))
        pairs = zip(draws, per_partition, strict=True)
        return np.stack([of_partition.arrange(part) for of_partition, part in pairs])

    tested = draws[0].subclusters
    layers = trace_units(network)
    return NullEvidence(
        n_units=np.array([part.n_units for part in tested]),
        layer_sizes=np.array([layers.layer(part.layer).n_units for part in tested]),
        baseline=accuracies[0],
        class_sizes=class_sizes(dataset.y_test, dataset.n_classes),
        lesioned=arranged(accuracies[1:]),
        scores=arranged(images.scores),
        entropies=arranged(images.entropies),
    )


def stored_evidence(replicate: Replicate, n_partitions: int) -> NullEvidence:
    """Return the evidence on null partitions of a network, from disk if it is there.

    Parameters
    ----------
    replicate : Replicate
        Its partition of the weights graph gives the sizes.
    n_partitions : int
        Null partitions.
    """
    method = replicate.profile.method

    def compute() -> NullEvidence:
        draws = null_draws(
            replicate.partition(PARTITIONING),
            n_partitions,
            method.n_draws,
            seed=replicate.seed,
            conventions=replicate.conventions,
        )
        x, y = replicate.lesion_images()
        return null_evidence(
            replicate.trained,
            replace(replicate.dataset, x_test=x, y_test=y),
            draws,
            n_steps=method.n_steps,
            seed=replicate.seed,
            conventions=replicate.conventions,
            precision=replicate.settings.lesion_precision,
            progress=replicate.progress,
        )

    return replicate.stored(
        "calibration",
        NullEvidence,
        compute,
        parameters={
            "n_partitions": n_partitions,
            "n_draws": method.n_draws,
            "n_steps": method.n_steps,
            "seed": replicate.seed,
            "versions": REPEATED_STAGES,
            **replicate.conventions.subset("min_units"),
            **replicate.lesion_parameters(),
        },
        inputs=(replicate.stored_partition(PARTITIONING).key,),
    )
