"""Simulated worlds: how often the rule of the verdicts errs, and what it finds.

No network is trained. Units have a strength, serve one half of the classes and look in a
direction; the accuracies under a lesion, scores and entropies follow from these by formulas, with
noise. Partitions of the units, their random counterparts, tests, effects, checks and verdicts are
made by the functions that all pages use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import stats

from localspec._utils.validation import check_integer, check_option
from localspec.clustering import Draws, Partition, draw_counterparts
from localspec.conventions import PAPER, Conventions
from localspec.lesions import LesionedAccuracies
from localspec.measures import LESIONED, MEASURES, Assessment, assess, measure_named
from localspec.pipeline import (
    PARTITIONINGS,
    coherence_checks_table,
    effects_table,
    synthesis_table,
    verdicts_table,
)
from localspec.statistics import SUPPORTED, VERDICTS
from localspec.visualization import Visualizations

AT_RANDOM, PLANTED_HALVES = "clusters at random", "planted halves"
WORLDS = (AT_RANDOM, PLANTED_HALVES)
PLANTED_GRAPH = "weights"  # whose clusters lie within halves; those of the other are random
N_SEEDS = 5  # networks of one architecture: a family of 16 tests
N_LAYERS, N_UNITS, N_CLUSTERS = 2, 64, 4  # clusters of each layer, two within each half
N_CLASSES, N_IMAGES, N_DIRECTIONS = 10, 50, 8  # images of each class
N_DRAWS = 19
BASELINE = 0.97  # accuracy without a lesion


@dataclass(frozen=True)
class SimulatedNetwork:
    """A network that is made up, with what the synthesis asks of a replicate."""

    network: str
    seed: int
    world: str
    entropy: tuple[int, ...]  # of all random numbers
    conventions: Conventions = PAPER

    def _rng(self, *what: int) -> np.random.Generator:
        return np.random.default_rng([*self.entropy, *what])

    @cached_property
    def halves(self) -> np.ndarray:
        """The half of the classes that each unit serves, shape (N_LAYERS, N_UNITS)."""
        rng = self._rng(0)
        half = np.repeat([0, 1], N_UNITS // 2)
        return np.array([rng.permutation(half) for _ in range(N_LAYERS)])

    @cached_property
    def strengths(self) -> np.ndarray:
        """How much each unit does, shape (N_LAYERS, N_UNITS)."""
        return self._rng(1).lognormal(sigma=1.0, size=(N_LAYERS, N_UNITS))

    @cached_property
    def directions(self) -> np.ndarray:
        """What each unit looks for, shape (N_LAYERS, N_UNITS, N_DIRECTIONS)."""
        rng = self._rng(2)
        shared = rng.normal(size=(N_LAYERS, 2, N_DIRECTIONS))
        own = rng.normal(size=(N_LAYERS, N_UNITS, N_DIRECTIONS))
        return np.take_along_axis(shared, self.halves[..., np.newaxis], axis=1) + own

    @cached_property
    def _results(self) -> dict[str, tuple[Draws, LesionedAccuracies, Visualizations]]:
        return {partitioning: self._result(partitioning) for partitioning in PARTITIONINGS}

    def _labels(self, partitioning: str) -> dict[str, np.ndarray]:
        rng = self._rng(3, PARTITIONINGS.index(partitioning))
        labels = np.arange(N_UNITS) * N_CLUSTERS // N_UNITS
        planted = self.world == PLANTED_HALVES and partitioning.startswith(PLANTED_GRAPH)
        by_layer = {}
        for layer, halves in enumerate(self.halves):
            order = rng.permutation(N_UNITS)
            if planted:  # one half after the other: no cluster has units of both
                order = order[np.argsort(halves[order], kind="stable")]
            by_layer[f"layer{layer}"] = labels[np.argsort(order)]
        return by_layer

    def _result(self, partitioning: str) -> tuple[Draws, LesionedAccuracies, Visualizations]:
        at = PARTITIONINGS.index(partitioning)
        partition = Partition.from_labels(self._labels(partitioning))
        draws = draw_counterparts(partition, N_DRAWS, seed=[*self.entropy, 4, at])
        rng = self._rng(5, at)
        accuracies, scores, entropies = [], [], []
        for part, counterparts in zip(draws.subclusters, draws.units, strict=True):
            layer = int(part.layer.removeprefix("layer"))
            sets = np.vstack([part.units, counterparts])  # the true one first
            accuracies.append(_accuracies(self.strengths[layer], self.halves[layer], sets, rng))
            images = _images(self.directions[layer], self.halves[layer], sets, rng)
            scores.append(images[0])
            entropies.append(images[1])
        lesioned = LesionedAccuracies(
            np.full(N_CLASSES, BASELINE), np.stack(accuracies, axis=1), np.full(N_CLASSES, N_IMAGES)
        )
        images = Visualizations(np.empty(0), np.stack(scores, axis=1), np.stack(entropies, axis=1))
        return draws, lesioned, images

    def draws(self, partitioning: str) -> Draws:
        """Return the subclusters of a partition with their random counterparts."""
        return self._results[partitioning][0]

    def lesioned(self, partitioning: str) -> LesionedAccuracies:
        """Return the accuracies under their lesions."""
        return self._results[partitioning][1]

    @cached_property
    def _assessments(self) -> dict[tuple[str, str], Assessment]:
        assessments = {}
        for partitioning, (_, lesioned, images) in self._results.items():
            for name in MEASURES:
                measure = measure_named(name, lesioned if name in LESIONED else images)
                assessments[name, partitioning] = assess(measure, seed=self.seed)
        return assessments

    def assessment(self, name: str, partitioning: str) -> Assessment:
        """Return what the random counterparts say about a measure."""
        return self._assessments[name, partitioning]


def _accuracies(
    strengths: np.ndarray, halves: np.ndarray, sets: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return accuracies under lesions of sets of units, shape (n_sets, N_CLASSES).

    Half of a class's units can be spared: its accuracy falls with the square of the share of the
    strength that serves it, as far as twice that share is below 1.
    """
    serving = halves == np.arange(2)[:, np.newaxis]  # half, unit
    lost = np.array([(strengths * part)[sets].sum(axis=1) for part in serving])
    shares = (lost.T / (serving @ strengths)).repeat(N_CLASSES // 2, axis=1)
    accuracy = BASELINE - (BASELINE - 1 / N_CLASSES) * np.minimum(1, 2 * shares) ** 2
    return rng.binomial(N_IMAGES, accuracy) / N_IMAGES


def _images(
    directions: np.ndarray, halves: np.ndarray, sets: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and entropies of sets of units, each of shape (n_sets,).

    The score is the length of the mean direction; the entropy falls from that of all classes to
    that of one half of them as the set is of one half.
    """
    scores = np.linalg.norm(directions[sets].mean(axis=1), axis=-1)
    one_sided = np.abs(2 * halves[sets].mean(axis=1) - 1)
    entropies = np.log(N_CLASSES) - np.log(2) * one_sided
    noise = rng.lognormal(sigma=0.3, size=(2, len(sets)))
    return scores * noise[0], entropies * noise[1]


def simulated_networks(world: str, index: int, *, seed: int = 0) -> list[SimulatedNetwork]:
    """Return the networks of one simulated world, which are of one architecture.

    All clusters are drawn at random, or those of the weights graph lie within halves; `index`
    counts the worlds of a kind.
    """
    kind = WORLDS.index(check_option("world", world, WORLDS))
    check_integer("index", index, 0)
    check_integer("seed", seed, 0)
    return [
        SimulatedNetwork("simulated", number, world, (seed, kind, index, number))
        for number in range(N_SEEDS)
    ]


def simulated_verdicts(
    world: str, indices: Sequence[int], *, seed: int = 0, level: float = 0.05
) -> pd.DataFrame:
    """Return the verdicts in simulated worlds.

    Parameters
    ----------
    world : {"clusters at random", "planted halves"}
    indices : sequence of int
        Which worlds of this kind.
    seed : int, optional
    level : float, optional

    Returns
    -------
    pandas.DataFrame
        As :func:`localspec.pipeline.verdicts_table` makes it, all worlds below one another, with
        the columns ``world`` and ``index`` first.
    """
    tables = []
    for index in indices:
        networks = simulated_networks(world, index, seed=seed)
        synthesis = synthesis_table(networks, level=level)
        checks = coherence_checks_table(networks, synthesis, level=level)
        table = verdicts_table(effects_table(networks), synthesis, checks, level=level)
        table.insert(0, "world", world)
        table.insert(1, "index", index)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def verdict_rates_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return how often each verdict is given in simulated worlds.

    Parameters
    ----------
    verdicts : pandas.DataFrame
        From :func:`simulated_verdicts`; of several kinds of worlds if they are concatenated.

    Returns
    -------
    pandas.DataFrame
        One row a kind of world, kind of cluster (planted or at random) and measure, and one row of
        all measures. ``n_cells`` is the number of verdicts, then come the shares of each of them.
        ``any_supported``: share of worlds with "supported" in at least one of the row's cells, of
        which ``any_high`` is the upper end of the exact 95 % interval over worlds; no cell's rate
        can be above it. ``all_supported``: with "supported" in all of them, of which ``all_low`` is
        the lower end.

    References
    ----------
    Clopper and Pearson (1934), Biometrika 26(4), 404-413: the exact interval.
    """
    graphs = verdicts["claim"].map({"C1": "weights", "C2": "weights"}).fillna("activations")
    planted = (verdicts["world"] == PLANTED_HALVES) & (graphs == PLANTED_GRAPH)
    cells = verdicts.assign(clusters=np.where(planted, "planted", "at random"))
    cells = cells[cells["measure"].isin(MEASURES)]
    rows = []
    for (world, clusters), part in cells.groupby(["world", "clusters"], sort=False):
        for name in ("all", *dict.fromkeys(part["measure"])):
            chosen = part if name == "all" else part[part["measure"] == name]
            rows.append({"world": world, "clusters": clusters, "measure": name} | _rates(chosen))
    return pd.DataFrame(rows)


def _rates(cells: pd.DataFrame) -> dict:
    of_worlds = (cells["verdict"] == SUPPORTED).groupby(cells["index"]).agg(["any", "all"])
    n_worlds, counts = len(of_worlds), of_worlds.sum()
    intervals = {
        which: stats.binomtest(int(counts[which]), n_worlds).proportion_ci()
        for which in counts.index
    }
    return {
        "n_worlds": n_worlds,
        "n_cells": len(cells),
        **{word: float((cells["verdict"] == word).mean()) for word in VERDICTS},
        "any_supported": float(counts["any"] / n_worlds),
        "any_high": float(intervals["any"].high),
        "all_supported": float(counts["all"] / n_worlds),
        "all_low": float(intervals["all"].low),
    }
