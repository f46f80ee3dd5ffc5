"""Python files of a user's own."""

import sys

import pytest

from localspec.exceptions import InvalidInputError
from localspec.networks._user_file import load_module_file


def test_a_file_with_its_functions(tmp_path, monkeypatch):
    path = tmp_path / "mine.py"
    path.write_text("def network():\n    return 1\n\ndef data():\n    return 2\n")
    module = load_module_file(path, ("network", "data"))
    assert (module.network(), module.data()) == (1, 2)
    assert load_module_file(str(path), ("data",)).data() == 2
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_module_file("~/mine.py", ("data",)).data() == 2


def test_a_file_runs_as_python_would_run_it(tmp_path):
    # it may import a neighbour, and define dataclasses under postponed annotations
    (tmp_path / "neighbour_of_mine.py").write_text("VALUE = 5\n")
    path = tmp_path / "mine.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from neighbour_of_mine import VALUE\n"
        "@dataclass\n"
        "class Thing:\n"
        "    value: int | None = VALUE\n"
        "def data():\n    return Thing().value\n"
    )
    before = list(sys.path)
    assert load_module_file(path, ("data",)).data() == 5
    assert sys.path == before


def test_a_file_that_fails_leaves_nothing_behind(tmp_path):
    (tmp_path / "broken.py").write_text("raise ValueError('no')")
    before = (list(sys.path), set(sys.modules))
    with pytest.raises(InvalidInputError, match=r"ValueError: no\): run it with Python"):
        load_module_file(tmp_path / "broken.py", ("data",))
    assert (list(sys.path), set(sys.modules)) == before
