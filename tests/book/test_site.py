"""The built site: light enough, every link of its own leads somewhere, pages say what they are."""

import base64
import io
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag
from xml.etree import ElementTree

import numpy as np
import pytest
import site_files
import yaml
from contents import chapters, titles
from helpers.html import Reader
from PIL import Image

pytestmark = pytest.mark.book
ROOT = Path(__file__).resolve().parents[2]
MB = 1_000_000
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"]] + [entry["file"] for entry in chapters(ROOT / "_toc.yml")]
TITLES = titles(ROOT / "_toc.yml")
RUNS = [page for page in PAGES if page.startswith("book/runs/")]


@cache
def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> set[str]:
    """Return what can be linked to on a page."""
    attributes = [attributes for _, attributes in read(path).elements]
    return {one[key] for one in attributes for key in ("id", "name") if one.get(key)}


def broken(site: Path, page: Path) -> list[str]:
    """Return the links of a page to files or places of the site that are not there."""
    found = []
    for _, attributes in read(page).elements:
        for address in filter(None, (attributes.get("href"), attributes.get("src"))):
            path, place = urldefrag(unquote(address))
            if re.match(r"[a-z]+:|//|javascript", path) or path.startswith("?"):
                continue
            target = (page.parent / path.partition("?")[0]).resolve() if path else page
            lands = not place or target.suffix != ".html"
            if not target.is_file() or not (lands or place in anchors(target)):
                found.append(address)
    return found


def test_the_site_is_light(html):
    sizes = {path: path.stat().st_size for path in html.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 40 * MB
    pages = {str(path): size for path, size in sizes.items() if path.suffix == ".html"}
    assert {path: size for path, size in pages.items() if size > 1.5 * MB} == {}
    galleries = {path: size for path, size in pages.items() if path.endswith("12_gallery.html")}
    assert len(galleries) == 3
    assert {path: size for path, size in galleries.items() if size > MB} == {}


def test_a_large_figure_keeps_its_looks_in_fewer_colours(tmp_path):
    path = tmp_path / "figure.png"
    rng = np.random.default_rng(0)
    before = np.full((300, 300, 3), 255, dtype=np.uint8)
    before[50:250, 50:250] = rng.integers(0, 256, (200, 200, 1))  # a noisy grey matrix
    before[:, 20:24] = (0, 114, 178)
    Image.fromarray(before).save(path)
    size = path.stat().st_size
    site_files.in_fewer_colours(path)
    after = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert path.stat().st_size < 0.6 * size
    assert np.abs(after - before).max() <= 16
    content = path.read_bytes()
    site_files.in_fewer_colours(path)
    assert path.read_bytes() == content


def test_an_svg_keeps_all_but_its_indentation_and_list_of_fonts():
    style = "font-size: 10px; font-family: 'DejaVu Sans', 'Verdana', sans-serif; text-anchor: end"
    svg = (
        f'<svg>\n  <g>\n   <path d="M 1.25 0 \nL 2 3"/>\n   <text style="{style}">a</text>\n</svg>'
    )
    short = "font-size: 10px; text-anchor: end"
    lines = [
        "<svg font-family=\"'DejaVu Sans', sans-serif\">",
        "<g>",
        '<path d="M 1.25 0 ',
        'L 2 3"/>',
        f'<text style="{short}">a</text>',
    ]
    assert site_files.without_indentation(svg).split("\n") == [*lines, "</svg>"]


NOISE = np.random.default_rng(0).integers(0, 256, (60, 60, 4), dtype=np.uint8)
PICTURES = {
    "one colour": np.full((3, 4, 4), 7, dtype=np.uint8),
    "greys": np.dstack([NOISE[..., 0]] * 3 + [np.full((60, 60), 255, dtype=np.uint8)]),
    "shades of a colour": np.dstack([np.full((60, 60, 3), 9, dtype=np.uint8), NOISE[..., 3]]),
}


def as_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels_of(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


@pytest.mark.parametrize("pixels", PICTURES.values(), ids=PICTURES)
def test_a_palette_keeps_every_pixel(pixels):
    before = as_png(pixels)
    after = site_files.in_a_palette(before)
    np.testing.assert_array_equal(pixels_of(after), pixels)
    assert len(after) <= len(before)
    assert site_files.in_a_palette(after) == after


def test_a_picture_of_many_colours_stays():
    assert len(site_files.in_a_palette(as_png(PICTURES["greys"]))) < 0.6 * len(
        as_png(PICTURES["greys"])
    )
    assert site_files.in_a_palette(as_png(NOISE)) == as_png(NOISE)


def test_positions_of_lines_and_marks_are_rounded_but_no_others():
    kept = [
        '<svg width="10.12345pt" viewBox="0 0 10.12345 5">',
        '<rect x="1.23456" y="2" width="3.45678"/>',
        '<image x="1.23456" y="-2.34567" transform="scale(1 -1)"/>',
        '<text x="1.999" y="3.14159" transform="rotate(-0 1.999 3.14159)">0.12345</text>',
        '<tspan x="6.362305" y="-0.674688">0</tspan>',
    ]
    before = [
        '<path id="m0.123456" d="M 0 3.98765 \nL -1.004999 -2.5 \nC 1.001 0 2 0 3 -0.001 \nz\n" '
        'style="stroke-width: 1.23456"/>',
        '<use xlink:href="#m0.123456" x="59.805469" y="184.7"/>',
    ]
    after = [
        '<path id="m0.123456" d="M0 3.99L-1 -2.5C1 0 2 0 3 -0 \nz\n" '
        'style="stroke-width: 1.23456"/>',
        '<use xlink:href="#m0.123456" x="59.81" y="184.7"/>',
    ]
    rounded = site_files.with_rounded_positions("\n".join(kept + before))
    assert rounded == "\n".join(kept + after)


NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
XLINK = "{http://www.w3.org/1999/xlink}href"
EMBEDDED = "data:image/png;base64,"


def embedded(element: ElementTree.Element) -> bytes:
    """Return the picture in an element; nothing if there is none."""
    address = element.get(XLINK, "")
    return base64.b64decode(address.removeprefix(EMBEDDED)) if EMBEDDED in address else b""


def elements(element: ElementTree.Element, style: str = "") -> Iterator[tuple]:
    """Yield a figure's elements and their styles, but no groups that do nothing but share one."""
    shares = element.tag.endswith("}g") and set(element.attrib) == {"style"}
    if not shares:
        yield element, element.get("style", style)
    for child in element:
        yield from elements(child, element.get("style", "") if shares else "")


def test_neighbouring_marks_of_one_style_name_it_once():
    blue, clear = 'style="fill: #0072b2"', 'style="fill: #0072b2; opacity: 0.5"'
    marks = [f'<use xlink:href="#m" x="{x}" y="2" {blue}/>' for x in range(3)]
    others = [f'<use xlink:href="#m" x="{x}" y="2" {clear}/>' for x in range(2)]
    svg = "\n".join([*marks[:2], '<path d="M0 0"/>', marks[2], *others])
    short = [mark.replace(f" {blue}", "") for mark in marks]
    lines = [f"<g {blue}>", *short[:2], "</g>", '<path d="M0 0"/>', marks[2], *others]
    assert site_files.with_grouped_marks(svg).split("\n") == lines


def test_figures_of_the_site_are_drawn_as_in_the_repository(html):
    figures = sorted((ROOT / "book" / "runs" / "paper" / "figures").glob("*.svg"))
    assert figures
    for path in figures:
        here = elements(ElementTree.parse(path).getroot())
        there = elements(ElementTree.parse(html / path.relative_to(ROOT)).getroot())
        for (mine, style), (other, other_style) in zip(here, there, strict=True):
            assert mine.tag == other.tag
            assert not mine.tag.endswith("use") or style == other_style
            for key in ("d", "x", "y"):
                before, after = mine.get(key, ""), other.get(key, "")
                assert re.findall("[A-Za-z]", before) == re.findall("[A-Za-z]", after)
                numbers = [[float(n) for n in NUMBER.findall(text)] for text in (before, after)]
                error = 0.00501 if mine.tag.endswith(("path", "use")) else 0
                np.testing.assert_allclose(numbers[1], numbers[0], rtol=0, atol=error)
            for key in ("id", "transform", "width", "height", "clip-path"):
                assert mine.get(key) == other.get(key)
            if embedded(mine):
                np.testing.assert_array_equal(pixels_of(embedded(other)), pixels_of(embedded(mine)))
            else:
                assert mine.get(XLINK) == other.get(XLINK)
            assert (mine.text or "").strip() == (other.text or "").strip()


def test_what_opens_a_part_of_the_contents_has_a_name(html):
    pages = [(html / f"{name}.html").read_text(encoding="utf-8") for name in PAGES]
    opened = [re.findall(r"<summary([^>]*)><span class=\"toctree-toggle\"", page) for page in pages]
    assert all(opened)
    assert {text for texts in opened for text in texts} == {' aria-label="Pages below this one"'}


def test_what_no_page_asks_for_is_left_out(html):
    ends = {path.suffix for path in (html / "_static").rglob("*")}
    assert ends.isdisjoint({".map", ".mo", ".po", ".ttf"})
    assert not list(html.rglob("fontawesome.js*"))
    assert "fontawesome.js" not in (html / "book" / "intro.html").read_text(encoding="utf-8")
    styles = html / "_static" / "styles"
    text = (styles / "pydata-sphinx-theme.css").read_text(encoding="utf-8")
    first = re.findall(r"@font-face ?{[^}]*?src: ?url\(([^)]*)\)", text)
    assert len(first) == 3
    assert all((styles / address).resolve().is_file() for address in first)


@pytest.mark.parametrize("name", PAGES)
def test_links_of_the_book_lead_somewhere(html, name):
    assert broken(html, html / f"{name}.html") == []


def test_broken_links_are_found(tmp_path):
    (tmp_path / "b.html").write_text('<p id="here">x</p>', encoding="utf-8")
    page = tmp_path / "a.html"
    links = ["b.html", "b.html#here", "b.html#there", "c.html", "#x", "https://example.org/d"]
    page.write_text("".join(f'<a href="{link}">l</a>' for link in links), encoding="utf-8")
    assert broken(tmp_path, page) == ["b.html#there", "c.html", "#x"]


@pytest.mark.parametrize("name", PAGES)
def test_pages_say_what_they_are_about(html, name):
    path = html / f"{name}.html"
    metas = {meta.get("property"): meta.get("content") for meta in read(path).all("meta")}
    assert metas["og:title"] == TITLES.get(name, metas["og:title"])
    assert 0 < len(metas["og:description"]) <= site_files.LONGEST
    Image.open(path.parent / metas["og:image"]).verify()


@pytest.mark.parametrize("name", RUNS)
def test_results_open_with_a_summary_and_a_figure(html, name):
    text = (html / f"{name}.html").read_text(encoding="utf-8")
    article = text[text.index("<article") :]
    summary = article.index("run-summary")
    figure = min(
        place
        for place in (article.find("<img", summary), article.find('class="lsg"', summary))
        if place > 0
    )
    assert article.index("<h1") < summary < figure
    assert figure < article.index("cell_input")
    assert figure < article.index("<h2")


def test_notebooks_to_download_have_no_outputs(html):
    paths = sorted((html / "_sources").rglob("*.ipynb"))
    assert len(paths) == len(RUNS)
    cells = [c for path in paths for c in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert [cell for cell in cells if cell.get("outputs")] == []
    assert any("injected-parameters" in cell["metadata"].get("tags", []) for cell in cells)


def test_terms_say_what_they_mean(html):
    page = read(html / "book/runs/paper/05_synthesis.html")
    terms = [one for one in page.all("a") if "term" in (one.get("class") or "").split()]
    assert len(terms) >= 2
    assert all(len(term["title"]) > 30 for term in terms)
    assert [term["title"] for term in terms if "(method" in term["title"]] == []
