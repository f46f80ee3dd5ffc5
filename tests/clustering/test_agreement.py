"""Agreement of partitions, matching of units."""

import numpy as np
import pytest

from localspec.clustering import (
    Partition,
    label_agreement,
    layer_agreement,
    match_units,
    partition_agreement,
)
from localspec.clustering._unit_graph import layer_ranges


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


def test_a_constant_unit_is_constant_but_for_rounding():
    constant = np.full(3, 0.1)
    assert constant.mean() != 0.1
    first = np.stack([constant, [1.0, 0.5, 0.0]], axis=1)
    second = np.stack([constant, [0.0, 1.0, 0.5]], axis=1)
    # the constant ones are no pair, and the others have a correlation of -0.5
    assert match_units(first, second).tolist() == [1, 0]


def test_labels_of_live_units_or_of_all():
    first, second = [0, 0, 1, 1, -1, -1], [0, 1, 0, 1, -1, -1]
    # of two pairs together in each none is shared: (0 - 2/3) / (2 - 2/3) = -0.5
    assert label_agreement(first, second) == pytest.approx(-0.5)
    # 15 pairs; 3 are together in each, 1 in both: (1 - 9/15) / (3 - 9/15) = 1/6
    assert label_agreement(first, second, units="all") == pytest.approx(1 / 6)
    assert np.isnan(label_agreement([0, -1], [-1, 0]))


def test_agreement_of_whole_partitions_is_over_all_tested_units_together():
    first = Partition.from_labels({"a": [0, 0, -1], "b": [1, 1]})
    second = Partition.from_labels({"a": [0, 0, 1], "b": [0, 0]})
    # one group of four against two of two: all pairs together in the second, so that the score
    # is 0, as expected by chance; layer by layer each would agree
    assert partition_agreement(first, second) == pytest.approx(0)
    assert layer_agreement(first, second) == 1
    other_layers = Partition.from_labels({"a": [0, 0, -1, 1], "b": [1]})
    assert np.isnan(partition_agreement(first, other_layers))


def test_layers_that_are_not_tested_do_not_count():
    layers = layer_ranges([("a", 4, True), ("output", 2, False)])
    first = Partition(np.array([0, 0, 1, 1, 0, 1]), layers, 2)
    second = Partition(np.array([1, 1, 0, 0, 1, 1]), layers, 2)
    assert partition_agreement(first, second) == 1
    assert layer_agreement(first, second) == 1


def test_no_agreement_without_tested_layers():
    partition = Partition(np.array([0, 1]), layer_ranges([("a", 2, False)]), 2)
    assert np.isnan(partition_agreement(partition, partition))
