"""Eigengaps of a graph."""

import numpy as np
import pytest
from helpers.graphs import chain_graph, unit_graph
from scipy import sparse

from localspec.clustering import eigengaps


def planted(n_blocks, between):
    """Return dense blocks of four units each with weak ties between them."""
    blocks = np.kron(np.eye(n_blocks), np.ones((4, 4))) * (1 - between) + between
    np.fill_diagonal(blocks, 0)
    return unit_graph(blocks)


@pytest.mark.parametrize("n_blocks", [2, 3, 5])
def test_the_largest_gap_is_at_the_number_of_blocks(n_blocks):
    gaps = eigengaps(planted(n_blocks, 0.01), 6)
    assert len(gaps) == 5
    assert int(gaps.argmax()) + 2 == n_blocks


def test_gaps_of_one_block_by_hand():
    # a complete graph of four: eigenvalues 1, -1/3, -1/3, -1/3
    assert eigengaps(planted(1, 0.0), 3) == pytest.approx([0, 0], abs=1e-12)


def test_isolated_units_are_left_out():
    graph = chain_graph(np.diag([1.0, 1.0, 0.0]))
    assert sparse.issparse(graph.adjacency)
    assert eigengaps(graph, 2) == pytest.approx([2])  # eigenvalues 1, 1, -1, -1
