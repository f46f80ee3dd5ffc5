"""Show the meaning of a term where a page links to the glossary: hover or focus, no click.

On published pages the words of this project that a reader of the field may not know are linked,
each where it comes first in running text.
"""

import re

from docutils import nodes
from run_stamps import PAGE
from sphinx import addnodes
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"
WORDS = ("counterpart", "fork", "null mean", "partitioning", "plain reading")
WORD = re.compile(rf"\b({'|'.join(WORDS)})s?\b", re.IGNORECASE)


def anchor(word: str) -> str:
    """Return where the glossary explains a word."""
    return f"term-{word.lower().replace(' ', '-')}"


def meanings(glossary: nodes.document) -> dict[str, str]:
    """Return of each anchor of the glossary what its term means."""
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        definition = item[-1].deepcopy()
        for link in list(definition.findall(addnodes.pending_xref)):
            link.parent.remove(link)  # all stand in brackets, with where to read on
        text = " ".join(definition.astext().split()).replace(" ()", "")
        for term in item.findall(nodes.term):
            found.update(dict.fromkeys(term["ids"], text))
    return found


def link_words(doctree: nodes.document, glossary: str, linked: set[str]) -> None:
    """Link each word to its explanation where it comes first in a paragraph, in place.

    `glossary` is its address, seen from the page; `linked` has the anchors that the page links to
    already.
    """
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.paragraph):
            continue
        parts, end = [], 0
        for match in WORD.finditer(text):
            place = anchor(match[1])
            if place not in linked:
                linked.add(place)
                parts.append(nodes.Text(text[end : match.start()]))
                parts.append(nodes.reference("", match[0], refuri=f"{glossary}#{place}"))
                end = match.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def term_links(doctree: nodes.document) -> dict[str, list[nodes.reference]]:
    """Return by anchor the references of a page to terms of the glossary."""
    found: dict[str, list[nodes.reference]] = {}
    for reference in doctree.findall(nodes.reference):
        _, hash_sign, place = reference.get("refuri", "").partition("#")
        if hash_sign and place.startswith("term-"):
            found.setdefault(place, []).append(reference)
    return found


def explain(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if docname == GLOSSARY or GLOSSARY not in app.env.found_docs:
        return
    if PAGE.fullmatch(docname):
        glossary = app.builder.get_relative_uri(docname, GLOSSARY)
        link_words(doctree, glossary, set(term_links(doctree)))
    links = term_links(doctree)
    known = meanings(app.env.get_doctree(GLOSSARY)) if links else {}
    for place, references in links.items():
        for reference in references:
            reference["reftitle"] = known[place]
            reference["internal"] = True
            reference["classes"].append("term")


def setup(app: Sphinx) -> dict:
    app.connect("doctree-resolved", explain)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
