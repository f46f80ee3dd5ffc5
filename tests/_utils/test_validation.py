"""Checks of values, and the error classes."""

import math

import numpy as np
import pytest
from helpers.refusals import cases, check_refused

from localspec import exceptions
from localspec._utils.validation import (
    Strict,
    as_floats,
    as_integers,
    check_flag,
    check_integer,
    check_option,
    check_options,
    check_real,
    check_seed,
    check_type,
    distinct,
    require,
    shown,
)


def test_choose_returns_the_value():
    assert check_option("side", "low", ("low", "high")) == "low"


def test_choose_takes_the_keys_of_a_mapping():
    assert check_option("preset", "b", {"a": 1, "b": 2}) == "b"


@pytest.mark.parametrize("value", ["left", None, 3, ["low"]])
def test_choose_names_the_value_and_lists_the_choices(value):
    with pytest.raises(exceptions.InvalidInputError) as caught:
        check_option("side", value, ("low", "high"))
    assert str(caught.value) == f"side={value!r} is not known; choose one of 'low', 'high'"


def test_require():
    require(True, "never shown")
    with pytest.raises(exceptions.InvalidInputError, match="the margin must be positive"):
        require(False, "the margin must be positive")


def test_invalid_input_can_be_caught_as_a_value_error():
    assert issubclass(exceptions.InvalidInputError, ValueError)
    assert issubclass(exceptions.InvalidInputError, exceptions.LocalspecError)
    assert issubclass(exceptions.ArtifactError, exceptions.LocalspecError)


def test_warnings_have_one_base():
    assert issubclass(exceptions.DegenerateDataWarning, exceptions.LocalspecWarning)
    assert issubclass(exceptions.LocalspecWarning, UserWarning)


def test_numbers_of_any_library_are_numbers():
    assert check_integer("n", np.uint8(3), 1, 3) == 3
    assert type(check_integer("n", np.int64(3), 1)) is int
    assert check_seed(2**32 - 1) == 2**32 - 1
    assert check_real("level", np.float32(0.5), 0, 1) == 0.5
    assert check_real("ncut", 0, or_low=True) == 0
    assert check_flag("progress", np.bool_(True)) is True
    assert as_integers("labels", np.array([1, 2], dtype=np.uint8)).tolist() == [1, 2]
    assert as_floats("p_values", [None, 1]).tolist()[1] == 1
    assert math.isnan(as_floats("p_values", [None, 1])[0])
    check_options("measures", ("b", "a"), {"a": 1, "b": 2})


CASES = {
    "too high": (lambda: check_integer("n", 5, 1, 4), "n must be from 1 to 4, not 5"),
    "too low": (lambda: check_integer("n", 0, 1, 4), "n must be a whole number of at least 1"),
    "an array for an option": (
        lambda: check_option("side", np.array(["low", "high"]), ("low", "high")),
        "choose one of 'low', 'high'",
    ),
    "text for options": (lambda: check_options("names", "ab", "ab"), "a list of some of 'a', 'b'"),
    "an option that is not there": (lambda: check_options("names", ["c"], "ab"), "names='c'"),
    "a bool for a number": (lambda: check_real("level", True, 0, 1), "between 0 and 1, not True"),
    "the end of a range": (lambda: check_real("level", 1.0, 0, 1), "between 0 and 1, not 1.0"),
    "no end": (lambda: check_real("rate", math.inf), "above 0, and finite, not inf"),
    "a class for an object": (
        lambda: check_type("table", dict, dict, "dict()"),
        "table must be a dict, not the class dict: dict()",
    ),
    "large labels": (lambda: as_integers("labels", np.array([2**63], np.uint64)), "below 2**63"),
    "labels in objects": (lambda: as_integers("labels", [1, None]), "whole numbers, not [1, None]"),
    "rows of two lengths": (
        lambda: as_floats("values", [[1], [1, 2]]),
        "values must be numbers, in rows of the same length, not [[1], [1, 2]]",
    ),
}


@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_refused(call, words):
    check_refused(call, words)


HUGE = 16**5_000  # Python refuses to write it


def test_messages_hold_values_of_any_length():
    assert shown("abc") == "'abc'"
    assert shown(list(range(10**4))).endswith("... (58,890 characters)")
    assert shown(HUGE) == "(of type int, too long to be shown)"
    inside: list = []
    inside.append(inside)
    assert shown(inside) == "[[...]]"
    for call in (
        lambda: check_option("side", HUGE, ("low",)),
        lambda: check_integer("n", -HUGE, 0),
    ):
        with pytest.raises(exceptions.InvalidInputError, match="too long to be shown"):
            call()


def test_many_problems_are_counted():
    class Many(Strict):
        values: list[int]

    with pytest.raises(exceptions.InvalidInputError) as caught:
        Many(values=["x"] * 5_000)
    assert str(caught.value).count("valid integer") == 10
    assert str(caught.value).endswith("; and 4,990 more")


def test_a_long_list_in_which_a_value_stands_twice():
    assert distinct(list(range(10**5)))[-1] == 10**5 - 1  # in a moment
    with pytest.raises(ValueError, match=r"^7 stands twice in \[7, 7, .* characters\): name each"):
        distinct([7] * 10**4)
