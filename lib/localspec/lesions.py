"""The lesion engine: accuracies of every class under many lesions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from localspec.conventions import Conventions, resolve
from localspec.data import check_images
from localspec.errors import InvalidInputError
from localspec.subclusters import Draws, Lesion
from localspec.threads import single_threaded
from localspec.units import UnitLayer, UnitMap, trace_units

STAGE_VERSION = 1
MAX_ROWS = 40_000
BATCH_SIZE = 1000


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
        raise InvalidInputError(f"label {int(y.max())} is outside the {n_classes} classes")
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
            if units.size and not (units.min() >= 0 and units.max() < layer.n_units):
                raise InvalidInputError(
                    f"lesion {index}: units of layer {name!r} must be from 0 to "
                    f"{layer.n_units - 1}, not {units.min()} to {units.max()}"
                )


def _keep_mask(layer: UnitLayer, lesions: Sequence[Lesion], like: torch.Tensor) -> torch.Tensor:
    mask = torch.ones(len(lesions), layer.n_units, dtype=like.dtype, device=like.device)
    for row, lesion in enumerate(lesions):
        units = np.asarray(lesion.get(layer.name, ()), dtype=np.int64)
        mask[row, torch.from_numpy(units).to(like.device)] = 0
    return mask


def _masked(mask: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that zeroes units in values stacked as (n_lesions * n_images, ...)."""

    def apply(value: torch.Tensor) -> torch.Tensor:
        stacked = value.reshape(len(mask), -1, *value.shape[1:])
        shape = (len(mask), 1, mask.shape[1]) + (1,) * (value.ndim - 2)
        return (stacked * mask.reshape(shape)).reshape(value.shape)

    return apply


def _point(layer: UnitLayer, conventions: Conventions):
    return layer.value if conventions.lesion_point == "unit" else layer.end


def _count_chunk(unit_map, prefix, y, lesions, layers, conventions, n_classes) -> np.ndarray:
    """Count the correct images of every class for lesions that start at ``layers[0]``."""
    start = _point(layers[0], conventions)
    stacked = prefix.expand(len(lesions), *prefix.shape).reshape(-1, *prefix.shape[1:])
    edits = {
        _point(layer, conventions): _masked(_keep_mask(layer, lesions, prefix))
        for layer in layers
        if any(layer.name in lesion for lesion in lesions)
    }
    (logits,) = unit_map.run(stacked, start=start, edits=edits)
    correct = logits.argmax(1).reshape(len(lesions), -1) == y
    one_hot = torch.nn.functional.one_hot(y, n_classes).to(torch.float64)
    return (correct.to(torch.float64) @ one_hot).cpu().numpy().round().astype(np.int64)


def lesion_accuracies(
    network,
    x: torch.Tensor,
    y: torch.Tensor,
    lesions: Sequence[Lesion],
    *,
    n_classes: int | None = None,
    conventions: Conventions | str = "paper",
    max_rows: int = MAX_ROWS,
    progress: bool = False,
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
        Units whose outputs are set to zero; an empty mapping is the network itself.
    n_classes : int, optional
        By default one more than the largest label.
    conventions : Conventions or str
        Uses ``lesion_point``.
    max_rows : int, optional
        Bounds memory: lesions times images pushed through the network at once.
    progress : bool, optional

    Returns
    -------
    numpy.ndarray of float64, shape (n_lesions, n_classes)
        Each a count of correct images over the number of images of its class.

    Raises
    ------
    InvalidInputError
        If a layer or unit does not exist, or images and labels do not fit.

    Notes
    -----
    The layers before the first lesioned one run once for each batch of images; from there on
    lesions run stacked along the batch.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion".
    """
    conventions = resolve(conventions)
    unit_map = trace_units(network)
    check_images(x, y)
    _check(unit_map, lesions)
    n_classes = int(y.max()) + 1 if n_classes is None else n_classes
    sizes = class_sizes(y, n_classes)
    counts = np.zeros((len(lesions), n_classes), dtype=np.int64)
    order = {layer.name: index for index, layer in enumerate(unit_map.layers)}
    groups: dict[int, list[int]] = {}
    for index, lesion in enumerate(lesions):
        first = min((order[name] for name in lesion), default=len(order) - 1)
        groups.setdefault(first, []).append(index)
    bar = tqdm(total=len(lesions) * len(x), desc="lesions", unit="image", disable=not progress)
    x, y = x.to(unit_map.device, unit_map.dtype), y.to(unit_map.device)
    firsts = sorted(groups)
    stops = tuple(_point(unit_map.layers[first], conventions) for first in firsts)
    n_rows = min(max_rows, len(lesions) * min(BATCH_SIZE, len(x)))
    with torch.inference_mode(), bar, single_threaded(unit_map.is_small(n_rows)):
        for x_part, y_part in zip(x.split(BATCH_SIZE), y.split(BATCH_SIZE), strict=True):
            prefixes = unit_map.run(x_part, stops=stops) if stops else []
            size = max(1, max_rows // len(x_part))
            for first, prefix in zip(firsts, prefixes, strict=True):
                layers = unit_map.layers[first:]
                for begin in range(0, len(groups[first]), size):
                    chunk = groups[first][begin : begin + size]
                    counts[chunk] += _count_chunk(
                        *(unit_map, prefix, y_part, [lesions[index] for index in chunk]),
                        *(layers, conventions, n_classes),
                    )
                    bar.update(len(chunk) * len(x_part))
    return counts / sizes


def lesion_draws(
    network,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    *,
    n_classes: int | None = None,
    conventions: Conventions | str = "paper",
    progress: bool = False,
) -> LesionedAccuracies:
    """Lesion every true subcluster and its random counterparts.

    Parameters are those of :func:`lesion_accuracies`, with `draws` in place of lesions.

    Returns
    -------
    LesionedAccuracies
    """
    n_classes = int(y.max()) + 1 if n_classes is None else n_classes
    lesions: list[Lesion] = [{}, *draws.lesions()]
    accuracies = lesion_accuracies(
        *(network, x, y, lesions),
        n_classes=n_classes,
        conventions=conventions,
        progress=progress,
    )
    return LesionedAccuracies(
        accuracies[0], draws.arrange(accuracies[1:]), class_sizes(y, n_classes)
    )
