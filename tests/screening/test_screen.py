"""Screening a network in which the specialised groups are known."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.networks import dense, stack
from torch import nn

from localspec.clustering import Partition
from localspec.exceptions import DegenerateDataWarning, InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS
from localspec.screening import screen, standardized

pytestmark = pytest.mark.integration

N_CLASSES, GROUP = 4, 6


def planted(seed=0):
    """Return a network with a group of hidden units for each class, twice in a row."""
    rng = np.random.default_rng(seed)
    n = N_CLASSES * GROUP
    group = np.arange(n) // GROUP
    first = np.equal.outer(group, np.arange(8) // 2)  # group g reads pixels 2g and 2g + 1
    second = np.equal.outer(group, group)
    last = np.equal.outer(np.arange(N_CLASSES), group)
    layers = [nn.Flatten()]
    for mask, scale in ((first, 1), (second, 1 / GROUP), (last, 1)):
        noise = 0.03 * rng.random(mask.shape) + 0.1 * mask * rng.random(mask.shape)
        layers += [dense(scale * (mask + noise)), nn.ReLU()]
    return stack(*layers[:-1])


def images(n=160, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % N_CLASSES
    x = 0.4 * rng.random((n, 8))
    x[np.arange(n), 2 * y] += 0.5
    x[np.arange(n), 2 * y + 1] += 0.5
    return torch.from_numpy(x.reshape(n, 1, 2, 4)), torch.from_numpy(y)


@pytest.fixture(scope="module")
def report():
    return screen(planted(), images(), n_clusters=4, n_draws=19)


def test_the_planted_groups_are_the_subclusters(report):
    for name in PARTITIONINGS:
        labels = report.partitions[name]
        for layer in labels.tested:
            groups = labels.of(layer).reshape(N_CLASSES, GROUP)
            assert all(len(set(row.tolist())) == 1 for row in groups)
            assert len(set(groups[:, 0].tolist())) == N_CLASSES


def test_planted_groups_are_extreme(report):
    # 0 of 19 random groups hurt as much: p = 0.5 / 20; a class of its own for every group
    weights = report.table[report.table["partitioning"] == "weights/global"]
    assert len(weights) == 2 * N_CLASSES
    assert weights["importance_p"].tolist() == pytest.approx([0.025] * 8)
    # without a group its class is never recognised: accuracy 3/4
    assert weights["importance"].tolist() == pytest.approx([0.75] * 8)
    # the change is -1 in one class, 0 in three: range 1 over mean 1/4
    assert weights["class_coherence"].tolist() == pytest.approx([4] * 8)
    assert (weights["n_extreme"] >= 1).all()
    tests = report.tests.set_index(["partitioning", "measure"])["permutation_p"]
    assert tests["weights/global", "importance"] == pytest.approx(1 / 20)


def test_a_planted_group_ranks_first_among_others(scattered):
    top = scattered.table.iloc[0]
    assert set(scattered.units(0).tolist()) == set(range(GROUP))
    assert top["n_extreme"] >= 2
    assert top["class_coherence"] == pytest.approx(4)  # it takes one class with it, no other


@pytest.fixture(scope="module")
def scattered():
    """Screening of a network whose first group serves class 0 and whose others serve the rest."""
    rng = np.random.default_rng(1)
    network = planted()
    for index in (3, 5):
        weight = network[index].weight.data
        rows = slice(GROUP, None) if index == 3 else slice(1, None)
        block = rng.random(weight[rows, GROUP:].shape) ** 4
        # as much weight in all as before
        block *= weight[rows, GROUP:].sum(dim=1, keepdim=True).numpy() / block.sum(
            axis=1, keepdims=True
        )
        weight[rows, GROUP:] = torch.from_numpy(block)
    x, _ = images()
    y = network(x).argmax(dim=1)  # whatever it says is right
    assert len(set(y.tolist())) == N_CLASSES
    return screen(network, (x, y), n_clusters=2, n_draws=19)


@pytest.mark.parametrize("name", ["report", "scattered"])
def test_the_report_is_sorted_and_complete(name, request):
    report = request.getfixturevalue(name)
    table = report.table
    assert len(table) == sum(len(draws.subclusters) for draws in report.draws.values())
    p = table[[f"{name}_p" for name in MEASURES]].to_numpy()
    assert table["evidence"].to_numpy() == pytest.approx(-np.log(p).sum(axis=1), abs=1e-8)
    assert table["n_extreme"].tolist() == (p <= 0.05 + 1e-9).sum(axis=1).tolist()
    keys = list(zip(-table["n_extreme"], -table["evidence"], strict=True))
    assert keys == sorted(keys)
    assert len(report.tests) == 16
    assert set(report.partitions) == set(report.draws) == set(PARTITIONINGS)
    assert set(report.assessments) == {(p, m) for p in PARTITIONINGS for m in MEASURES}


def test_units_of_a_row(report):
    for row, entry in enumerate(report.table.itertuples()):
        partition = report.partitions[entry.partitioning]
        (layer,) = (layer for layer in partition.tested if layer.name == entry.layer)
        expected = np.flatnonzero(partition.of(layer) == entry.cluster)
        assert report.units(row).tolist() == expected.tolist()
        assert entry.n_units == len(expected)


def test_screening_repeats():
    first, again = (screen(planted(), images(60), n_clusters=4, n_draws=2) for _ in range(2))
    pd.testing.assert_frame_equal(first.table, again.table)


def test_correlations_use_the_images_given_for_them():
    x, y = images(60)
    noise = torch.from_numpy(np.random.default_rng(0).random((50, 1, 2, 4)))
    plain = screen(planted(), (x, y), n_clusters=4, n_draws=1)
    other = screen(planted(), (x, y), x_train=noise, n_clusters=4, n_draws=1)
    first, second = (r.assessments["weights/global", "importance"].measure for r in (plain, other))
    assert first.values.tolist() == second.values.tolist()


def test_groups_of_ones_own():
    group = np.arange(N_CLASSES * GROUP) // GROUP
    right = {"1": group, "3": np.where(group == 1, -1, group)}
    wrong = {"1": np.arange(N_CLASSES * GROUP) % N_CLASSES}
    partitions = {"right": Partition.from_labels(right), "wrong": Partition.from_labels(wrong)}
    report = screen(planted(), images(), partitions=partitions, n_draws=19)
    assert report.partitions == partitions
    table = report.table.set_index(["partitioning", "layer"])
    assert sorted(table.loc[("right", "3"), "cluster"]) == [0, 2, 3]
    assert set(report.tests["partitioning"]) == {"right", "wrong"}
    p_values = report.tests.set_index(["partitioning", "measure"])["permutation_p"]
    assert p_values["right", "class_coherence"] == 0.05  # the least of 19 draws
    assert p_values["wrong", "class_coherence"] > 0.05


@pytest.mark.filterwarnings("ignore:the network's accuracy:UserWarning")
def test_images_larger_than_pictures(tmp_path):
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 6, 5, stride=4), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.AdaptiveAvgPool2d(1)
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 3)).eval()
    x, y = torch.rand(12, 1, 200, 100), torch.arange(12) % 3
    partitions = {"mine": Partition.from_labels({"0": np.arange(6) % 3, "2": np.arange(4) % 4})}
    settings = {"measures": ["input_coherence"], "n_draws": 2}
    report = screen(network, (x, y), partitions=partitions, folder=tmp_path, **settings)
    evidence = report.evidence["mine"]
    assert evidence.pictures.shape == evidence.random_pictures.shape == (3, 1, 96, 48)
    assert 0 < evidence.pictures.mean() < 255
    # and without a group to test
    alone = {"alone": Partition.from_labels({"0": np.arange(6)})}
    with pytest.warns(DegenerateDataWarning, match="has no subcluster to test"):
        report = screen(network, (x, y), partitions=alone, **settings)
    assert report.evidence["alone"].pictures.shape == (0, 1, 96, 48)


def test_nothing_to_test():
    # clusters of single units only: an empty report, not a crash
    first, last = dense(np.eye(2).repeat(4, axis=1)), dense(np.eye(2))
    network = stack(nn.Flatten(), first, nn.ReLU(), last)
    x, y = images()
    with pytest.warns(DegenerateDataWarning, match="has no subcluster to test"):
        report = screen(network, (x, y // 2), n_clusters=2, n_draws=3)
    assert len(report.table) == 0
    assert {"partitioning", "layer", "n_units", "importance_p", "evidence"} <= set(report.table)
    with pytest.raises(InvalidInputError, match="row 0"):
        report.units(0)
    assert report.tests["permutation_p"].isna().all()


def test_a_network_of_standardized_images():
    x, y = images(60)
    network = standardized(planted(), mean=[0.5], std=[0.25])
    assert torch.allclose(network(x), planted()((x - 0.5) / 0.25), rtol=1e-12)
    settings = {"n_clusters": 4, "n_draws": 1}
    report = screen(network, (x, y), **settings)
    assert set(report.table["layer"]) == {"network.1", "network.3"}
    # a softmax behind the logits changes nothing
    after = screen(nn.Sequential(network, nn.Softmax(dim=1)).eval(), (x, y), **settings)
    assert after.table["output_coherence"].tolist() == report.table["output_coherence"].tolist()


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        ([0.5], [0.2, 0.3]),
        ([], []),
        ([0.5], [0.0]),
        ([0.5], [-1.0]),
        ([np.nan], [1.0]),
        ([0.5], [np.nan]),
        ([0.5, 0.5], [1.0, np.nan]),
        ([0.5], [np.inf]),
        ([-np.inf], [0.2]),
    ],
)
def test_standardizations_that_are_refused(mean, std):
    with pytest.raises(InvalidInputError, match="a finite number for each channel"):
        standardized(planted(), mean, std)


def test_a_network_in_bfloat16():
    x, y = images(60)
    network = planted().bfloat16()
    report = screen(network, (x.bfloat16(), y), n_clusters=4, n_draws=1)
    assert report.table["input_coherence"].gt(0).all()


def test_classes_without_images_are_left_out():
    x, y = images()
    report = screen(planted(), (x[y != 2], y[y != 2]), n_clusters=4, n_draws=2)
    assert report.baseline == 1
    assert report.about["labels"] == [0, 1, 3]
    weights = report.table[report.table["partitioning"] == "weights/global"]
    # without a group its class is never recognised: 2/3 of three classes, or 1 without class 2's
    assert sorted(weights["importance"].tolist()) == pytest.approx([2 / 3] * 6 + [1] * 2)


def test_the_report_carries_the_accuracy_without_a_lesion(report):
    assert report.baseline == 1  # every image is recognised


def test_an_accuracy_near_chance_warns():
    # images are read in the order of their classes, labels are shifted by one: none is right
    x, y = images(60)
    with pytest.warns(DegenerateDataWarning, match=r"accuracy is 0, where chance is 0\.25"):
        report = screen(planted(), (x, (y + 1) % N_CLASSES), n_clusters=4, n_draws=1)
    assert report.baseline == 0


@pytest.mark.parametrize("value", [torch.finfo(torch.float64).max, -torch.finfo(torch.float64).max])
def test_logits_that_are_not_finite_are_refused(value):
    network = planted()
    network[5].weight.data[:] = value
    with pytest.raises(InvalidInputError, match="logits are NaN or infinite"):
        screen(network, images(), n_clusters=4)


@pytest.mark.parametrize(
    ("part", "value"),
    [("running_var", -1.0), ("running_var", torch.nan), ("running_mean", torch.inf)],
)
def test_broken_statistics_are_refused(part, value):
    network = standardized(planted(), mean=[0.5], std=[0.25])
    getattr(network.standardization, part)[0] = value
    with pytest.raises(InvalidInputError, match="batch normalization 'standardization' holds"):
        screen(network, images(), n_clusters=4)


class NoGradient(torch.autograd.Function):
    """A ReLU that cannot be differentiated."""

    @staticmethod
    def forward(ctx, value):
        return value.clamp(min=0)


def test_everything_is_tried_on_two_images_first(monkeypatch):
    # it computes logits and lesions, and would fail at the first step of visualization
    def fail(*_arguments, **_options):
        pytest.fail("long work began before the error")

    monkeypatch.setattr(nn.GELU, "forward", lambda _, value: NoGradient.apply(value))
    monkeypatch.setattr("localspec.screening._run.Run.partition", fail)
    network = planted()
    network[2] = nn.GELU().eval()
    with pytest.raises(InvalidInputError, match="fails on parts of a forward pass"):
        screen(network, images(), n_clusters=4)
