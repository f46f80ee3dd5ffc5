"""Evidence: what is known of each tested group beside its measures, small enough to be kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from localspec.clustering import Draws
from localspec.statistics import at_most
from localspec.units import Units
from localspec.visualization import compared_bits, excitations, top_images

LARGEST_SIDE = 96  # pixels of a picture that is kept
N_EXCITING = 4  # images named for each group
N_BINS = 24  # of a histogram of excitations
SHOWN_DRAW = 0  # the random counterpart whose picture and histogram stand beside the true ones


@dataclass(frozen=True, eq=False)
class Excitations:
    """How strongly images excite groups, and which do most.

    A group's excitation by an image is the mean over its units of the magnitude of the pre-ReLU
    value, averaged over space.

    Attributes
    ----------
    exciting : numpy.ndarray of int, shape (n_groups, n_exciting)
        Indices of the images, the strongest first.
    exciting_values : numpy.ndarray, shape (n_groups, n_exciting)
    edges : numpy.ndarray, shape (n_groups, 2)
        Lowest and highest excitation in the histograms.
    counts, random_counts : numpy.ndarray of int, shape (n_groups, n_bins)
        Images of the group, and of its first random counterpart.
    """

    exciting: np.ndarray
    exciting_values: np.ndarray
    edges: np.ndarray
    counts: np.ndarray
    random_counts: np.ndarray


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of the tested groups of a partition, in their order.

    Attributes
    ----------
    lost, random_lost : numpy.ndarray, shape (n_groups, n_classes)
        Accuracy lost by each class with images under the lesion, and under those of the random
        counterparts on average; no class where no lesion was asked for.
    pictures, random_pictures : numpy.ndarray of uint8, shape (n_groups, n_channels, height, width)
        Visualizations of the group and of its first random counterpart, at most 96 pixels high and
        wide; no pixel where none was asked for.
    excitations : Excitations
    """

    lost: np.ndarray
    random_lost: np.ndarray
    pictures: np.ndarray
    random_pictures: np.ndarray
    excitations: Excitations


@dataclass(frozen=True, eq=False)
class ShownImages:
    """Images that cards show.

    Attributes
    ----------
    indices, labels : numpy.ndarray of int, shape (n_shown,)
        Ascending indices among the images of the screening, and their labels.
    pictures : numpy.ndarray of uint8, shape (n_shown, n_channels, height, width)
        At most 96 pixels high and wide.
    """

    indices: np.ndarray
    labels: np.ndarray
    pictures: np.ndarray


@dataclass(frozen=True, eq=False)
class SequentialDraws:
    """What draws until a decision say about one measure of a partition's groups.

    Attributes
    ----------
    p_values : numpy.ndarray, shape (n_groups,)
    n_draws : numpy.ndarray of int, shape (n_groups,)
        Draws that each group's p-value took.
    values : numpy.ndarray, shape (most draws, n_groups)
        Of the draws of each group, NaN behind them.
    """

    p_values: np.ndarray
    n_draws: np.ndarray
    values: np.ndarray


def small_pictures(
    images: np.ndarray | torch.Tensor, largest_side: int = LARGEST_SIDE
) -> np.ndarray:
    """Return images in [0, 1] in eight bits, at most so many pixels high and wide.

    Examples
    --------
    >>> small_pictures(np.ones((2, 1, 192, 96))).shape
    (2, 1, 96, 48)
    """
    tensor = torch.as_tensor(images, device="cpu").detach().float()
    scale = largest_side / max(tensor.shape[2:])
    if scale < 1:
        size = [max(1, round(scale * side)) for side in tensor.shape[2:]]
        if len(tensor):
            tensor = F.interpolate(tensor, size=size, mode="bilinear", antialias=True)
        else:  # which F.interpolate refuses
            tensor = tensor.new_zeros(0, tensor.shape[1], size[0], size[1])
    return (255 * tensor.clamp(0, 1)).round().to(torch.uint8).numpy()


def histogram(values: np.ndarray, n_bins: int, low: float, high: float) -> np.ndarray:
    """Count values from `low` to `high` in bins; values that tie lie in the middle one.

    Examples
    --------
    >>> histogram(np.array([1.0, 1.1, 2.0]), 2, 1.0, 2.0).tolist()
    [2, 1]
    >>> histogram(np.array([1.0, 1.0 + 1e-15]), 3, 1.0, 1.0 + 1e-15).tolist()
    [0, 2, 0]
    """
    if at_most(high, low):  # rounding makes no bins
        counts = np.zeros(n_bins, dtype=np.int64)
        counts[n_bins // 2] = len(values)
        return counts
    return np.histogram(values, n_bins, (low, high))[0]


def group_excitations(unit_map: Units, x: torch.Tensor, draws: Draws) -> Excitations:
    """Return how strongly images excite groups and their first random counterparts."""
    parts, n_groups = draws.subclusters, len(draws.subclusters)
    random = [{part.layer: rows[SHOWN_DRAW]} for part, rows in zip(parts, draws.units, strict=True)]
    targets = [part.as_lesion() for part in parts] + random
    n_units = np.array([part.n_units for part in parts] * 2).reshape(-1, 1)
    values = excitations(unit_map, x, targets) / np.maximum(n_units, 1)
    values, random_values = values[:n_groups], values[n_groups:]
    indices = np.broadcast_to(np.arange(len(x)), values.shape)
    strongest, exciting = top_images(values, indices, N_EXCITING, n_bits=compared_bits(unit_map))
    edges, counts = np.zeros((n_groups, 2)), np.zeros((2, n_groups, N_BINS), dtype=np.int64)
    for group in range(n_groups):
        both = values[group], random_values[group]
        edges[group] = np.min(both), np.max(both)
        for row, one in enumerate(both):
            counts[row, group] = histogram(one, N_BINS, edges[group, 0], edges[group, 1])
    return Excitations(exciting, strongest, edges, counts[0], counts[1])


def shown_images(x: torch.Tensor, y: torch.Tensor, indices: np.ndarray) -> ShownImages:
    """Return the pictures of some images."""
    chosen = torch.from_numpy(indices)
    labels = y[chosen.to(y.device)].cpu().numpy().astype(np.int64)
    pictures = small_pictures(x[chosen.to(x.device)])
    return ShownImages(indices, labels, pictures)
