"""Degenerate networks: screened, and the report itself says what was odd."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from localspec.clustering import NO_CLUSTER, activation_graph, cluster
from localspec.exceptions import DegenerateDataWarning
from localspec.screening import screen


def network(n_hidden: int = 6) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(16, n_hidden), nn.ReLU(), nn.Linear(n_hidden, 3)]
    made = nn.Sequential(*layers).double().eval()
    for layer in (made[1], made[3]):
        values = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
        layer.weight.data = values
        layer.bias.data.zero_()
    return made


def data() -> tuple:
    x = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, torch.arange(60) % 3


def test_a_dead_unit_takes_no_part():
    dead = network()
    dead[1].weight.data[2] = 0  # the same value on every image
    units = activation_graph(dead, data()[0])
    assert units.inactive.tolist() == [False, False, True, False, False, False]
    assert cluster(units, 2).labels[2] == NO_CLUSTER
    with pytest.warns(DegenerateDataWarning, match="where chance is"):  # it is untrained
        report = screen(dead, data(), n_clusters=2, n_draws=3)
    assert np.isfinite(report.tests["permutation_p"]).any()


def test_no_group_is_large_enough_to_be_tested():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two units, two clusters
        report = screen(network(2), data(), n_clusters=2, n_draws=3)
    assert len(report.table) == 0
    assert report.tests["n_subclusters"].tolist() == [0] * len(report.tests)
    assert report.tests["permutation_p"].isna().all()
