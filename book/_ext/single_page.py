"""Make pages fit into the book as one page: links that hold there, galleries left out.

`book/whole.py` builds that page, which stands at the root of the site.
"""

import json
import re
from posixpath import dirname, join, normpath

from docutils import nodes
from gallery_pages import GALLERY
from run_stamps import PAGE
from sphinx.application import Sphinx

BUILDER = "singlehtml"
LINK = re.compile(r"(?P<before>\b(?:href|src|srcset)=[\"'])(?![a-z]+:|[/#])(?P<path>[^\"']+)")
PLACE = re.compile(r'(?P<before>href="#|id=")first-figure"')
LEFT_OUT = '<p>The cards are on <a href="{name}.html">a page of their own</a>.</p>'


def with_own_links(html: str, docname: str) -> str:
    """Return HTML of a page of the book with the links that it needs at the root of the site."""

    def from_root(match: re.Match) -> str:
        return match["before"] + normpath(join(dirname(docname), match["path"]))

    return PLACE.sub(rf'\g<before>first-figure-{docname}"', LINK.sub(from_root, html))


def without_gallery(notebook: dict, name: str) -> dict:
    """Return a notebook with a link to its page in place of its gallery, if it has one."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if GALLERY in "".join(output.get("data", {}).get("text/html", "")):
                output["data"] = {"text/html": LEFT_OUT.format(name=name)}
    return notebook


def leave_out(app: Sphinx, docname: str, source: list[str]) -> None:
    match = PAGE.fullmatch(docname)
    if match and app.builder.name == BUILDER:
        source[0] = json.dumps(without_gallery(json.loads(source[0]), match["page"]))


def own_links(app: Sphinx, doctree: nodes.document) -> None:
    if app.builder.name == BUILDER:
        for raw in list(doctree.findall(nodes.raw)):
            html = with_own_links(raw.astext(), app.env.docname)
            raw.replace_self(nodes.raw("", html, format="html"))


def setup(app: Sphinx) -> dict:
    app.connect("source-read", leave_out, priority=100)
    app.connect("doctree-read", own_links, priority=900)  # after the boxes are put there
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
