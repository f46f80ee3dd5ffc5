"""Texts of figures: each published figure has a caption and says what is seen."""

import base64
import hashlib
import json
import re
import shlex
from pathlib import Path

import figure_texts
import pytest
import yaml
from helpers.html import Reader
from sphinx.errors import ExtensionError

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
TEXTS = yaml.safe_load((ROOT / figure_texts.TEXTS).read_text(encoding="utf-8"))
PAGES = sorted((ROOT / "book" / "runs").glob("*/*.ipynb"))


def figure(source: str) -> dict:
    outputs = [{"data": {"image/png": "aa"}}]
    return {"cell_type": "code", "source": source, "outputs": outputs, "metadata": {}}


def test_a_figure_gets_the_texts_of_the_function_that_drew_it():
    texts = {"plot_a": {"alt": "A line.", "caption": "How it rises."}}
    text = {"cell_type": "markdown", "source": "plot_b()", "metadata": {}}
    notebook = figure_texts.with_texts({"cells": [text, figure("x = 1\nplot_a(x)")]}, texts)
    assert notebook["cells"][0]["metadata"] == {}
    shown = notebook["cells"][1]["metadata"]["mystnb"]
    assert shown == {"image": {"alt": "A line."}, "figure": {"caption": "How it rises."}}
    with pytest.raises(ExtensionError, match=r"no text for the figure of .*plot_b"):
        figure_texts.with_texts({"cells": [figure("plot_b(x)")]}, texts)


RECORD = {
    "page": "03_importance",
    "profile": "mine",
    "parameters": {"profile": "mine", "networks": ["it's", "b"]},
    "tables": {"b.csv": "", "a.csv": ""},
}
PER_NETWORK = 'write_figure(plot_a(x), f"damage-{group[0].network}", profile=profile)'


def below(source: str, published=(), *, n_figures: int = 1) -> Reader:
    """Return what stands below the figures of a cell."""
    cell = figure(source)
    cell["outputs"] = [{"data": {"image/png": "aa"}} for _ in range(n_figures)]
    notebook = figure_texts.with_names({"cells": [cell]}, RECORD)
    (_, fold) = figure_texts.with_files(notebook, RECORD, set(published))["cells"]
    return Reader(fold["source"])


def test_a_figure_whose_files_are_not_published_has_the_command_that_writes_them():
    elements = below(PER_NETWORK)
    text = "".join(elements.text)
    assert "damage-*.svg, damage-*.pdf, damage-*.csv" in text
    assert "results/mine/figures/" in text
    assert [link["href"] for link in elements.all("a")] == ["tables/a.csv", "tables/b.csv"]
    command = shlex.split(text[text.index(".venv") : text.index("Tables of")])
    page = "03_importance.ipynb"
    assert command[:-1] == [".venv/bin/papermill", f"notebooks/{page}", page, "-y"]
    assert yaml.safe_load(command[-1]) == RECORD["parameters"]


def test_published_files_of_a_figure_are_linked():
    files = ["damage-it's.svg", "damage-b.svg", "damage-b.csv.gz", "damage-b-narrow.svg", "c.svg"]
    elements = below(PER_NETWORK, files, n_figures=2)
    links = [link["href"] for link in elements.all("a") if "figures/" in link["href"]]
    assert links == ["figures/damage-it's.svg", "figures/damage-b.svg", "figures/damage-b.csv.gz"]
    assert all("download" in link for link in elements.all("a"))
    assert "results/mine/figures/" in "".join(elements.text)  # the command stays: it writes PDF


def test_a_cell_that_writes_no_figure_has_nothing_below():
    assert figure_texts.with_files({"cells": [figure("plot_b(x)")]}, RECORD, set()) == {
        "cells": [figure("plot_b(x)")]
    }


def test_a_figure_of_a_folder_of_its_own():
    fold = below('write_figure(f, "card", profile="your_network")')
    assert "results/your_network/figures/" in "".join(fold.text)
    fold = below('name = f"curves-{x}"\nwrite_figure(plot_a(x), name, profile=profile)')
    assert "curves-*.svg" in "".join(fold.text)


def test_narrow_screens_are_shown_the_narrow_figure():
    contents = [b"one", b"two"]
    names = [f"{hashlib.sha256(content).hexdigest()}.png" for content in contents]
    cell = figure(PER_NETWORK)
    cell["outputs"] = [
        {"data": {"image/png": base64.b64encode(content).decode()}} for content in contents
    ]
    notebook = figure_texts.with_names({"cells": [cell]}, RECORD)
    pictures = figure_texts.narrow_pictures(notebook, {"damage-b-narrow.svg", "damage-it's.svg"})
    assert pictures == {names[1]: "damage-b-narrow.svg"}
    images = [f'<img alt="A." src="../_images/{name}" />' for name in names]
    body = figure_texts.with_narrow(f"<p>{images[0]}</p><p>{images[1]}</p>", pictures)
    source = '<source media="(max-width: 600px)" srcset="figures/damage-b-narrow.svg">'
    assert body == f"<p>{images[0]}</p><p><picture>{source}{images[1]}</picture></p>"


BESIDE = re.compile(
    r"(left|right|middle|top|bottom)(-hand)? (panel|figure|column)"
    r"|(^|[.:;] )(on the )?(left|right|middle|above|below)[:,]"
    r"|\bon the left\b",
    re.IGNORECASE | re.MULTILINE,
)
TEXTS_ON_FIGURES = [
    *(ROOT / "book" / "notes").glob("*/*.md"),
    *(ROOT / "notebooks").glob("*.md"),
    *(ROOT / "book").glob("*.md"),
    ROOT / figure_texts.TEXTS,
    ROOT / "README.md",
]


@pytest.mark.parametrize(
    "path", TEXTS_ON_FIGURES, ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_panels_are_named_by_their_titles(path):
    """On a phone panels stand in one column: none is left or right of another."""
    text = path.read_text(encoding="utf-8")
    assert [match[0] for match in BESIDE.finditer(text)] == []


@pytest.mark.parametrize(
    "text",
    ["Left: one dot.", "A row. Right: all.", "in the right panel", "On the left units stand"],
)
def test_texts_that_place_a_panel_are_found(text):
    assert BESIDE.search(text)
    assert not BESIDE.search("Points left of the line lie on the right of zero, above it.")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_published_figure_has_texts(path):
    figure_texts.with_texts(json.loads(path.read_text(encoding="utf-8")), TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_sentences(name):
    assert set(TEXTS[name]) == {"alt", "caption"}
    for text in TEXTS[name].values():
        assert text[0].isupper()
        assert text.endswith(".")
