"""Keep the site small, and say what a page is about where links to it are shown.

Notebooks to download come without the outputs, which their pages show; source maps of the theme's
scripts and styles, its translations, the second format of its icons and the script that would draw
them once more are left out; large figures are shown in 256 colours, which makes them a third as
large and changes no letter or line; pictures of at most 256 colours have a palette. SVG files have
no indentation, name two fonts once in place of ten on every text, the style of neighbouring marks
once, and lines and marks to a hundredth of a point. What opens a part of the contents has a name.
Every page names its title, a description (its summary, or its first paragraph) and a picture (its
first figure, or that of the book) as OpenGraph properties. Pictures have full addresses where
`html_baseurl` is set.
"""

import base64
import io
import json
import re
from html import escape
from itertools import groupby
from pathlib import Path

import numpy as np
from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx

PREVIEW = "_static/preview.png"
LONGEST = 300  # characters of a description
LARGE = 50_000  # bytes, from which on a figure is shown in fewer colours
# every browser takes the icons as WOFF2, which the theme's styles name
UNUSED = ("*.map", "*.mo", "*.po", "*.ttf", "fontawesome.js*")
ICONS = re.compile(r"<script [^>]*fontawesome\.js[^>]*></script>")
# on every text of a figure
FONTS = re.compile(
    r"; font-family: 'DejaVu Sans', [^;\"]*|font-family: 'DejaVu Sans', [^;\"]*(?:; )?"
)
EMBEDDED = re.compile(r"(?<=data:image/png;base64,)[^\"]*")
DRAWN = re.compile(r"<(?:path|use)\s[^>]*>")  # not letters, nor pictures and what clips them
POSITIONS = re.compile(r'\s(?:d|x|y)="[^"]*"')
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
MARK = re.compile(r"<use [^>]*?( style=\"[^\"]*\")\s*/>")
OPACITY = re.compile(r"[\" ]opacity:")  # of a group, it would be that of all its marks together
UNNAMED = re.compile(
    r"<summary>(?=<span class=\"toctree-toggle\")"
)  # in the contents of every page
COMMAND = re.compile(r"\s*([A-Za-z])\s+(?=[-\d])")  # of a path
FIGURE = re.compile(r"[0-9a-f]{64}\.png")  # what MyST-NB calls the figures of notebooks


def without_outputs(notebook: dict) -> dict:
    """Return a notebook as it was before it was run, with the parameters of its run."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    return notebook


def in_fewer_colours(path: Path) -> None:
    """Rewrite a figure with 256 colours, if it is large."""
    if path.stat().st_size < LARGE:
        return
    picture = Image.open(path)
    if picture.mode != "P":
        octree, plain = Image.Quantize.FASTOCTREE, Image.Dither.NONE
        picture.convert("RGB").quantize(256, method=octree, dither=plain).save(path)


def in_a_palette(content: bytes) -> bytes:
    """Return a PNG with the same pixels and a palette, if it has at most 256 colours."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))
    colours, places = np.unique(pixels.view(np.uint32), return_inverse=True)
    if len(colours) > 256:
        return content
    picture = Image.fromarray(places.reshape(pixels.shape[:2]).astype(np.uint8))
    picture.putpalette(colours.tobytes(), "RGBA")
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return min(content, file.getvalue(), key=len)


def with_palettes(svg: str) -> str:
    """Return a figure whose pictures have palettes."""

    def shorter(match: re.Match) -> str:
        return base64.b64encode(in_a_palette(base64.b64decode(match[0]))).decode()

    return EMBEDDED.sub(shorter, svg)


def with_rounded_positions(svg: str) -> str:
    """Return a figure whose lines and marks stand at hundredths of a point."""

    def number(match: re.Match) -> str:
        return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")

    def position(match: re.Match) -> str:
        return COMMAND.sub(r"\1", LONG_NUMBER.sub(number, match[0]))

    return DRAWN.sub(lambda element: POSITIONS.sub(position, element[0]), svg)


def without_indentation(svg: str) -> str:
    """Return a figure that names its fonts once, and without its indentation."""
    once = FONTS.sub("", svg).replace("<svg", "<svg font-family=\"'DejaVu Sans', sans-serif\"", 1)
    return re.sub(r"\n\s+", "\n", once)


def with_grouped_marks(svg: str) -> str:
    """Return a figure without indentation in which neighbouring marks of one style name it once."""

    def style(line: str) -> str:
        mark = MARK.fullmatch(line)
        return mark[1] if mark and not OPACITY.search(mark[1]) else ""

    lines = []
    for shared, group in groupby(svg.split("\n"), key=style):
        marks = list(group)
        if shared and len(marks) > 1:
            marks = [f"<g{shared}>", *(mark.replace(shared, "") for mark in marks), "</g>"]
        lines += marks
    return "\n".join(lines)


def with_light_icons(page: str) -> str:
    """Return a page whose icons are letters of a font, and named where they open the contents."""
    return UNNAMED.sub('<summary aria-label="Pages below this one">', ICONS.sub("", page))


def make_light(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir, "_sources").rglob("*.ipynb"):
        notebook = without_outputs(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")
    for pattern in UNUSED:
        for path in Path(app.outdir, "_static").rglob(pattern):
            path.unlink()
    for path in Path(app.outdir, "_images").glob("*.png"):
        if FIGURE.fullmatch(path.name):
            in_fewer_colours(path)
            path.write_bytes(in_a_palette(path.read_bytes()))
    for path in Path(app.outdir).rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        path.write_text(with_light_icons(page), encoding="utf-8")
    for path in Path(app.outdir).glob("book/runs/*/figures/*.svg"):
        svg = with_grouped_marks(without_indentation(path.read_text(encoding="utf-8")))
        path.write_text(with_palettes(with_rounded_positions(svg)), encoding="utf-8")


def description(doctree: nodes.document) -> str:
    """Return what a page says first: its summary, or its first paragraph."""
    boxes = [
        box for box in doctree.findall(nodes.admonition) if "run-summary" in box.get("classes", [])
    ]
    where = boxes[0] if boxes else doctree
    paragraph = next(iter(where.findall(nodes.paragraph)), None)
    text = " ".join(paragraph.astext().split()) if paragraph else ""
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def picture(app: Sphinx, doctree: nodes.document) -> str:
    """Return where the first picture of a page is, from the root of the site."""
    for image in doctree.findall(nodes.image):
        name = app.builder.images.get(image["uri"], "")
        if name.endswith(".png"):
            return f"_images/{name}"
    return PREVIEW


def add_properties(
    app: Sphinx, pagename: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    if doctree is None or app.builder.format != "html":
        return
    base = app.config.html_baseurl or "../" * pagename.count("/")
    properties = {
        "title": app.env.titles[pagename].astext(),
        "type": "article",
        "site_name": app.config.html_title,
        "description": description(doctree) or app.config.html_title,
        "image": base + picture(app, doctree),
    }
    tags = "".join(
        f'<meta property="og:{name}" content="{escape(content)}">\n'
        for name, content in properties.items()
    )
    context["metatags"] = context.get("metatags", "") + tags


def setup(app: Sphinx) -> dict:
    app.connect("html-page-context", add_properties)
    app.connect("build-finished", make_light, priority=600)  # once all files are there
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
