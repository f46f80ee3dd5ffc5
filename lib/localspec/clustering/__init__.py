"""Clustering: graphs of units, spectral clustering, partitions and their subclusters."""

from localspec.clustering._activation_graph import activation_graph, activation_graph_traced
from localspec.clustering._agreement import (
    label_agreement,
    layer_agreement,
    match_units,
    partition_agreement,
)
from localspec.clustering._cluster import cluster
from localspec.clustering._clusterability import Clusterability, clusterability, inside_to_outside
from localspec.clustering._downstream_graph import downstream_graph
from localspec.clustering._matched import (
    MatchedDraws,
    draw_matched,
    layer_correlations,
    mean_correlation,
)
from localspec.clustering._partition import NO_CLUSTER, PARTITIONINGS, SCOPES, Partition
from localspec.clustering._spectral import (
    VOLUME_EPSILON,
    eigengaps,
    live_units,
    ncut,
    spectral_labels,
)
from localspec.clustering._subclusters import (
    MAX_DRAWS,
    MOST_OF_LAYER,
    Draws,
    Lesion,
    Subcluster,
    draw_counterparts,
    permuted_labels,
    quantile_strata,
    subclusters,
)
from localspec.clustering._unit_graph import KINDS, UnitGraph, shuffled
from localspec.clustering._weight_graph import weight_graph, weight_graph_traced

__all__ = [
    "KINDS",
    "MAX_DRAWS",
    "MOST_OF_LAYER",
    "NO_CLUSTER",
    "PARTITIONINGS",
    "SCOPES",
    "VOLUME_EPSILON",
    "Clusterability",
    "Draws",
    "Lesion",
    "MatchedDraws",
    "Partition",
    "Subcluster",
    "UnitGraph",
    "activation_graph",
    "activation_graph_traced",
    "cluster",
    "clusterability",
    "downstream_graph",
    "draw_counterparts",
    "draw_matched",
    "eigengaps",
    "inside_to_outside",
    "label_agreement",
    "layer_agreement",
    "layer_correlations",
    "live_units",
    "match_units",
    "mean_correlation",
    "ncut",
    "partition_agreement",
    "permuted_labels",
    "quantile_strata",
    "shuffled",
    "spectral_labels",
    "subclusters",
    "weight_graph",
    "weight_graph_traced",
]
