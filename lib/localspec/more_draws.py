"""Lesions and visualizations of further random counterparts, for chosen subclusters only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from tqdm.auto import tqdm

from localspec import feature_visualization, lesions, subclusters
from localspec.conventions import Conventions
from localspec.errors import InvalidInputError
from localspec.partitions import Partition
from localspec.subclusters import Draws, Lesion

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
    >>> found = further_draws(partition, 4, [1], seed=(0, 1))
    >>> [part.cluster for part in found.subclusters], found.units[0].shape
    ([1], (4, 3))
    """
    everything = subclusters.draw(partition, n_draws, seed=seed, conventions=conventions)
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


def _in_blocks(
    draws: Draws, measured: Callable[[list[Lesion]], np.ndarray], desc: str, progress: bool
) -> np.ndarray:
    """Measure all random sets, a block at a time, shape (n_draws, n_subclusters, n_values)."""
    sets = [
        {part.layer: row}
        for part, rows in zip(draws.subclusters, draws.units, strict=True)
        for row in rows
    ]
    found = []
    with tqdm(total=len(sets), desc=desc, unit="set", disable=not progress) as bar:
        for begin in range(0, len(sets), MAX_SETS):
            block = sets[begin : begin + MAX_SETS]
            found.append(measured(block))
            bar.update(len(block))
    values = np.concatenate(found)
    shape = (len(draws.subclusters), draws.n_draws, *values.shape[1:])
    return np.moveaxis(values.reshape(shape), 1, 0)


def further_lesions(
    network,
    x: torch.Tensor,
    y: torch.Tensor,
    draws: Draws,
    *,
    n_classes: int | None = None,
    conventions: Conventions | str = "paper",
    precision: str = "full",
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
    progress : bool, optional

    Returns
    -------
    dict
        ``lesioned``: accuracies, shape (n_draws, n_subclusters, n_classes).

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion".
    """

    def measured(sets: list[Lesion]) -> np.ndarray:
        return lesions.lesion_accuracies(
            network,
            x,
            y,
            sets,
            n_classes=n_classes,
            conventions=conventions,
            precision=precision,
        )

    return {"lesioned": _in_blocks(draws, measured, "lesions of further draws", progress)}


def further_visualizations(
    network,
    draws: Draws,
    image_shape: tuple[int, int, int],
    *,
    n_steps: int = feature_visualization.N_STEPS,
    seed: int = 0,
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
    progress : bool, optional

    Returns
    -------
    dict
        ``scores`` and ``entropies``, shape (n_draws, n_subclusters).

    References
    ----------
    Hod et al., arXiv:2110.08058, "Feature visualization".
    """

    def measured(sets: list[Lesion]) -> np.ndarray:
        found = feature_visualization.visualize(
            network, sets, image_shape, n_steps=n_steps, seed=seed
        )
        return np.stack([found.scores, found.entropies], axis=-1)

    values = _in_blocks(draws, measured, "images of further draws", progress)
    return {"scores": values[..., 0], "entropies": values[..., 1]}
