"""Published galleries: best cards first, images in files, a few cards at a time."""

import json
import re
from pathlib import Path

import gallery_pages
import pytest
from helpers.gallery import made_gallery

from localspec.studies.gallery import gallery_html

pytestmark = pytest.mark.book
BOOK = Path(__file__).resolve().parents[2] / "book"
PUBLISHED = sorted((BOOK / "runs").glob("*/12_gallery.ipynb"))
IDS = re.compile(r'<tr role="row" id="([^"]+)"')


def published(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pieces = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    return next(piece for piece in pieces if gallery_pages.GALLERY in piece)


def card(name: str, *p_values: str) -> str:
    data = "".join(f' data-m{"abcd"[i]}-p="{value}"' for i, value in enumerate(p_values))
    return f'<tr role="row" id="{name}" data-order="9"{data}><td>{name}</td></tr>'


def test_cards_with_more_small_p_values_come_first():
    html = "".join(
        [
            card("none", "0.2", "0.06"),
            card("one", "0.05", "0.9"),
            card("two", "0.05", "0.05"),
            card("one-stronger", "0.025", "0.9"),
            card("undefined", "", ""),
        ]
    )
    found = gallery_pages.best_first(html)
    assert IDS.findall(found) == ["two", "one-stronger", "one", "none", "undefined"]
    assert re.findall(r'data-order="(\d+)"', found) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.parent.name)
def test_published_galleries_lose_nothing_but_weight(path, tmp_path):
    html = published(path)
    output = {"data": {"text/html": html}}
    gallery_pages.with_light_gallery({"cells": [{"outputs": [output]}]}, tmp_path, "../_images")
    light = output["data"]["text/html"]
    assert sorted(IDS.findall(light)) == sorted(IDS.findall(html))
    assert "base64" not in light
    names = re.findall(r"url\(\.\./_images/(\w+\.png)\)", light)
    assert sorted(names) == sorted(file.name for file in tmp_path.iterdir())
    assert len(names) == 2
    assert light.count("aria-label=") == html.count("aria-label=")
    assert len(light) < 850_000


def test_a_gallery_as_the_library_writes_it_now():
    html = gallery_html(made_gallery())
    assert "best first" in gallery_pages.best_first(html)
    assert len(gallery_pages.CARD.findall(html)) == 3
    assert len(gallery_pages.IMAGE.findall(html)) == 2
    assert gallery_pages.TITLE.search(html)


@pytest.fixture
def page(browser, tmp_path):
    """The published gallery of the digits, with the book's own script and style."""
    output = {"data": {"text/html": published(BOOK / "runs/digits-controls/12_gallery.ipynb")}}
    notebook = {"cells": [{"outputs": [output]}]}
    gallery_pages.with_light_gallery(notebook, tmp_path / "images", "images")
    style = (BOOK / "_static" / "localspec.css").read_text(encoding="utf-8")
    script = (BOOK / "_static" / "gallery.js").read_text(encoding="utf-8")
    file = tmp_path / "page.html"
    file.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>g</title>'
        f"<style>{style}</style>{output['data']['text/html']}<script>{script}</script></html>",
        encoding="utf-8",
    )
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator(".lsg-more").wait_for(state="attached")
    yield page
    context.close()


def seen(page) -> list[str]:
    return page.evaluate(
        "() => [...document.querySelectorAll('tbody tr[id]')]"
        ".filter(row => row.checkVisibility()).map(row => row.id)"
    )


def test_a_few_cards_at_a_time(page):
    first = seen(page)
    assert len(first) == 12
    more = page.get_by_role("button", name="show 12 more (48 left)")
    more.click()
    assert seen(page)[:12] == first
    assert len(seen(page)) == 24
    assert page.evaluate("() => document.activeElement.closest('tr').id") == seen(page)[12]

    page.get_by_role("button", name="sort by number of units").click()
    page.get_by_role("button", name="show 12 more (48 left)").wait_for()  # back to the first few
    assert seen(page) != first
    page.get_by_role("button", name="best first").click()
    page.wait_for_function(f"() => document.querySelector('tbody tr').id === '{first[0]}'")
    assert seen(page) == first

    page.get_by_label("layer").select_option("dense3")
    page.wait_for_function(
        "() => [...document.querySelectorAll('tbody tr[id]')].filter(row => row.checkVisibility())"
        ".every(row => row.dataset.layer === 'dense3')"
    )
    assert len(seen(page)) == min(12, int(page.locator("output").inner_text().split()[0]))


def test_a_link_leads_to_a_card_that_comes_later(page):
    last = page.evaluate("() => [...document.querySelectorAll('tbody tr[id]')].at(-1).id")
    assert last not in seen(page)
    page.evaluate(f"() => {{ location.hash = '{last}'; }}")
    page.wait_for_function(f"() => document.getElementById('{last}').checkVisibility()")
