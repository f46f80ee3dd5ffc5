"""Numbers in pages come from tables; what is missing fails the build."""

import re
from pathlib import Path

import measured
import pytest
from helpers.pages import build_project

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
TABLE = (
    "network,step,hours,note\nMLP,lesions,0.12345,a < b\nMLP,training,,none\nCNN,lesions,nan,x\n"
)


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "grid.csv").write_text(TABLE)
    return tmp_path


def test_a_number_of_a_sentence_is_formatted(tables):
    path, text = measured.sentence_part(
        tables, "grid | network=MLP, step=lesions | {hours:.2f} of {network}"
    )
    assert path == tables / "grid.csv"
    assert text == "0.12 of MLP"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("other | step=lesions | {hours}", "other.csv is missing"),
        ("grid | network=VGG | {hours}", "has no row"),
        ("grid | layer=1 | {hours}", "no column 'layer'"),
        ("grid | network=MLP | {note}", "has 2 rows"),
        ("grid | network=MLP, step=training | {hours}", "hours is missing"),
        ("grid | network=CNN | {hours:.2f}", "hours is missing"),
        ("grid | network=CNN | {seconds}", "cannot be filled"),
        ("grid | network=MLP, step=training | {hours:.2f}", "cannot be filled"),
        ("grid {hours}", "must be"),
    ],
)
def test_what_is_missing_is_an_error(tables, text, says):
    with pytest.raises(measured.MeasuredError, match=re.escape(says)):
        measured.sentence_part(tables, text)


class Book:
    """A Sphinx project of one page."""

    def __init__(self, folder: Path) -> None:
        self.source, self.target = folder / "source", folder / "html"
        (self.source / measured.TABLES).mkdir(parents=True)
        (self.source / measured.TABLES / "grid.csv").write_text(TABLE)

    def build(self, text: str) -> str:
        (self.source / "index.md").write_text(f"# Page\n\n{text}\n")
        build_project(
            self.source,
            self.target,
            extensions=["myst_nb", "measured"],
            exclude_patterns=["benchmarks"],
        )
        return (self.target / "index.html").read_text()


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


def test_a_page_shows_them(book):
    table = (
        "```{measured-table} grid\n:where: step=lesions, network=MLP\n:head: Which | Hours\n"
        ":cells: {network}, {note} | {hours:.1e}\n```"
    )
    page = book.build(f"It took {{measured}}`grid | note=none | {{step}}`.\n\n{table}")
    assert "It took training." in page
    assert "<td>MLP, a &lt; b</td><td>1.2e-01</td>" in page
    assert "<th scope='col'>Hours</th>" in page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{measured}`grid | network=CNN | {hours}`", "hours is missing"),
        ("```{measured-table} grid\n:head: A\n:cells: {hours}\n```", "hours is missing"),
        ("```{measured-table} grid\n:head: A | B\n:cells: {note}\n```", "2 titles for 1 columns"),
    ],
)
def test_a_missing_number_fails_the_build(book, text, says):
    with pytest.raises(measured.MeasuredError, match=says):
        book.build(text)


def test_the_page_of_costs_has_no_number_of_its_own():
    text = (ROOT / "book" / "costs.md").read_text(encoding="utf-8")
    text = re.sub(r"```\{measured-table\}.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"\{measured\}`[^`]*`", "", text)
    amounts = re.findall(r"\d[\d.,]*\s*(?:core )?(?:hours?|days?|seconds?|[GM]B|times)\b", text)
    assert amounts == []
