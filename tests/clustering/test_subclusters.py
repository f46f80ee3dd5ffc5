"""Which sets of units are tested, and how their random counterparts are drawn."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from localspec.clustering import Draws, Partition, Subcluster, draw_counterparts, subclusters
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError

INDEPENDENT = Conventions(draws="independent")
THREE = Conventions(min_units="three")
partitions = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.lists(st.integers(-1, 3), min_size=1, max_size=12),
    min_size=1,
).map(Partition.from_labels)
readings = st.builds(
    Conventions,
    draws=st.sampled_from(["joint", "independent"]),
    min_units=st.sampled_from(["two", "three"]),
)


def sized(*sizes, dead=0):
    """Return a one-layer partition with clusters of these sizes and some units without one."""
    return Partition.from_labels(
        {"a": np.repeat([*range(len(sizes)), -1], [*sizes, dead]).astype(int)}
    )


def sizes_of(partition, reading="paper"):
    return [part.n_units for part in subclusters(partition, conventions=reading)]


# --- which ones ---


def test_units_of_each_cluster_in_each_layer():
    partition = Partition.from_labels({"a": [1, 0, 1, 0, -1], "b": [0, 1, 1, 1, 1]})
    parts = [(part.layer, part.cluster, part.units.tolist()) for part in subclusters(partition)]
    # cluster 0 of layer b has one unit, cluster 1 four of five
    assert parts == [("a", 0, [1, 3]), ("a", 1, [0, 2]), ("b", 1, [1, 2, 3, 4])]
    assert subclusters(partition)[1].as_lesion()["a"].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("sizes", "dead", "two", "three"),
    [
        ((1, 2, 3), 0, [2, 3], [3]),
        ((99, 1), 0, [99], []),  # 99 % of 100: allowed by "at most", not by "fewer than"
        ((198, 2), 0, [198, 2], []),
        ((199, 1), 0, [], []),
        ((98, 1, 1), 0, [98], [98]),
        ((50,), 50, [], [50]),  # all live units, but half of the layer
        ((98, 2), 100, [98, 2], [98]),
        ((99, 1), 10, [99], [99]),  # 99 of 110 units
    ],
)
def test_sizes(sizes, dead, two, three):
    assert sizes_of(sized(*sizes, dead=dead)) == two
    assert sizes_of(sized(*sizes, dead=dead), THREE) == three


def test_rounding_does_not_move_the_edge():
    for hundreds in range(1, 60):
        assert sizes_of(sized(99 * hundreds, hundreds))[0] == 99 * hundreds
        assert 99 * hundreds + 1 not in sizes_of(sized(99 * hundreds + 1, hundreds - 1))
        assert 99 * hundreds not in sizes_of(sized(99 * hundreds, hundreds), THREE)


# --- draws ---


@given(partitions, readings, st.integers(1, 6), st.integers(0, 1000))
def test_counterparts_are_as_many_live_units_of_the_same_layer(partition, reading, n_draws, seed):
    draws = draw_counterparts(partition, n_draws, seed=seed, conventions=reading)
    expected = subclusters(partition, conventions=reading)
    assert [part.layer for part in draws.subclusters] == [part.layer for part in expected]
    layers = {layer.name: layer for layer in partition.layers}
    for part, rows in zip(draws.subclusters, draws.units, strict=True):
        assert rows.shape == (n_draws, part.n_units)
        assert (np.diff(rows, axis=1) > 0).all()  # distinct, ascending
        assert (partition.of(layers[part.layer])[rows] >= 0).all()


@given(partitions, st.integers(0, 1000))
def test_joint_counterparts_of_one_draw_do_not_overlap(partition, seed):
    draws = draw_counterparts(partition, 5, seed=seed)
    for first, other in combinations(range(len(draws.units)), 2):
        if draws.subclusters[first].layer == draws.subclusters[other].layer:
            for i in range(5):
                assert not set(draws.units[first][i]) & set(draws.units[other][i])


def test_independent_counterparts_overlap_sooner_or_later():
    draws = draw_counterparts(sized(4, 4), 40, conventions=INDEPENDENT)
    overlaps = [len(set(a) & set(b)) for a, b in zip(*draws.units, strict=True)]
    # hypergeometric: 4 of 8 against 4 of 8, mean 2, standard deviation sqrt(4/7) = 0.756
    assert np.mean(overlaps) == pytest.approx(2, abs=4 * 0.756 / np.sqrt(40))


@pytest.mark.parametrize("reading", [Conventions(), INDEPENDENT], ids=["joint", "independent"])
def test_every_subset_is_equally_likely(reading):
    # subcluster {0, 1} of five live units (5 is dead): 10 subsets, 2,000 draws, 200 of each
    partition = Partition.from_labels({"a": [0, 0, 1, 1, 1, -1]})
    draws = draw_counterparts(partition, 2000, seed=1, conventions=reading)
    counts = Counter(map(tuple, draws.units[0].tolist()))
    assert set(counts) == set(combinations(range(5), 2))
    chi_squared = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_squared < 33.7  # 9 degrees of freedom: 1 in 10,000


@settings(max_examples=10)
@given(readings, st.integers(0, 100))
def test_draws_repeat_with_their_seed(reading, seed):
    partition = Partition.from_labels({"a": np.arange(40) % 4, "b": np.arange(30) % 3})
    first, again, other = (
        [
            rows.tolist()
            for rows in draw_counterparts(partition, 3, seed=s, conventions=reading).units
        ]
        for s in ((seed, 1), (seed, 1), (seed, 2))
    )
    assert first == again
    assert first != other


def test_layers_are_drawn_apart():
    # if both layers were permuted alike, their counterparts would be the same units
    partition = Partition.from_labels({"a": np.arange(30) % 3, "b": np.arange(30) % 3})
    draws = draw_counterparts(partition, 1)
    assert draws.units[0].tolist() != draws.units[3].tolist()


def test_overlap_with_the_true_units():
    parts = (Subcluster("a", 0, np.array([0, 1])), Subcluster("b", 0, np.array([2, 3, 4, 5])))
    units = (np.array([[0, 1], [5, 6]]), np.array([[2, 3, 6, 7], [0, 1, 3, 6]]))
    # shares 1 and 0: mean 1/2; 2/4 and 1/4: mean 3/8
    assert Draws(parts, units).mean_overlap == pytest.approx((1 / 2 + 3 / 8) / 2)


def test_mean_overlap_is_the_share_of_the_layer():
    # a unit of a random set is a true one with probability 6/24
    draws = draw_counterparts(Partition.from_labels({"a": np.arange(24) % 4}), 400)
    assert draws.mean_overlap == pytest.approx(0.25, abs=0.02)


def test_lesions_are_listed_by_subcluster_and_values_arranged_by_draw():
    draws = draw_counterparts(Partition.from_labels({"a": [0, 0, 1, 1], "b": [0, 0, 0, 1]}), 3)
    listed = draws.lesions()
    assert [next(iter(lesion)) for lesion in listed] == ["a"] * 8 + ["b"] * 4
    values = np.array([list(lesion.values())[0].sum() for lesion in listed])  # noqa: RUF015
    arranged = draws.arrange(values)
    assert arranged.shape == (4, 3)
    for column, (part, rows) in enumerate(zip(draws.subclusters, draws.units, strict=True)):
        assert arranged[0, column] == part.units.sum()
        assert arranged[1:, column].tolist() == rows.sum(axis=1).tolist()
    # further axes stay behind: value i of lesion j is 10 j + i
    stacked = 10 * np.arange(12)[:, None] + np.arange(2)
    assert draws.arrange(stacked).shape == (4, 3, 2)
    assert draws.arrange(stacked)[2, 1].tolist() == [60, 61]  # subcluster 1, draw 2: lesion 6


def test_a_draw_that_is_the_true_set_takes_its_value():
    part = Subcluster("a", 0, np.array([1, 4, 6]))
    other = Subcluster("a", 1, np.array([0, 2]))
    rows = (np.array([[6, 1, 4], [1, 4, 5]]), np.array([[0, 3], [2, 0]]))
    values = np.arange(12.0).reshape(6, 2)  # two subclusters, each true and drawn twice
    arranged = Draws((part, other), rows, 2).arrange(values)
    assert arranged[:, 0].tolist() == [[0, 1], [0, 1], [4, 5]]
    assert arranged[:, 1].tolist() == [[6, 7], [8, 9], [6, 7]]
    assert values.tolist() == np.arange(12.0).reshape(6, 2).tolist()  # left as they were


def test_nothing_to_test():
    draws = draw_counterparts(sized(1, 1, 1), 19)
    assert draws.subclusters == ()
    assert draws.lesions() == []
    assert np.isnan(draws.mean_overlap)


@pytest.mark.parametrize("reading", [Conventions(), INDEPENDENT], ids=["joint", "independent"])
def test_chosen_subclusters_draw_as_with_all_others(reading):
    partition = Partition.from_labels({"1": [0, 0, 1, 1, 1, -1], "3": [0, 0, 2, 2, 2]})
    everything = draw_counterparts(partition, 7, seed=(0, 2), conventions=reading)
    some = everything.chosen([3, 1])
    assert [(part.layer, part.cluster) for part in some.subclusters] == [("3", 2), ("1", 1)]
    assert np.array_equal(some.units[0], everything.units[3])
    assert np.array_equal(some.units[1], everything.units[1])
    assert 5 not in some.units[1]  # takes no part
    for position in (-1, 4):
        with pytest.raises(InvalidInputError, match=rf"subcluster {position}: .* from 0 to 3"):
            everything.chosen([position])


def test_values_of_draws_in_a_tensor():
    draws = draw_counterparts(Partition.from_labels({"a": [0, 0, 1, 1, 1]}), 3, seed=1)
    values = np.random.default_rng(0).random(8)
    np.testing.assert_array_equal(draws.arrange(torch.tensor(values)), draws.arrange(values))


def test_strata_by_name():
    partition = Partition.from_labels({"a": [0, 0, 1, 1, 1, 0]})
    names = np.array(["low", "high"] * 3)
    plain, named, objects = (
        draw_counterparts(partition, 3, strata={"a": strata})
        for strata in (np.arange(6) % 2 == 0, names, names.astype(object))
    )
    for other in (named, objects):
        assert np.array_equal(np.sort(other.units[0] % 2), np.sort(plain.units[0] % 2))
