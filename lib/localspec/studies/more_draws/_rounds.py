"""Rounds of further random counterparts: lesion and visualize chosen subclusters only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from localspec._utils.validation import check_option
from localspec.clustering import Draws, Lesion, draw_counterparts
from localspec.conventions import Conventions
from localspec.lesions import lesion_accuracies
from localspec.measures import LESIONED, MEASURES, VISUALIZED, Measure, measure_named
from localspec.pipeline import PARTITIONINGS, REPEATED_STAGES, Replicate
from localspec.statistics import SequentialResult, sequential_p_values
from localspec.units import Network
from localspec.visualization import N_STEPS, Visualizations, visualize

MAX_SETS = 512  # sets of units at a time


def _in_blocks(
    draws: Draws,
    measured: Callable[[list[Lesion]], np.ndarray],
    max_sets: int,
    desc: str,
    progress: bool,
) -> np.ndarray:
    """Measure all random sets, a block at a time, shape (n_draws, n_subclusters, n_values)."""
    sets = draws.random_lesions()
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

    `x` and `y` are what the true subclusters were lesioned on. ``lesioned``: accuracies, shape
    (n_draws, n_subclusters, n_classes). At most `max_sets` sets of units at a time bound memory.
    """

    def measured(sets: list[Lesion]) -> np.ndarray:
        return lesion_accuracies(
            network,
            x,
            y,
            sets,
            n_classes=n_classes,
            conventions=conventions,
            precision=precision,
        )

    return {"lesioned": _in_blocks(draws, measured, max_sets, "lesions of further draws", progress)}


def further_visualizations(
    network: Network,
    draws: Draws,
    image_shape: tuple[int, int, int],
    *,
    n_steps: int = N_STEPS,
    seed: int = 0,
    max_sets: int = MAX_SETS,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Visualize random counterparts, without the true subclusters; images are not kept.

    ``scores`` and ``entropies``, shape (n_draws, n_subclusters). `n_steps` and `seed` are those of
    the true subclusters; at most `max_sets` sets of units at a time bound memory.
    """

    def measured(sets: list[Lesion]) -> np.ndarray:
        visualizations = visualize(network, sets, image_shape, n_steps=n_steps, seed=seed)
        return np.stack([visualizations.scores, visualizations.entropies], axis=-1)

    values = _in_blocks(draws, measured, max_sets, "images of further draws", progress)
    return {"scores": values[..., 0], "entropies": values[..., 1]}


def sequential_p_values_of(
    replicate: Replicate,
    measure: str,
    partitioning: str,
    *,
    max_draws: int,
    max_exceedances: int,
) -> tuple[SequentialResult, ...]:
    """Draw for every tested subcluster of a network until its p-value is decided.

    In the order of the subclusters of :meth:`localspec.pipeline.Replicate.draws`. `max_draws` and
    `max_exceedances`, the draws at least as extreme, end the drawing.

    The first draws are those of the other pages. Each round after them draws with a generator of
    its own, seeded by the network's seed, the partitioning and the number of the round. Subclusters
    of a partition share permutations as on the other pages: sequential stopping asks for no more
    than that each one's own draws are exchangeable with it.

    Each round is stored: a killed run goes on after the last one that was finished.
    """
    check_option("measure", measure, MEASURES)
    # all measures of the same evidence take the same draws
    names = VISUALIZED if measure in VISUALIZED else LESIONED
    results = _sequential(replicate, names, partitioning, max_draws, max_exceedances)
    return results[names.index(measure)]


@lru_cache(maxsize=16)
def _sequential(
    replicate: Replicate,
    names: tuple[str, ...],
    partitioning: str,
    max_draws: int,
    max_exceedances: int,
) -> tuple[tuple[SequentialResult, ...], ...]:
    """Return the results of every measure and subcluster."""
    measures = [replicate.measure(name, partitioning) for name in names]
    values = np.stack([measure.values for measure in measures])

    def further(number: int, chosen: np.ndarray, n: int) -> np.ndarray:
        draws = draw_counterparts(
            replicate.partition(partitioning),
            n,
            seed=(replicate.seed, PARTITIONINGS.index(partitioning), number),
            conventions=replicate.conventions,
        ).chosen(chosen)
        of_round = {  # the chosen subclusters and n_draws follow from the rounds before
            "round": number,
            "n_draws": n,
            "chosen": chosen.tolist(),
            "versions": REPEATED_STAGES,
        }
        measure_round = _visualized_round if names == VISUALIZED else _lesioned_round
        drawn = measure_round(replicate, partitioning, draws, of_round)
        # a draw of the true units ties with them, whatever else was computed beside it
        drawn_values = np.stack([measure.values for measure in drawn])
        return np.where(draws.are_true, values[:, :1, chosen], drawn_values)

    return sequential_p_values(
        values[:, 0],
        values[:, 1:],
        further,
        [measure.side for measure in measures],
        max_exceedances=max_exceedances,
        max_draws=max_draws,
        undefined=replicate.conventions.undefined_ranges,
    )


def _lesioned_round(
    replicate: Replicate, partitioning: str, draws: Draws, of_round: dict[str, Any]
) -> list[Measure]:
    """Return the measures on lesions of one round's draws, shape (n_draws, n_chosen)."""

    def compute() -> dict[str, np.ndarray]:
        x, y = replicate.lesion_images()
        return further_lesions(
            replicate.trained,
            x,
            y,
            draws,
            n_classes=replicate.dataset.n_classes,
            conventions=replicate.conventions,
            precision=replicate.settings.lesion_precision,
            progress=replicate.progress,
        )

    arrays = replicate.stored(
        "more_draws",
        dict,
        compute,
        parameters={"evidence": "lesions", **of_round, **replicate.lesion_parameters()},
        inputs=(replicate.draws_key(partitioning),),
    )
    accuracies = replace(replicate.lesioned(partitioning), lesioned=arrays["lesioned"])
    return [measure_named(name, accuracies, conventions=replicate.conventions) for name in LESIONED]


def _visualized_round(
    replicate: Replicate, partitioning: str, draws: Draws, of_round: dict[str, Any]
) -> list[Measure]:
    """Return the measures on images of one round's draws, shape (n_draws, n_chosen)."""
    n_steps, seed = replicate.profile.method.n_steps, replicate.seed
    arrays = replicate.stored(
        "more_draws",
        dict,
        lambda: further_visualizations(
            replicate.trained,
            draws,
            replicate.dataset.image_shape,
            n_steps=n_steps,
            seed=seed,
            progress=replicate.progress,
        ),
        parameters={"evidence": "visualizations", **of_round, "n_steps": n_steps, "seed": seed},
        inputs=(replicate.draws_key(partitioning),),
    )
    images = np.empty(0)  # coherence needs numbers only
    visualizations = Visualizations(images, arrays["scores"], arrays["entropies"])
    return [measure_named(name, visualizations) for name in VISUALIZED]
