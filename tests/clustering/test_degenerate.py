"""Degenerate graphs: clustered, with a warning or units that take no part."""

import numpy as np
import pytest
from scipy import linalg

from localspec.clustering import NO_CLUSTER, UnitGraph, cluster
from localspec.clustering._unit_graph import layer_ranges
from localspec.exceptions import DegenerateDataWarning

TRIANGLE = np.ones((3, 3)) - np.eye(3)


def graph(*blocks):
    adjacency = linalg.block_diag(*blocks)
    layers = layer_ranges([("1", len(adjacency), True)])
    return UnitGraph(adjacency, layers, "activations", np.zeros(len(adjacency), dtype=bool))


def test_a_disconnected_graph():
    with pytest.warns(DegenerateDataWarning, match="3 components but 2 clusters were asked for"):
        partition = cluster(graph(TRIANGLE, TRIANGLE, TRIANGLE), 2)
    assert sorted(set(partition.labels)) == [0, 1]


def test_an_isolated_unit_takes_no_part():
    partition = cluster(graph(TRIANGLE, np.zeros((1, 1)), TRIANGLE), 2)
    assert partition.labels.tolist() == [0, 0, 0, NO_CLUSTER, 1, 1, 1]
