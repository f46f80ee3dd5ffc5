"""Lesions of pairs of subclusters: losses by hand, and the page at tiny scale."""

import numpy as np
import pytest
from helpers.networks import lesioned_accuracies

from localspec.lesions import LesionedAccuracies
from localspec.pipeline import PAPER_CHOICES, PARTITIONINGS, DoubleLesionsSection, open_replicates
from localspec.studies.double_lesions import (
    PairLesions,
    conditional_table,
    double_lesions_table,
    pair_lesions,
    plot_double_lesions,
    strongest_pairs_table,
)
from localspec.studies.double_lesions._pairs import losses, second_lesions


def test_the_excess_by_hand():
    lost = PairLesions(
        pairs=((0, 1), (0, 2)),
        where=np.array(["same layer", "two layers"]),
        together=np.array([[0.5, 0.3], [0.2, 0.4]]),
        apart=np.array([[0.2, 0.4], [0.2, 0.1]]),
    )
    measure = lost.excess("same layer")
    assert measure.values.tolist() == [[pytest.approx(0.3)], [pytest.approx(0.0)]]
    assert lost.excess("two layers").values.ravel() == pytest.approx([-0.1, 0.3])
    assert measure.effect_values.ravel() == pytest.approx([-0.3, 0.0])  # a change of accuracy
    assert measure.side == "high"


def test_rounding_does_not_part_equal_sums():
    lost = PairLesions(
        pairs=((0, 1),),
        where=np.array(["same layer"]),
        together=np.array([[0.1 + 0.2], [0.3]]),
        apart=np.array([[0.3], [0.1 + 0.2]]),
    )
    assert lost.excess("same layer").values.tolist() == [[0.0], [0.0]]


def test_losses_by_hand():
    # two subclusters: the first loses more than both counterparts, the second as much as one
    lesioned = np.array([[[0.4], [0.6]], [[0.5], [0.6]], [[0.7], [0.9]]])
    found = losses([LesionedAccuracies(np.array([0.9]), lesioned, np.array([10]))])
    assert found["loss"] == pytest.approx((0.5 + 0.3) / 2)
    assert found["loss_random"] == pytest.approx((0.4 + 0.3 + 0.2 + 0.0) / 4)
    assert found["most_of_all"] == 0.5


def test_without_subclusters_nothing_is_lost():
    empty = LesionedAccuracies(np.ones(2), np.ones((3, 0, 2)), np.array([5, 5]))
    assert all(np.isnan(value) for value in losses([empty]).values())


@pytest.fixture(scope="module")
def opened(tiny_profile):
    section = DoubleLesionsSection(profile=tiny_profile, seeds=[0, 1], n_clusters=3, n_draws=7)
    return open_replicates(section, choices=PAPER_CHOICES, progress=False)


def plain_loss(replicate, lesion):
    data = replicate.trained.module, *replicate.lesion_images()
    whole, left = (lesioned_accuracies(*data, units) for units in ({}, lesion))
    return whole.mean() - left.mean()


@pytest.mark.integration
def test_pairs_of_a_network_by_a_plain_lesion(opened):
    replicate = opened[0]
    lost = pair_lesions(replicate, "weights/local")
    draws = replicate.draws("weights/local")
    assert len(lost.pairs) == len(draws.subclusters) * (len(draws.subclusters) - 1) / 2
    for row in (0, 4):
        for column, pair in enumerate(lost.pairs):
            sets = [(draws.subclusters[i].layer, draws.lesions()[i * 8 + row]) for i in pair]
            both: dict[str, list[int]] = {}
            for layer, lesion in sets:
                both.setdefault(layer, []).extend(lesion[layer].tolist())
            alone = [plain_loss(replicate, lesion) for _, lesion in sets]
            assert lost.together[row, column] == pytest.approx(plain_loss(replicate, both))
            assert lost.apart[row, column] == pytest.approx(sum(alone))
            assert (lost.where[column] == "same layer") == (sets[0][0] == sets[1][0])


@pytest.mark.integration
def test_the_second_lesion_is_the_joint_one_less_the_first(opened):
    replicate = opened[0]
    lost = pair_lesions(replicate, "weights/local")
    single = replicate.lesioned("weights/local")
    second = second_lesions(replicate, "weights/local", 1)
    assert second.baseline == pytest.approx(single.lesioned[0, 1])
    for column, pair in enumerate(lost.pairs):
        if 1 in pair:
            other = pair[0] if pair[1] == 1 else pair[1] - 1  # its column without subcluster 1
            together = single.baseline.mean() - second.lesioned[0, other].mean()
            assert lost.together[0, column] == pytest.approx(together)


@pytest.mark.integration
def test_tables_and_figure(opened):
    table = double_lesions_table(opened)
    assert len(table) == 2 * len(PARTITIONINGS)
    n_pairs = sum(
        len(pair_lesions(each, partitioning).pairs)
        for each in opened
        for partitioning in PARTITIONINGS
    )
    assert table["n_pairs"].sum() == n_pairs
    tested = table["n_pairs"] > 0
    assert (table["verdict"] == "no pair").equals(~tested)
    assert (table["bh"][tested] >= table["p"][tested] - 1e-12).all()
    strongest = strongest_pairs_table(opened, n_pairs=5)
    assert len(strongest) <= 5
    assert strongest["excess"].is_monotonic_decreasing
    excess = strongest["together"] - strongest["apart"]
    assert strongest["excess"].to_numpy() == pytest.approx(excess.to_numpy())
    conditional = conditional_table(opened)
    whole = conditional[conditional["in"] == "the whole network"].set_index("partitioning")
    lesioned = [each.lesioned("weights/local") for each in opened]
    lost = [each.baseline.mean() - each.lesioned[0].mean(axis=-1) for each in lesioned]
    assert whole.loc["weights/local", "loss"] == pytest.approx(np.concatenate(lost).mean())
    assert plot_double_lesions(opened).axes
