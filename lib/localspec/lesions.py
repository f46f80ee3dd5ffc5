"""The lesion engine: accuracies of every class under many lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from localspec.compatibility import check_classes
from localspec.conventions import Conventions, resolve
from localspec.data import check_images
from localspec.dense_convolutions import dense_convolutions
from localspec.errors import InvalidInputError, choose
from localspec.lesion_contributions import contributions, reader_of
from localspec.lesion_replacement import REPLACEMENTS, mean_outputs, replaced
from localspec.subclusters import Draws, Lesion
from localspec.threads import SMALL_PASS, is_small, single_threaded
from localspec.units import UnitLayer, UnitMap, trace_units

STAGE_VERSION = 1
MAX_ROWS = 4_000  # values of small networks then stay in the processor's cache
MAX_VALUES = 2**24  # of the largest array held at once: 128 MiB in float64
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


def _keep_mask(layer: UnitLayer, lesions: Sequence[Lesion], like: torch.Tensor) -> torch.Tensor:
    mask = torch.ones(len(lesions), layer.n_units, dtype=like.dtype, device=like.device)
    for row, lesion in enumerate(lesions):
        units = np.asarray(lesion.get(layer.name, ()), dtype=np.int64)
        mask[row, torch.from_numpy(units).to(like.device)] = 0
    return mask


def _point(layer: UnitLayer, conventions: Conventions):
    return layer.value if conventions.lesion_point == "unit" else layer.end


class _Start:
    """Run lesions whose first layer is one and the same, on one batch of images."""

    def __init__(
        self, unit_map: UnitMap, index: int, value: torch.Tensor, conventions, means
    ) -> None:
        self.unit_map, self.value, self.conventions = unit_map, value, conventions
        self.layers, self.means = unit_map.layers[index:], means
        self.reader = None if means else reader_of(unit_map, self.layers[0])
        if self.reader is not None:
            point = _point(self.layers[0], conventions)
            self.base, self.silent, contributed = contributions(
                *(unit_map, self.layers[0], self.reader, point, value)
            )
            self.contributed = contributed.reshape(len(contributed), -1)

    def logits(self, lesions: Sequence[Lesion]) -> torch.Tensor:
        """Return logits, shape (n_lesions * n_images, n_classes)."""
        first = self.layers[0]
        keep = _keep_mask(first, lesions, self.value)
        if self.reader is not None and all(len(lesion) <= 1 for lesion in lesions):
            return self.unit_map.run(self._reader_values(keep), start=self.reader.value)[0]
        start = _point(first, self.conventions)
        stacked = self.value.expand(len(lesions), *self.value.shape)
        edits = {}
        for layer in self.layers:
            if any(layer.name in lesion for lesion in lesions):
                point = layer.end if self.means else _point(layer, self.conventions)
                mask = _keep_mask(layer, lesions, self.value)
                edits[point] = replaced(mask, self.means.get(layer.name))
        flat = stacked.reshape(-1, *self.value.shape[1:])
        return self.unit_map.run(flat, start=start, edits=edits)[0]

    def _reader_values(self, keep: torch.Tensor) -> torch.Tensor:
        """Subtract what the lesioned units contribute, or add up the kept ones if fewer."""
        rebuilt = keep.sum(dim=1) < keep.shape[1] / 2
        signs = torch.where(rebuilt[:, None], keep, keep - 1)
        shape = (len(keep), *(1,) * self.base.ndim)
        start = torch.where(rebuilt.reshape(shape), self.silent, self.base)
        added = (signs @ self.contributed).reshape(len(keep), *self.base.shape)
        return (start + added).reshape(-1, *self.base.shape[1:])


def _sizes(unit_map: UnitMap, x: torch.Tensor, max_rows: int) -> tuple[int, int]:
    """Return images a batch and rows a stack, so that no array exceeds MAX_VALUES."""
    with torch.inference_mode():
        values = unit_map.run(x[:1], stops=tuple(layer.value for layer in unit_map.layers))
    widths = [value[0].numel() for value in values]
    contributed = [
        layer.n_units * width
        for layer, width in zip(unit_map.layers, widths[1:], strict=False)
        if reader_of(unit_map, layer) is not None
    ]
    batch_size = min(BATCH_SIZE, MAX_VALUES // max(contributed, default=1))
    return max(1, batch_size), max(1, min(max_rows, MAX_VALUES // max(widths)))


def _correct(logits: torch.Tensor, y: torch.Tensor, n_classes: int) -> np.ndarray:
    """Count the correct images of every class under each lesion."""
    correct = logits.argmax(1).reshape(-1, len(y)) == y
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
    replacement: str = "zero",
    x_mean: torch.Tensor | None = None,
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
    replacement : {"zero", "mean"}
        Put zero, or each unit's mean after its activation, in its place.
    x_mean : torch.Tensor, shape (n_mean_images, ...), optional
        Images to take means over; by default `x`.
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
    The layers before the first lesioned one run once for each batch of images. Before a
    convolution, or a flattened map, the lesioned units' contributions are then subtracted, which
    takes one multiplication a unit and output; elsewhere lesions run stacked along the batch.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion".
    """
    conventions = resolve(conventions)
    unit_map = trace_units(network)
    check_images(x, y)
    check_classes(unit_map, x, y)
    _check(unit_map, lesions)
    choose("replacement", replacement, REPLACEMENTS)
    means = mean_outputs(unit_map, x if x_mean is None else x_mean) if replacement == "mean" else {}
    n_classes = int(y.max()) + 1 if n_classes is None else n_classes
    sizes = class_sizes(y, n_classes)
    counts = np.zeros((len(lesions), n_classes), dtype=np.int64)
    order = {layer.name: index for index, layer in enumerate(unit_map.layers)}
    groups: dict[int, list[int]] = {}
    for index, lesion in enumerate(lesions):
        first = min((order[name] for name in lesion), default=len(order) - 1)
        groups.setdefault(first, []).append(index)
    bar = tqdm(total=len(lesions) * len(x), desc="lesions", unit="image", disable=not progress)
    x, y = x.to(unit_map.device, unit_map.dtype), y.to(unit_map.device, torch.int64)
    firsts = sorted(groups)
    stops = tuple(_point(unit_map.layers[first], conventions) for first in firsts)
    batch_size, max_rows = _sizes(unit_map, x, max_rows)
    n_rows = min(max_rows, len(lesions) * min(batch_size, len(x)))
    small = is_small(unit_map.graph_module, x[:1], n_rows, SMALL_PASS)
    dense = dense_convolutions(unit_map, x[:1])
    with dense, torch.inference_mode(), bar, single_threaded(small):
        for x_part, y_part in zip(x.split(batch_size), y.split(batch_size), strict=True):
            prefixes = unit_map.run(x_part, stops=stops) if stops else []
            size = max(1, max_rows // len(x_part))
            for first, prefix in zip(firsts, prefixes, strict=True):
                start = _Start(unit_map, first, prefix, conventions, means)
                for begin in range(0, len(groups[first]), size):
                    chunk = groups[first][begin : begin + size]
                    logits = start.logits([lesions[index] for index in chunk])
                    counts[chunk] += _correct(logits, y_part, n_classes)
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
    replacement: str = "zero",
    x_mean: torch.Tensor | None = None,
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
        replacement=replacement,
        x_mean=x_mean,
        progress=progress,
    )
    return LesionedAccuracies(
        accuracies[0], draws.arrange(accuracies[1:]), class_sizes(y, n_classes)
    )
