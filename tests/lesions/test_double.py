"""Lesions of two subclusters at a time."""

from itertools import combinations

import numpy as np
import pytest
import torch
from helpers.lesions import class_accuracies, hooked, labelled_images
from helpers.networks import dense, random_mlp, stack
from torch import nn

from localspec.clustering import Partition, draw_counterparts
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.lesions._double import conditional_lesions, draw_beside, joint_lesions, union
from localspec.measures import importance

NAMES = ("0", "2")


@pytest.fixture
def redundant():
    """Return a network in which class 1 needs units 0 and 1 or units 2 and 3, and a partition."""
    hidden = dense([[1.0], [1.0], [1.0], [1.0], [0.0], [0.0]], [0.0, 0, 0, 0, 1, 1])
    network = stack(hidden, nn.ReLU(), dense([[0, 0, 0, 0, 0.5, 0.5], [1, 1, 1, 1, 0, 0]]))
    partition = Partition.from_labels({"0": np.array([0, 0, 1, 1, 2, 2])})
    x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    return network, partition, x, torch.tensor([0, 1])


def test_joint_by_hand(redundant):
    network, partition, x, y = redundant
    draws = draw_counterparts(partition, 3, seed=0)
    accuracies = joint_lesions(network, x, y, draws)
    # with x = 1 the logits are 1 and 4; a lesion of {0, 1} leaves 1 and 2, of all four 1 and 0
    assert accuracies.baseline.tolist() == [1, 1]
    # pairs (0, 1), (0, 2), (1, 2)
    assert accuracies.lesioned[0].tolist() == [[1, 0], [1, 1], [1, 1]]
    assert accuracies.lesioned.shape == (4, 3, 2)
    assert importance(accuracies).values[0].tolist() == [0.5, 1, 1]


def test_conditional_by_hand(redundant):
    network, partition, x, y = redundant
    accuracies = conditional_lesions(
        network, x, y, partition, draw_counterparts(partition, 5, seed=0), lesioned=0
    )
    assert accuracies.baseline.tolist() == [1, 1]  # units 2 and 3 are enough
    assert accuracies.lesioned[0].tolist() == [[1, 0], [1, 1]]  # units 2 and 3, then 4 and 5


def test_joint_equals_two_hooks():
    network = random_mlp((5, 8, 7, 3), seed=3)
    x, y = labelled_images((60, 5))
    labels = {name: np.arange(n) % 3 for name, n in zip(NAMES, (8, 7), strict=True)}
    draws = draw_counterparts(Partition.from_labels(labels), 2, seed=1)
    accuracies = joint_lesions(network, x, y, draws, max_values=40)
    for row in range(3):
        for column, pair in enumerate(combinations(range(len(draws.subclusters)), 2)):
            lesion = {name: [] for name in NAMES}
            for chosen in pair:
                part = draws.subclusters[chosen]
                lesion[part.layer] += list(draws.units[chosen][row - 1] if row else part.units)
            expected = class_accuracies(hooked(network, x, lesion), y)
            assert accuracies.lesioned[row, column] == pytest.approx(expected)


def test_counterparts_beside_a_subcluster_leave_it_alone():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, -1])
    partition = Partition.from_labels({"0": labels, "2": labels})
    draws = draw_counterparts(partition, 50, seed=0)
    beside = draw_beside(partition, draws, lesioned=0, seed=4)
    assert len(beside.subclusters) == len(draws.subclusters) - 1
    same, other = (
        [
            units
            for part, units in zip(beside.subclusters, beside.units, strict=True)
            if part.layer == name
        ]
        for name in NAMES
    )
    assert {len(units[0]) for units in same} == {2}
    assert set(np.concatenate([units.ravel() for units in same])) == {3, 4, 5, 6}
    for first, second in zip(*same, strict=True):
        assert not set(first) & set(second)
    assert set(np.concatenate([units.ravel() for units in other])) == set(range(7))


def test_overlapping_counterparts_are_refused(redundant):
    network, partition, x, y = redundant
    draws = draw_counterparts(partition, 20, seed=0, conventions=Conventions(draws="independent"))
    with pytest.raises(InvalidInputError, match=r"share unit . of layer '0'"):
        joint_lesions(network, x, y, draws)


def test_union_by_hand():
    lesion = union({"a": np.array([3, 1])}, {"a": np.array([0]), "b": np.array([2])})
    assert {name: units.tolist() for name, units in lesion.items()} == {"a": [0, 1, 3], "b": [2]}
