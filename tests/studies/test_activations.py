"""N-cuts of activations beside the published ones."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.data import TEST_DATA, needs_test_data
from helpers.graphs import chain_graph, graph_ncut, unit_graph
from helpers.tiny_profile import write_profile
from safetensors.numpy import load_file
from scipy import stats

from localspec.clustering._unit_graph import INPUT, from_blocks, layer_ranges
from localspec.data import load_dataset
from localspec.pipeline import ActivationsSection, open_replicates
from localspec.studies.published import activations_table, plot_activations_ncuts
from localspec.studies.published._activations import compared_ncuts, without_pixels

RUNS = Path(__file__).parents[2] / "book" / "runs"


def graphs(group, inactive):
    """Weights that join units of the same parity, and correlations of the same group."""
    parity = np.arange(4) % 2
    weights = chain_graph(np.equal.outer(parity, parity).astype(float))
    edges = np.equal.outer(group, group).astype(float)
    np.fill_diagonal(edges, 0)
    edges[inactive], edges[:, inactive] = 0, 0
    return weights, unit_graph(edges, 4, 4, inactive=inactive)


def test_the_same_groups_in_both_graphs():
    ncuts = compared_ncuts(*graphs(np.arange(8) % 2, np.arange(8) == 7), 2, n_shuffles=3, seed=0)
    names = ("weights_ncut", "activations_ncut", "transferred_ncut", "mutual_information")
    assert [ncuts[name][0] for name in names] == pytest.approx([0, 0, 0, 1], abs=1e-6)
    assert (ncuts["null_permute"] > 0.1).all()
    assert ncuts["null_permute_all"].shape == (3,)


def test_groups_that_cross():
    # units 0, 1, 4, 5 and 2, 3, 6, 7 are correlated: three edges of each unit, one of them to a
    # unit of the same parity, so that two thirds of each cluster's edges leave it
    ncuts = compared_ncuts(
        *graphs(np.arange(8) // 2 % 2, np.zeros(8, dtype=bool)), 2, n_shuffles=3, seed=0
    )
    assert ncuts["transferred_ncut"][0] == pytest.approx(4 / 3)
    assert ncuts["mutual_information"][0] == pytest.approx(0, abs=1e-9)


def test_pixels_are_left_out():
    layers = layer_ranges([(INPUT, 2, False), ("a", 2, True), ("b", 1, False)])
    graph = from_blocks([np.ones((2, 2)), np.ones((2, 1))], layers)
    assert [layer.name for layer in without_pixels(graph).layers] == ["a", "b"]
    channels = chain_graph(np.ones((2, 2)))
    assert without_pixels(channels) is channels


@pytest.mark.integration
def test_what_is_not_run_says_so(tmp_path):
    network = {"dataset": "digits", "hidden": [8, 8], "n_epochs": 1, "published": "MNIST"}
    content = {"networks": {"mlp": network}, "seeds": [0, 1], "method": {"n_clusters": 2}}
    path = write_profile(tmp_path, content)
    section = ActivationsSection(
        profile=path, seeds=[0, 1], n_clusters=2, n_shuffles=3, n_images=60
    )
    table = activations_table(open_replicates(section, progress=False))
    run = table[table["run"] == "yes"]
    assert set(run["model"]) == {"MNIST"}
    assert not run["pruned"].any()
    # the weights' n-cut once, five quantities before and after the ReLU
    assert run["values"].tolist() == ["either"] + ["before"] * 5 + ["after"] * 5
    assert run["published"].tolist()[:2] == [10.410499, 8.918243]
    # of two networks: Student's t with one degree of freedom, 12.7062, and a half of each spread
    first = run.iloc[1]
    spread = (first["ours_max"] - first["ours_min"]) / 2**0.5
    assert first["expected_high"] - first["ours"] == pytest.approx(
        12.7062 * spread * 1.5**0.5, rel=1e-4
    )
    is_inside = first["expected_low"] <= first["published"] <= first["expected_high"]
    assert first["as_expected"] == is_inside
    assert plot_activations_ncuts(table).axes
    others = table[table["run"] == "not run here"]
    assert len(others) == 5 * 5
    assert others["ours"].isna().all()


def _values(weights, x):
    """Return what the four hidden layers of an MLP hand on."""
    layers, value = [], x
    for number in range(1, 5):
        layer = f"weights.dense{number}"
        value = value @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
        value = np.maximum(value, 0)
        layers.append(value)
    return np.concatenate(layers, axis=1)


@needs_test_data
@pytest.mark.integration
def test_published_numbers_by_a_plain_implementation(monkeypatch):
    monkeypatch.setenv("LOCALSPEC_DATA", TEST_DATA)
    images = load_dataset("mnist").x_train.flatten(1).numpy()
    ncuts = []
    for seed in range(5):
        weights = load_file(RUNS / "mnist" / "networks" / f"mlp-seed{seed}.safetensors")
        chosen = np.sort(np.random.default_rng(seed).permutation(60_000)[:4992])
        values = _values(weights, images[chosen])
        values = values[:, np.ptp(values, axis=0) > 1e-5 * np.abs(values).max(axis=0)]
        edges = np.corrcoef(stats.rankdata(values, axis=0), rowvar=False) ** 2
        np.fill_diagonal(edges, 0)
        ncuts.append(graph_ncut(edges))
    table = pd.read_csv(RUNS / "activations" / "tables" / "activations_ncuts.csv")
    (row,) = table.query(
        "model == 'MNIST' and not pruned and quantity == 'activations_ncut' and values == 'after'"
    ).to_dict("records")
    assert row["n_ours"] == 5
    assert row["ours"] == pytest.approx(np.mean(ncuts), rel=2e-3)
    assert row["ours_min"] == pytest.approx(min(ncuts), rel=3e-3)
    assert row["ours_max"] == pytest.approx(max(ncuts), rel=3e-3)
