"""Checks of values, and the error classes."""

import pytest

from localspec import exceptions
from localspec._utils.validation import (
    Strict,
    check_integer,
    check_option,
    distinct,
    require,
    shown,
)


def test_choose_returns_the_value():
    assert check_option("side", "low", ("low", "high")) == "low"
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


def test_bases_of_errors_and_warnings():
    assert issubclass(exceptions.InvalidInputError, ValueError)
    assert issubclass(exceptions.InvalidInputError, exceptions.LocalspecError)
    assert issubclass(exceptions.ArtifactError, exceptions.LocalspecError)
    assert issubclass(exceptions.DegenerateDataWarning, exceptions.LocalspecWarning)
    assert issubclass(exceptions.LocalspecWarning, UserWarning)


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
