"""What is odd but no error: it is computed, and a warning or the result itself says what was odd.

And the one error that only the work itself can find: training that diverges.
"""

import warnings

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import nn

from localspec.clustering import NO_CLUSTER, UnitGraph, activation_graph, cluster
from localspec.clustering._unit_graph import layer_ranges
from localspec.data import Dataset
from localspec.exceptions import DegenerateDataWarning, InvalidInputError
from localspec.networks import NetworkSettings, train
from localspec.pipeline import TrainingSection, open_replicates
from localspec.screening import screen

TRIANGLE = np.ones((3, 3)) - np.eye(3)


@pytest.fixture(autouse=True)
def _no_long_work():
    """Here work is wanted."""


def graph(*blocks):
    adjacency = linalg.block_diag(*blocks)
    layers = layer_ranges([("1", len(adjacency), True)])
    return UnitGraph(adjacency, layers, "activations", np.zeros(len(adjacency), dtype=bool))


def network(n_hidden: int = 6) -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(16, n_hidden), nn.ReLU(), nn.Linear(n_hidden, 3)]
    made = nn.Sequential(*layers).double().eval()
    for layer in (made[1], made[3]):
        values = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
        layer.weight.data = values
        layer.bias.data.zero_()
    return made


def data() -> dict:
    x = torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return {"x": x, "y": torch.arange(60) % 3}


def test_a_disconnected_graph():
    with pytest.warns(DegenerateDataWarning, match="3 components but 2 clusters were asked for"):
        partition = cluster(graph(TRIANGLE, TRIANGLE, TRIANGLE), 2)
    assert sorted(set(partition.labels)) == [0, 1]


def test_an_isolated_unit_takes_no_part():
    partition = cluster(graph(TRIANGLE, np.zeros((1, 1)), TRIANGLE), 2)
    assert partition.labels.tolist() == [0, 0, 0, NO_CLUSTER, 1, 1, 1]


def test_a_dead_unit_takes_no_part():
    dead = network()
    dead[1].weight.data[2] = 0  # the same value on every image
    found = activation_graph(dead, data()["x"])
    assert found.inactive.tolist() == [False, False, True, False, False, False]
    assert cluster(found, 2).labels[2] == NO_CLUSTER
    report = screen(dead, **data(), n_clusters=2, n_draws=3)
    assert np.isfinite(report.tests["permutation_p"]).any()


def test_no_group_is_large_enough_to_be_tested():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two units, two clusters
        report = screen(network(2), **data(), n_clusters=2, n_draws=3)
    assert len(report.table) == 0
    assert report.tests["n_subclusters"].tolist() == [0] * len(report.tests)
    assert report.tests["permutation_p"].isna().all()


@pytest.fixture
def diverging():
    return NetworkSettings(dataset="digits", hidden=(6, 4), n_epochs=2, learning_rate=1e200)


def test_training_that_diverges(diverging):
    made = Dataset("made", *data().values(), *data().values(), ("a", "b", "c"))
    with pytest.raises(InvalidInputError, match=r"diverged in epoch \d .*learning_rate of 1e\+200"):
        train(diverging, made, seed=0, dtype="float64", device="cpu")


def test_a_network_that_diverged_is_not_stored(diverging, tmp_path):
    path = tmp_path / "mine.yml"
    settings = diverging.model_dump(mode="json")
    path.write_text(f"networks: {{mlp: {settings}}}\nseeds: [0]\ndevice: cpu\n")
    section = TrainingSection(profile=str(path), seeds=[0])
    with pytest.raises(InvalidInputError, match="diverged"):
        _ = open_replicates(section, progress=False)[0].trained
    assert not list(tmp_path.rglob("*.safetensors"))
