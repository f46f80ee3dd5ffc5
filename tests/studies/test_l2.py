"""Networks under L2: readings of the penalty, and treatments of tiny weights."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.graphs import chain_graph
from helpers.tiny_profile import write_profile

from localspec.clustering import live_units
from localspec.pipeline import L2Section, open_replicates
from localspec.studies.published import l2_replicates, l2_replicates_table, l2_table, plot_l2
from localspec.studies.published._l2 import (
    TINY_WEIGHTS,
    TreatedReplicate,
    treated,
    without_weak_units,
)

RUNS = Path(__file__).parents[2] / "book" / "runs"
MLP = {"dataset": "digits", "hidden": [6, 5], "n_epochs": 1, "l2": 0.001}


def graph_of(*blocks):
    return chain_graph(*(np.array(block, dtype=float) for block in blocks))


def test_denormal_edges_are_flushed():
    graph = graph_of([[1.0, 1e-39], [2e-38, 1e-40]])
    kept, flushed = (treated(graph, each).adjacency.toarray() for each in ("kept", "flushed"))
    assert kept[:2, 2:].tolist() == [[1.0, 1e-39], [2e-38, 1e-40]]
    assert flushed[:2, 2:].tolist() == [[1, 0], [2e-38, 0]]


def test_units_of_tiny_weight_take_no_part():
    # of the first layer the second unit has 1e-9 in all, the third 4e-9 + 5e-9, of the second layer
    # the last one 5e-9
    graph = graph_of([[1.0, 0.0], [1e-9, 0.0], [4e-9, 5e-9]])
    assert live_units(graph).tolist() == [True, True, True, True, True]
    isolated = treated(graph, "isolated")
    assert live_units(isolated).tolist() == [True, False, False, True, False]
    # a unit may have enough as long as weak ones count: 0.6e-8 + 0.6e-8, of which one leaves
    graph = graph_of([[1.0, 0.6e-8], [0.0, 0.6e-8]])
    assert live_units(without_weak_units(graph)).tolist() == [True, False, True, False]


@pytest.fixture
def replicates(tmp_path):
    content = {"networks": {"first": MLP, "second": MLP}, "seeds": [0, 1], "device": "cpu"}
    few = {"n_clusters": 2, "n_shuffles": 3}
    path = write_profile(tmp_path, content | {"method": few})
    section = L2Section(profile=path, networks=["first", "second"], seeds=[0, 1], **few)
    return open_replicates(section, progress=False)


@pytest.mark.integration
def test_both_readings_of_as_many_seeds_as_asked_for(replicates):
    assert l2_replicates(replicates, n_seeds={}, missing="leave out") == []
    chosen = l2_replicates(replicates, n_seeds={"second": 1}, missing="train")
    readings = [(each.network, each.seed, each.conventions.l2_first_layer) for each in chosen]
    first = [("first", seed, reading) for reading in ("l2", "l1") for seed in (0, 1)]
    assert readings == [*first, ("second", 0, "l2"), ("second", 0, "l1")]
    every = l2_replicates_table(chosen)
    assert len(every) == 18
    assert every["tiny_weights"].tolist()[:3] == ["kept", "flushed", "isolated"]
    assert every.loc[every["default"] == "yes", "l2_first_layer"].unique().tolist() == ["l2"]
    assert every.loc[every["default"] == "yes", "tiny_weights"].unique().tolist() == ["isolated"]
    assert plot_l2(every).axes
    means = l2_table(every)
    assert means["n_networks"].tolist() == [2] * 6 + [1] * 6
    kept = every[(every["network"] == "first") & (every["l2_first_layer"] == "l1")]
    values = kept[kept["tiny_weights"] == "kept"]["ncut"].tolist()
    assert means["ncut"].tolist()[3] == pytest.approx(sum(values) / 2)
    assert (means["ncut_min"].iloc[3], means["ncut_max"].iloc[3]) == (min(values), max(values))
    # every treatment has a graph, and so a key, of its own; that of activations is the network's
    for kind, n_keys in (("weights", 3), ("activations", 1)):
        keys = {TreatedReplicate(chosen[0], each).graph_key(kind) for each in TINY_WEIGHTS}
        assert len(keys) == n_keys
    # both were stored, and are found again
    assert len(l2_replicates(replicates, n_seeds={"second": 1}, missing="leave out")) == 6


def test_published_means_follow_from_the_published_networks():
    tables = RUNS / "l2-readings" / "tables"
    every, means = (pd.read_csv(tables / f"{name}.csv") for name in ("l2_replicates", "l2_ncuts"))
    keys = ["network", "l2_first_layer", "tiny_weights"]
    for row in means.to_dict("records"):
        part = every[(every[keys] == [row[key] for key in keys]).all(axis=1)]
        assert len(part) == row["n_networks"]
        for column in ("ncut", "shuffled_ncut_mean", "n_isolated", "n_near_dead"):
            assert row[column] == pytest.approx(part[column].mean(), rel=2e-3, abs=1e-9)
        if row["tiny_weights"] == "isolated":
            assert row["n_near_dead"] == row["n_zero_volume"] == 0
