"""Diagnosis: change one thing at a time, and see which change moves a differing figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse

from localspec.clustering import UnitGraph, live_units, ncut, spectral_labels
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings
from localspec.pipeline import OTHER_SEED, Reading, Replicate, by_network, readings
from localspec.studies.published._compare import (
    DIFFERS,
    DROPPED_WEIGHTS,
    HOLDS,
    measured_quantities,
)

STARTS = (1, 100)  # of k-means, in place of the usual number
GRAPH_FORKS = ("kernel_norm", "batch_norm_edges")
NOT_CHANGES = {"published", "diagnoses"}
AS_ON_THIS_PAGE = "as on this page"
COLUMNS = (
    "network",
    "quantity",
    "changed",
    "mean",
    "min",
    "max",
    "n_networks",
    "change",
    "published",
    "allowed_low",
    "allowed_high",
    "verdict",
)


def without_small_edges(graph: UnitGraph, least: float) -> UnitGraph:
    """Return a weights graph without the edges that are below a size.

    Examples
    --------
    >>> from localspec.clustering._unit_graph import layer_ranges
    >>> layers = layer_ranges([("a", 1, True), ("b", 1, True)])
    >>> edges = sparse.csr_array(np.array([[0.0, 0.5], [0.5, 0.0]]))
    >>> graph = UnitGraph(edges, layers, "weights", np.zeros(2, dtype=bool))
    >>> [without_small_edges(graph, least).adjacency.nnz for least in (0.1, 0.9)]
    [2, 0]
    """
    adjacency = sparse.csr_array(graph.adjacency, copy=True)
    adjacency.data[adjacency.data < least] = 0.0
    adjacency.eliminate_zeros()
    return replace(graph, adjacency=adjacency)


def _graph_readings(settings: NetworkSettings) -> list[Reading]:
    return [reading for reading in readings(settings) if reading.option in GRAPH_FORKS]


def changes_of_ncut(replicate: Replicate) -> Iterator[tuple[str, float]]:
    """Yield what is done otherwise with a trained network's graph, and the n-cut that follows.

    The replicate is under the plain reading.
    """
    n_clusters, seed = replicate.n_clusters, replicate.seed
    graph = replicate.graph("weights")

    def value(changed: UnitGraph, seed: int = seed, n_starts: int | None = None) -> float:
        live = changed.keep(live_units(changed))
        labels = spectral_labels(live, n_clusters, seed=seed, n_starts=n_starts)
        return ncut(live.adjacency, labels)

    for n_starts in STARTS:
        yield f"k-means starts: {n_starts}", value(graph, n_starts=n_starts)
    yield "other seed of k-means", value(graph, seed=seed + OTHER_SEED)
    step = replicate.settings.learning_rate  # about the size of one step of Adam
    with suppress(InvalidInputError):  # where nothing is left to cluster
        yield f"weights below {step:g} left out", value(without_small_edges(graph, step))
    for reading in _graph_readings(replicate.settings):
        changed = replicate.with_choices(**reading.changes).graph("weights")
        yield str(reading), value(changed)


def changed_settings(settings: NetworkSettings, base: NetworkSettings) -> str:
    """Name the settings in which a network differs from the one that it diagnoses.

    Examples
    --------
    >>> base = NetworkSettings(dataset="digits", hidden=(8,))
    >>> changed_settings(base.model_copy(update={"n_epochs": 10}), base)
    'n_epochs: 10'
    """
    mine = settings.model_dump(mode="json", exclude=NOT_CHANGES)
    theirs = base.model_dump(mode="json", exclude=NOT_CHANGES)
    return ", ".join(f"{name}: {value}" for name, value in mine.items() if value != theirs[name])


def _row(difference: pd.Series, changed: str, values: np.ndarray) -> dict:
    low, high = difference["allowed_low"], difference["allowed_high"]
    mean = float(values.mean())
    return {
        "network": difference["network"],
        "quantity": difference["quantity"],
        "changed": changed,
        "mean": mean,
        "min": values.min(),
        "max": values.max(),
        "n_networks": len(values),
        "change": mean - difference["ours"],
        "published": difference["published"],
        "allowed_low": low,
        "allowed_high": high,
        "verdict": HOLDS if low <= mean <= high else DIFFERS,
    }


def diagnosis_table(
    replicates: Sequence[Replicate],
    others: Sequence[Replicate],
    table: pd.DataFrame,
    *,
    untrained: str = "train",
) -> pd.DataFrame:
    """Return how far each change moves the figures that differ from the published ones.

    Parameters
    ----------
    replicates : sequence of Replicate
        Those with published figures.
    others : sequence of Replicate
        Networks trained otherwise, each of which names the network that it diagnoses.
    table : pandas.DataFrame
        From :func:`localspec.studies.published.published_table`.
    untrained : {"train", "leave out"}, optional
        What becomes of the other reading of dropped weights, which takes networks of its own,
        where one of them is not stored.

    Returns
    -------
    pandas.DataFrame
        One row a figure that differs and a change: the mean, least and largest value over our
        networks, ``change`` of the mean, the published mean, the range that ours must lie in,
        and the verdict if this were our figure. Changes of the graph concern n-cuts only. Empty
        where nothing differs.
    """
    groups = {group[0].network: group for group in by_network(replicates)}
    rows = []
    differing = table[(table["verdict"] == DIFFERS) & (table["reading"] == "paper")]
    for _, difference in differing.iterrows():
        group, quantity = groups[difference["network"]], difference["quantity"]
        compared = [(AS_ON_THIS_PAGE, group)]
        compared += [
            (changed_settings(trained[0].settings, group[0].settings), trained)
            for trained in by_network(others)
            if trained[0].settings.diagnoses == difference["network"]
        ]
        returning = [replicate.with_choices(**DROPPED_WEIGHTS.changes) for replicate in group]
        if group[0].settings.n_pruning_epochs and (
            untrained == "train" or all(replicate.stored_path for replicate in returning)
        ):
            compared.append((str(DROPPED_WEIGHTS), returning))
        if quantity == "shuffled_ncut_mean":
            compared += [
                (str(reading), [each.with_choices(**reading.changes) for each in group])
                for reading in _graph_readings(group[0].settings)
            ]
        for changed, networks in compared:
            rows.append(_row(difference, changed, measured_quantities(networks)[quantity]))
        if quantity == "ncut":
            by_change: dict[str, list[float]] = {}
            for replicate in group:
                for changed, value in changes_of_ncut(replicate):
                    by_change.setdefault(changed, []).append(value)
            rows += [_row(difference, name, np.array(values)) for name, values in by_change.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))
