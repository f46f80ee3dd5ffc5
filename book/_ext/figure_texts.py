"""Give each figure of a published page a text for those who cannot see it.

Without it the text is the name of an image file. A cell can set its own with `mystnb.image.alt`.
"""

from docutils import nodes
from sphinx.application import Sphinx


def describe_figures(app: Sphinx, doctree: nodes.document) -> None:
    for image in doctree.findall(nodes.image):
        if image.get("alt"):
            continue
        section = image.parent
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        title = section.next_node(nodes.title) if section is not None else None
        image["alt"] = f"Figure: {title.astext()}" if title is not None else "Figure"


def setup(app: Sphinx) -> dict:
    app.connect("doctree-read", describe_figures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
