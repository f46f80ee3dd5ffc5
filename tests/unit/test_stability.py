"""Agreement of partitions, matching of units, eigengaps."""

import numpy as np
import pytest
from scipy import sparse

from localspec.errors import InvalidInputError
from localspec.graphs import UnitGraph, from_blocks, layer_ranges
from localspec.partitions import Partition
from localspec.stability import eigengaps, layer_agreement, match_units


def test_agreement_is_averaged_over_layers():
    first = Partition.from_labels({"a": [0, 0, 1, 1], "b": [0, 0, 1, 1]})
    second = Partition.from_labels({"a": [1, 1, 0, 0], "b": [0, 1, 0, 1]})
    # a: the same; b: of two pairs together in each none is shared: (0 - 2/3) / (2 - 2/3) = -0.5
    assert layer_agreement(first, second) == pytest.approx((1 - 0.5) / 2)


def test_agreement_of_matched_units():
    first = Partition.from_labels({"a": [0, 0, 1, 1]})
    second = Partition.from_labels({"a": [0, 1, 0, 1]})
    assert layer_agreement(first, second, {"a": np.array([0, 2, 1, 3])}) == 1.0


def test_units_without_a_cluster_do_not_agree():
    # a: alike where both are live; b: none is
    first = Partition.from_labels({"a": [0, 0, 1, 1, -1, -1], "b": [0, -1]})
    second = Partition.from_labels({"a": [0, 1, 0, 1, -1, -1], "b": [-1, 0]})
    assert layer_agreement(first, second) == pytest.approx(-0.5)
    gone = Partition.from_labels({"a": [-1] * 6, "b": [-1, -1]})
    assert np.isnan(layer_agreement(first, gone))


def test_units_are_found_again_in_spite_of_scale_and_noise():
    rng = np.random.default_rng(0)
    values, order = rng.normal(size=(200, 12)), rng.permutation(12)
    other = 3 * values[:, order] + 1 + 0.1 * rng.normal(size=(200, 12))
    assert np.array_equal(order[match_units(values, other)], np.arange(12))


def test_a_constant_unit_is_matched_with_what_is_left():
    values = np.array([[1.0, 5.0, 0.0], [1.0, 2.0, 1.0], [1.0, 0.0, 4.0]])
    assert match_units(values, values[:, [1, 2, 0]]).tolist() == [2, 0, 1]


def test_units_that_cannot_be_matched():
    with pytest.raises(InvalidInputError, match=r"shapes \(3, 2\) and \(3, 4\)"):
        match_units(np.zeros((3, 2)), np.zeros((3, 4)))


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


def test_too_many_clusters_for_a_gap():
    with pytest.raises(InvalidInputError, match="k_max=4 must be from 2 to 3"):
        eigengaps(planted(1, 0.0), 4)
