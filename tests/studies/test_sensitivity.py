"""Other choices: matched draws, mean ablation, class coherence at equal damage, the table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.networks import dense, pointwise, random_mlp, stack
from torch import nn

from localspec.clustering import Partition, draw_counterparts, quantile_strata
from localspec.lesions import LesionedAccuracies, lesion_accuracies
from localspec.measures import MEASURES, conditioned_ranges
from localspec.pipeline import PARTITIONINGS
from localspec.studies.sensitivity import BASELINE, survival_table, variations
from localspec.units import unit_strengths
from localspec.units._values import mean_outputs


def test_matched_draws_have_as_many_units_of_each_stratum():
    partition = Partition.from_labels({"a": [0, 0, 0, 1, 1, 1, 1, -1], "b": [0, 0, 1, 1]})
    strata = {"a": np.array([0, 0, 1, 0, 1, 1, 1, 0]), "b": np.array([0, 1, 0, 1])}
    draws = draw_counterparts(partition, 200, seed=1, strata=strata)
    for part, rows in zip(draws.subclusters, draws.units, strict=True):
        mine = np.sort(strata[part.layer][part.units])
        assert (np.sort(strata[part.layer][rows], axis=1) == mine).all()
        assert part.layer == "b" or 7 not in rows  # takes no part
    # cluster 0 of a: two of units 0, 1, 3 and one of 2, 4, 5, 6: twelve sets
    assert len({tuple(row) for row in draws.units[0]}) == 12


def test_one_stratum_is_no_stratum():
    partition = Partition.from_labels({"a": [0, 0, 0, 1, 1, 1, 1, -1]})
    plain = draw_counterparts(partition, 5, seed=3)
    same = draw_counterparts(partition, 5, seed=3, strata={"a": np.ones(8)})
    assert all(np.array_equal(a, b) for a, b in zip(plain.units, same.units, strict=True))


def test_quantiles_by_rank():
    values = np.array([0.1, 9.0, 0.3, 0.2, 7.0, 8.0])
    assert quantile_strata(values, 3).tolist() == [0, 2, 1, 0, 1, 2]
    assert quantile_strata(np.zeros(4), 2).tolist() == [0, 0, 1, 1]  # ties: by place


def test_strengths_by_hand():
    network = stack(nn.Flatten(), dense([[3, 4], [1, 0]], [0, -2]), nn.ReLU(), dense([[1, 1]]))
    x = torch.tensor([[[[1.0, 0.0]]], [[[3.0, 0.0]]]], dtype=torch.float64)
    norms = unit_strengths(network, x, "weight norm")
    assert norms["1"].tolist() == [5, 1]
    # unit 0: 3 and 9; unit 1: -1 and 1, of which the ReLU leaves 0 and 1
    assert unit_strengths(network, x, "mean activation")["1"].tolist() == [6, 0.5]
    assert list(norms) == ["1"]


def test_mean_ablation_by_hand():
    # logits are (h0, h1) of h = x; the mean of h0 over the images is 2
    network = stack(nn.Flatten(), dense([[1, 0], [0, 1]]), nn.ReLU(), dense([[1, 0], [0, 1]]))
    x = torch.tensor([[4.0, 1.0], [2.0, 1.5], [0.0, 1.0], [2.0, 3.0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1])
    lesions = [{}, {"1": np.array([0])}]
    assert lesion_accuracies(network, x, y, lesions).tolist() == [[1, 1], [0, 1]]
    # with 2 in place of h0 the first two and the last are right, the third is not
    accuracies = lesion_accuracies(network, x, y, lesions, replacement="mean")
    assert accuracies.tolist() == [[1, 1], [1, 0.5]]
    # with means over other images, where h0 is 1.2
    other = torch.tensor([[1.2, 0.0]], dtype=torch.float64)
    accuracies = lesion_accuracies(network, x, y, lesions, replacement="mean", x_mean=other)
    assert accuracies.tolist() == [[1, 1], [0.5, 0.5]]


def test_mean_ablation_is_a_plain_hook():
    network = random_mlp((6, 8, 7, 3), seed=2)
    rng = np.random.default_rng(0)
    x, y = torch.from_numpy(rng.random((60, 6))), torch.from_numpy(np.arange(60) % 3)
    lesions = [{"0": np.array([1, 3])}, {"2": np.array([0, 5, 6])}]
    means = mean_outputs(network, x)
    accuracies = lesion_accuracies(network, x, y, lesions, replacement="mean", max_values=50)
    for row, lesion in zip(accuracies, lesions, strict=True):
        ((name, units),) = lesion.items()

        def hook(_module, _inputs, output, name=name, units=units):
            output[:, units] = means[name][units]

        handle = network[int(name) + 1].register_forward_hook(hook)
        right = (network(x).argmax(1) == y).numpy()
        handle.remove()
        assert row.tolist() == pytest.approx([right[c::3].mean() for c in range(3)])


def test_channels_get_the_mean_of_every_place():
    network = stack(pointwise([[1], [-1]]), nn.ReLU(), nn.Flatten(), dense(np.ones((2, 4))))
    x = torch.tensor([[[[1.0, -2.0]]], [[[3.0, -4.0]]]], dtype=torch.float64)
    assert mean_outputs(network, x)["0"].tolist() == [[[2, 0]], [[0, 3]]]


def accuracies(*changes):
    """Return lesions whose changes of two classes are given by draw and subcluster."""
    lesioned = 1 + np.array(changes, dtype=float)
    return LesionedAccuracies(np.ones(2), lesioned, np.array([100, 100]))


def test_equal_damage_by_hand():
    # damage 0.1, 0.2, 0.4 with ranges 0.1, 0.4, 0.4: logarithms x = 0, 1, 2 and y = 0, 2, 2 in
    # units of ln 2; the line is 1/3 + x
    measure = conditioned_ranges(accuracies([[-0.15, -0.05]], [[-0.4, 0]], [[-0.6, -0.2]]), ["a"])
    expected = 2.0 ** np.array([-1 / 3, 2 / 3, -1 / 3])
    assert measure.values.ravel() == pytest.approx(expected)
    assert (measure.name, measure.side, measure.effect_kind) == ("class_coherence", "high", "range")
    assert measure.undefined_ranges == "left_out"


def test_equal_damage_is_by_layer_and_undefined_without_damage():
    changes = [[[-0.3, -0.1], [-0.4, 0.0]], [[-0.3, -0.1], [0.2, -0.2]]]
    measure = conditioned_ranges(accuracies(*changes), ["a", "b"])
    # layer b has one defined lesion, which is as wide as itself; the other has no mean change
    assert measure.values[:, 0] == pytest.approx([1, 1])
    assert measure.values[0, 1] == pytest.approx(1)
    assert np.isnan(measure.values[1, 1])


def test_true_subclusters_and_draws_are_treated_alike():
    rng = np.random.default_rng(0)
    evidence = accuracies(*-rng.random((6, 4, 2)))
    order = [3, 1, 0, 5, 2, 4]
    swapped = replace(evidence, lesioned=evidence.lesioned[order])
    layers = ["a", "a", "b", "b"]
    values = conditioned_ranges(evidence, layers).values
    assert conditioned_ranges(swapped, layers).values == pytest.approx(values[order])


def test_variations_have_different_names_and_the_baseline_first():
    varied = variations((4, 8), n_strata=3)
    names = [variation.name for variation in varied]
    all_choices = [variation.choices for variation in varied]
    assert varied[0] == BASELINE
    assert len(set(names)) == len(names) == 9
    assert [choices.n_clusters for choices in all_choices if choices.n_clusters] == [4, 8]
    strata = [choices for choices in all_choices if choices.strata is not None]
    assert [choices.n_strata for choices in strata] == [3, 3]


def test_survival():
    rows = []
    for variation, p, measures in [
        ("first", 0.001, MEASURES),
        ("second", 0.2, MEASURES),
        ("third", 0.002, MEASURES[:1]),
    ]:
        for partitioning in PARTITIONINGS:
            for name in measures:
                row = {"variation": variation, "partitioning": partitioning, "measure": name}
                row |= {"p": p, "significant": p < 0.05}
                rows.append({**row, "n_networks": 5, "n_significant": 3, "stands_without_one": 4})
    table = survival_table(pd.DataFrame(rows))
    assert len(table) == 16
    first, second = table.iloc[0], table.iloc[1]
    assert (first["first"], first["second"], first["third"]) == ("0.001*", "0.2", "0.002*")
    assert second["third"] == ""
    assert (first["same_verdict"], second["same_verdict"]) == ("1 of 2", "0 of 1")
    assert first["networks_significant"] == "3 of 5"
    assert first["stands_without_one"] == "4 of 5"
