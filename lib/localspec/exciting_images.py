"""Which images of a data set excite sets of units most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from localspec.compatibility import count_logits
from localspec.data import check_images
from localspec.errors import InvalidInputError, whole
from localspec.subclusters import Lesion
from localspec.threads import side_by_side
from localspec.units import UnitMap, trace_units

MOST = 500  # images that go through the network at once
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

    Parameters
    ----------
    values : numpy.ndarray
    n_bits : int

    Returns
    -------
    numpy.ndarray, shape of `values`

    Examples
    --------
    Three bits keep 5 (binary 101), and 100 becomes 96 (binary 1100000).

    >>> leading_bits(np.array([5.0, 100.0, 0.0]), 3).tolist()
    [5.0, 96.0, 0.0]
    """
    mantissas, exponents = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissas, n_bits)), exponents - n_bits)


def strongest(
    scores: np.ndarray, indices: np.ndarray, n_images: int, *, n_bits: int = 30
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's highest scores and their indices; of equal ones the lower index first.

    Parameters
    ----------
    scores : numpy.ndarray, shape (n_targets, n_scored)
    indices : numpy.ndarray of int, shape (n_targets, n_scored)
    n_images : int
        At most `n_scored` are returned.
    n_bits : int, optional
        Leading bits of a score that are compared.

    Returns
    -------
    scores, indices : numpy.ndarray, shape (n_targets, at most n_images)

    Examples
    --------
    >>> strongest(np.array([[1.0, 3.0, 3.0, 2.0]]), np.array([[0, 9, 4, 5]]), 3)[1].tolist()
    [[4, 9, 5]]
    """
    order = np.lexsort((indices, -leading_bits(scores, n_bits)), axis=-1)[:, :n_images]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(indices, order, 1)


def _masks(unit_map: UnitMap, targets: Sequence[Lesion]) -> dict[str, tuple[list[int], np.ndarray]]:
    """Return by layer which targets it has, and their units as columns of zeros and ones."""
    rows: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        if len(target) != 1:
            raise InvalidInputError(f"target {index} must name one layer, not {list(target)}")
        ((name, units),) = target.items()
        layer, units = unit_map.layer(name), np.asarray(units)
        usable = units.ndim == 1 and units.size and units.dtype.kind in "iu"
        if not usable or units.min() < 0 or units.max() >= layer.n_units:
            raise InvalidInputError(
                f"target {index}: units of layer {name!r} must be one or more from 0 to "
                f"{layer.n_units - 1}, not {units.tolist()}"
            )
        rows.setdefault(name, []).append(index)
    masks = {}
    for name, members in rows.items():
        mask = np.zeros((unit_map.layer(name).n_units, len(members)))
        for column, index in enumerate(members):
            mask[np.asarray(targets[index][name]), column] = 1
        masks[name] = (members, mask)
    return masks


def _scores(unit_map: UnitMap, batch: torch.Tensor, masks) -> dict[str, np.ndarray]:
    """Return by layer the objective of each target on each image, shape (n_targets, n_batch)."""
    stops = tuple(unit_map.layer(name).pre_activation for name in masks)
    with torch.inference_mode():
        values = unit_map.run(batch, stops=stops)
    scores = {}
    for (name, (_, mask)), value in zip(masks.items(), values, strict=True):
        means = value.mean(dim=(2, 3)) if value.ndim == 4 else value
        scores[name] = (means.abs().double().cpu().numpy() @ mask).T
    return scores


def exciting_images(
    network,
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
    network : torch.nn.Module, TrainedNetwork or UnitMap
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
    >>> found = exciting_images(network.eval(), x, [{"0": np.array([0, 1])}], n_images=2)
    >>> found.indices.tolist(), found.scores.tolist()
    ([[2, 1]], [[4.0, 3.0]])
    """
    whole("n_images", n_images, 1)
    if batch_size is not None:
        whole("batch_size", batch_size, 1)
    unit_map = trace_units(network)
    check_images(x)
    count_logits(unit_map, x[:1])
    if n_images > len(x):
        raise InvalidInputError(
            f"n_images = {n_images}, but there are {len(x)} images: ask for at most so many"
        )
    masks = _masks(unit_map, targets)
    n_bits = COMPARED_BITS.get(unit_map.dtype, COMPARED_BITS[torch.float32])
    stops = tuple(unit_map.layer(name).pre_activation for name in masks)
    n_threads = torch.get_num_threads() if unit_map.device.type == "cpu" else 1
    batch_size = batch_size or max(1, min(MOST, unit_map.n_together(x, stops) // n_threads))
    none = {name: np.empty((len(rows), 0)) for name, (rows, _) in masks.items()}
    best = {name: (scores, scores.astype(int)) for name, scores in none.items()}
    starts = range(0, len(x) if masks else 0, batch_size)

    def work(start: int) -> dict[str, np.ndarray]:
        batch = x[start : start + batch_size].to(unit_map.device, unit_map.dtype)
        return _scores(unit_map, batch, masks)

    scored = side_by_side(work, starts, n_threads)
    bar = tqdm(starts, desc="exciting images", unit="batch", disable=not progress)
    for start, by_layer in zip(bar, scored, strict=True):
        for name, scores in by_layer.items():
            indices = np.broadcast_to(np.arange(scores.shape[1]) + start, scores.shape)
            both = [np.hstack(pair) for pair in zip(best[name], (scores, indices), strict=True)]
            best[name] = strongest(*both, n_images, n_bits=n_bits)
    shape = (len(targets), n_images)
    found = ExcitingImages(np.zeros(shape, int), np.zeros(shape))
    for name, (rows, _) in masks.items():
        found.scores[rows], found.indices[rows] = best[name]
    return found
