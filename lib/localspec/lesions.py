"""The lesion engine: accuracies of every class under many lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx
from tqdm.auto import tqdm

from localspec.compatibility import check_classes
from localspec.conventions import Conventions, resolve
from localspec.data import check_images
from localspec.dense_convolutions import dense_convolutions
from localspec.errors import InvalidInputError, choose
from localspec.lesion_contributions import contributions, reader_of
from localspec.lesion_points import keep_masks, lesion_edits, lesion_points
from localspec.lesion_replacement import REPLACEMENTS, mean_values
from localspec.subclusters import Draws, Lesion
from localspec.threads import SMALL_PASS, is_small, single_threaded
from localspec.units import UnitMap, trace_units

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


class _Start:
    """Run lesions that act first at one and the same node, on one batch of images."""

    def __init__(
        self, unit_map: UnitMap, node: fx.Node, values: Sequence[torch.Tensor], points, means
    ) -> None:
        self.unit_map, self.node, self.values = unit_map, node, values
        self.points, self.means, self.reader = points, means, None
        first = [name for name, found in points.items() if any(one.node is node for one in found)]
        if not means:
            self.reader = reader_of(unit_map, unit_map.layer(first[0]))
        if self.reader is not None:
            self.base, self.silent, contributed = contributions(
                *(unit_map, self.reader, node, values)
            )
            self.contributed = contributed.reshape(len(contributed), -1)
            passed = unit_map.frontier(self.reader.node)[:-1]  # the reader's own value is last
            found = unit_map.run(values, start=node, stops=passed) if passed else []
            self.passed = dict(zip(passed, found, strict=True))

    def logits(self, lesions: Sequence[Lesion]) -> torch.Tensor:
        """Return logits, shape (n_lesions * n_images, n_classes)."""
        masks = keep_masks(self.points, lesions, self.values[0])
        if self.reader is not None and all(len(lesion) <= 1 for lesion in lesions):
            stacked = {node: _stacked(value, len(lesions)) for node, value in self.passed.items()}
            stacked[self.reader.node] = self._reader_values(masks[self.node])
            behind = self.unit_map.frontier(self.reader.node)
            return self.unit_map.run([stacked[node] for node in behind], start=behind[-1])[0]
        values = [_stacked(value, len(lesions)) for value in self.values]
        edits = lesion_edits(masks, self.means)
        return self.unit_map.run(values, start=self.node, edits=edits)[0]

    def _reader_values(self, keep: torch.Tensor) -> torch.Tensor:
        """Subtract what the lesioned units contribute, or add up the kept ones if fewer."""
        rebuilt = keep.sum(dim=1) < keep.shape[1] / 2
        signs = torch.where(rebuilt[:, None], keep, keep - 1)
        shape = (len(keep), *(1,) * self.base.ndim)
        start = torch.where(rebuilt.reshape(shape), self.silent, self.base)
        added = (signs @ self.contributed).reshape(len(keep), *self.base.shape)
        return (start + added).reshape(-1, *self.base.shape[1:])


def _stacked(value: torch.Tensor, n_lesions: int) -> torch.Tensor:
    return value.expand(n_lesions, *value.shape).reshape(-1, *value.shape[1:])


def _sizes(unit_map: UnitMap, x: torch.Tensor, max_rows: int) -> tuple[int, int]:
    """Return images a batch and rows a stack, so that no array exceeds MAX_VALUES.

    Where a network branches, what goes on behind a layer is the values of its whole frontier.
    """
    frontiers = [unit_map.frontier(layer.value) for layer in unit_map.tensors]
    nodes = tuple({node for frontier in frontiers for node in frontier})
    readers = {layer.tensor: reader_of(unit_map, layer) for layer in unit_map.tensors}
    with torch.inference_mode():
        values = dict(zip(nodes, unit_map.run(x[:1], stops=nodes), strict=True))
    widths = [sum(values[node][0].numel() for node in frontier) for frontier in frontiers]
    limits = [
        layer.n_units * values[readers[layer.tensor].node][0].numel()
        for layer in unit_map.tensors
        if readers[layer.tensor] is not None
    ]
    if any(len(frontier) > 1 for frontier in frontiers):
        limits += widths
    batch_size = min(BATCH_SIZE, MAX_VALUES // max(limits, default=1))
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
        Units whose outputs are set to zero; an empty mapping is the network itself. Layers may be
        named by tensor or by reader (``"tensor->reader"``).
    n_classes : int, optional
        By default one more than the largest label.
    conventions : Conventions or str
        Uses ``lesion_point`` and ``lesion_readers``.
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
    last = unit_map.tensors[-1].name  # where a lesion of nothing starts
    points = {
        name: lesion_points(unit_map, unit_map.layer(name), conventions, replacement)
        for name in {last, *(name for lesion in lesions for name in lesion)}
    }
    nodes = tuple({point.node: None for found in points.values() for point in found})
    means = {}
    if replacement == "mean":
        means = mean_values(unit_map, x if x_mean is None else x_mean, nodes)
    n_classes = int(y.max()) + 1 if n_classes is None else n_classes
    sizes = class_sizes(y, n_classes)
    counts = np.zeros((len(lesions), n_classes), dtype=np.int64)
    groups: dict[fx.Node, list[int]] = {}
    for index, lesion in enumerate(lesions):
        acting = [point.node for name in (lesion or (last,)) for point in points[name]]
        groups.setdefault(min(acting, key=unit_map.position), []).append(index)
    bar = tqdm(total=len(lesions) * len(x), desc="lesions", unit="image", disable=not progress)
    x, y = x.to(unit_map.device, unit_map.dtype), y.to(unit_map.device, torch.int64)
    firsts = sorted(groups, key=unit_map.position)
    stops = tuple({node: None for first in firsts for node in unit_map.frontier(first)})
    batch_size, max_rows = _sizes(unit_map, x, max_rows)
    n_rows = min(max_rows, len(lesions) * min(batch_size, len(x)))
    small = is_small(unit_map.graph_module, x[:1], n_rows, SMALL_PASS)
    dense = dense_convolutions(unit_map, x[:1])
    with dense, torch.inference_mode(), bar, single_threaded(small):
        for x_part, y_part in zip(x.split(batch_size), y.split(batch_size), strict=True):
            found = unit_map.run(x_part, stops=stops) if stops else []
            prefixes = dict(zip(stops, found, strict=True))
            size = max(1, max_rows // len(x_part))
            for first in firsts:
                values = [prefixes[node] for node in unit_map.frontier(first)]
                start = _Start(unit_map, first, values, points, means)
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
