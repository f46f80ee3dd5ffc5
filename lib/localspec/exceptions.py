"""Errors and warnings: name what the library refuses, and what it warns of."""

from __future__ import annotations

__all__ = [
    "ArtifactError",
    "ArtifactWarning",
    "CheckpointWarning",
    "DegenerateDataWarning",
    "InvalidInputError",
    "LocalspecError",
    "LocalspecWarning",
]


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


class ArtifactWarning(LocalspecWarning):
    """A stored result is damaged; it is computed again or left out."""


class CheckpointWarning(LocalspecWarning):
    """A stored state of a training cannot be used; the training begins anew."""
