"""The README's numbers are those of the published tables."""

import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
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


def test_published_figures_are_those_of_the_page():
    quantities = {
        **{"n-cut": "ncut", "n-cut of shuffled copies": "shuffled_ncut_mean"},
        "test accuracy": "test_accuracy",
    }
    rows = re.findall(
        rf"^\| ([\w-]+) \| ({'|'.join(quantities)}) \| (\S+) \| (\S+) \| (\w+) \| `make run",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    table = pd.read_csv(ROOT / "book/runs/mnist/tables/published.csv", dtype=str)
    found = [(network, quantities[name], *rest) for network, name, *rest in rows]
    shown = table[["network", "quantity", "ours", "published", "verdict"]]
    assert found == list(shown.itertuples(index=False, name=None))
