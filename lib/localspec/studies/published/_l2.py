"""Networks under L2: both readings of the penalty, and what becomes of tiny weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from localspec._utils.artifacts import stage_key
from localspec._utils.validation import check_option
from localspec.clustering import VOLUME_EPSILON, UnitGraph
from localspec.conventions import PAPER
from localspec.pipeline import STAGES, DerivedReplicate, Replicate, by_network
from localspec.studies.published._diagnosis import without_small_edges
from localspec.studies.published._tables import ncut_columns

FIRST_LAYER = ("l2", "l1")
KEPT, FLUSHED, ISOLATED = "kept", "flushed", "isolated"
TINY_WEIGHTS = (KEPT, FLUSHED, ISOLATED)
DEFAULT = (PAPER.l2_first_layer, ISOLATED)
SMALLEST = float(np.finfo(np.float32).tiny)  # normal number; smaller ones are denormal


def without_weak_units(graph: UnitGraph) -> UnitGraph:
    """Return a graph in which units take no part whose edges sum to less than n-cut's constant.

    What is left of the others' edges counts, until every unit that takes part has as much.
    """
    live = ~graph.inactive
    while True:
        sums = np.asarray(graph.adjacency[live][:, live].sum(axis=1)).ravel()
        weak = sums < VOLUME_EPSILON
        if not weak.any():
            return replace(graph, inactive=~live)
        live[np.flatnonzero(live)[weak]] = False


def treated(graph: UnitGraph, tiny_weights: str) -> UnitGraph:
    """Return a weights graph after one treatment of tiny weights.

    ``"kept"``: as it is. ``"flushed"``: edges that are denormal in single precision are zero, as
    ``torch.set_flush_denormal`` has it. ``"isolated"``: units take no part whose edges sum to less
    than the constant that n-cut adds to volumes.
    """
    if tiny_weights == FLUSHED:
        return without_small_edges(graph, SMALLEST)
    return without_weak_units(graph) if tiny_weights == ISOLATED else graph


class TreatedReplicate(DerivedReplicate):
    """A replicate with a treatment of tiny weights in its weights graph, see :func:`treated`."""

    def __init__(self, start: Replicate, tiny_weights: str) -> None:
        super().__init__(start)
        self.tiny_weights = check_option("tiny_weights", tiny_weights, TINY_WEIGHTS)

    def graph(self, kind: str) -> UnitGraph:
        """Return the graph of a kind; that of "weights" after the treatment."""
        graph = self.start.graph(kind)
        return treated(graph, self.tiny_weights) if kind == "weights" else graph

    def graph_key(self, kind: str) -> str:
        """Return the key of :meth:`graph`."""
        key = self.start.graph_key(kind)
        if kind != "weights":
            return key
        return stage_key("graph", STAGES["graph"], {"tiny_weights": self.tiny_weights}, (key,))


def l2_replicates(
    replicates: Sequence[Replicate], *, n_seeds: Mapping[str, int], missing: str
) -> list[Replicate]:
    """Return replicates under both readings of the first kernel's penalty.

    Parameters
    ----------
    replicates : sequence of Replicate
    n_seeds : mapping of str to int
        Networks of which only the first seeds are taken, and how many.
    missing : {"train", "leave out"}
        What becomes of networks that are not stored.

    Returns
    -------
    list of Replicate
        Networks x readings x seeds.
    """
    every = []
    for group in by_network(replicates):
        seeds = group[: n_seeds.get(group[0].network, len(group))]
        for first in FIRST_LAYER:
            conventions = PAPER.model_copy(update={"l2_first_layer": first})
            every += [replicate.with_choices(conventions=conventions) for replicate in seeds]
    return [each for each in every if missing == "train" or each.stored_path]


def l2_replicates_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return n-cuts of networks under L2, one row a network, seed, reading and treatment.

    Parameters
    ----------
    replicates : sequence of Replicate
        From :func:`l2_replicates`.

    Returns
    -------
    pandas.DataFrame
        ``tiny_weights`` is the treatment: "kept", "flushed" (edges that are denormal in single
        precision are zero) or "isolated" (units take no part whose edges sum to less than n-cut's
        constant). ``n_isolated``, ``n_near_dead`` and ``n_zero_volume`` as in
        :class:`localspec.clustering.Clusterability`; of regressions there is no accuracy.
    """
    rows = []
    for replicate in replicates:
        first = replicate.conventions.l2_first_layer
        classifies = replicate.dataset.task == "classification"
        accuracy = replicate.trained.history["test_accuracy"][-1] if classifies else np.nan
        for tiny_weights in TINY_WEIGHTS:
            result = TreatedReplicate(replicate, tiny_weights).clusterability()
            rows.append(
                {
                    "network": replicate.network,
                    "seed": replicate.seed,
                    "l2_first_layer": first,
                    "tiny_weights": tiny_weights,
                    "default": "yes" if (first, tiny_weights) == DEFAULT else "no",
                    **ncut_columns(result),
                    "n_isolated": result.n_isolated,
                    "n_near_dead": result.n_near_dead,
                    "n_zero_volume": result.n_zero_volume,
                    "test_accuracy": accuracy,
                }
            )
    return pd.DataFrame(rows)


def l2_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return means over the networks of each reading and treatment.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`l2_replicates_table`.

    Returns
    -------
    pandas.DataFrame
        One row a network, reading and treatment, in the order of `table`, with the number of
        networks, and least and largest n-cut beside the means.
    """
    groups = table.groupby(
        ["network", "l2_first_layer", "tiny_weights", "default"], sort=False, dropna=False
    )
    means = groups[["ncut", "shuffled_ncut_mean", "z_score"]].mean()
    means.insert(0, "n_networks", groups.size())
    means.insert(2, "ncut_min", groups["ncut"].min())
    means.insert(3, "ncut_max", groups["ncut"].max())
    counts = ["n_isolated", "n_near_dead", "n_zero_volume", "test_accuracy"]
    return means.join(groups[counts].mean()).reset_index()
