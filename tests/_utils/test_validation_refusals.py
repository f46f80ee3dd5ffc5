"""Numbers, flags and arrays that the checks take, and what they refuse."""

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers.refusals import cases, check_refused

from localspec._utils.validation import (
    as_floats,
    as_integers,
    check_flag,
    check_integer,
    check_option,
    check_options,
    check_real,
    check_seed,
    check_type,
)


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


def test_numbers_are_of_python_so_that_small_types_cannot_overflow():
    for value in (np.float16(0.5), np.float32(0.5), Fraction(1, 2)):
        assert type(check_real("level", value, 0, 1)) is float


def test_an_array_with_a_mask_that_hides_nothing_is_an_array():
    assert as_floats("values", np.ma.array([1.0, 2.0], mask=[False, False])).tolist() == [1, 2]


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
    "masked numbers": (
        lambda: as_floats("values", np.ma.array([1.0, 2.0], mask=[True, False])),
        "masked values are not left out",
        "values.filled(numpy.nan)",
    ),
    "masked rows": (
        lambda: as_floats("values", [np.ma.array([1.0, 2.0], mask=[True, False]), [3.0, 4.0]]),
        "masked values are not left out",
    ),
    "masked labels": (
        lambda: as_integers("labels", np.ma.array([0, 1], mask=[True, False])),
        "masked values are not left out",
    ),
    "rows of two lengths": (
        lambda: as_floats("values", [[1], [1, 2]]),
        "values must be numbers, in rows of the same length, not [[1], [1, 2]]",
    ),
}


@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_refused(call, words):
    check_refused(call, words)
