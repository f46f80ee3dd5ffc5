"""Texts of figures: each published figure has a caption and says what is seen."""

import json
from pathlib import Path

import figure_texts
import pytest
import yaml
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


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_published_figure_has_texts(path):
    figure_texts.with_texts(json.loads(path.read_text(encoding="utf-8")), TEXTS)


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_sentences(name):
    assert set(TEXTS[name]) == {"alt", "caption"}
    for text in TEXTS[name].values():
        assert text[0].isupper()
        assert text.endswith(".")
