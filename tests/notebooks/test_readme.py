"""The README's numbers are those of the published tables."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
QUANTITIES = ("ncut", "shuffled_ncut_mean", "test_accuracy")
READINGS = {"paper": "", "kernel_norm: induced": ", released kernel norm"}
PAGES_OF = {  # profiles whose published figures the README shows, by the name of their data
    "MNIST": ["mnist", "mnist-dropout"],
    "Fashion-MNIST": ["fashion-mnist"],
    "Polynomials": ["polynomials"],
}
MEASURES = ["importance", "class_coherence", "input_coherence", "output_coherence"]


def test_results_table_is_the_published_one():
    rows = re.findall(
        r"^\| (MLP|CNN) \| (weights|activations), (global|local) \| (.+?) \| not comparable",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    table = pd.read_csv(ROOT / "book/runs/digits/tables/synthesis.csv", dtype=str)
    table = table.set_index(["network", "partitioning", "measure"])
    assert len(rows) == 8
    for network, kind, scope, cells in rows:
        for name, cell in zip(MEASURES, cells.split(" | "), strict=True):
            row = table.loc[(network.lower(), f"{kind}/{scope}", name)]
            bold = "**" if row["verdict"] == "significant" else ""
            assert cell == f"{bold}{row['p']}{bold}"


def published_rows(profile):
    """Return what the README has to show of one profile's published figures."""
    table = pd.read_csv(ROOT / f"book/runs/{profile}/tables/published.csv", dtype=str)
    rows = []
    for (network, reading), part in table.groupby(["network", "reading"], sort=False):
        if reading not in READINGS:
            continue
        part = part.set_index("quantity")
        pairs = [
            f"{part.loc[name, 'ours']}, {part.loc[name, 'published']}"
            if name in part.index
            else "none"
            for name in QUANTITIES
        ]
        holds = f"{(part['verdict'] == 'holds').sum()} of {len(part)}"
        rows.append((f"{network}{READINGS[reading]}", *pairs, holds))
    return rows


def test_published_figures_are_those_of_the_pages():
    rows = re.findall(
        r"^\| (MNIST|Fashion-MNIST|Polynomials) \| ([\w, -]+)"
        r" \| (.+?) \| (.+?) \| (.+?) \| (\d of \d) \|$",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    for name, profiles in PAGES_OF.items():
        shown = [tuple(row) for data, *row in rows if data == name]
        assert shown == [row for profile in profiles for row in published_rows(profile)]


def test_claims_are_those_of_the_page():
    rows = re.findall(
        r"^\| (C\d) \| (.+?) \| (\d+) of (\d+) \| (.+?) \|$",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    table = pd.read_csv(ROOT / "book/runs/paper/tables/claims.csv", dtype=str)
    table = table[table["tests"] != "0"]
    columns = ["id", "claim", "significant", "tests", "verdict"]
    assert rows == list(table[columns].itertuples(index=False, name=None))
