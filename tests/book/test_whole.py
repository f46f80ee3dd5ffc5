"""The book as one page and as PDF: links that hold there, and a page that Chromium prints."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from single_page import with_own_links, without_gallery

pytestmark = pytest.mark.book
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def whole():
    specification = importlib.util.spec_from_file_location("whole", ROOT / "book" / "whole.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("docname", "html", "expected"),
    [
        ("book/runs/a/p", '<a href="tables/t.csv">', '<a href="book/runs/a/tables/t.csv">'),
        ("book/status", '<a href="runs/a/p.html">', '<a href="book/runs/a/p.html">'),
        ("book/paper", "<img src='../_static/x.svg'>", "<img src='_static/x.svg'>"),
        ("book/paper", '<a href="#here"></a>', '<a href="#here"></a>'),
        ("book/paper", '<a href="https://example.org/a">', '<a href="https://example.org/a">'),
        (
            "book/runs/a/p",
            '<i id="first-figure"></i><a href="#first-figure">',
            '<i id="first-figure-book/runs/a/p"></i><a href="#first-figure-book/runs/a/p">',
        ),
    ],
)
def test_links_hold_at_the_root_of_the_site(docname, html, expected):
    assert with_own_links(html, docname) == expected


def test_a_gallery_is_left_out_and_linked():
    outputs = [{"data": {"text/html": '<div class="lsg">'}}, {"data": {"text/html": "<table>"}}]
    notebook = without_gallery({"cells": [{"outputs": outputs}, {}]}, "12_gallery")
    gallery, table = notebook["cells"][0]["outputs"]
    assert '<a href="12_gallery.html">' in gallery["data"]["text/html"]
    assert table == {"data": {"text/html": "<table>"}}


def test_the_first_page_links_to_both_once(whole, tmp_path):
    page = tmp_path / "intro.html"
    page.write_text("<article><p>Text.</p></article><footer></footer>", encoding="utf-8")
    for _ in range(2):
        whole.add_links(page)
    html = page.read_text(encoding="utf-8")
    assert html == f"<article><p>Text.</p>{whole.LINKS}</article><footer></footer>"
    assert 'href="../whole.html"' in html
    assert 'href="../whole.pdf"' in html


def test_a_page_is_printed(whole, tmp_path):
    if not any(map(shutil.which, whole.CHROMIUM)):
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    (tmp_path / "a.html").write_text("<p>Text.</p>", encoding="utf-8")
    whole.print_page(tmp_path / "a.html", tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_without_chromium_it_is_said(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="chromium"):
        whole.print_page(tmp_path / "a.html", tmp_path / "a.pdf")
