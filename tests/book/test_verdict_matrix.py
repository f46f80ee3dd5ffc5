"""The matrix of verdicts in the book: from the table, in words, and only where there is one."""

import re
from pathlib import Path

import pandas as pd
import pytest
import verdict_matrix
import yaml
from helpers.html import Reader

pytestmark = pytest.mark.book
RUNS = Path(__file__).resolve().parents[2] / "book" / "runs"


@pytest.fixture(scope="module")
def table():
    return verdict_matrix.read_verdicts(RUNS, "digits")


def test_every_cell_says_its_verdict(table):
    html = verdict_matrix.matrix_html(table)
    cells = re.findall(r"<td class='verdict-(\w+)'[^>]*><strong>(\w+)</strong>(.*?)</td>", html)
    assert [word for word, _, _ in cells] == [word for _, word, _ in cells]
    assert [word for word, _, _ in cells] == table["verdict"].tolist()
    for (_, _, text), row in zip(cells, table.itertuples(), strict=True):
        assert f"{row.n_significant} of {row.n_tests} significant" in text
        assert ("on the wrong side" in text) == (row.n_wrong_side > 0)
        assert ("side\N{NO-BREAK SPACE}✗" in text) == (row.direction == "failed")
        assert "nan" not in text
    assert "?" in html
    heads = re.findall(r"<th scope='col'[^>]*>(.*?)</th>", html)
    assert heads == list(dict.fromkeys(table["network"]))


def test_an_undecidable_cell_says_what_is_undefined(table):
    row = table.iloc[0].to_dict() | {"undefined_draws": 0.731}
    words = "73 % of draws undefined"
    assert words in verdict_matrix.matrix_html(pd.DataFrame([row | {"verdict": "undecidable"}]))
    assert words not in verdict_matrix.matrix_html(pd.DataFrame([row | {"verdict": "mixed"}]))


def test_the_first_page_answers_as_the_table_does():
    paper = verdict_matrix.read_verdicts(RUNS, "paper")
    supported = paper["verdict"] == "supported"
    important = paper["measure"] == "importance"
    assert supported[important].mean() > 0.5
    assert supported[~important].mean() < 0.5
    subclusters = pd.read_csv(RUNS / "paper" / "tables" / "importance_subclusters.csv")
    more = subclusters["importance_random"] - subclusters["importance"]
    medians = more.groupby([subclusters["network"], subclusters["partitioning"]]).median()
    assert medians.min() >= 0  # "tends to"
    assert 0 < medians.max() < 0.01  # "mostly by little"
    intro = (RUNS.parent / "intro.md").read_text(encoding="utf-8")
    assert "removing a cluster tends to hurt more than removing random units" in intro
    assert "mostly by little" in intro
    assert "coherence is mostly small, undecided or on the wrong side" in intro


def test_the_figure_has_a_mark_for_each_effect(table):
    reader = Reader(verdict_matrix.effects_html(table))
    marks = reader.all("g")
    known = table.dropna(subset=["low"])
    assert len(marks) == len(known) > 10
    assert sorted(mark["data-network"] for mark in marks) == sorted(known["network"])
    assert all(mark["aria-label"] == mark["data-numbers"] for mark in marks)
    at = {
        one["aria-label"]: float(circle["cx"])
        for one, circle in zip(marks, reader.all("circle"), strict=True)
    }
    row = known.iloc[0]
    expected = verdict_matrix.numbers_text(row)
    assert f"{row['ratio']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in expected
    one = next(float(line["x1"]) for line in reader.all("line") if line.get("class") == "one")
    assert (at[expected] > one) == (row["ratio"] > 1)


def test_a_picture_of_the_matrix_has_the_matrix_beside_it():
    alt = yaml.safe_load((RUNS.parent / "figures.yml").read_text(encoding="utf-8"))
    picture = f'<img alt="{alt["plot_verdicts"]["alt"]}" src="a.png" />'
    body = verdict_matrix.with_matrix(f'<img alt="b"/><p>{picture}</p>', "<table></table>")
    assert body == (
        f"<img alt=\"b\"/><p><span class='wide'>{picture}</span>"
        "<div class='verdicts'><table></table></div></p>"
    )


def test_colours_are_those_of_the_words(table):
    css = (RUNS.parent / "_static" / "localspec.css").read_text(encoding="utf-8")
    coloured = re.findall(r"td\.verdict-(\w+) \{\n  background: var\(--verdict-(\w+)\)", css)
    assert coloured == [(word, word) for word in ("supported", "negligible", "contradicted")]
