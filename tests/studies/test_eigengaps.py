"""Eigengaps of a graph."""

import numpy as np
import pytest
from scipy import sparse

from localspec.clustering import UnitGraph, eigengaps
from localspec.clustering._unit_graph import from_blocks, layer_ranges


def planted(n_blocks, between):
    """Return dense blocks of four units each with weak ties between them."""
    blocks = np.kron(np.eye(n_blocks), np.ones((4, 4))) * (1 - between) + between
    np.fill_diagonal(blocks, 0)
    ranges = layer_ranges([("a", len(blocks), True)])
    return UnitGraph(blocks, ranges, "activations", np.zeros(len(blocks), dtype=bool))


@pytest.mark.parametrize("n_blocks", [2, 3, 5])
def test_the_largest_gap_is_at_the_number_of_blocks(n_blocks):
    gaps = eigengaps(planted(n_blocks, 0.01), 6)
    assert len(gaps) == 5
    assert int(gaps.argmax()) + 2 == n_blocks


def test_gaps_of_one_block_by_hand():
    # a complete graph of four: eigenvalues 1, -1/3, -1/3, -1/3
    assert eigengaps(planted(1, 0.0), 3) == pytest.approx([0, 0], abs=1e-12)


def test_isolated_units_are_left_out():
    graph = from_blocks([np.diag([1.0, 1.0, 0.0])], layer_ranges([("a", 3, True), ("b", 3, True)]))
    assert sparse.issparse(graph.adjacency)
    assert eigengaps(graph, 2) == pytest.approx([2])  # eigenvalues 1, 1, -1, -1
