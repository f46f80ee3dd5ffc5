"""Partitions from anybody's labels."""

import numpy as np
import pytest

from localspec.clustering import Partition
from localspec.exceptions import InvalidInputError


def test_labels_by_layer():
    partition = Partition.from_labels({"a": np.array([0, 2, -1]), "b": [1, 1]}, scope="local")
    assert partition.labels.tolist() == [0, 2, -1, 1, 1]
    assert [partition.of(layer).tolist() for layer in partition.layers] == [[0, 2, -1], [1, 1]]
    assert [layer.name for layer in partition.tested] == ["a", "b"]
    assert partition.n_clusters == 3
    assert partition.scope == "local"


def test_labels_of_no_cluster():
    layers = Partition.from_labels({"a": [0, 1]}).layers
    assert Partition(np.array([0, 255], dtype=np.uint8), layers, 2).labels.tolist() == [0, 255]
    with pytest.raises(InvalidInputError, match="-1 for units that take no part, not -2"):
        Partition(np.array([0, -2]), layers, 2)


def test_large_labels_stay_apart():
    labels = {"a": np.array([2**60, 2**60 + 1], dtype=np.uint64), "b": np.array([0, -1])}
    assert Partition.from_labels(labels).labels.tolist() == [2**60, 2**60 + 1, 0, -1]
