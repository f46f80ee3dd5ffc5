"""The lists of names on the library's pages."""

import re
from pathlib import Path

import pytest
from library_names import documented_names, separate

import localspec as ls

pytestmark = pytest.mark.book
PAGES = sorted((Path(__file__).resolve().parents[2] / "book" / "library").glob("*.md"))


def test_names_of_the_package_are_those_of_its_rooms_functions_first():
    names = documented_names("localspec")
    assert {name.rpartition(".")[2] for name in names} == set(ls.__all__)
    assert {"screening.screen", "data.Dataset"} <= set(names)
    last = [name.rpartition(".")[2][0].isupper() for name in names]
    assert last == sorted(last)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_room_lists_its_own_names(page):
    listed, documented = re.findall(r"(?:library-names}|automodule::) (\S+)", page.read_text())
    assert listed == documented
    assert not [name for name in documented_names(listed) if "." in name]


def test_attributes_of_one_entry_are_documented_one_by_one():
    lines = [
        "A test.",
        "",
        ":ivar low, high: Ends of",
        "    the interval.",
        ":vartype low, high: float",
    ]
    assert separate([*lines, ":ivar n: How many, if any.", ":vartype n: int, optional"]) == [
        "A test.",
        "",
        ":ivar low:",
        ":ivar high: Ends of",
        "    the interval.",
        ":vartype low: float",
        ":vartype high: float",
        ":ivar n: How many, if any.",
        ":vartype n: int, optional",
    ]
