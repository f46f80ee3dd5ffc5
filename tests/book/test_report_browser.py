"""A report in a real browser: by keyboard, in the dark, on a phone, without any request."""

from dataclasses import replace

import pytest
from helpers.screening import CLASSES, IMAGES, SETTINGS, balanced

from localspec.screening import screen
from localspec.screening._html import report_html

pytestmark = pytest.mark.book

PER_PAGE = 24


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Address of a report of more groups than fit on one page."""
    network, labels = balanced()
    report = screen(network, (IMAGES, labels), class_names=CLASSES, **SETTINGS)
    groups = [report.group(index % len(report.table)) for index in range(30)]
    many = [replace(group, rank=rank) for rank, group in enumerate(groups)]
    written = tmp_path_factory.mktemp("report") / "report.html"
    written.write_text(report_html(many, report.counts(), report._page()), encoding="utf-8")
    return written.as_uri()


def visible(page):
    return page.evaluate(
        "() => [...document.querySelectorAll('article')].filter((c) => !c.hidden).length"
    )


def test_pages_turn_by_keyboard(opened):
    page = opened()
    assert visible(page) == PER_PAGE
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.textContent") == "to the groups"
    page.locator(".pager button[data-step='1']").first.focus()
    page.keyboard.press("Enter")
    assert visible(page) == 30 - PER_PAGE
    assert page.locator(".pager output").first.text_content() == "groups 25 to 30 of 30"
    page.locator("#group-30 h3 a").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "group-30"


def test_groups_are_chosen_and_sorted(opened):
    page = opened()
    page.get_by_label("groups from").select_option("weights/local")
    shown = page.locator("article:visible")
    assert 0 < shown.count() < PER_PAGE
    assert all("weights/local" in text for text in shown.all_text_contents())
    page.get_by_label("order").select_option("size")
    sizes = [int(card.get_attribute("data-size")) for card in shown.all()]
    assert sizes == sorted(sizes, reverse=True)
    page.get_by_label("text").fill("no such layer")
    assert visible(page) == 0


def test_a_link_leads_to_a_card_of_another_page(opened):
    page = opened("#group-28")
    page.wait_for_function("() => document.getElementById('group-28').checkVisibility()")
    assert page.evaluate("() => document.activeElement.id") == "group-28"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_it_fits_a_phone_and_follows_the_system(opened, mode):
    page = opened(viewport={"width": 390, "height": 844}, color_scheme=mode)
    width = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
    assert page.evaluate(f"() => {width}") <= 390
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 30)"}[mode]


@pytest.mark.parametrize(("width", "is_open"), [(390, False), (1280, True)])
def test_filters_are_folded_on_a_phone_alone(opened, width, is_open):
    page = opened(viewport={"width": width, "height": 844})
    choice = page.get_by_label("groups from")
    assert choice.is_visible() == is_open
    page.get_by_text("Choose groups").click()
    assert choice.is_visible() != is_open


def test_without_scripts_all_cards_are_there(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("article:visible").count() == 30
    assert not page.locator(".tools").is_visible()
