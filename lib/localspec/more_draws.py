"""Lesions and visualizations of further random counterparts, for chosen subclusters only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from tqdm.auto import tqdm

from localspec import feature_visualization, lesions, subclusters
from localspec.conventions import Conventions
from localspec.errors import InvalidInputError, whole
from localspec.partitions import Partition
from localspec.subclusters import Draws, Lesion
from localspec.units import Network

STAGE_VERSION = 1
# what the values are computed with besides this module: part of the stage's identity
INNER_VERSIONS = {
    "draws": subclusters.STAGE_VERSION,
    "lesions": lesions.STAGE_VERSION,
    "feature_visualization": feature_visualization.STAGE_VERSION,
}
MAX_SETS = 512  # sets of units at a time: bounds memory


def further_draws(
    partition: Partition,
    n_draws: int,
    chosen: Sequence[int],
    *,
    seed: int | Sequence[int],
    conventions: Conventions | str = "paper",
) -> Draws:
    """Draw random counterparts of some of the tested subclusters.

    Parameters
    ----------
    partition : Partition
    n_draws : int
        At least 1.
    chosen : sequence of int
        Positions among :func:`localspec.subclusters.subclusters`.
    seed : int or sequence of int
    conventions : Conventions or str
        Uses ``draws`` and ``min_units``.

    Returns
    -------
    Draws
        Of the chosen subclusters, in that order.

    Raises
    ------
    InvalidInputError
        If there is no subcluster at a position, or `n_draws` is not positive.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Random counterparts".

    Examples
    --------
    >>> partition = Partition.from_labels({"dense1": np.array([0, 0, 1, 1, 1])})
    >>> draws = further_draws(partition, 4, [1], seed=(0, 1))
    >>> [part.cluster for part in draws.subclusters], draws.units[0].shape
    ([1], (4, 3))
    """
    everything = subclusters.draw_counterparts(
        partition, n_draws, seed=seed, conventions=conventions
    )
    n_tested = len(everything.subclusters)
    for position in chosen:
        if not 0 <= position < n_tested:
            raise InvalidInputError(
                f"chosen names subcluster {position}: positions are from 0 to {n_tested - 1}"
            )
    return replace(
        everything,
        subclusters=tuple(everything.subclusters[position] for position in chosen),
        units=tuple(everything.units[position] for position in chosen),
    )


def _random_sets(draws: Draws) -> list[Lesion]:
    """Return all random sets, subcluster by subcluster."""
    return [
        {part.layer: row}
        for part, rows in zip(draws.subclusters, draws.units, strict=True)
        for row in rows
    ]


def _in_blocks(
    draws: Draws,
    measured: Callable[[list[Lesion]], np.ndarray],
    max_sets: int,
    desc: str,
    progress: bool,
) -> np.ndarray:
    """Measure all random sets, a block at a time, shape (n_draws, n_subclusters, n_values)."""
    sets = _random_sets(draws)
    blocks = []
    with tqdm(total=len(sets), desc=desc, unit="set", disable=not progress) as bar:
        for begin in range(0, len(sets), max_sets):
            block = sets[begin : begin + max_sets]
            blocks.append(measured(block))
            bar.update(len(block))
    values = np.concatenate(blocks)
    shape = (len(draws.subclusters), draws.n_draws, *values.shape[1:])
    return np.moveaxis(values.reshape(shape), 1, 0)


def further_lesions(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    *,
    n_classes: int | None = None,
    conventions: Conventions | str = "paper",
    precision: str = "full",
    max_sets: int = MAX_SETS,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Lesion random counterparts, without the true subclusters.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    x : torch.Tensor, shape (n_images, ...)
    y : torch.Tensor of int, shape (n_images,)
        The images that the true subclusters were lesioned on, and their classes.
    draws : Draws
        From :func:`further_draws`.
    n_classes : int, optional
        By default one more than the largest label.
    conventions : Conventions or str
        Uses ``lesion_point`` and ``lesion_readers``.
    precision : {"full", "bfloat16"}
    max_sets : int, optional
        Bounds memory: sets of units lesioned at a time.
    progress : bool, optional

    Returns
    -------
    dict
        ``lesioned``: accuracies, shape (n_draws, n_subclusters, n_classes).

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion".
    """
    whole("max_sets", max_sets, 1)
    unit_map, options = lesions.checked_options(
        network, conventions=conventions, precision=precision
    )
    sizes = lesions.checked_class_sizes(unit_map, x, y, n_classes)
    lesions.check_lesions(unit_map, _random_sets(draws))

    def measured(sets: list[Lesion]) -> np.ndarray:
        return lesions.lesion_accuracies_traced(unit_map, x, y, sets, sizes, options)

    accuracies = _in_blocks(draws, measured, max_sets, "lesions of further draws", progress)
    return {"lesioned": accuracies}


def further_visualizations(
    network: Network,
    draws: Draws,
    image_shape: tuple[int, int, int],
    *,
    n_steps: int = feature_visualization.N_STEPS,
    seed: int = 0,
    max_sets: int = MAX_SETS,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Visualize random counterparts, without the true subclusters; images are not kept.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    draws : Draws
        From :func:`further_draws`.
    image_shape : tuple of int
        (n_channels, height, width).
    n_steps, seed : int, optional
        As for the true subclusters.
    max_sets : int, optional
        Bounds memory: sets of units visualized at a time.
    progress : bool, optional

    Returns
    -------
    dict
        ``scores`` and ``entropies``, shape (n_draws, n_subclusters).

    References
    ----------
    Hod et al., arXiv:2110.08058, "Feature visualization".
    """
    whole("max_sets", max_sets, 1)
    unit_map = feature_visualization.checked_network(network, image_shape)
    feature_visualization.check_steps(n_steps, seed)
    feature_visualization.check_targets(unit_map, _random_sets(draws))

    def measured(sets: list[Lesion]) -> np.ndarray:
        images = feature_visualization.visualize_traced(
            unit_map, sets, image_shape, n_steps=n_steps, seed=seed
        )
        return np.stack([images.scores, images.entropies], axis=-1)

    values = _in_blocks(draws, measured, max_sets, "images of further draws", progress)
    return {"scores": values[..., 0], "entropies": values[..., 1]}
