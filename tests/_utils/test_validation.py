"""Checks of values, and the error classes."""

import pytest

from localspec import exceptions
from localspec._utils.validation import check_option, require


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
