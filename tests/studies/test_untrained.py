"""Untrained networks beside the published n-cuts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.graphs import plain_ncut
from helpers.tiny_profile import write_profile

from localspec.networks import build_network
from localspec.pipeline import UntrainedSection, load_profile, open_replicates
from localspec.studies.published import plot_untrained, untrained_table

RUNS = Path(__file__).parents[2] / "book" / "runs"


@pytest.fixture
def table(tmp_path):
    shared = {"dataset": "digits", "hidden": [12, 10]}
    networks = {
        "mlp": shared,
        "cnn": {**shared, "architecture": "cnn", "channels": [4, 6], "module_distance": 0.5},
    }
    content = {"networks": networks, "seeds": [0, 1, 2], "method": {"n_clusters": 2}}
    path = write_profile(tmp_path, content)
    section = UntrainedSection(profile=path, networks=[*networks], seeds=[0, 1, 2], n_clusters=2)
    return untrained_table(open_replicates(section, progress=False))


def test_each_network_stands_beside_its_published_setting(table):
    named = table[["architecture", "initialisation", "run"]].agg(" ".join, axis=1)
    assert named.tolist() == [
        "MLP plain yes",
        "MLP clusterable not run here",
        "CNN plain not run here",
        "CNN clusterable yes",
        "CNN clusterable yes",
        "CNN-VGG plain not run here",
        "CNN-VGG clusterable not run here",
    ]
    assert table["reading"].dropna().tolist() == ["paper", "paper", "kernel_norm: induced"]
    assert table["published"].tolist()[:2] == [10.29516, 6.79898]
    assert table["ours"].isna().tolist() == [False, True, True, False, False, True, True]
    assert plot_untrained(table).axes


def test_the_difference_is_that_of_the_means(table):
    # published mean 10.29516 with std 0.03185 of 100: three of ours
    row = table.iloc[0]
    pooled = (2 * row["ours_std"] ** 2 + 99 * 0.03185**2) / 101
    g = (1 - 3 / (4 * 103 - 9)) * (row["ours"] - 10.29516) / pooled**0.5
    assert row["difference"] == pytest.approx(g)
    assert row["mean_difference"] == pytest.approx(row["ours"] - 10.29516)
    assert row["ours_min"] <= row["ours"] <= row["ours_max"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("network", "initialisation"), [("cnn", "plain"), ("cnn-clusterable", "clusterable")]
)
def test_published_numbers_by_a_plain_implementation(network, initialisation):
    table = pd.read_csv(RUNS / "untrained" / "tables" / "untrained_ncuts.csv")
    settings = load_profile("untrained").networks[network]
    values = []
    for seed in range(100):
        module = build_network(settings, (1, 28, 28), 10, seed=seed)
        convolutions = [part for part in module.modules() if isinstance(part, torch.nn.Conv2d)]
        kernels = [part.weight.detach().abs().sum(dim=(2, 3)).double() for part in convolutions[1:]]
        values.append(plain_ncut([kernel.numpy() for kernel in kernels]))
    (row,) = table.query(
        "architecture == 'CNN' and initialisation == @initialisation and reading == 'paper'"
    ).to_dict("records")
    assert row["n_ours"] == 100
    assert row["ours"] == pytest.approx(np.mean(values), rel=1e-3)
    # k-means from other starts ends in other minima: a spread of its own
    assert row["ours_std"] == pytest.approx(np.std(values, ddof=1), rel=0.25)
    assert row["ours_min"] == pytest.approx(min(values), rel=2e-3)
    assert row["ours_max"] == pytest.approx(max(values), rel=2e-3)
