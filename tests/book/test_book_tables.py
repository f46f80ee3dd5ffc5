"""Tables of published pages: what is shown of them first, and that they sort."""

import re
from pathlib import Path

import pandas as pd
import pytest
import run_tables

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = run_tables.read_settings(ROOT / run_tables.SETTINGS)
WRITTEN = sorted((ROOT / "book" / "runs").glob("*/tables/*.csv"))
WRITTEN.append(ROOT / "book" / "networks.csv")
ENTRY = {"caption": "Three networks.", "columns": ["network", "p"]}


def shown(table: pd.DataFrame, name: str = "three", entry: dict = ENTRY) -> str:
    html = table._repr_html_()
    cell = {"source": f'write_table(f(x), "{name}", profile=profile)', "outputs": [{}]}
    cell["outputs"][0]["data"] = {"text/html": [html]}
    notebook = run_tables.with_tables({"cells": [cell]}, {name: entry} if entry else {})
    return notebook["cells"][0]["outputs"][0]["data"]["text/html"]


TABLE = pd.DataFrame({"seed": [0, 1], "p": ["0.01*", ""], "network": ["a<b", "a & b" * 9]})


def test_chosen_columns_come_first_and_the_others_are_marked():
    html = shown(TABLE)
    header = re.findall(r"<th scope=\"col\"(?: class=\"([\w ]+)\")?>(\w+)</th>", html)
    assert header == [("text long", "network"), ("", "p"), ("more", "seed")]
    row = '<th scope="row" class="text long">a&lt;b</th><td>0.01*</td><td class="more">0</td>'
    assert row in html
    assert "Three networks." in html
    assert '<a href="tables/three.csv" download>' in html
    assert "show all 3 columns" in html
    assert 'class="dataframe sortable"' in html


def test_a_table_without_settings_is_whole_and_a_truncated_one_is_not_sorted():
    assert "more" not in shown(TABLE, entry={})
    with pd.option_context("display.max_rows", 4):
        html = shown(pd.DataFrame({"n": range(10)}))
    assert "sortable" not in html
    assert html.count("<tr>") == 6


def test_the_link_leads_to_the_file_and_not_to_a_word_before_its_name():
    call = 'write_table(\n    tests(x, ["importance"]), "importance_tests", profile=profile\n)'
    assert run_tables.WRITTEN.findall(call) == ["importance_tests"]


def test_names_of_rows_stay():
    pivot = TABLE.set_index("network").rename_axis(columns=None)
    header = re.findall(r'<th scope="col"[^>]*>(\w+)</th>', shown(pivot, entry={}))
    assert header == ["network", "seed", "p"]


def test_other_outputs_are_left_alone():
    cell = {"source": "x", "outputs": [{"data": {"text/html": "<table><tr></tr></table>"}}, {}]}
    before = repr(cell)
    run_tables.with_tables({"cells": [cell]}, SETTINGS)
    assert repr(cell) == before


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_name_columns_of_published_tables(name):
    columns = {
        path: set(pd.read_csv(path, nrows=0).columns) for path in WRITTEN if path.stem == name
    }
    chosen = set(SETTINGS[name].get("columns", []))
    assert chosen <= set().union(*columns.values())
    for path, names in columns.items():
        assert len(chosen & names or names) <= 7, path


def test_a_reader_sorts_and_sees_all_columns(address, browser):
    page = browser.new_page()
    page.goto(f"{address}/book/runs/paper/05_synthesis.html")
    figure = page.locator("figure.run-table", has_text="effect_ratio").first
    table = figure.locator("table")
    header = table.locator("thead th", has_text="effect_ratio")
    for direction, order in (("ascending", sorted), ("descending", lambda v: sorted(v)[::-1])):
        header.locator("button").press("Enter")
        assert header.get_attribute("aria-sort") == direction
        at = header.evaluate("header => header.cellIndex")
        cells = table.locator(f"tbody tr > :nth-child({at + 1})").all_inner_texts()
        values = [float(text) for text in cells if text]
        assert values == order(values)
    assert not table.locator("thead th", has_text="plain_p").is_visible()
    figure.locator("input").press("Space")
    assert table.locator("thead th", has_text="plain_p").is_visible()
    page.close()


def test_the_edge_fades_behind_which_a_table_goes_on(address, browser):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{address}/book/runs/imagenet-ncuts/13_imagenet.html")
    box = page.locator(".run-table-box").first
    box.scroll_into_view_if_needed()
    faded = page.locator(".run-table-box.goes-on").first
    faded.wait_for()
    assert "gradient" in faded.evaluate("box => getComputedStyle(box).maskImage")
    box.evaluate("box => { box.scrollLeft = box.scrollWidth; }")
    page.wait_for_function("() => !document.querySelector('.run-table-box.goes-on')")
    page.emulate_media(media="print")
    assert box.evaluate("box => getComputedStyle(box).maskImage") == "none"
    page.close()
