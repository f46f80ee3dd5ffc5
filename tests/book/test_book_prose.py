"""What the pages claim about the code, the commands and the paper."""

import re
from pathlib import Path

import pytest
import yaml

from localspec.conventions import PAPER, RELEASED, Conventions

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
PROSE = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
NOTEBOOKS = {
    path.name: path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.md")
}
NOTES = {
    f"{path.parent.name}/{path.name}": path.read_text(encoding="utf-8")
    for path in (ROOT / "book" / "notes").glob("*/*.md")
}
DIFFERENCES = PROSE["differences.md"]
FORKS = yaml.safe_load(re.search(r"```{fork-effects}\n(.*?)```", DIFFERENCES, re.DOTALL)[1])
METHOD = PROSE["method.md"]
HEADINGS = set(re.findall(r"^## (.+)$", METHOD, flags=re.MULTILINE))
CONCEPT = re.compile(r'arXiv:2110\.08058,\s+((?:"[^"]+"(?:,\s+|\s+and\s+)?)+)')


def cited_concepts() -> set[tuple[str, str]]:
    """Return (module, concept) for every concept that a docstring of the library cites."""
    found = set()
    for path in sorted((ROOT / "lib" / "localspec").rglob("*.py")):
        for citation in CONCEPT.findall(path.read_text(encoding="utf-8")):
            names = re.findall(r'"([^"]+)"', citation)
            found |= {(path.name, " ".join(name.split())) for name in names}
    return found


def test_docstrings_cite_headings_of_the_method_page():
    cited = cited_concepts()
    assert cited
    assert sorted((module, name) for module, name in cited if name not in HEADINGS) == []


def test_every_heading_of_the_method_page_can_be_linked_to():
    labels = re.findall(r"^\(method-[a-z-]+\)=\n## (.+)$", METHOD, flags=re.MULTILINE)
    assert set(labels) == HEADINGS


def test_the_table_of_forks_agrees_with_the_library():
    assert set(FORKS) >= set(Conventions.model_fields)
    for option in Conventions.model_fields:
        here, there = FORKS[option]["here"], FORKS[option]["released"]
        plain, released = (re.match(r"`(\w+)`", text)[1] for text in (here, there))
        assert getattr(PAPER, option) == plain, option
        assert getattr(RELEASED, option) == released, option


def test_forks_named_in_the_text_are_in_the_table():
    named = set(re.findall(r"\(Option `(\w+)`", METHOD))
    assert named
    assert named <= set(FORKS)


@pytest.mark.parametrize("name", PROSE)
def test_commands_exist(name):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used = re.findall(r"(?:^|`)make ([a-z]+)", PROSE[name], flags=re.MULTILINE)
    assert [target for target in used if target not in targets] == []
    for notebook in re.findall(r"papermill (?:--help-notebook )?(\S+\.ipynb)", PROSE[name]):
        assert (ROOT / notebook).is_file()


@pytest.mark.parametrize("name", [*PROSE, *NOTEBOOKS, *NOTES])
def test_nothing_is_claimed_of_the_paper_beyond_its_abstract(name):
    text = {**PROSE, **NOTEBOOKS, **NOTES}[name]
    numbered = r"\b(section|table|figure|fig\.|equation|eq\.|appendix)\s+\(?[0-9A-Z]\d*\b"
    assert re.findall(numbered, text, flags=re.IGNORECASE) == []
    assert re.findall(r"the paper (says|states|shows|finds|reports|proves)", text) == []
