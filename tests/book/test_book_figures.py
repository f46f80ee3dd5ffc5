"""Texts of figures: each published figure has a caption and says what is seen."""

import json
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
    assert notebook["cells"][1]["metadata"]["mystnb"] == {
        "image": {"alt": "A line."},
        "figure": {"caption": "How it rises."},
    }
    with pytest.raises(ExtensionError, match=r"no text for the figure of .*plot_b"):
        figure_texts.with_texts({"cells": [figure("plot_b(x)")]}, texts)


RECORD = {
    "page": "03_importance",
    "profile": "mine",
    "parameters": {"profile": "mine", "networks": ["it's"]},
    "tables": {"b.csv": "", "a.csv": ""},
}


def test_a_figure_has_its_files_and_its_command_below():
    source = 'write_figure(plot_a(x), f"damage-{group[0].network}", profile=profile)'
    notebook = figure_texts.with_files({"cells": [figure(source), figure("plot_b(x)")]}, RECORD)
    _, fold, other = notebook["cells"]
    assert other["source"] == "plot_b(x)"  # draws a figure and writes none
    elements = Reader(fold["source"])
    text = "".join(elements.text)
    assert "damage-*.svg, damage-*.pdf, damage-*.csv" in text
    assert "results/mine/figures/" in text
    assert [link["href"] for link in elements.all("a")] == ["tables/a.csv", "tables/b.csv"]
    command = shlex.split(text[text.index(".venv") : text.index("Tables")])
    assert command[:-1] == [
        ".venv/bin/papermill",
        "notebooks/03_importance.ipynb",
        "03_importance.ipynb",
        "-y",
    ]
    assert yaml.safe_load(command[-1]) == RECORD["parameters"]


def test_a_figure_of_a_folder_of_its_own():
    fold = figure_texts.files_html('write_figure(f, "card", profile="your_network")', RECORD)
    assert "results/your_network/figures/" in fold
    named = 'name = f"curves-{x}"\nwrite_figure(plot_a(x), name, profile=profile)'
    assert "curves-*.svg" in figure_texts.files_html(named, RECORD)
    assert figure_texts.files_html("show(plot_a(x))", RECORD) == ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_published_figure_has_texts(path):
    figure_texts.with_texts(json.loads(path.read_text(encoding="utf-8")), TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_sentences(name):
    assert set(TEXTS[name]) == {"alt", "caption"}
    for text in TEXTS[name].values():
        assert text[0].isupper()
        assert text.endswith(".")
