"""Planted networks of parts: gluing by hand, and the whole as its parts side by side."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.networks import dense_arrays

from localspec.data import Dataset
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings
from localspec.networks._architectures import mlp
from localspec.pipeline import Profile
from localspec.studies.controls import DesignedReplicate, coherence_power_table
from localspec.studies.controls._designs import (
    ONE_CLASS,
    PIXEL_HALVES,
    glue_parts,
    part_dataset,
    pixel_half,
    with_evidence,
)
from localspec.studies.controls._planted import glue

FIRST = dense_arrays([[1, 2]], [[3], [4]])
SECOND = dense_arrays([[5, 6]], [[7], [8]])
SEEN = [np.array([True, False]), np.array([False, True])]


def test_logits_of_their_own_by_hand():
    glued = glue_parts([FIRST, SECOND])
    assert {name: value.tolist() for name, value in glued.items()} == {
        "0.weight": [[1, 2], [5, 6]],
        "0.bias": [0, 0],
        "1.weight": [[3, 0], [4, 0], [0, 7], [0, 8]],
        "1.bias": [0, 1, 0, 1],
    }


def test_added_logits_and_pixels_seen_by_hand():
    glued = glue_parts([FIRST, SECOND], seen=SEEN, add_outputs=True)
    assert {name: value.tolist() for name, value in glued.items()} == {
        "0.weight": [[1, 0], [0, 6]],
        "0.bias": [0, 0],
        "1.weight": [[3, 7], [4, 8]],
        "1.bias": [0, 2],
    }


def test_two_parts_that_see_all_pixels_are_glued_as_halves_are():
    rng = np.random.default_rng(0)
    halves = [
        dense_arrays(*(rng.normal(size=s) for s in ((3, 4), (2, 3), (2, 2)))) for _ in range(2)
    ]
    for glued, expected in zip(
        glue_parts(halves).values(), glue(halves[0], halves[1]).values(), strict=True
    ):
        assert np.array_equal(glued, expected)


def test_noise_goes_where_no_part_has_weights():
    plain, some, twice = (
        glue_parts([FIRST, SECOND], seen=SEEN, add_outputs=True, noise=noise, seed=3)
        for noise in (0, 0.5, 1)
    )
    unseen = np.array([[False, True], [True, False]])
    assert np.array_equal(some["0.weight"][~unseen], [1, 6])
    assert (some["0.weight"][unseen] != 0).all()
    assert np.allclose(2 * some["0.weight"][unseen], twice["0.weight"][unseen])
    for name in ("0.bias", "1.weight", "1.bias"):  # all of the last kernel is within parts
        assert np.array_equal(twice[name], plain[name])


def test_noise_has_the_standard_deviation_of_what_parts_see():
    rng = np.random.default_rng(0)
    seen = [np.arange(60) < 30, np.arange(60) >= 30]
    parts = [dense_arrays(sd * rng.normal(size=(60, 60)), np.ones((1, 60))) for sd in (2, 4)]
    matrix = glue_parts(parts, seen=seen, noise=0.5)["0.weight"]
    unseen = np.concatenate([matrix[:60, 30:].ravel(), matrix[60:, :30].ravel()])
    # what is seen has variance (4 + 16) / 2 = 10
    assert unseen.std() == pytest.approx(0.5 * np.sqrt(10), rel=0.04)


def torch_arrays(module):
    return {name: value.numpy() for name, value in module.state_dict().items()}


def loaded(network, arrays):
    network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    return network


def test_the_whole_adds_what_its_halves_make_of_their_pixels():
    torch.manual_seed(0)
    parts = [mlp(6, (4, 3), 5).double() for _ in range(2)]
    seen = [pixel_half((1, 2, 3), index).ravel() for index in (0, 1)]
    glued = glue_parts([torch_arrays(module) for module in parts], seen=seen, add_outputs=True)
    network = loaded(mlp(6, (8, 6), 5).double(), glued)
    x = torch.rand(7, 1, 2, 3, dtype=torch.float64)
    left, right = x.clone(), x.clone()
    left[..., 1:], right[..., :1] = 0, 0
    with torch.no_grad():
        assert torch.allclose(network(x), parts[0](left) + parts[1](right))


def test_the_logit_of_a_part_for_one_class():
    torch.manual_seed(0)
    parts = [mlp(6, (4, 3), 2).double() for _ in range(3)]
    glued = glue_parts([with_evidence(torch_arrays(module)) for module in parts])
    network = loaded(mlp(6, (12, 9), 3).double(), glued)
    x = torch.rand(7, 1, 2, 3, dtype=torch.float64)
    with torch.no_grad():
        expected = []
        for module in parts:
            *before, output = module
            difference = output.weight[1] - output.weight[0]
            hidden = torch.nn.Sequential(*before)(x)
            bias = output.bias[1] - output.bias[0]
            expected.append(hidden @ difference.clamp(min=0) + bias)
        assert torch.allclose(network(x), torch.stack(expected, dim=1))


@pytest.mark.parametrize(
    ("parts", "noise", "message"),
    [([FIRST, dense_arrays([[5, 6]])], 0.0, "same layers"), ([FIRST], -0.1, "noise=-0.1")],
)
def test_glue_refuses(parts, noise, message):
    with pytest.raises(InvalidInputError, match=message):
        glue_parts(parts, noise=noise)


def test_what_parts_are_trained_on():
    x = torch.arange(1.0, 9.0).reshape(2, 1, 2, 2)
    data = Dataset("made", x, torch.tensor([0, 2]), x[:1], torch.tensor([1]), tuple("abc"))
    right = part_dataset(data, PIXEL_HALVES, 1)
    assert right.x_train.tolist() == [[[[0, 2], [0, 4]]], [[[0, 6], [0, 8]]]]
    assert right.y_train.tolist() == [0, 2]
    third = part_dataset(data, ONE_CLASS, 2)
    assert torch.equal(third.x_train, x)
    assert (third.y_train.tolist(), third.y_test.tolist()) == ([0, 1], [0])
    assert third.class_names == ("other", "c")


@pytest.mark.parametrize(
    ("design", "expected"),
    [(PIXEL_HALVES, [0] * 10 + [1] * 10), (ONE_CLASS, [i // 2 for i in range(20)])],
)
def test_planted_labels_go_layer_by_layer(design, expected):
    network = NetworkSettings(dataset="digits", hidden=(20, 10))
    profile = Profile(name="made", networks={"mlp": network}, seeds=[0], device="cpu")
    replicate = DesignedReplicate(profile, "mlp", 0, design=design)
    labels = replicate.planted_labels()
    assert labels[:20].tolist() == expected
    assert len(np.unique(labels[20:])) == replicate.n_clusters == max(expected) + 1


def steps(findings, shuffled="not found"):
    noises = [0.0, 0.1, 0.2]
    rows = [
        {"weights": "planted", "noise": noise, "p": 0.01 + noise, "finding": finding}
        for noise, finding in zip(noises, findings, strict=True)
    ]
    rows.append({"weights": "shuffled", "noise": 0.0, "p": 0.5, "finding": shuffled})
    return pd.DataFrame(rows).assign(design="d", measure="importance", form="f")


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (["found", "found", "found"], "0.2"),
        (["found", "not found", "found"], "0"),
        (["found", "found", "wrong side"], "0.1"),
        (["not found", "found", "found"], "none"),
    ],
)
def test_how_much_noise_is_borne(findings, expected):
    (row,) = coherence_power_table(steps(findings, "undefined")).to_dict("records")
    assert (row["found_up_to"], row["p"], row["finding"]) == (expected, 0.01, findings[0])
    assert row["shuffled"] == "undefined"
