"""Forks of the method and their two presets."""

from typing import get_args

import pytest
from pydantic import ValidationError

from localspec.conventions import PAPER, PRESETS, RELEASED, Conventions, resolve
from localspec.exceptions import InvalidInputError


def test_the_plain_reading_is_the_default():
    assert Conventions() == PAPER == Conventions.preset("paper") == resolve("paper")
    assert PAPER.model_dump() == {
        "kernel_norm": "l1",
        "spatial_norm": "l1",
        "batch_norm_edges": "absolute",
        "cluster_count_layers": "own",
        "draws": "joint",
        "p_rule": "mid",
        "undefined_ranges": "least_extreme",
        "min_units": "two",
        "lesion_point": "unit",
        "l2_first_layer": "l2",
        "local_triples": "whole",
        "residual_units": "tensor",
        "lesion_readers": "all",
        "dropped_weights": "stay",
    }


def test_the_released_reading():
    assert resolve("released") == RELEASED
    assert RELEASED.model_dump() == {
        "kernel_norm": "induced",
        "spatial_norm": "induced",
        "batch_norm_edges": "signed",
        "cluster_count_layers": "from_input",
        "draws": "independent",
        "p_rule": "strict",
        "undefined_ranges": "released",
        "min_units": "three",
        "lesion_point": "unit",
        "l2_first_layer": "l1",
        "local_triples": "second_matrix",
        "residual_units": "reader",
        "lesion_readers": "one",
        "dropped_weights": "stay",
    }


@pytest.mark.parametrize("name", Conventions.model_fields)
def test_every_option_refuses_other_values(name):
    for value in get_args(Conventions.model_fields[name].annotation):
        assert getattr(Conventions(**{name: value}), name) == value
    with pytest.raises((ValidationError, InvalidInputError), match=name):
        Conventions(**{name: "other"})


def test_the_presets():
    assert set(PRESETS) == {"paper", "released"}


def test_resolve_leaves_conventions_alone():
    mixed = Conventions(kernel_norm="induced")
    assert resolve(mixed) is mixed


def test_only_the_options_that_a_stage_depends_on():
    assert RELEASED.subset("draws", "min_units") == {"draws": "independent", "min_units": "three"}


def test_conventions_cannot_be_changed():
    with pytest.raises(ValidationError):
        PAPER.kernel_norm = "induced"
