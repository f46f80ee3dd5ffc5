"""Words of the glossary on published pages: linked where they come first, and explained."""

from pathlib import Path

import glossary_terms
import pytest
from docutils import nodes
from docutils.utils import new_document

pytestmark = pytest.mark.book
GLOSSARY = Path(__file__).resolve().parents[2] / "book" / "glossary.md"


def page(*texts: str) -> nodes.document:
    document = new_document("page")
    document.append(nodes.title("", "Forks"))
    for text in texts:
        document.append(nodes.paragraph("", text))
    return document


def links(document: nodes.document) -> list[tuple[str, str]]:
    return [(one.astext(), one["refuri"]) for one in document.findall(nodes.reference)]


def test_a_word_is_linked_where_it_comes_first():
    texts = ["Two Forks, one partitioning.", "A fork, the plain reading, pitchforks."]
    document = page(*texts)
    glossary_terms.link_words(document, "g.html", set())
    assert links(document) == [
        ("Forks", "g.html#term-fork"),
        ("partitioning", "g.html#term-partitioning"),
        ("plain reading", "g.html#term-plain-reading"),
    ]
    assert document.astext().split("\n\n")[1:] == texts


def test_what_is_linked_already_is_left_alone():
    document = page("A fork.")
    glossary_terms.link_words(document, "g.html", {"term-fork"})
    assert links(document) == []


@pytest.mark.parametrize("word", glossary_terms.WORDS)
def test_the_glossary_explains_every_word(word):
    lines = GLOSSARY.read_text(encoding="utf-8").split("\n")
    assert word in lines
