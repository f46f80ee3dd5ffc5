"""Further draws of chosen subclusters, their lesions and visualizations."""

import numpy as np
import pytest
import torch
from helpers.networks import dense, lesioned_accuracies, stack
from torch import nn

from localspec.clustering import Draws, Partition, Subcluster, draw_counterparts
from localspec.studies.more_draws._rounds import further_lesions, further_visualizations
from localspec.visualization import visualize

PARTITION = Partition.from_labels({"1": [0, 0, 1, 1, 1, -1], "3": [0, 0, 2, 2, 2]})


def made():
    """Return a network of 4 pixels, 6 and 5 hidden units and 2 classes, images and labels."""
    rng = np.random.default_rng(0)
    first, second, last = (dense(rng.normal(size=size)) for size in ((6, 4), (5, 6), (2, 5)))
    network = stack(nn.Flatten(), first, nn.ReLU(), second, nn.ReLU(), last)
    return network, torch.from_numpy(rng.random((30, 1, 2, 2))), torch.arange(30) % 2


def test_seeds_of_rounds_give_other_draws():
    first, second = (draw_counterparts(PARTITION, 40, seed=(0, 0, r)).units[1] for r in (1, 2))
    assert not np.array_equal(first, second)
    assert {tuple(row) for row in first} == {tuple(row) for row in second}  # all ten sets of 3 of 5


def test_true_sets_by_hand():
    parts = (Subcluster("1", 0, np.array([0, 1])), Subcluster("1", 1, np.array([2, 3, 4])))
    rows = (np.array([[0, 1], [1, 0], [0, 2]]), np.array([[2, 3, 5], [2, 3, 4], [0, 1, 2]]))
    are_true = Draws(parts, rows, 3).are_true
    assert are_true.tolist() == [[True, False], [True, True], [False, False]]
    assert Draws((), (), 3).are_true.shape == (3, 0)


def test_lesions_are_those_of_every_draw():
    network, x, y = made()
    draws = draw_counterparts(PARTITION, 3, seed=1).chosen([0, 3])
    lesioned = further_lesions(network, x, y, draws)["lesioned"]
    assert lesioned.shape == (3, 2, 2)
    for row, column in np.ndindex(3, 2):
        lesion = {draws.subclusters[column].layer: draws.units[column][row]}
        expected = lesioned_accuracies(network, x, y, lesion)
        assert lesioned[row, column] == pytest.approx(expected)


def test_blocks_change_nothing():
    network, x, y = made()
    draws = draw_counterparts(PARTITION, 4, seed=1).chosen([0, 1, 2])
    lesioned = further_lesions(network, x, y, draws)["lesioned"]
    seen = further_visualizations(network, draws, (1, 2, 2), n_steps=3, seed=2)
    again = further_lesions(network, x, y, draws, max_sets=5)["lesioned"]
    assert np.array_equal(again, lesioned)
    again = further_visualizations(network, draws, (1, 2, 2), n_steps=3, seed=2, max_sets=5)
    alone = visualize(network, [{"1": draws.units[1][2]}], (1, 2, 2), n_steps=3, seed=2)
    for name, values in (("scores", alone.scores), ("entropies", alone.entropies)):
        assert seen[name].shape == (4, 3)
        assert np.allclose(again[name], seen[name], rtol=1e-12)
        assert seen[name][2, 1] == pytest.approx(values[0], rel=1e-9)
