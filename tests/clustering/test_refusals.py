"""Graphs, partitions and settings that clustering refuses."""

import numpy as np
import pytest
import torch
from helpers.refusals import IMAGES, cases, check_refused, mlp
from scipy import sparse

from localspec.clustering import (
    Partition,
    UnitGraph,
    activation_graph,
    cluster,
    clusterability,
    draw_counterparts,
    weight_graph,
)
from localspec.clustering._unit_graph import layer_ranges


def graph(adjacency, kind="activations"):
    adjacency = np.asarray(adjacency, dtype=float)
    layers = layer_ranges([("1", len(adjacency), True)])
    if kind == "weights":
        adjacency = sparse.csr_array(adjacency)
    return UnitGraph(adjacency, layers, kind, np.zeros(adjacency.shape[0], dtype=bool))


PARTITION = Partition.from_labels({"1": np.array([0, 0, 1, 1, 1, 0])})
UNITS = graph(np.ones((6, 6)) - np.eye(6))
WEIGHTS = weight_graph(mlp())
CASES = {
    "other images to correlate": (
        lambda: activation_graph(mlp(), torch.rand(9, 3, 5, 5)),
        "cannot read images of shape (3, 5, 5)",
        "trained on",
    ),
    "too few images": (lambda: activation_graph(mlp(), IMAGES[:2]), "at least 3 images", "not 2"),
    "k = 1": (lambda: cluster(UNITS, 1), "n_clusters", "at least 2", "not 1"),
    "k = true": (lambda: cluster(UNITS, True), "n_clusters", "whole number", "not True"),
    "k above the live units": (lambda: cluster(UNITS, 7), "from 1 to", "live units (6)", "not 7"),
    "clustering: negative seed": (lambda: cluster(UNITS, 2, seed=-4), "seed", "not -4"),
    "scope": (lambda: cluster(UNITS, 2, scope="locale"), "'locale'", "'global', 'local'"),
    "correlation": (
        lambda: activation_graph(mlp(), IMAGES, correlation="cosine"),
        "'cosine'",
        "'spearman', 'pearson', 'kendall'",
    ),
    "no shuffles": (lambda: clusterability(WEIGHTS, 2, n_shuffles=0), "n_shuffles", "not 0"),
    "null model": (lambda: clusterability(WEIGHTS, 2, null="swap"), "'swap'", "'permute'"),
    "shuffling correlations": (lambda: clusterability(UNITS, 2), "only a weights graph"),
    "a graph without edges": (lambda: cluster(graph(np.zeros((4, 4))), 2), "nothing to cluster"),
    "NaN edges": (lambda: cluster(graph(np.full((4, 4), np.nan)), 2), "finite edges"),
    "negative edges": (
        lambda: cluster(graph(np.eye(4) - 1), 2),
        "edges of 4 unit(s) sum to 0 or less",
        "batch_norm_edges='absolute'",
    ),
    "negative draws": (lambda: draw_counterparts(PARTITION, -1), "n_draws", "at least 1", "not -1"),
    "draws: negative seed": (
        lambda: draw_counterparts(PARTITION, 3, seed=(0, -1)),
        "seed",
        "not -1",
    ),
    "no labels": (lambda: Partition.from_labels({}), "at least one layer"),
    "labels of halves": (
        lambda: Partition.from_labels({"1": [0.5, 1.5]}),
        "layer '1'",
        "vector of integers",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
