"""Ways of lesioning: what takes the place of the values of lesioned units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from localspec._utils.validation import check_integer, check_option, check_seed
from localspec.clustering import Draws, Lesion
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.lesions import LesionedAccuracies, class_sizes
from localspec.measures import LESIONED, Assessment, assess, measure_named
from localspec.pipeline import Replicate
from localspec.studies.ablations._optimal import (
    BATCH_SIZE,
    MAX_REFINEMENTS,
    STEP,
    optimal_constants,
    refined_loss,
)
from localspec.units import Network, UnitMap, trace_units

ZERO, MEAN, RESAMPLED, OPTIMAL = "zero", "mean", "resampled", "optimal"
WAYS = (ZERO, MEAN, RESAMPLED, OPTIMAL)


@dataclass(frozen=True)
class Fit:
    """How optimal constants are fitted.

    Attributes
    ----------
    n_images : int
        Training images, or all where there are not so many.
    n_steps : int
    """

    n_images: int
    n_steps: int

    def __post_init__(self) -> None:
        check_integer("n_images", self.n_images, 1)
        check_integer("n_steps", self.n_steps, 1)


def other_images(n_images: int, seed: int) -> np.ndarray:
    """Return for every image another one: a random cycle through all images.

    Parameters
    ----------
    n_images : int
        At least 2.
    seed : int

    Returns
    -------
    numpy.ndarray of int, shape (n_images,)
        A permutation that leaves no image in its place.

    Examples
    --------
    >>> sorted(other_images(4, 0).tolist())
    [0, 1, 2, 3]
    >>> other_images(2, 0).tolist()
    [1, 0]
    """
    n_images = check_integer("n_images", n_images, 2)
    check_seed(seed)
    order = np.random.default_rng(seed).permutation(n_images)
    others = np.empty(n_images, dtype=np.int64)
    others[order] = np.roll(order, 1)
    return others


def replaced_accuracies(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    replacement: Callable[[torch.Tensor], torch.Tensor],
    *,
    n_classes: int,
    conventions: Conventions | str = "paper",
) -> LesionedAccuracies:
    """Return accuracies where other values take the place of those of the units of each set.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
        A chain of layers, such as a multilayer perceptron.
    x : torch.Tensor, shape (n_images, ...)
    y : torch.Tensor of int, shape (n_images,)
    draws : Draws
    replacement : callable
        Takes the values of a whole layer after its activation, (n_images, n_units, ...), and
        returns those that take their place, of the same shape.
    n_classes : int
    conventions : Conventions or str, optional

    Returns
    -------
    LesionedAccuracies

    Raises
    ------
    InvalidInputError
        If the network is no chain behind a lesioned layer, a class has no image, or images and
        labels do not fit.

    Notes
    -----
    One set at a time, and all images together.
    """
    unit_map = trace_units(network, conventions=conventions)
    others: dict[str, torch.Tensor] = {}

    def instead(_row: int, lesion: Lesion, values: dict[str, torch.Tensor]) -> torch.Tensor:
        ((name, units),) = lesion.items()
        if name not in others:
            others[name] = replacement(values[name])
        return others[name][:, units]

    return _accuracies(unit_map, x, y, draws, instead, n_classes)


def constant_accuracies(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    constants: Sequence[np.ndarray],
    *,
    n_classes: int,
    conventions: Conventions | str = "paper",
) -> LesionedAccuracies:
    """Return accuracies where the units of each set give constants of their own.

    Parameters are those of :func:`replaced_accuracies`, but for `constants`: for each of
    ``draws.lesions()``, the constants of its units.

    Raises
    ------
    InvalidInputError
        As there, or if there are not as many constants as units.
    """
    lesions = draws.lesions()
    sizes = [len(units) for lesion in lesions for units in lesion.values()]
    if [len(values) for values in constants] != sizes:
        raise InvalidInputError("pass as many constants for each set as it has units")
    unit_map = trace_units(network, conventions=conventions)

    def instead(row: int, _lesion: Lesion, _values: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.as_tensor(constants[row]).to(unit_map.device, unit_map.dtype)

    return _accuracies(unit_map, x, y, draws, instead, n_classes)


def _accuracies(
    unit_map: UnitMap,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    instead: Callable[[int, Lesion, dict[str, torch.Tensor]], torch.Tensor],
    n_classes: int,
) -> LesionedAccuracies:
    """Return accuracies where `instead` says what the units of a set give.

    It takes the number of the set, its units and the values of all lesioned layers.
    """
    sizes = class_sizes(y, n_classes)
    labels = y.cpu().numpy()
    x = x.to(unit_map.device, unit_map.dtype)

    def accuracies(logits: torch.Tensor) -> np.ndarray:
        correct = logits.argmax(dim=1).cpu().numpy() == labels
        return np.array([correct[labels == label].mean() for label in range(len(sizes))])

    with torch.inference_mode():
        names = list(dict.fromkeys(part.layer for part in draws.subclusters))
        nodes = {name: unit_map.layer(name).end for name in names}
        values = {name: unit_map.run(x, stops=(node,))[0] for name, node in nodes.items()}
        lesioned = np.empty((len(draws.lesions()), len(sizes)))
        for row, lesion in enumerate(draws.lesions()):
            ((name, units),) = lesion.items()
            value = values[name].clone()
            value[:, units] = instead(row, lesion, values)
            lesioned[row] = accuracies(unit_map.run(value, start=nodes[name])[0])
        baseline = accuracies(unit_map.run(x)[0])
    return LesionedAccuracies(baseline, draws.arrange(lesioned), sizes)


def fit_images(replicate: Replicate, n_images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the training images that constants are fitted on, in random order, and their labels.

    Parameters
    ----------
    replicate : Replicate
        Its seed draws them.
    n_images : int
    """
    x, y = replicate.dataset.x_train, replicate.dataset.y_train
    chosen = torch.from_numpy(np.random.default_rng(replicate.seed).permutation(len(x))[:n_images])
    return x[chosen], y[chosen]


def optimal_lesions(replicate: Replicate, partitioning: str, fit: Fit) -> dict[str, np.ndarray]:
    """Return the accuracies and losses where lesioned units give optimal constants.

    Parameters
    ----------
    replicate : Replicate
    partitioning : str
    fit : Fit

    Returns
    -------
    dict of str to numpy.ndarray
        Stored. ``baseline``, ``lesioned`` and ``class_sizes``: those of
        :class:`localspec.lesions.LesionedAccuracies`; ``losses`` and ``start_losses``, shape
        (n_draws + 1, n_subclusters): see :class:`FittedConstants`; ``refined_losses``, shape
        (n_subclusters,): what L-BFGS makes of the losses of the largest subcluster of each layer,
        NaN for others.
    """

    def compute() -> dict[str, np.ndarray]:
        draws, conventions = replicate.draws(partitioning), replicate.conventions
        lesions, trained = draws.lesions(), replicate.trained
        x_fit, y_fit = fit_images(replicate, fit.n_images)
        found = optimal_constants(
            trained, x_fit, y_fit, lesions, n_steps=fit.n_steps, conventions=conventions
        )
        x, y = replicate.lesion_images()
        accuracies = constant_accuracies(
            trained,
            x,
            y,
            draws,
            found.constants,
            n_classes=replicate.dataset.n_classes,
            conventions=conventions,
        )
        rows = draws.arrange(np.arange(len(lesions)))[0]  # of the subclusters themselves
        refined = np.full(len(rows), np.nan)
        for place in _largest(draws):
            row = rows[place]
            refined[place] = refined_loss(
                trained, x_fit, y_fit, lesions[row], found.constants[row], conventions=conventions
            )
        return {
            "baseline": accuracies.baseline,
            "lesioned": accuracies.lesioned,
            "class_sizes": accuracies.class_sizes,
            "losses": draws.arrange(found.losses),
            "start_losses": draws.arrange(found.start_losses),
            "refined_losses": refined,
        }

    return replicate.stored(
        "ablations",
        dict,
        compute,
        parameters={
            "way": OPTIMAL,
            "n_images": replicate.settings.n_lesion_images,
            "images_seed": replicate.seed,
            "n_fit_images": fit.n_images,
            "n_fit_steps": fit.n_steps,
            "fit_batch_size": BATCH_SIZE,
            "fit_step": STEP,
            "max_refinements": MAX_REFINEMENTS,
        },
        inputs=(replicate.draws_key(partitioning),),
    )


def _largest(draws: Draws) -> list[int]:
    """Return the place of the largest subcluster of each layer, the first of equals."""
    places: dict[str, int] = {}
    for place, part in enumerate(draws.subclusters):
        best = places.setdefault(part.layer, place)
        if len(part.units) > len(draws.subclusters[best].units):
            places[part.layer] = place
    return list(places.values())


def way_accuracies(
    replicate: Replicate, partitioning: str, way: str, fit: Fit
) -> LesionedAccuracies:
    """Return the accuracies under lesions of all subclusters and counterparts, in one way.

    Parameters
    ----------
    replicate : Replicate
    partitioning : str
    way : {"zero", "mean", "resampled", "optimal"}
        Each lesioned unit gives zero; its mean over all training images, after its activation;
        what it gives on another of the images, which is the same one for all units and all sets;
        or the constant that, with those of the other units of its set, makes the loss on training
        images least.
    fit : Fit
        Of these constants.

    Returns
    -------
    LesionedAccuracies
        Stored.

    Raises
    ------
    InvalidInputError
        If the way is unknown, or the network is no chain of layers.
    """
    check_option("way", way, WAYS)
    if way == OPTIMAL:
        found = optimal_lesions(replicate, partitioning, fit)
        return LesionedAccuracies(found["baseline"], found["lesioned"], found["class_sizes"])
    if way != RESAMPLED:
        return replicate.with_choices(replacement=way).lesioned(partitioning)

    def compute() -> LesionedAccuracies:
        x, y = replicate.lesion_images()
        others = torch.from_numpy(other_images(len(x), replicate.seed))
        return replaced_accuracies(
            replicate.trained,
            x,
            y,
            replicate.draws(partitioning),
            lambda value: value[others],
            n_classes=replicate.dataset.n_classes,
            conventions=replicate.conventions,
        )

    return replicate.stored(
        "ablations",
        LesionedAccuracies,
        compute,
        parameters={
            "way": way,
            "n_images": replicate.settings.n_lesion_images,
            "images_seed": replicate.seed,
        },
        inputs=(replicate.draws_key(partitioning),),
    )


def way_assessment(
    replicate: Replicate, name: str, partitioning: str, way: str, fit: Fit
) -> Assessment:
    """Compare a measure of subclusters with that of their counterparts, lesioned in one way.

    Parameters
    ----------
    replicate : Replicate
    name : {"importance", "class_coherence"}
    partitioning : str
    way : {"zero", "mean", "resampled", "optimal"}
        See :func:`way_accuracies`.
    fit : Fit
    """
    check_option("measure", name, LESIONED)
    accuracies = way_accuracies(replicate, partitioning, way, fit)
    measure = measure_named(name, accuracies, conventions=replicate.conventions)
    return assess(measure, conventions=replicate.conventions, seed=replicate.seed)
