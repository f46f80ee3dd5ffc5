"""Errors and warnings of the library, and the checks that raise most of them."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TypeVar

T = TypeVar("T")


class LocalspecError(Exception):
    """Base class of every error that the library raises on purpose."""


class InvalidInputError(LocalspecError, ValueError):
    """An argument has a value that the function cannot work with."""


class ArtifactError(LocalspecError):
    """A stored result is missing, damaged or cannot be written."""


class LocalspecWarning(UserWarning):
    """Base class of the library's warnings."""


class DegenerateDataWarning(LocalspecWarning):
    """The data leave a result undefined or hardly defined; it is still returned."""


class CheckpointWarning(LocalspecWarning):
    """A stored state of a training cannot be used; the training begins anew."""


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


def choose(name: str, value: T, allowed: Iterable[T]) -> T:
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
    >>> choose("side", "low", ("low", "high"))
    'low'
    >>> choose("side", "left", ("low", "high"))
    Traceback (most recent call last):
    ...
    localspec.errors.InvalidInputError: side='left' is not known; choose one of 'low', 'high'
    """
    choices = list(allowed)
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise InvalidInputError(f"{name}={value!r} is not known; choose one of {listed}")
    return value


def whole(name: str, value: object, lowest: int) -> int:
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
    >>> whole("n_draws", -3, 1)
    Traceback (most recent call last):
    ...
    localspec.errors.InvalidInputError: n_draws must be a whole number of at least 1, not -3
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
        raise InvalidInputError(
            f"{name} must be a whole number of at least {lowest}, not {value!r}"
        )
    return int(value)
