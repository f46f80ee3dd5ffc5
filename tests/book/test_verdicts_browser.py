"""Verdicts in a real browser: numbers by pointer and keyboard, one network, no scripts."""

from pathlib import Path

import pytest
import verdict_matrix
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.book
BOOK = Path(__file__).resolve().parents[2] / "book"
GRAVE = ("serious", "critical")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Address of a file that holds the verdicts of the digits."""
    table = verdict_matrix.read_verdicts(BOOK / "runs", "digits")
    content = verdict_matrix.matrix_html(table) + verdict_matrix.effects_html(table)
    style = (BOOK / "_static" / "localspec.css").read_text(encoding="utf-8")
    script = (BOOK / "_static" / "verdicts.js").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("verdicts") / "page.html"
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>v</title>'
        f"<style>{style}</style></head><body><main><h1>v</h1>"
        f"<div class='verdicts'>{content}</div></main><script>{script}</script></body></html>",
        encoding="utf-8",
    )
    return path.as_uri()


@pytest.fixture
def page(opened):
    page = opened(viewport={"width": 1280, "height": 1400})
    page.locator(".verdict-tools").wait_for()
    return page


def test_what_is_pointed_at_shows_its_numbers(page):
    said = page.locator(".verdict-tools output")
    hint = said.inner_text()
    for one in (page.locator("td[data-numbers]").nth(1), page.locator("g[data-numbers]").nth(3)):
        one.hover()
        assert said.inner_text() == one.get_attribute("data-numbers")
    page.mouse.move(0, 0)
    assert said.inner_text() == hint


def test_the_keyboard_reaches_every_cell_and_mark(page):
    said = page.locator(".verdict-tools output")
    page.locator(".verdict-tools select").focus()
    cells = page.locator("[data-numbers]")
    for index in range(cells.count()):
        page.keyboard.press("Tab")
        focused = page.evaluate("() => document.activeElement.dataset.numbers")
        assert focused == cells.nth(index).get_attribute("data-numbers") == said.inner_text()


def test_one_network_at_a_time(page):
    seen = (
        "() => [...document.querySelectorAll('[data-numbers]')]"
        ".filter(one => getComputedStyle(one).display !== 'none').map(one => one.dataset.network)"
    )
    everything = len(page.evaluate(seen))
    page.get_by_label("Network").select_option("cnn")
    names = page.evaluate(seen)
    assert set(names) == {"cnn"}
    assert 0 < len(names) < everything
    page.get_by_label("Network").select_option("")
    assert len(page.evaluate(seen)) == everything


def test_nothing_grave(page):
    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert {v["id"]: v["nodes"][0]["html"] for v in violations if v["impact"] in GRAVE} == {}


def test_without_scripts_everything_is_there(opened):
    page = opened(java_script_enabled=False)
    cells = page.locator("td[data-numbers]")
    assert cells.count() > 10
    assert all(cell.is_visible() for cell in cells.all())
    assert page.locator("g[data-numbers]").first.is_visible()
    assert page.locator(".verdict-tools").count() == 0
