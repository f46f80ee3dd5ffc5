"""Command line: run, train, publish and verify the pages of a profile.

It needs the packages of the extra ``book``; nothing else in the library imports it.
"""

from localspec.cli._main import main

__all__ = ["main"]
