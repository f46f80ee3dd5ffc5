"""Validation: refuse values that are not allowed, each with one sentence on what is."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from localspec.exceptions import InvalidInputError

T = TypeVar("T")
MOST_PROBLEMS = 10  # that one message names


def require(condition: bool, message: str) -> None:
    """Raise unless a condition on the input holds.

    Parameters
    ----------
    condition : bool
        What must be true.
    message : str
        What is wrong and what to pass instead, as the user reads it.

    Raises
    ------
    InvalidInputError
        If `condition` is false.

    Examples
    --------
    >>> require(1 < 2, "the margin must be positive")
    """
    if not condition:
        raise InvalidInputError(message)


def shown(value: object, longest: int = 200) -> str:
    """Return a value as messages show it, cut off where it is long.

    Examples
    --------
    >>> shown("0123456789", 5)
    "'0123... (12 characters)"
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes no more than 4,300 digits
        text = f"(of type {type(value).__name__}, too long to be shown)"
    return cut(text, longest)


def cut(text: str, longest: int = 200) -> str:
    """Return a text, cut off where it is long."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text):,} characters)"


def check_option(name: str, value: T, allowed: Iterable[T]) -> T:
    """Return `value` if it is one of the allowed ones.

    Parameters
    ----------
    name : str
        The option's name, for the message.
    value : object
        The value given.
    allowed : iterable
        The values there are, in the order in which the message lists them.

    Returns
    -------
    object
        `value`, unchanged.

    Raises
    ------
    InvalidInputError
        If `value` is not allowed; the message names it and lists what is.

    Examples
    --------
    >>> check_option("side", "low", ("low", "high"))
    'low'
    >>> check_option("side", "left", ("low", "high"))
    Traceback (most recent call last):
    ...
    localspec.exceptions.InvalidInputError: side='left' is not known; choose one of 'low', 'high'
    """
    choices = list(allowed)
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise InvalidInputError(f"{name}={shown(value)} is not known; choose one of {listed}")
    return value


def check_integer(name: str, value: object, lowest: int) -> int:
    """Return `value` as an int if it is a whole number that is large enough.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : object
        The value given; true and false are no numbers here.
    lowest : int
        The smallest value allowed.

    Returns
    -------
    int

    Raises
    ------
    InvalidInputError
        If `value` is anything else.

    Examples
    --------
    >>> check_integer("n_draws", -3, 1)
    Traceback (most recent call last):
    ...
    localspec.exceptions.InvalidInputError: n_draws must be a whole number of at least 1, not -3
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
        raise InvalidInputError(
            f"{name} must be a whole number of at least {lowest}, not {shown(value)}"
        )
    return int(value)


class Strict(BaseModel):
    """A pydantic model whose errors are the library's, in its words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidInputError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """Turn a pydantic error into one sentence a value: where, what was given, what is allowed."""
    problems = []
    found = error.errors(include_url=False)
    for problem in found[:MOST_PROBLEMS]:
        where = cut(".".join(map(str, problem["loc"])) or error.title)
        if problem["type"] == "extra_forbidden":
            problems.append(f"{where} is not a setting of {error.title}")
        elif problem["type"] == "missing":
            problems.append(f"{where} is missing in {error.title}")
        elif problem["type"] == "value_error":  # from our own checks, which name the value
            problems.append(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
        else:
            problems.append(f"{where} = {shown(problem['input'])}: {problem['msg']}")
    if len(found) > MOST_PROBLEMS:
        problems.append(f"and {len(found) - MOST_PROBLEMS:,} more")
    return "; ".join(problems)


def distinct(values: list[Any]) -> list[Any]:
    """Refuse a list in which a value stands twice: it would be counted as two replicates."""
    met = set()
    for value in values:
        if value in met:
            raise ValueError(
                f"{value} stands twice in {shown(values)}: name each of them once, since each is "
                "counted as a replicate"
            )
        met.add(value)
    return values
