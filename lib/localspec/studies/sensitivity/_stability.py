"""Stability: compare partitions over k-means seeds, numbers of clusters and training seeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from localspec.clustering import eigengaps, layer_agreement, match_units
from localspec.pipeline import OTHER_SEED, PARTITIONINGS, Replicate
from localspec.studies.sensitivity._variations import Variation
from localspec.units import unit_values


def eigengap_table(replicates: Sequence[Replicate], *, k_max: int = 16) -> pd.DataFrame:
    """Return the eigengaps of every network's two graphs: one row a k."""
    rows = []
    for replicate in replicates:
        for kind in ("weights", "activations"):
            first = {"network": replicate.network, "seed": replicate.seed, "graph": kind}
            gaps = eigengaps(replicate.graph(kind), k_max)
            rows += [
                {**first, "k": k, "gap": float(gap), "chosen": bool(gap == gaps.max())}
                for k, gap in enumerate(gaps, start=2)
            ]
    return pd.DataFrame(rows)


def _pairs(replicates: Sequence[Replicate], partitioning: str, others: list) -> list[dict]:
    rows = []
    for against, varied in others:
        for replicate, other in zip(replicates, varied, strict=True):
            score = layer_agreement(
                replicate.partition(partitioning), other.partition(partitioning)
            )
            rows.append({"over": against, "network": replicate.name, "adjusted_rand": score})
    return rows


def _training_pairs(
    replicates: Sequence[Replicate], values: list[dict[str, np.ndarray]], partitioning: str
) -> list[dict]:
    rows = []
    for i, j in combinations(range(len(replicates)), 2):
        first, second = replicates[i], replicates[j]
        order = {name: match_units(values[i][name], values[j][name]) for name in values[i]}
        score = layer_agreement(
            first.partition(partitioning), second.partition(partitioning), order
        )
        names = f"{first.name} and {second.seed}"
        rows.append({"over": "training seeds", "network": names, "adjusted_rand": score})
    return rows


def stability_table(
    varied: dict[Variation, Sequence[Replicate]], *, n_seeds: int = 5
) -> pd.DataFrame:
    """Return how well partitions agree with those of other seeds and numbers of clusters.

    Parameters
    ----------
    varied : dict of Variation to sequence of Replicate
        The replicates of one network under each variation; the baseline first.
    n_seeds : int, optional
        Number of k-means seeds to compare with.

    Returns
    -------
    pandas.DataFrame
        One row a partitioning, comparison and network (or pair of networks); ``adjusted_rand``
        is averaged over tested layers. Units of networks from different training seeds are
        matched by their correlation over the test images first.
    """
    (_, replicates), *rest = varied.items()
    others: list[tuple[str, Sequence[Replicate]]] = []
    for index in range(1, n_seeds + 1):
        redone = [each.with_choices(clustering_seed=index * OTHER_SEED) for each in replicates]
        others.append(("k-means seeds", redone))
    others += [(each.name, group) for each, group in rest if each.choices.n_clusters is not None]
    values = [
        unit_values(replicate.trained, replicate.dataset.x_test, conventions=replicate.conventions)
        for replicate in replicates
    ]
    rows = []
    for partitioning in PARTITIONINGS:
        pairs = _pairs(replicates, partitioning, others)
        pairs += _training_pairs(replicates, values, partitioning)
        rows += [{"partitioning": partitioning, **row} for row in pairs]
    return pd.DataFrame(rows)
