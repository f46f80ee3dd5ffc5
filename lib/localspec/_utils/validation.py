"""Validation: refuse values that are not allowed, each with one sentence on what is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from localspec.exceptions import InvalidInputError

T = TypeVar("T")
MOST_PROBLEMS = 10  # that one message names


def require(condition: bool, message: str) -> None:
    """Raise InvalidInputError unless a condition holds; the message says what to pass instead."""
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
    """Return `value` if it is one of the allowed ones, which the message lists in their order.

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
    if not any(isinstance(value, type(choice)) and value == choice for choice in choices):
        listed = ", ".join(repr(choice) for choice in choices)
        raise InvalidInputError(f"{name}={shown(value)} is not known; choose one of {listed}")
    return value


def check_options(name: str, values: Sequence[T], allowed: Iterable[T]) -> None:
    """Refuse anything but a list of allowed values; see :func:`check_option`."""
    choices = list(allowed)
    if isinstance(values, str) or not isinstance(values, Sequence):
        listed = ", ".join(repr(choice) for choice in choices)
        raise InvalidInputError(f"{name} must be a list of some of {listed}, not {shown(values)}")
    for value in values:
        check_option(name, value, choices)


def check_integer(name: str, value: object, lowest: int, highest: int | None = None) -> int:
    """Return `value` as an int if it is a whole number in a range; true and false are none here.

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
    if highest is not None and value > highest:
        raise InvalidInputError(f"{name} must be from {lowest} to {highest}, not {shown(value)}")
    return int(value)


MAX_SEED = 2**32 - 1  # k-means takes no larger one


def check_seed(value: object, name: str = "seed") -> int:
    """Return `value` as an int if it can seed every generator in use."""
    return check_integer(name, value, 0, MAX_SEED)


def check_real(
    name: str, value: object, low: float = 0.0, high: float = math.inf, *, or_low: bool = False
) -> float:
    """Return `value` as a float if it is a finite number between two others, both left out.

    `or_low` allows `low` itself.

    Examples
    --------
    >>> check_real("level", "0.05", 0, 1)
    Traceback (most recent call last):
    ...
    localspec.exceptions.InvalidInputError: level must be a number between 0 and 1, not '0.05'
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not (low < value < high or (or_low and value == low)):
        allowed = f"between {low:g} and {high:g}"
        if high == math.inf:
            allowed = f"of at least {low:g}, and finite" if or_low else f"above {low:g}, and finite"
        raise InvalidInputError(f"{name} must be a number {allowed}, not {shown(value)}")
    return float(value)


def check_flag(name: str, value: object) -> bool:
    """Return `value` if it is true or false, and no text or number that only counts as such."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidInputError(f"{name} must be True or False, not {shown(value)}")
    return bool(value)


def check_type(name: str, value: object, kind: type, cure: str) -> None:
    """Refuse a value of another class than `kind`, and say how to get one of it."""
    if not isinstance(value, kind):
        is_class = isinstance(value, type)
        given = f"the class {value.__name__}" if is_class else f"{type(value).__name__}"
        raise InvalidInputError(f"{name} must be a {kind.__name__}, not {given}: {cure}")


def check_path(name: str, value: object, what: str = "file") -> Path:
    """Return the path of a file, or of `what` it is, with ``~`` replaced by the home folder."""
    require(
        isinstance(value, str | Path) and str(value) != "" and "\0" not in str(value),
        f"{name} must be the path of a {what}, not {shown(value)}",
    )
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        raise InvalidInputError(
            f"{name} {str(value)!r} begins with a home folder that nobody has: name the whole path"
        ) from error


def check_unit_sets(name: str, values: object) -> None:
    """Refuse anything but a list of mappings of layer name to unit indices."""
    listed = isinstance(values, Sequence) and not isinstance(values, str)
    if not listed or not all(isinstance(value, Mapping) for value in values):
        cure = ": put it into a list" if isinstance(values, Mapping) else ""
        raise InvalidInputError(
            f"{name} must be a list of mappings of layer name to unit indices, such as "
            f"[{{'dense1': [0, 3]}}], not {shown(values)}{cure}"
        )


def _are_masked(values: object) -> bool:
    """Return whether NumPy's mask hides some of the values, or some of a row of them."""
    rows = values if isinstance(values, list | tuple) else [values]
    return any(isinstance(row, np.ma.MaskedArray) and np.ma.is_masked(row) for row in rows)


def as_array(values: object) -> np.ndarray:
    """Return values as an array: of one object where they make none, as rows of two lengths.

    Masked values are refused: an array would have what lies under the mask.
    """
    require(
        not _are_masked(values),
        f"masked values are not left out: fill them, such as by values.filled(numpy.nan) where NaN "
        f"is allowed, or take them away, in {shown(values)}",
    )
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # the last of a tensor with a gradient
        array = np.empty(1, dtype=object)
        array[0] = values
        return array


def as_integers(name: str, values: object) -> np.ndarray:
    """Return whole numbers as int64; refuse floating point, true and false."""
    array = as_array(values)
    if array.dtype.kind not in "iu" and not (array.size == 0 and array.dtype.kind == "f"):
        of = "" if array.dtype.kind in "OU" else f" of {array.dtype}"
        raise InvalidInputError(f"{name} must be whole numbers, not {shown(values)}{of}")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InvalidInputError(f"{name} must be below 2**63, not {array.max()}")
    return array.astype(np.int64, copy=False)


def as_floats(name: str, values: object) -> np.ndarray:
    """Return real numbers as float64; refuse all else, and rows that differ in length."""
    array = as_array(values)
    with suppress(TypeError, ValueError):
        if array.dtype.kind in "biufO":  # objects such as None, for an undefined value
            return array.astype(np.float64, copy=False)
    listed = values if isinstance(values, list | tuple) else ()
    in_rows = any(isinstance(row, list | tuple | np.ndarray) for row in listed)
    lengths = ", in rows of the same length" if in_rows else ""
    raise InvalidInputError(f"{name} must be numbers{lengths}, not {shown(values)}")


class Strict(BaseModel):
    """A pydantic model whose errors are the library's, in its words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidInputError(explain(error, list(type(self).model_fields))) from error


def explain(error: ValidationError, settings: Sequence[str] = ()) -> str:
    """Turn a pydantic error into one sentence a value: where, what was given, what is allowed.

    `settings` are the names that the model has: the nearest is named beside one that it has not.
    """
    problems = []
    listed = ""
    found = error.errors(include_url=False)
    for problem in found[:MOST_PROBLEMS]:
        where = cut(".".join(map(str, problem["loc"])) or error.title)
        if problem["type"] == "extra_forbidden":
            near = get_close_matches(where, settings, n=1)
            meant = f": is {near[0]!r} meant?" if near else ""
            problems.append(f"{where} is not a setting of {error.title}{meant}")
            if settings and not near:
                listed = f"{error.title} has the settings {', '.join(settings)}"
        elif problem["type"] == "missing":
            problems.append(f"{where} is missing in {error.title}")
        elif problem["type"] == "value_error":  # from our own checks, which name the value
            problems.append(f"{where}: {problem['msg'].removeprefix('Value error, ')}")
        else:
            problems.append(f"{where} = {shown(problem['input'])}: {problem['msg']}")
    if len(found) > MOST_PROBLEMS:
        problems.append(f"and {len(found) - MOST_PROBLEMS:,} more")
    return "; ".join(filter(None, [*problems, listed]))


def distinct(values: list[Any]) -> list[Any]:
    """Refuse a list in which a value stands twice: it would be computed and counted twice."""
    met = set()
    for value in values:
        if value in met:
            raise ValueError(
                f"{value} stands twice in {shown(values)}: name each of them once, since each is "
                "computed and counted"
            )
        met.add(value)
    return values
