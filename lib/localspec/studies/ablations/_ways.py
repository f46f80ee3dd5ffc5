"""Ways of lesioning: what takes the place of the values of lesioned units."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from localspec._utils.validation import check_integer, check_option, check_seed
from localspec.clustering import Draws
from localspec.conventions import Conventions
from localspec.lesions import LesionedAccuracies, class_sizes
from localspec.measures import LESIONED, Assessment, assess, measure_named
from localspec.pipeline import Replicate
from localspec.units import Network, trace_units

ZERO, MEAN, RESAMPLED = "zero", "mean", "resampled"
WAYS = (ZERO, MEAN, RESAMPLED)


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
    check_integer("n_images", n_images, 2)
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
        others = {name: replacement(value) for name, value in values.items()}
        lesioned = np.empty((len(draws.lesions()), len(sizes)))
        for row, lesion in enumerate(draws.lesions()):
            ((name, units),) = lesion.items()
            value = values[name].clone()
            value[:, units] = others[name][:, units]
            lesioned[row] = accuracies(unit_map.run(value, start=nodes[name])[0])
        baseline = accuracies(unit_map.run(x)[0])
    return LesionedAccuracies(baseline, draws.arrange(lesioned), sizes)


def way_accuracies(replicate: Replicate, partitioning: str, way: str) -> LesionedAccuracies:
    """Return the accuracies under lesions of all subclusters and counterparts, in one way.

    Parameters
    ----------
    replicate : Replicate
    partitioning : str
    way : {"zero", "mean", "resampled"}
        Each lesioned unit gives zero; its mean over all training images, after its activation; or
        what it gives on another of the images, which is the same one for all units and all sets.

    Returns
    -------
    LesionedAccuracies
        Stored.

    Raises
    ------
    InvalidInputError
        If the way is unknown, or the network is no chain of layers.
    """
    if check_option("way", way, WAYS) != RESAMPLED:
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
            n_classes=len(replicate.dataset.class_names),
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


def way_assessment(replicate: Replicate, name: str, partitioning: str, way: str) -> Assessment:
    """Compare a measure of subclusters with that of their counterparts, lesioned in one way.

    Parameters
    ----------
    replicate : Replicate
    name : {"importance", "class_coherence"}
    partitioning : str
    way : {"zero", "mean", "resampled"}
        See :func:`way_accuracies`.
    """
    check_option("measure", name, LESIONED)
    accuracies = way_accuracies(replicate, partitioning, way)
    measure = measure_named(name, accuracies, conventions=replicate.conventions)
    return assess(measure, conventions=replicate.conventions, seed=replicate.seed)
