"""Activations n-cuts: cut the graph of activations, and judge the weights' partition in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.metrics import normalized_mutual_info_score

from localspec.clustering import (
    NO_CLUSTER,
    UnitGraph,
    activation_graph,
    cluster,
    clusterability,
    ncut,
)
from localspec.pipeline import Replicate, by_network
from localspec.studies.published._data import load_published
from localspec.studies.published._pretrained import HERE, NOT_HERE
from localspec.units import ACTIVATION_VALUES

NULLS = ("permute", "permute_all")
EITHER = "either"  # the weights graph does not depend on the values
CONFIDENCE = 0.95
# Columns of the published table, and those of ours that stand beside each.
QUANTITIES = {
    "weights_ncut": "weights_ncut_without_pixels",
    "activations_ncut": "activations_ncut",
    "z_permute": "activations_z_score",
    "z_permute_all": "activations_z_score",
    "transferred_ncut": "transferred_ncut",
    "mutual_information": "normalized_mutual_information",
}


def without_pixels(graph: UnitGraph) -> UnitGraph:
    """Return a weights graph without the nodes of the input, where it has such."""
    first = graph.layers[0]
    return graph if first.tested else graph.subgraph(graph.layers[1:])


def compared_ncuts(
    weights: UnitGraph, activations: UnitGraph, n_clusters: int, *, n_shuffles: int, seed: int
) -> dict[str, np.ndarray]:
    """Return n-cuts of the two graphs of a network, and what one says of the other.

    `weights` has no pixels, and `activations` is over its tested layers. ``transferred_ncut`` is
    that of the activations graph under the weights' partition; ``mutual_information`` of both
    partitions, over the units that have a cluster in both, is normalized by the mean of their
    entropies; ``null_`` has the n-cuts of shuffled copies of the activations graph.
    """
    of_weights = cluster(weights, n_clusters, seed=seed)
    of_activations = cluster(activations, n_clusters, seed=seed).labels
    tested = np.concatenate([of_weights.of(layer) for layer in of_weights.tested])
    transferred = np.where(activations.inactive, NO_CLUSTER, tested)
    both = (transferred != NO_CLUSTER) & (of_activations != NO_CLUSTER)
    values = {
        "weights_ncut": ncut(weights.adjacency, of_weights.labels),
        "activations_ncut": ncut(activations.adjacency, of_activations),
        "transferred_ncut": ncut(activations.adjacency, transferred),
        "mutual_information": normalized_mutual_info_score(tested[both], of_activations[both]),
    }
    result = {name: np.array([value]) for name, value in values.items()}
    for null in NULLS:
        options = {"n_shuffles": n_shuffles, "null": null, "seed": seed}
        result[f"null_{null}"] = clusterability(activations, n_clusters, **options).null
    return result


def activations_ncuts(replicate: Replicate, activation_values: str) -> dict[str, np.ndarray]:
    """Return :func:`compared_ncuts` of a trained network, from disk if it is there."""
    method = replicate.profile.method

    def compute() -> dict[str, np.ndarray]:
        activations = activation_graph(
            replicate.trained,
            replicate.training_images(method.n_images),
            correlation=method.correlation,
            activation_values=activation_values,
            conventions=replicate.conventions,
        )
        return compared_ncuts(
            without_pixels(replicate.graph("weights")),
            activations,
            replicate.n_clusters,
            n_shuffles=method.n_shuffles,
            seed=replicate.seed,
        )

    parameters = {
        **replicate.conventions.subset(
            "kernel_norm", "batch_norm_edges", "spatial_norm", "residual_units"
        ),
        "activation_values": activation_values,
        "correlation": method.correlation,
        "n_images": method.n_images,
        "n_clusters": replicate.n_clusters,
        "n_shuffles": method.n_shuffles,
        "seed": replicate.seed,
    }
    inputs = (replicate.stored_network().key,)
    return replicate.stored(
        "activations_ncuts", dict, compute, parameters=parameters, inputs=inputs
    )


def _figures(ncuts: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the quantities that the published table has, of one network."""
    value = float(ncuts["activations_ncut"][0])
    figures = {name: float(ncuts[name][0]) for name in QUANTITIES if name in ncuts}
    for null in NULLS:
        copies = ncuts[f"null_{null}"]
        figures[f"z_{null}"] = float((value - copies.mean()) / copies.std())
    return figures


def _rows(group: Sequence[Replicate], published: pd.Series) -> list[dict[str, object]]:
    rows = []
    for activation_values in ACTIVATION_VALUES:
        figures = pd.DataFrame(
            [_figures(activations_ncuts(each, activation_values)) for each in group]
        )
        for quantity, column in QUANTITIES.items():
            of_weights = quantity == "weights_ncut"
            if of_weights and activation_values != ACTIVATION_VALUES[0]:
                continue
            ours, n = figures[quantity], len(figures)
            spread = ours.std(ddof=1) * np.sqrt(1 + 1 / n)
            reach = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * spread
            expected = (ours.mean() - reach, ours.mean() + reach)
            rows.append(
                {
                    "run": HERE,
                    "values": EITHER if of_weights else activation_values,
                    "quantity": quantity,
                    "published": published[column],
                    "ours": ours.mean(),
                    "ours_min": ours.min(),
                    "ours_max": ours.max(),
                    "n_ours": str(n),  # of some rows there is none
                    "expected_low": expected[0],
                    "expected_high": expected[1],
                    "as_expected": expected[0] <= published[column] <= expected[1],
                }
            )
    return rows


def activations_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return n-cuts of activations graphs beside the published ones.

    Parameters
    ----------
    replicates : sequence of Replicate
        Networks with published figures, two or more seeds each.

    Returns
    -------
    pandas.DataFrame
        One row a published network, quantity and kind of values (before or after the activation):
        our mean, least and largest value, and between ``expected_low`` and ``expected_high`` where
        another network like ours lies with 95 % confidence (Student's prediction interval);
        ``as_expected`` says whether the published one does. ``z_`` compares the n-cut with
        those of shuffled copies, under two readings of how a graph is shuffled. Of networks
        that were not run nothing but the published figures is known.
    """
    groups = {
        (group[0].settings.published, group[0].settings.n_pruning_epochs > 0): group
        for group in by_network(replicates)
    }
    rows = []
    for _, published in load_published("activations_ncut").iterrows():
        network = {"model": published["model"], "pruned": bool(published["pruned"])}
        group = groups.get((network["model"], network["pruned"]))
        if group:
            rows += [network | row for row in _rows(group, published)]
        else:
            columns = dict.fromkeys(QUANTITIES.values())
            rows += [
                network | {"run": NOT_HERE, "quantity": column, "published": published[column]}
                for column in columns
            ]
    return pd.DataFrame(rows)
