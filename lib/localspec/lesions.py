"""The lesion engine: accuracies of every class under many lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx
from tqdm.auto import tqdm

from localspec.channels_last import channels_last
from localspec.compatibility import check_classes, count_logits
from localspec.conventions import Conventions, resolve
from localspec.data import check_images
from localspec.dense_convolutions import dense_convolutions
from localspec.errors import InvalidInputError, choose, whole
from localspec.lesion_passes import LesionPass, batches
from localspec.lesion_points import lesion_points
from localspec.lesion_replacement import REPLACEMENTS, mean_values
from localspec.subclusters import Draws, Lesion
from localspec.threads import side_by_side
from localspec.units import UnitMap, in_bfloat16, trace_units
from localspec.workspaces import Workspace

PRECISIONS = ("full", "bfloat16")


@dataclass(frozen=True)
class LesionedAccuracies:
    """Accuracies of every class without and with lesions.

    Attributes
    ----------
    baseline : numpy.ndarray, shape (n_classes,)
        Without a lesion.
    lesioned : numpy.ndarray, shape (n_draws + 1, n_subclusters, n_classes)
        Row 0 belongs to the true subclusters.
    class_sizes : numpy.ndarray of int, shape (n_classes,)
        Test images of every class.
    """

    baseline: np.ndarray
    lesioned: np.ndarray
    class_sizes: np.ndarray


def class_sizes(y: torch.Tensor, n_classes: int) -> np.ndarray:
    """Return the number of images of every class.

    Raises
    ------
    InvalidInputError
        If a label is outside ``0 .. n_classes - 1`` or a class has no image.
    """
    if int(y.max()) >= n_classes:
        raise InvalidInputError(
            f"label {int(y.max())} is outside the {n_classes} classes: labels must be from 0 to "
            f"{n_classes - 1}"
        )
    sizes = torch.bincount(y, minlength=n_classes).cpu().numpy()
    if not sizes.all():
        raise InvalidInputError(
            f"class {int(np.flatnonzero(sizes == 0)[0])} has no image: accuracies per class need "
            "at least one of each"
        )
    return sizes


def _check(unit_map: UnitMap, lesions: Sequence[Lesion]) -> None:
    for index, lesion in enumerate(lesions):
        for name, units in lesion.items():
            layer = unit_map.layer(name)
            units = np.asarray(units)
            if units.size and units.dtype.kind not in "iu":
                raise InvalidInputError(
                    f"lesion {index}: units of layer {name!r} must be whole numbers, not "
                    f"{units.dtype}"
                )
            if units.size and not (units.min() >= 0 and units.max() < layer.n_units):
                raise InvalidInputError(
                    f"lesion {index}: units of layer {name!r} must be from 0 to "
                    f"{layer.n_units - 1}, not {units.min()} to {units.max()}"
                )


def lesion_predictions(
    network,
    x: torch.Tensor,
    lesions: Sequence[Lesion],
    *,
    conventions: Conventions | str = "paper",
    replacement: str = "zero",
    x_mean: torch.Tensor | None = None,
    precision: str = "full",
    max_values: int | None = None,
    progress: bool = False,
) -> np.ndarray:
    """Return the class that a network predicts for every image under each lesion.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
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
    images run side by side, each on one thread.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion".
    """
    conventions = resolve(conventions)
    choose("precision", precision, PRECISIONS)
    unit_map = in_bfloat16(network) if precision == "bfloat16" else trace_units(network)
    check_images(x)
    x = x.to(unit_map.device, unit_map.dtype)
    count_logits(unit_map, x[:1])
    _check(unit_map, lesions)
    choose("replacement", replacement, REPLACEMENTS)
    if max_values is not None:
        whole("max_values", max_values, 1)
    last = unit_map.tensors[-1].name  # where a lesion of nothing starts
    points = {
        name: lesion_points(unit_map, unit_map.layer(name), conventions, replacement)
        for name in {last, *(name for lesion in lesions for name in lesion)}
    }
    means = {}
    if replacement == "mean":
        nodes = tuple({point.node: None for found in points.values() for point in found})
        means = mean_values(unit_map, x if x_mean is None else x_mean, nodes)
    groups: dict[fx.Node, list[int]] = {}
    for index, lesion in enumerate(lesions):
        acting = [point.node for name in (lesion or (last,)) for point in points[name]]
        groups.setdefault(min(acting, key=unit_map.position), []).append(index)
    firsts = sorted(groups, key=unit_map.position)
    stops = tuple({node: None for first in firsts for node in unit_map.frontier(first)})
    on_cpu = unit_map.device.type == "cpu"
    n_together, sizes = batches(unit_map, x, points, firsts, max_values)
    bar = tqdm(total=len(lesions) * len(x), desc="lesions", unit="image", disable=not progress)

    @torch.inference_mode()
    def predict(part: torch.Tensor) -> np.ndarray:
        predicted, workspace = np.empty((len(lesions), len(part)), dtype=np.int64), Workspace()
        found = unit_map.run(part, stops=stops) if stops else []
        prefixes = dict(zip(stops, found, strict=True))
        for first in firsts:
            values = [prefixes[node] for node in unit_map.frontier(first)]
            n_images, n_lesions = sizes[first].n_images, sizes[first].n_lesions
            for start in range(0, len(part), n_images):
                images = slice(start, start + n_images)
                some = [value[images] for value in values]
                behind = LesionPass(unit_map, first, some, points, means, workspace)
                for begin in range(0, len(groups[first]), n_lesions):
                    chunk = groups[first][begin : begin + n_lesions]
                    logits = behind.logits([lesions[index] for index in chunk])
                    classes = logits.argmax(1).reshape(len(chunk), -1).cpu().numpy()
                    predicted[chunk, images] = classes
                    bar.update(classes.size)
        return predicted

    with dense_convolutions(unit_map, x[:1]), channels_last(unit_map), bar:
        parts = x.split(n_together)
        found = list(side_by_side(predict, parts, None if on_cpu else 1))
    return np.concatenate(found, axis=1)


def other_predictions(
    network, x: torch.Tensor, lesions: Sequence[Lesion], *, precision: str, **options
) -> tuple[int, int]:
    """Count the predictions under lesions that another precision changes.

    Parameters are those of :func:`lesion_predictions`.

    Returns
    -------
    n_other, n_predictions : int
        Predictions that differ, and all of them (lesions x images).
    """
    full = lesion_predictions(network, x, lesions, **options)
    changed = lesion_predictions(network, x, lesions, precision=precision, **options)
    return int((full != changed).sum()), full.size


def lesion_accuracies(
    network,
    x: torch.Tensor,
    y: torch.Tensor,
    lesions: Sequence[Lesion],
    *,
    n_classes: int | None = None,
    **options,
) -> np.ndarray:
    """Return the accuracy of every class under each lesion.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
        Returns logits (n_images, n_classes).
    x : torch.Tensor, shape (n_images, ...)
    y : torch.Tensor of int, shape (n_images,)
        Every class needs at least one image.
    lesions : sequence of mappings of layer name to unit indices
    n_classes : int, optional
        By default one more than the largest label.
    **options
        Those of :func:`lesion_predictions`.

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
    unit_map = trace_units(network)
    check_images(x, y)
    check_classes(unit_map, x, y)
    n_classes = int(y.max()) + 1 if n_classes is None else n_classes
    sizes, labels = class_sizes(y, n_classes), y.cpu().numpy()
    predicted = lesion_predictions(unit_map, x, lesions, **options)
    correct = predicted == labels
    counts = [correct[:, labels == label].sum(axis=1) for label in range(n_classes)]
    return np.stack(counts, axis=1) / sizes


def lesion_draws(
    network,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    *,
    n_classes: int | None = None,
    **options,
) -> LesionedAccuracies:
    """Lesion every true subcluster and its random counterparts.

    Parameters are those of :func:`lesion_accuracies`, with `draws` in place of lesions.

    Returns
    -------
    LesionedAccuracies
    """
    n_classes = int(y.max()) + 1 if n_classes is None else n_classes
    lesions: list[Lesion] = [{}, *draws.lesions()]
    accuracies = lesion_accuracies(network, x, y, lesions, n_classes=n_classes, **options)
    return LesionedAccuracies(
        accuracies[0], draws.arrange(accuracies[1:]), class_sizes(y, n_classes)
    )
