"""The error classes and the two checks on input."""

import pytest

from localspec._utils import validation as errors


def test_choose_returns_the_value():
    assert errors.choose("side", "low", ("low", "high")) == "low"


def test_choose_takes_the_keys_of_a_mapping():
    assert errors.choose("preset", "b", {"a": 1, "b": 2}) == "b"


@pytest.mark.parametrize("value", ["left", None, 3, ["low"]])
def test_choose_names_the_value_and_lists_the_choices(value):
    with pytest.raises(errors.InvalidInputError) as caught:
        errors.choose("side", value, ("low", "high"))
    assert str(caught.value) == f"side={value!r} is not known; choose one of 'low', 'high'"


def test_require():
    errors.require(True, "never shown")
    with pytest.raises(errors.InvalidInputError, match="the margin must be positive"):
        errors.require(False, "the margin must be positive")


def test_invalid_input_can_be_caught_as_a_value_error():
    assert issubclass(errors.InvalidInputError, ValueError)
    assert issubclass(errors.InvalidInputError, errors.LocalspecError)
    assert issubclass(errors.ArtifactError, errors.LocalspecError)


def test_warnings_have_one_base():
    assert issubclass(errors.DegenerateDataWarning, errors.LocalspecWarning)
    assert issubclass(errors.LocalspecWarning, UserWarning)
