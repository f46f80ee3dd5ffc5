"""The page of what works: every network works, or a sentence says why not."""

from pathlib import Path

import pandas as pd
import pytest

BOOK = Path(__file__).parents[2] / "book"
USES = ["weights graph", "activations graph", "lesions", "visualization"]


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(BOOK / "networks.csv", keep_default_na=False)


def test_it_has_networks_of_every_source_once(table):
    assert (table.groupby("source").size() >= 10).all()
    assert {"hand-made", "torchvision", "timm", "transformers"} == {*table["source"]}
    assert not table.duplicated(["source", "network"]).any()


def test_what_does_not_work_has_a_reason(table):
    assert set(table["way"]) == {"traced", "hooked", "-"}
    assert set(table[USES].to_numpy().ravel()) == {"yes", "no"}
    lacking = table[(table[USES] == "no").any(axis=1)]
    assert (lacking["remark"].str.len() > 20).all()
    assert (table["remark"].str.len() < 900).all()


def test_ways(table):
    works = table[USES] == "yes"
    unused, hooked = table["way"] == "-", table["way"] == "hooked"
    assert not works[unused].any(axis=None)
    assert not works.loc[hooked, "weights graph"].any()
    assert works.loc[~unused, "activations graph"].all()
    assert (table.loc[~unused, ["layers", "units"]] > 0).all(axis=None)
    images = table["input"].str.match(r"[13]x\d+x\d+$")
    assert not works.loc[~images, "visualization"].any()


def test_the_page_shows_it():
    assert "{shown-csv} networks" in (BOOK / "networks.md").read_text(encoding="utf-8")
