"""Planted networks: gluing by hand, and the whole as its two halves side by side."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.networks import dense_arrays

from localspec.data import Dataset, load_dataset
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings
from localspec.networks._architectures import mlp
from localspec.pipeline import Profile
from localspec.studies.controls import combined_control_table, control_table
from localspec.studies.controls._planted import (
    TESTED_MEASURES,
    PlantedReplicate,
    class_halves,
    glue,
    half_dataset,
    part_settings,
    shuffle_weights,
)

FIRST = dense_arrays([[1, 2, 3]], [[4], [5]])
SECOND = dense_arrays([[6, 7, 8], [9, 10, 11]], [[12, 13]])


def test_glue_by_hand():
    glued = glue(FIRST, SECOND)
    assert {name: value.tolist() for name, value in glued.items()} == {
        "0.weight": [[1, 2, 3], [6, 7, 8], [9, 10, 11]],
        "0.bias": [0, 0, 1],
        "1.weight": [[4, 0, 0], [5, 0, 0], [0, 12, 13]],
        "1.bias": [0, 1, 0],
    }


def test_noise_is_between_the_halves_only_and_scales():
    plain, some, twice = (glue(FIRST, SECOND, noise=noise, seed=3) for noise in (0, 0.5, 1))
    between = plain["1.weight"] == 0
    assert np.allclose(some["1.weight"][~between], plain["1.weight"][~between])
    assert np.allclose(2 * some["1.weight"][between], twice["1.weight"][between])
    assert (some["1.weight"][between] != 0).all()
    for name in ("0.weight", "0.bias", "1.bias"):
        assert np.array_equal(twice[name], plain[name])


def test_noise_has_the_standard_deviation_of_the_blocks():
    rng = np.random.default_rng(0)
    parts = [
        {"0.weight": np.ones((80, 2)), "1.weight": sd * rng.normal(size=(80, 80))} for sd in (2, 4)
    ]
    matrix = glue(*parts, noise=0.5)["1.weight"]
    between = np.concatenate([matrix[:80, 80:].ravel(), matrix[80:, :80].ravel()])
    # the two blocks together: variance (4 + 16) / 2 = 10
    assert between.std() == pytest.approx(0.5 * np.sqrt(10), rel=0.03)
    assert abs(between.mean()) < 0.05


@pytest.mark.parametrize(
    ("second", "noise", "message"),
    [
        (dense_arrays([[6, 7]], [[12]]), 0.0, "same pixels"),
        (dense_arrays([[6, 7, 8]]), 0.0, "same layers"),
        (SECOND, -0.1, "noise=-0.1 must be at least 0"),
    ],
)
def test_glue_refuses(second, noise, message):
    with pytest.raises(InvalidInputError, match=message):
        glue(FIRST, second, noise=noise)


def test_the_whole_computes_what_its_halves_do():
    torch.manual_seed(0)
    modules = [mlp(5, (4, 3), n).double() for n in (2, 3)]
    arrays = [{k: v.numpy() for k, v in module.state_dict().items()} for module in modules]
    network = mlp(5, (8, 6), 5).double()
    glued = {name: torch.from_numpy(value) for name, value in glue(*arrays).items()}
    network.load_state_dict(glued)
    x = torch.rand(7, 1, 1, 5, dtype=torch.float64)
    with torch.no_grad():
        expected = torch.cat([module(x) for module in modules], dim=1)
        assert torch.allclose(network(x), expected)


def test_shuffling_keeps_entries_and_biases():
    glued = glue(FIRST, SECOND)
    copy = shuffle_weights(glued, seed=1)
    assert sorted(copy["1.weight"].ravel()) == sorted(glued["1.weight"].ravel())
    assert copy["1.weight"].shape == (3, 3)
    assert not np.array_equal(copy["0.weight"], glued["0.weight"])
    assert np.array_equal(copy["0.bias"], glued["0.bias"])


def test_halves_of_classes_and_images():
    assert class_halves(5) == ((0, 1), (2, 3, 4))
    x = torch.arange(6.0).reshape(6, 1, 1, 1)
    y = torch.tensor([0, 1, 2, 3, 1, 2])
    half = half_dataset(Dataset("made", x, y, x[:4], y[:4], tuple("abcd")), (2, 3))
    assert (half.name, half.class_names) == ("made 2-3", ("c", "d"))
    assert half.x_train.ravel().tolist() == [2, 3, 5]
    assert half.y_train.tolist() == [0, 1, 0]
    assert half.y_test.tolist() == [0, 1]
    digits = load_dataset("digits")
    parts = [half_dataset(digits, classes) for classes in class_halves(10)]
    assert sum(len(part.x_train) for part in parts) == len(digits.x_train)


def test_settings_of_a_half():
    settings = NetworkSettings(dataset="digits", hidden=(64, 6))
    assert part_settings(settings).hidden == (32, 3)
    assert part_settings(settings, 1).hidden == (64, 6)
    with pytest.raises(InvalidInputError, match="units that 4 divides"):
        part_settings(settings, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": (5, 4)},
        {"batch_norm": "before"},
        {"n_pruning_epochs": 2},
        {"architecture": "cnn", "channels": (2,)},
    ],
)
def test_networks_that_cannot_be_planted(changes):
    settings = NetworkSettings(**{"dataset": "digits", "hidden": (4,), **changes})
    with pytest.raises(InvalidInputError, match="planted networks"):
        part_settings(settings)


def test_planted_labels_go_layer_by_layer():
    network = NetworkSettings(dataset="digits", hidden=(4, 2))
    profile = Profile(name="made", networks={"mlp": network}, seeds=[0], device="cpu")
    replicate = PlantedReplicate(profile, "mlp", 0)
    assert replicate.planted_labels().tolist() == [0, 0, 1, 1, 0, 1]


def test_other_choices_keep_what_was_planted():
    network = NetworkSettings(dataset="digits", hidden=(4, 2))
    profile = Profile(
        name="made", networks={"mlp": network}, seeds=[0], device="cpu", method={"n_clusters": 2}
    )
    planted = PlantedReplicate(profile, "mlp", 0, noise=0.5, shuffled=True, known=True)
    other = planted.with_choices(n_clusters=3)
    assert (other.noise, other.shuffled, other.known) == (0.5, True, True)
    assert (other.n_clusters, planted.n_clusters) == (3, 2)


def test_seeds_are_combined_by_step():
    weights = ["planted", "planted", "shuffled", "shuffled"]
    rows = pd.DataFrame({"network": "mlp", "seed": [0, 1] * 2, "weights": weights, "noise": 0.0})
    rows["accuracy"], rows["adjusted_rand"] = 0.5 + rows["seed"] / 10, 1.0 - rows["seed"]
    for name in TESTED_MEASURES:
        rows[f"{name}_p"], rows[f"{name}_plain_p"] = [0.05, 0.15, 0.5, 0.7], 0.5
        rows[f"{name}_effect"] = 1.0 + rows["seed"]
    table = combined_control_table(rows)
    assert table["measure"].tolist() == [*TESTED_MEASURES] * 2
    first, last = table.iloc[0], table.iloc[-1]
    assert first["p"] == pytest.approx((2 * 0.1) ** 2 / 2)  # mean 0.1 of two
    assert first["p_floor"] == pytest.approx((2 * 0.05) ** 2 / 2)
    assert first["share_significant"] == 0.5
    assert (first["accuracy"], first["effect"]) == pytest.approx((0.55, 1.5))
    assert (first["adjusted_rand"], first["adjusted_rand_min"]) == pytest.approx((0.5, 0.0))
    assert [first["verdict"], last["verdict"]] == ["significant", "not significant"]
    assert last["p"] == pytest.approx(1 - 0.8**2 / 2)  # mean 0.6


def test_nothing_to_tabulate():
    with pytest.raises(InvalidInputError, match="no planted network"):
        control_table([])
