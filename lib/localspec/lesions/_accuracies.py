"""Lesion accuracies: compute the accuracy of every class under many lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx
from tqdm.auto import tqdm

from localspec._utils.hardware import side_by_side
from localspec._utils.validation import (
    as_array,
    check_integer,
    check_option,
    check_type,
    check_unit_sets,
    require,
    shown,
)
from localspec.clustering import Draws, Lesion
from localspec.conventions import Conventions
from localspec.data import check_class_labels, check_images
from localspec.exceptions import InvalidInputError
from localspec.lesions._hooked import hooked_predictions
from localspec.lesions._options import PRECISIONS, LesionOptions, checked_options
from localspec.lesions._passes import BATCH_SIZE, LesionPass, Part, batches
from localspec.lesions._points import lesion_points
from localspec.units import (
    HookedUnits,
    Network,
    Units,
    Workspace,
    check_classes,
    check_labels,
    count_logits,
    fast_convolutions,
    in_bfloat16,
    mean_values,
)

MOST_NAMED = 10  # classes without an image, in a message


@dataclass(frozen=True)
class LesionedAccuracies:
    """Accuracies of every class without and with lesions.

    Attributes
    ----------
    baseline : numpy.ndarray, shape (n_classes,)
        Without a lesion. Groups of classes may stand for classes.
    lesioned : numpy.ndarray, shape (n_draws + 1, n_subclusters, n_classes)
        Row 0 belongs to the true subclusters.
    class_sizes : numpy.ndarray of int, shape (n_classes,)
        Test images of every class.
    """

    baseline: np.ndarray
    lesioned: np.ndarray
    class_sizes: np.ndarray

    def __post_init__(self) -> None:
        shapes = {name: np.shape(values) for name, values in vars(self).items()}
        n_classes = shapes["lesioned"][-1:]
        require(
            all(isinstance(values, np.ndarray) for values in vars(self).values())
            and len(shapes["lesioned"]) >= 3  # more axes: of many partitions
            and shapes["baseline"] == shapes["class_sizes"] == n_classes,
            "accuracies must be arrays of shapes (n_classes,) without lesions, (n_draws + 1, "
            "n_subclusters, n_classes) with lesions, and (n_classes,) of class sizes, not "
            f"{shapes['baseline']}, {shapes['lesioned']} and {shapes['class_sizes']}: lesion_draws "
            "returns them so",
        )
        kinds = [values.dtype.kind for values in vars(self).values()]
        require(
            kinds[:2] == ["f", "f"] and kinds[2] in "iu" and bool((self.class_sizes > 0).all()),
            "accuracies must be floating point, and class_sizes whole numbers from 1 upwards, not "
            + ", ".join(f"{name} of {values.dtype}" for name, values in vars(self).items())
            + f" from {min(self.class_sizes, default=1)} upwards",
        )


def class_sizes(y: torch.Tensor, n_classes: int) -> np.ndarray:
    """Return the number of images of every class.

    Raises
    ------
    InvalidInputError
        If a label is outside ``0 .. n_classes - 1`` or a class has no image.
    """
    check_class_labels(y)
    n_classes = check_integer("n_classes", n_classes, 1)
    if int(y.max()) >= n_classes:
        raise InvalidInputError(
            f"label {int(y.max())} is outside the {n_classes} classes: labels must be from 0 to "
            f"{n_classes - 1}"
        )
    present = set(y.unique().tolist())
    if len(present) < n_classes:
        most = min(n_classes, len(present) + MOST_NAMED + 1)  # enough to name those without
        empty = [label for label in range(most) if label not in present]
        others = ", ".join(map(str, empty[1:MOST_NAMED])) + ", ..." * (len(empty) > MOST_NAMED)
        others = f", nor has class {others}" if others else ""
        raise InvalidInputError(
            f"class {empty[0]} has no image{others}: accuracies per class need at least one of "
            f"each from 0 to {n_classes - 1}. Add images of it; labels are the network's outputs, "
            "in their order"
        )
    return torch.bincount(y, minlength=n_classes).cpu().numpy()


def checked_class_sizes(
    unit_map: Units,
    x: torch.Tensor,
    y: torch.Tensor,
    n_classes: int | None,
    groups: torch.Tensor | None = None,
) -> np.ndarray:
    """Check images and their classes; return the number of images of every class or group."""
    check_images(x)
    check_class_labels(y, len(x))
    check_labels(y, count_logits(unit_map, x))
    if groups is not None:
        check_class_labels(groups, len(x))
        y = groups
    return class_sizes(y, int(y.max()) + 1 if n_classes is None else n_classes)


def check_lesions(unit_map: Units, lesions: Sequence[Lesion]) -> None:
    """Refuse lesions of layers or units that a network does not have."""
    check_unit_sets("lesions", lesions)
    for index, lesion in enumerate(lesions):
        for name, chosen in lesion.items():
            layer, units = unit_map.layer(name), as_array(chosen)
            if units.size and units.dtype.kind not in "iu":
                mask = ": numpy.flatnonzero(mask)" if units.dtype == bool else ""
                kind = f" of {units.dtype}" if units.dtype.kind in "bfc" else ""
                raise InvalidInputError(
                    f"lesion {index}: units of layer {name!r} must be whole numbers, not "
                    f"{shown(chosen)}{kind}{mask}"
                )
            if units.size and not (units.min() >= 0 and units.max() < layer.n_units):
                raise InvalidInputError(
                    f"lesion {index}: units of layer {name!r} must be from 0 to "
                    f"{layer.n_units - 1}, not {units.min()} to {units.max()}"
                )


def lesion_predictions(
    network: Network,
    x: torch.Tensor,
    lesions: Sequence[Lesion],
    *,
    conventions: Conventions | str = "paper",
    replacement: str = "zero",
    x_mean: torch.Tensor | None = None,
    precision: str = "full",
    batch_size: int = BATCH_SIZE,
    max_values: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Return the class that a network predicts for every image under each lesion.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
        Returns logits (n_images, n_classes).
    x : torch.Tensor, shape (n_images, ...)
    lesions : sequence of mappings of layer name to unit indices
        Units whose outputs are set to zero, in one layer or several; an empty mapping is the
        network itself. Layers may be named by tensor or by reader (``"tensor->reader"``).
    conventions : Conventions or str
        Uses ``lesion_point`` and ``lesion_readers``.
    replacement : {"zero", "mean"}
        Put zero, or each unit's mean after its activation, in its place.
    x_mean : torch.Tensor, shape (n_mean_images, ...), optional
        Images to take means over; by default `x`.
    precision : {"full", "bfloat16"}
        The network's own, or bfloat16: on processors and GPUs that have it faster, and no longer
        exact; :func:`other_predictions` counts what that changes.
    batch_size : int, optional
        Bounds memory: images that pass the layers before the first lesioned one together; fewer
        if their values are many.
    max_values : int, optional
        Bounds memory: numbers in the largest array that one thread stacks (lesions x images x
        values of a layer). By default few enough for a processor's caches, many on a GPU.
    progress : bool, optional

    Returns
    -------
    numpy.ndarray of int, shape (n_lesions, n_images)

    Raises
    ------
    InvalidInputError
        If a layer or unit does not exist, or the network cannot read the images.

    Notes
    -----
    The layers before the first lesioned one run once for each batch of images. At the next layer
    only what the lesioned units contribute is subtracted (or what the kept ones contribute added
    up, where they are fewer); from there lesions run stacked along the batch. On a CPU batches of
    images run side by side, each on one thread. Where units are hooked, lesions run stacked
    through the whole network.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion".
    """
    unit_map, options = checked_options(
        network,
        conventions=conventions,
        replacement=replacement,
        x_mean=x_mean,
        precision=precision,
        batch_size=batch_size,
        max_values=max_values,
        progress=progress,
    )
    check_images(x)
    check_classes(count_logits(unit_map, x))
    check_lesions(unit_map, lesions)
    return _lesion_predictions(unit_map, x, lesions, options)


def _lesion_predictions(
    unit_map: Units, x: torch.Tensor, lesions: Sequence[Lesion], options: LesionOptions
) -> np.ndarray:
    if isinstance(unit_map, HookedUnits):
        return hooked_predictions(unit_map, x, lesions, options)
    first_image = x[:1].to(unit_map.device, unit_map.dtype)
    last = unit_map.tensors[-1].name  # where a lesion of nothing starts
    points = {
        name: lesion_points(
            unit_map, unit_map.layer(name), options.conventions, options.replacement
        )
        for name in {last, *(name for lesion in lesions for name in lesion)}
    }
    means = {}
    if options.replacement == "mean":
        nodes = tuple({point.node: None for layer in points.values() for point in layer})
        of_nodes = mean_values(unit_map, x if options.x_mean is None else options.x_mean, nodes)
        means = {node: mean.to(unit_map.dtype) for node, mean in of_nodes.items()}
    groups: dict[fx.Node, list[int]] = {}
    acting: dict[fx.Node, set[fx.Node]] = {}
    for index, lesion in enumerate(lesions):
        nodes = [point.node for name in (lesion or (last,)) for point in points[name]]
        first = min(nodes, key=unit_map.position)
        groups.setdefault(first, []).append(index)
        acting.setdefault(first, set()).update(nodes)
    firsts = sorted(groups, key=unit_map.position)
    changed = {first: Part(unit_map, first, points, acting[first]) for first in firsts}
    stops = tuple({node: None for first in firsts for node in unit_map.live_nodes(first)})
    on_cpu = unit_map.device.type == "cpu"
    n_together, sizes = batches(
        unit_map,
        first_image,
        list(changed.values()),
        batch_size=options.batch_size,
        max_values=options.max_values,
    )
    bar = tqdm(
        total=len(lesions) * len(x), desc="lesions", unit="image", disable=not options.progress
    )
    advance = bar.update if options.advance is None else options.advance

    @torch.inference_mode()
    def predict(part: torch.Tensor) -> np.ndarray:
        part = part.to(unit_map.device, unit_map.dtype)
        predicted, workspace = np.empty((len(lesions), len(part)), dtype=np.int64), Workspace()
        prefix_values = unit_map.run(part, stops=stops) if stops else []
        prefixes = dict(zip(stops, prefix_values, strict=True))
        for first in firsts:
            values = [prefixes[node] for node in unit_map.live_nodes(first)]
            n_images, n_lesions = sizes[first].n_images, sizes[first].n_lesions
            for start in range(0, len(part), n_images):
                images = slice(start, start + n_images)
                batch = [value[images] for value in values]
                behind = LesionPass(changed[first], batch, points, means, workspace)
                for begin in range(0, len(groups[first]), n_lesions):
                    chunk = groups[first][begin : begin + n_lesions]
                    logits = behind.logits([lesions[index] for index in chunk])
                    classes = logits.argmax(1).reshape(len(chunk), -1).cpu().numpy()
                    predicted[chunk, images] = classes
                    advance(classes.size)
        return predicted

    kept = {point.node for layer in points.values() for point in layer}
    with fast_convolutions(unit_map, first_image, len(x) * len(lesions), kept=kept), bar:
        parts = x.split(n_together)
        predictions = list(side_by_side(predict, parts, None if on_cpu else 1))
    return np.concatenate(predictions, axis=1)


def other_predictions(
    network: Network, x: torch.Tensor, lesions: Sequence[Lesion], *, precision: str, **options
) -> tuple[int, int]:
    """Count the predictions under lesions that another precision changes.

    Parameters are those of :func:`localspec.lesions.lesion_predictions`.

    Returns
    -------
    n_other, n_predictions : int
        Predictions that differ, and all of them (lesions x images).
    """
    check_option("precision", precision, PRECISIONS)
    unit_map, checked = checked_options(network, **options)
    check_images(x)
    check_classes(count_logits(unit_map, x))
    check_lesions(unit_map, lesions)
    full = _lesion_predictions(unit_map, x, lesions, checked)
    reduced = in_bfloat16(unit_map) if precision == "bfloat16" else unit_map
    changed = _lesion_predictions(reduced, x, lesions, checked)
    return int((full != changed).sum()), full.size


def lesion_accuracies(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    lesions: Sequence[Lesion],
    *,
    n_classes: int | None = None,
    groups: torch.Tensor | None = None,
    **options,
) -> np.ndarray:
    """Return the accuracy of every class under each lesion.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
        Returns logits (n_images, n_classes).
    x : torch.Tensor, shape (n_images, ...)
    y : torch.Tensor of int, shape (n_images,)
        Every class needs at least one image.
    lesions : sequence of mappings of layer name to unit indices
    n_classes : int, optional
        Of classes, or groups; by default one more than the largest label.
    groups : torch.Tensor of int, shape (n_images,), optional
        The group of each image's class: accuracies are then those of groups. A prediction is right,
        as before, if it is the image's label.
    **options
        Those of :func:`localspec.lesions.lesion_predictions`.

    Returns
    -------
    numpy.ndarray of float64, shape (n_lesions, n_classes)
        Each a count of correct images over the number of images of its class.

    Raises
    ------
    InvalidInputError
        If a layer or unit does not exist, or images and labels do not fit.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion".
    """
    unit_map, checked = checked_options(network, **options)
    sizes = checked_class_sizes(unit_map, x, y, n_classes, groups)
    check_lesions(unit_map, lesions)
    return lesion_accuracies_traced(unit_map, x, y, lesions, sizes, checked, groups)


def lesion_accuracies_traced(
    unit_map: Units,
    x: torch.Tensor,
    y: torch.Tensor,
    lesions: Sequence[Lesion],
    sizes: np.ndarray,
    options: LesionOptions,
    groups: torch.Tensor | None = None,
) -> np.ndarray:
    """Return what :func:`lesion_accuracies` does, of a traced network and checked input.

    `sizes` is the number of images of every class, or group.
    """
    correct = _lesion_predictions(unit_map, x, lesions, options) == y.cpu().numpy()
    labels = (y if groups is None else groups).cpu().numpy()
    counts = [correct[:, labels == label].sum(axis=1) for label in range(len(sizes))]
    return np.stack(counts, axis=1) / sizes


def check_draws(draws: Draws) -> None:
    """Refuse anything but draws."""
    check_type("draws", draws, Draws, "draw_counterparts(partition, n_draws) makes them")


def lesion_draws(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    *,
    n_classes: int | None = None,
    groups: torch.Tensor | None = None,
    **options,
) -> LesionedAccuracies:
    """Lesion every true subcluster and its random counterparts.

    Parameters are those of :func:`lesion_accuracies`, with `draws` in place of lesions.

    Returns
    -------
    LesionedAccuracies

    Raises
    ------
    InvalidInputError
        If `draws` are none or of another network, or images and labels do not fit.
    """
    check_draws(draws)
    unit_map, checked = checked_options(network, **options)
    sizes = checked_class_sizes(unit_map, x, y, n_classes, groups)
    check_lesions(unit_map, draws.lesions())
    return lesion_draws_traced(unit_map, x, y, draws, sizes, checked, groups)


def lesion_draws_traced(
    unit_map: Units,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    sizes: np.ndarray,
    options: LesionOptions,
    groups: torch.Tensor | None = None,
) -> LesionedAccuracies:
    """Return what :func:`lesion_draws` does, of a traced network and checked input.

    `sizes` is the number of images of every class, or group.
    """
    lesions: list[Lesion] = [{}, *draws.lesions()]
    accuracies = lesion_accuracies_traced(unit_map, x, y, lesions, sizes, options, groups)
    return LesionedAccuracies(
        baseline=accuracies[0], lesioned=draws.arrange(accuracies[1:]), class_sizes=sizes
    )
