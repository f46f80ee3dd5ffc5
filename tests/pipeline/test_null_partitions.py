"""Null partitions: permuted labels of the same sizes, each with draws of its own."""

import numpy as np
import pytest

from localspec.clustering import Partition
from localspec.exceptions import InvalidInputError
from localspec.pipeline._null_partitions import null_draws

LABELS = {"a": np.array([0, 0, 0, 1, 1, -1, 2]), "b": np.array([0, 1, 1, 1, 0])}


def test_null_partitions_keep_sizes_and_leave_dead_units_out():
    sizes = [("a", 3), ("a", 2), ("b", 2), ("b", 3)]
    for draws in null_draws(Partition.from_labels(LABELS), 20, 3, seed=0):
        assert [(part.layer, part.n_units) for part in draws.subclusters] == sizes
        for part, rows in zip(draws.subclusters, draws.units, strict=True):
            assert rows.shape == (3, part.n_units)
            assert part.layer == "b" or 5 not in {*part.units, *rows.ravel()}


def test_null_partitions_differ_and_each_has_draws_of_its_own():
    partition = Partition.from_labels({"a": np.arange(60) % 3})
    draws = null_draws(partition, 10, 4, seed=0)
    sets = {tuple(part.units) for of_partition in draws for part in of_partition.subclusters}
    sets |= {tuple(row) for of_partition in draws for rows in of_partition.units for row in rows}
    assert len(sets) == 10 * 5 * 3


def test_a_null_partition_does_not_depend_on_how_many_follow():
    partition = Partition.from_labels(LABELS)
    few, many = (null_draws(partition, n, 3, seed=4) for n in (2, 6))
    for first, second in zip(few, many, strict=False):
        for mine, theirs in zip(first.units, second.units, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_there_is_at_least_one_null_partition():
    with pytest.raises(InvalidInputError, match="n_partitions must be"):
        null_draws(Partition.from_labels(LABELS), 0, 3, seed=0)
