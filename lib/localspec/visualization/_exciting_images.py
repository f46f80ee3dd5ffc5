"""Exciting images: find the images of a data set that excite sets of units most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from localspec._utils.hardware import side_by_side
from localspec._utils.validation import check_flag, check_integer
from localspec.clustering import Lesion
from localspec.data import check_images
from localspec.exceptions import InvalidInputError
from localspec.units import Network, UnitMap, Units, count_logits, precise, units_of
from localspec.visualization._visualize import check_targets, target_mask, targets_by_layer

MAX_IMAGES = 500  # that go through the network at once
# leading bits of a score that are compared: what follows them is rounding
COMPARED_BITS = {torch.float64: 30, torch.float32: 16}


@dataclass(frozen=True, eq=False)
class ExcitingImages:
    """The images that excite each set of units most, the strongest first.

    Attributes
    ----------
    indices : numpy.ndarray of int, shape (n_targets, n_images)
    scores : numpy.ndarray, shape (n_targets, n_images)
        Objective of feature visualization on these images.
    """

    indices: np.ndarray
    scores: np.ndarray


def leading_bits(values: np.ndarray, n_bits: int) -> np.ndarray:
    """Round values to their leading bits, so that values that differ by rounding become equal.

    Examples
    --------
    Three bits keep 5 (binary 101), and 100 becomes 96 (binary 1100000).

    >>> leading_bits(np.array([5.0, 100.0, 0.0]), 3).tolist()
    [5.0, 96.0, 0.0]
    """
    mantissas, exponents = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissas, n_bits)), exponents - n_bits)


def top_images(
    scores: np.ndarray, indices: np.ndarray, n_images: int, *, n_bits: int = 30
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's highest scores and their indices; of equal ones the lower index first.

    `scores` and `indices` have shape (n_targets, n_scored); at most `n_images` are returned. Scores
    count as equal if they agree in their leading `n_bits`.

    Examples
    --------
    >>> top_images(np.array([[1.0, 3.0, 3.0, 2.0]]), np.array([[0, 9, 4, 5]]), 3)[1].tolist()
    [[4, 9, 5]]
    """
    order = np.lexsort((indices, -leading_bits(scores, n_bits)), axis=-1)[:, :n_images]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(indices, order, 1)


def _scores(
    unit_map: Units, batch: torch.Tensor, masks: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return by layer the objective of each target on each image, shape (n_targets, n_batch)."""
    stops = tuple(unit_map.layer(name).pre_activation for name in masks)
    with torch.inference_mode():
        values = unit_map.run(batch, stops=stops)
    scores = {}
    for (name, mask), value in zip(masks.items(), values, strict=True):
        value = precise(value)
        means = value.mean(dim=tuple(range(2, value.ndim))) if value.ndim > 2 else value
        scores[name] = (means.abs().double().cpu().numpy() @ mask).T
    return scores


def exciting_images(
    network: Network,
    x: torch.Tensor,
    targets: Sequence[Lesion],
    *,
    n_images: int = 6,
    batch_size: int | None = None,
    progress: bool = False,
) -> ExcitingImages:
    """Find the images on which each set of units reaches the highest objective.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
    targets : sequence of mappings of one layer name to unit indices
        Layers may be named by tensor or by reader, which has the values of its tensor.
    n_images : int, optional
        Images to return for each set; at most as many as `x` holds.
    batch_size : int, optional
        Bounds memory: images that go through the network at once. By default as many as keep it
        bounded, shared between threads.
    progress : bool, optional

    Returns
    -------
    ExcitingImages
        Of images with equal scores, the one with the lower index first.

    Raises
    ------
    InvalidInputError
        If a target names units that are not there, or none, or several layers; if `n_images` or
        `batch_size` is not a whole number from 1 on, `n_images` is above the number of images, or
        the network cannot read them.

    Notes
    -----
    The objective is that of feature visualization: the sum over units of the magnitude of the
    pre-ReLU value, averaged over space. Scores count as equal if they agree in their leading 30
    bits (16 in single precision), so that rounding decides nothing. One pass over the images; only
    the best of each set are kept.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Feature visualization".

    Examples
    --------
    Two units that read one pixel each: together they see the sum of magnitudes.

    >>> layer = torch.nn.Linear(2, 2, bias=False).double()
    >>> layer.weight.data = torch.eye(2, dtype=torch.float64)
    >>> network = torch.nn.Sequential(layer, torch.nn.ReLU(), torch.nn.Linear(2, 2)).double()
    >>> x = torch.tensor([[1.0, 1.0], [0.0, 3.0], [-4.0, 0.0]], dtype=torch.float64)
    >>> exciting = exciting_images(network.eval(), x, [{"0": np.array([0, 1])}], n_images=2)
    >>> exciting.indices.tolist(), exciting.scores.tolist()
    ([[2, 1]], [[4.0, 3.0]])
    """
    n_images = check_integer("n_images", n_images, 1)
    if batch_size is not None:
        batch_size = check_integer("batch_size", batch_size, 1)
    check_flag("progress", progress)
    unit_map = units_of(network)
    check_images(x)
    count_logits(unit_map, x)
    if n_images > len(x):
        raise InvalidInputError(
            f"n_images = {n_images}, but there are {len(x)} images: ask for at most so many"
        )
    check_targets(unit_map, targets)
    by_layer = targets_by_layer(targets)
    best = {
        name: (np.empty((len(rows), 0)), np.empty((len(rows), 0), int))
        for name, rows in by_layer.items()
    }
    n_bits = compared_bits(unit_map)
    for start, scores_by_layer in _scored(unit_map, x, targets, by_layer, batch_size, progress):
        for name, scores in scores_by_layer.items():
            indices = np.broadcast_to(np.arange(scores.shape[1]) + start, scores.shape)
            best_scores, best_indices = best[name]
            best[name] = top_images(
                np.hstack([best_scores, scores]),
                np.hstack([best_indices, indices]),
                n_images,
                n_bits=n_bits,
            )
    shape = (len(targets), n_images)
    exciting = ExcitingImages(indices=np.zeros(shape, int), scores=np.zeros(shape))
    for name, rows in by_layer.items():
        exciting.scores[rows], exciting.indices[rows] = best[name]
    return exciting


def excitations(unit_map: Units, x: torch.Tensor, targets: Sequence[Lesion]) -> np.ndarray:
    """Return the objective of each target on each image, shape (n_targets, n_images).

    Of the units of a network, images that fit it, and targets that are its units; see
    :func:`exciting_images`.
    """
    by_layer = targets_by_layer(targets)
    values = np.zeros((len(targets), len(x)))
    for start, scores_by_layer in _scored(unit_map, x, targets, by_layer, None, False):
        for name, scores in scores_by_layer.items():
            values[by_layer[name], start : start + scores.shape[1]] = scores
    return values


def compared_bits(unit_map: Units) -> int:
    """Return how many leading bits of a network's scores are compared."""
    return COMPARED_BITS.get(unit_map.dtype, COMPARED_BITS[torch.float32])


def _scored(
    unit_map: Units,
    x: torch.Tensor,
    targets: Sequence[Lesion],
    by_layer: Mapping[str, Sequence[int]],
    batch_size: int | None,
    progress: bool,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield the first index of each batch of images, and scores by layer."""
    masks = {}  # of shape (n_units, n_targets of the layer)
    for name, rows in by_layer.items():
        mask = target_mask(unit_map.layer(name).n_units, [targets[row][name] for row in rows])
        masks[name] = np.ascontiguousarray(mask.T)
    stops = tuple(unit_map.layer(name).pre_activation for name in masks)
    # hooks belong to a module, not to a thread
    apart = isinstance(unit_map, UnitMap) and unit_map.device.type == "cpu"
    n_threads = torch.get_num_threads() if apart else 1
    batch_size = batch_size or max(1, min(MAX_IMAGES, unit_map.n_together(x, stops) // n_threads))
    starts = range(0, len(x) if masks else 0, batch_size)

    def work(start: int) -> dict[str, np.ndarray]:
        batch = x[start : start + batch_size].to(unit_map.device, unit_map.dtype)
        return _scores(unit_map, batch, masks)

    bar = tqdm(starts, desc="exciting images", unit="batch", disable=not progress)
    scored = side_by_side(work, starts, n_threads) if apart else map(work, starts)
    yield from zip(bar, scored, strict=True)
