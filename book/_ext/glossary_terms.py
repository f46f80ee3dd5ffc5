"""Show the meaning of a term where a page links to the glossary: hover or focus, no click."""

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"


def meanings(glossary: nodes.document) -> dict[str, str]:
    """Return of each anchor of the glossary what its term means."""
    found = {}
    for item in glossary.findall(nodes.definition_list_item):
        text = " ".join(item[-1].astext().split())
        for term in item.findall(nodes.term):
            found.update(dict.fromkeys(term["ids"], text))
    return found


def explain(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    if docname == GLOSSARY or GLOSSARY not in app.env.found_docs:
        return
    references = [
        reference
        for reference in doctree.findall(nodes.reference)
        if "#term-" in reference.get("refuri", "")
    ]
    if not references:
        return
    known = meanings(app.env.get_doctree(GLOSSARY))
    for reference in references:
        anchor = reference["refuri"].partition("#")[2]
        reference["reftitle"] = known[anchor]
        reference["classes"].append("term")


def setup(app: Sphinx) -> dict:
    app.connect("doctree-resolved", explain)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
