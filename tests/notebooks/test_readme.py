"""The README's numbers are those of the published tables."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "book" / "runs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUANTITIES = ("ncut", "shuffled_ncut_mean", "test_accuracy")
READINGS = {"paper": "", "kernel_norm: induced": ", released kernel norm"}
sys.path.insert(0, str(ROOT / "book"))
import readme  # noqa: E402

PAGES_OF = {  # profiles whose published figures the README shows, by the name of their data
    "MNIST": ["mnist", "mnist-dropout", "mnist-cnns"],
    "Fashion-MNIST": ["fashion-mnist", "fashion-cnns"],
    "Polynomials": ["polynomials"],
}
MEASURES = ["importance", "class_coherence", "input_coherence", "output_coherence"]


def test_results_table_is_the_published_one():
    rows = re.findall(
        r"^\| (MLP|CNN) \| (weights|activations), (global|local) \| (.+?) \| not comparable",
        README,
        re.MULTILINE,
    )
    table = pd.read_csv(ROOT / "book/runs/digits/tables/synthesis.csv", dtype=str)
    table = table.set_index(["network", "partitioning", "measure"])
    assert len(rows) == 8
    for network, kind, scope, cells in rows:
        for name, cell in zip(MEASURES, cells.split(" | "), strict=True):
            row = table.loc[(network.lower(), f"{kind}/{scope}", name)]
            ratio, above = float(row["effect_ratio"]), row["favourable"] == "above"
            expected = row["p"]
            if row["verdict"] == "significant":
                expected = f"**{expected}**" if (ratio > 1) == above else f"{expected}†"
            assert cell == expected


def published_rows(profile):
    """Return what the README has to show of one profile's published figures."""
    table = pd.read_csv(ROOT / f"book/runs/{profile}/tables/published.csv", dtype=str)
    rows = []
    for (network, reading), part in table.groupby(["network", "reading"], sort=False):
        if reading not in READINGS:
            continue
        part = part.set_index("quantity")
        cells = []
        for name in QUANTITIES:
            if name not in part.index:
                cells.append(("none", True, None))
                continue
            row = part.loc[name]
            form = ".4f" if name == "test_accuracy" else ".2f"
            means = ", ".join(format(float(row[each]), form) for each in ("ours", "published"))
            cells.append((means, row["verdict"] == "holds", float(row["difference"])))
        rows.append((f"{network}{READINGS[reading]}", cells))
    return rows


def read_cell(cell):
    """Return the means of a cell, whether it has no footnote, and its difference."""
    difference, _, means = cell.rpartition(": ")
    number = difference.split(" [")[0].replace("\N{MINUS SIGN}", "-")
    standardized = float(number) if difference else None
    return means.removesuffix(" ‡"), not cell.endswith("‡"), standardized


def test_published_figures_are_those_of_the_pages():
    rows = re.findall(
        r"^\| (MNIST|Fashion-MNIST|Polynomials) \| ([\w, -]+) \| (.+?) \| (.+?) \| (.+?) \|$",
        README,
        re.MULTILINE,
    )
    for name, profiles in PAGES_OF.items():
        shown = [row for data, *row in rows if data == name]
        expected = [row for profile in profiles for row in published_rows(profile)]
        assert [row[0] for row in shown] == [network for network, _ in expected]
        for (_, *cells), (_, quantities) in zip(shown, expected, strict=True):
            for cell, (means, holds, difference) in zip(cells, quantities, strict=True):
                read = read_cell(cell)
                assert read[:2] == (means, holds)
                assert difference is None or abs(read[2] - difference) <= 0.0501


def test_every_table_is_up_to_date():
    assert readme.filled(README) == README, "run .venv/bin/python book/readme.py"
    assert readme.filled(README.replace("0.05717", "0.01717")) == README
    with pytest.raises(ValueError, match="verdicts, published, digits"):
        readme.filled(README.replace("<!-- verdicts -->", ""))


def test_verdicts_are_those_of_the_page():
    rows = re.findall(
        r"^\| (C\d) (\w+): ([\w ]+?)(?:, all three)? \| (.+) \|$", readme.verdicts(), re.MULTILINE
    )
    table = pd.read_csv(RUNS / "paper" / "tables" / "verdicts.csv")
    networks = table["network"].nunique()
    assert len(rows) * networks == len(table) > 0
    cells = table.set_index(["claim", "measure"])
    for claim, _, measure, texts in rows:
        expected = cells.loc[(claim, measure.replace(" ", "_"))]
        for text, row in zip(texts.split(" | "), expected.itertuples(), strict=True):
            assert text.startswith(f"**{row.verdict}**")
            numbers = [float(number) for number in re.findall(r"\d\.\d\d", text)]
            given = [value for value in (row.ratio, row.low, row.high) if value == value]
            assert numbers == pytest.approx(given, abs=0.0051)
