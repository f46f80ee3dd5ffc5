"""Notes on one profile's run: each published page opens with a summary and a figure."""

import json
from pathlib import Path

import contents
import pytest
import run_notes
import yaml
from note_numbers import filled
from sphinx.errors import ExtensionError

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
NOTES = sorted((ROOT / "book" / "notes").glob("*/*.md"))
PAGES = sorted((ROOT / "book" / "runs").glob("*/*.ipynb"))
OPENING = yaml.safe_load((ROOT / run_notes.OPENING).read_text(encoding="utf-8"))
TITLE, CODE = "# A page\n\nText.", "print(1)"
DIFFERS = "## What differs and why\n\n- First.\n"


SUMMARY = "Seven of nine.\n\n## Most are there\n\nAll but two.\n"
DRAWN = "plot_a(x)"


def picture(content: str) -> dict:
    return {"output_type": "display_data", "data": {"image/png": content}}


def page(*texts: str) -> dict:
    """Return a page of texts, with a cell of code and one of two figures after the first."""
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(True)} for text in texts
    ]
    code = {"cell_type": "code", "metadata": {}, "source": CODE, "outputs": []}
    outputs = [picture("one"), picture("two")]
    figure = {"cell_type": "code", "metadata": {}, "source": DRAWN, "outputs": outputs}
    return {"cells": [cells[0], code, figure, *cells[1:]], "metadata": {}}


def sources(notebook: dict) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"]]


def opened(notebook: dict, notes: str) -> dict:
    return run_notes.with_opening(notebook, notes, ["plot_b", "plot_a"])


def test_links_to_pages_that_a_profile_lacks_lead_to_those_of_the_protocol(tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "02_clustering.ipynb").touch()
    text = "See {doc}`02_clustering`, {doc}`05_synthesis` and {doc}`/book/method`."
    known = "See {doc}`02_clustering`, {doc}`../paper/05_synthesis` and {doc}`/book/method`."
    assert run_notes.with_known_links(text, "small", tmp_path) == known


def test_a_page_opens_with_its_summary_and_its_figure():
    given = page(TITLE, DIFFERS)
    found = opened(given, f"{SUMMARY}\n{run_notes.DIFFERS}\n\n- Second.\n")
    title, summary, figure, text, finding, code, drawn, moved, differs = found["cells"]
    assert title["source"] == "# A page"
    assert "Seven of nine." in summary["source"]
    assert figure["outputs"] == [picture("one")]
    assert figure["metadata"]["tags"] == ["remove-input"]
    assert text["source"] == "Text."
    assert finding["source"] == "## Most are there\n\nAll but two."
    assert code["source"] == CODE
    assert drawn["outputs"] == [picture("two")]
    assert 'href="#first-figure"' in moved["source"]
    assert 'id="first-figure"' in summary["source"]
    assert differs["source"] == f"{DIFFERS}- Second.\n"
    assert given == page(TITLE, DIFFERS)  # left as it is


def test_a_section_among_others_of_one_cell():
    given = page(TITLE, f"## One\n\nA.\n\n{DIFFERS}\n## Three\n\nC.\n")
    found = opened(given, f"{SUMMARY}\n{run_notes.DIFFERS}\n\n- Second.\n")
    expected = f"## One\n\nA.\n\n{DIFFERS}- Second.\n\n## Three\n\nC.\n"
    assert sources(found)[-1] == expected


def test_what_differs_may_be_missing():
    assert sources(opened(page(TITLE, DIFFERS), SUMMARY))[-1] == DIFFERS


@pytest.mark.parametrize(
    "notes", ["Seven.\n", "## Most are there\n\nAll.\n", "Seven.\n\n## Most\n"]
)
def test_notes_without_a_part(notes):
    with pytest.raises(ExtensionError, match="notes need a summary, then a heading"):
        opened(page(TITLE, DIFFERS), notes)


def test_a_summary_that_is_too_long():
    title = run_notes.n_words(run_notes.SUMMARY)
    run_notes.summary_box("word " * (60 - title))
    with pytest.raises(ExtensionError, match="a summary of 61 words; at most 60"):
        run_notes.summary_box("word " * (61 - title))


def test_words_are_those_that_are_seen():
    assert run_notes.n_words('See {doc}`../a/b` of <a href="#x y">two words</a>.') == 6


def test_a_page_without_the_figure():
    given = page(TITLE, DIFFERS)
    with pytest.raises(ExtensionError, match="no figure of plot_c"):
        run_notes.with_opening(given, SUMMARY, ["plot_c"])


def cell(kind: str, source: str, *tags: str) -> dict:
    return {"cell_type": kind, "source": source, "metadata": {"tags": list(tags)}}


def test_a_page_has_its_title_in_the_table_of_contents():
    given = {"cells": [cell("markdown", TITLE)]}
    assert sources(run_notes.of_this_run(given, "Here: MNIST")) == ["# Here: MNIST\n\nText."]
    assert sources(run_notes.of_this_run(given, None)) == [TITLE]


@pytest.mark.parametrize("word", ["Computes", "Rebuilds", "Control"])
def test_what_a_notebook_computes_is_not_said_on_its_page(word):
    line = f"*{word}: A, and B\nof C. Expected run time\non digits: 1 s.*"
    given = {"cells": [cell("markdown", f"# A page\n\n{line}\n\nText.")]}
    assert sources(run_notes.of_this_run(given, None)) == [TITLE]


def with_ids(**sources: str) -> dict:
    """Return a notebook; cells whose ids begin with `code` are code."""
    cells = [
        {"id": name, **cell("code" if name.startswith("code") else "markdown", source)}
        for name, source in sources.items()
    ]
    return {"cells": cells}


def test_a_page_shows_the_present_text_of_its_notebook_where_the_code_is_the_same():
    page = with_ids(a="# A", code1="one", b="left", code2="two", gone="old", code3="three", c="end")
    present = with_ids(a="# B", code1="other", b="title", code2="two", code3="three", c="new end")
    shown = run_notes.with_present_texts(page, present)
    assert sources(shown) == ["# A", "one", "title", "two", "old", "three", "new end"]
    assert sources(page)[2] == "left"  # left as it is


def test_titles_are_read_from_the_table_of_contents(tmp_path):
    toc = tmp_path / "_toc.yml"
    toc.write_text(
        "root: a\nparts:\n"
        "- chapters: [{file: b, sections: [{file: d, title: The d}]}, {file: c, title: The c}]\n"
    )
    assert [entry["file"] for entry in contents.chapters(toc)] == ["b", "d", "c"]
    assert contents.titles(toc) == {"d": "The d", "c": "The c"}


def test_the_parameters_of_a_run_stand_where_the_defaults_stood_and_code_is_folded():
    defaults = (
        'profile: str = "digits"  # a name\nseeds: list = [0, 1]  # seeds\nlevel: float = 0.05'
    )
    injected = '# Parameters\nprofile = "paper"\nseeds = [0, 1, 2]\n'
    given = {
        "cells": [
            cell("markdown", TITLE),
            cell("code", defaults, "parameters"),
            cell("code", injected, "injected-parameters", "hide-input"),
            cell("code", CODE),
        ]
    }
    shown = run_notes.of_this_run(given, None)
    parameters = (
        'profile: str = "paper"  # a name\nseeds: list = [0, 1, 2]  # seeds\nlevel: float = 0.05'
    )
    assert sources(shown) == [TITLE, parameters, CODE]
    tags = [part["metadata"]["tags"][-1:] for part in shown["cells"]]
    assert tags == [[], ["hide-input"], ["hide-input"]]
    assert len(given["cells"]) == 4  # left as it is


def test_every_published_page_has_a_title_of_its_own():
    titles = contents.titles(ROOT / contents.TOC)
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in PAGES}
    assert pages == set(titles)
    assert len({*titles.values()}) == len(titles)


def test_a_page_without_the_section():
    with pytest.raises(ExtensionError, match="which the page lacks"):
        opened(page(TITLE), f"{SUMMARY}\n{run_notes.DIFFERS}\n\n- Second.\n")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_published_page_opens_with_what_was_found(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    notes = ROOT / run_notes.NOTES / path.parent.name / f"{path.stem}.md"
    text = filled(notes.read_text(encoding="utf-8"), ROOT / "book" / "runs", path.parent.name)
    functions = run_notes.opening_functions(OPENING, path.parent.name, path.stem)
    found = run_notes.with_opening(notebook, text, functions)
    assert len(found["cells"]) == len(notebook["cells"]) + 5
    kinds = [cell["cell_type"] for cell in found["cells"][:6]]
    assert kinds == ["markdown", "markdown", "code", "markdown", "markdown", "code"]
    assert run_notes.FIGURES & found["cells"][2]["outputs"][0]["data"].keys()


def test_notes_belong_to_published_pages():
    notes = {f"{path.parent.name}/{path.stem}" for path in NOTES}
    assert notes == {f"{path.parent.name}/{path.stem}" for path in PAGES}
