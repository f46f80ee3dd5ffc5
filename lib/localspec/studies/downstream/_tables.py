"""Tables of clusters by what units do to the logits beside those of weights and activations.

What takes replicates raises InvalidInputError if there is none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.clustering import SCOPES, layer_agreement
from localspec.measures import MEASURES, Assessment
from localspec.pipeline import (
    by_network,
    check_replicates,
    difference_reading,
    form_columns,
    with_findings,
)
from localspec.statistics import benjamini_hochberg, summarize_effects, t_interval
from localspec.studies.downstream._replicates import (
    ACTIVATIONS,
    DOWNSTREAM,
    GRAPHS,
    WEIGHTS,
    DownstreamReplicate,
    by_graph,
)


def graphs_table(replicates: Sequence[DownstreamReplicate]) -> pd.DataFrame:
    """Return n-cuts of the three graphs, and how far their partitions agree: means over seeds.

    Parameters
    ----------
    replicates : sequence of DownstreamReplicate

    Returns
    -------
    pandas.DataFrame
        One row a network, scope and graph. ``ncut``, ``shuffled_ncut_mean`` and ``z_score`` are
        those of the global partition in its own graph, NaN for a local one. ``with_weights``,
        ``with_activations`` and ``with_downstream``: adjusted Rand scores, averaged over layers,
        with the partition of the same scope from each graph; with its own graph, from another seed
        of k-means.
    """
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for scope, graph in itertools.product(SCOPES, GRAPHS):
            row = {"network": group[0].network, "graph": graph, "scope": scope}
            cuts = [_ncuts(each, graph, scope) for each in group]
            row |= pd.DataFrame(cuts).mean().to_dict()
            for other in GRAPHS:
                scores = [_agreement(each, graph, other, scope) for each in group]
                row[f"with_{other}"] = float(np.mean(scores))
            rows.append(row)
    return pd.DataFrame(rows)


def _ncuts(replicate: DownstreamReplicate, graph: str, scope: str) -> dict[str, float]:
    if scope == "local":  # every layer is a graph of its own
        return {"ncut": np.nan, "shuffled_ncut_mean": np.nan, "z_score": np.nan}
    owner, partitioning = by_graph(replicate, graph, scope)
    cut = owner.clusterability(partitioning.split("/")[0])
    return {
        "ncut": cut.statistic,
        "shuffled_ncut_mean": float(cut.null.mean()),
        "z_score": cut.z_score,
    }


def _agreement(replicate: DownstreamReplicate, graph: str, other: str, scope: str) -> float:
    owner, partitioning = by_graph(replicate, graph, scope)
    first = owner.partition(partitioning)
    owner, partitioning = by_graph(replicate, other, scope)
    if graph == other:
        owner = owner.with_choices(clustering_seed=1)
    return layer_agreement(first, owner.partition(partitioning))


def downstream_effects_table(
    replicates: Sequence[DownstreamReplicate], *, level: float = 0.05
) -> pd.DataFrame:
    """Return what each measure of the clusters of each graph comes to.

    Parameters
    ----------
    replicates : sequence of DownstreamReplicate
        All seeds of one or more networks.
    level : float, optional
        False discovery rate of the family: all networks, graphs, scopes and measures.

    Returns
    -------
    pandas.DataFrame
        One row a network, measure, scope and graph. ``p``: permutation Fisher, combined by the
        Bates distribution, ``bh`` adjusted by Benjamini-Hochberg, by which ``finding`` goes, see
        :func:`localspec.pipeline.form_finding`.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Families".
    """
    check_real("level", level, 0, 1)
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for name, scope, graph in itertools.product(MEASURES, SCOPES, GRAPHS):
            found = [_assessment(each, name, graph, scope) for each in group]
            row = {"network": group[0].network, "measure": name, "graph": graph, "scope": scope}
            rows.append({**row, **form_columns(found)})
    table = pd.DataFrame(rows)
    return with_findings(table, benjamini_hochberg(table["p"]).adjusted, level=level)


def _assessment(replicate: DownstreamReplicate, name: str, graph: str, scope: str) -> Assessment:
    owner, partitioning = by_graph(replicate, graph, scope)
    return owner.assessment(name, partitioning)


def downstream_differences_table(replicates: Sequence[DownstreamReplicate]) -> pd.DataFrame:
    """Return how clusters of the downstream graph differ from those of the other graphs.

    Parameters
    ----------
    replicates : sequence of DownstreamReplicate
        All seeds of one or more networks.

    Returns
    -------
    pandas.DataFrame
        One row a network, measure, scope and other graph, in ``beside``. ``downstream`` and
        ``other``: means over seeds of the effect over its null mean; ``difference``: the one less
        the other within networks, with Student's 95 % interval ``low`` to ``high``. ``reading``:
        "more specialized" or "less specialized" (the clusters of the downstream graph) where the
        interval lies on one side of 0; "not told apart" where it holds 0; "undefined" where more
        than half of the counterparts of either have no value, or there are fewer than two seeds.
    """
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for name, scope in itertools.product(MEASURES, SCOPES):
            effects, undefined = {}, {}
            for graph in GRAPHS:
                found = [_assessment(each, name, graph, scope) for each in group]
                effects[graph] = np.array([summarize_effects([one.effects]).ratio for one in found])
                undefined[graph] = form_columns(found)["undefined_draws"]
            for other in (WEIGHTS, ACTIVATIONS):
                interval = t_interval(effects[DOWNSTREAM] - effects[other])
                most = max(undefined[DOWNSTREAM], undefined[other])
                rows.append(
                    {
                        "network": group[0].network,
                        "measure": name,
                        "scope": scope,
                        "beside": other,
                        "downstream": float(effects[DOWNSTREAM].mean()),
                        "other": float(effects[other].mean()),
                        "difference": interval.mean,
                        "low": interval.low,
                        "high": interval.high,
                        "n_networks": interval.n,
                        "reading": difference_reading(name, interval.low, interval.high, most),
                    }
                )
    return pd.DataFrame(rows)
