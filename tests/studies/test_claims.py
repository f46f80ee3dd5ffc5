"""Verdicts on the paper's claims, from hand-made synthesis tables."""

import pandas as pd
import pytest

from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS
from localspec.studies.published import claims_table


def synthesis(significant, networks=("a", "b"), verdict="not significant"):
    rows = [
        {"network": network, "partitioning": partitioning, "measure": measure, "verdict": verdict}
        for network in networks
        for partitioning in PARTITIONINGS
        for measure in MEASURES
    ]
    for row in rows:
        if (row["network"], row["partitioning"], row["measure"]) in significant:
            row["verdict"] = "significant"
    return pd.DataFrame(rows)


def verdicts(table):
    return dict(zip(table["id"], table["verdict"], strict=True))


def test_claims_by_hand():
    table = synthesis(
        {
            ("a", "weights/global", "importance"),
            ("b", "weights/local", "importance"),
            ("b", "activations/local", "input_coherence"),
            ("b", "activations/local", "output_coherence"),
        }
    )
    claims = claims_table(table, {"a": "mnist", "b": "fashion-mnist"})
    assert verdicts(claims) == {
        "C1": "holds",
        "C2": "does not hold",
        "C3": "does not hold",
        "C4": "holds for b only",
        "C5": "no test decides it: look at the gallery",
    }
    assert claims["tests"].tolist() == [4, 12, 4, 12, 0]
    assert claims["significant"].tolist() == [2, 0, 0, 2, 0]


def test_other_data_get_no_verdict_and_take_no_part_in_one():
    table = synthesis({("a", "weights/global", "importance")})
    claims = claims_table(table, {"a": "digits", "b": "digits"})
    assert set(claims["verdict"][:4]) == {"no verdict: the paper has no such network"}
    assert claims["significant"].tolist() == [1, 0, 0, 0, 0]
    mixed = claims_table(table, {"a": "digits", "b": "mnist"})
    assert verdicts(mixed)["C1"] == "does not hold"
    assert mixed["tests"].tolist() == [2, 6, 2, 6, 0]
    assert mixed["significant"].tolist() == [0, 0, 0, 0, 0]


def test_a_network_without_a_decided_test_is_named():
    table = synthesis({("a", "weights/global", "importance")}, networks=("a", "b", "c"))
    table.loc[table["network"] == "b", "verdict"] = "undecidable at 19 draws"
    data = dict.fromkeys("abc", "mnist")
    claims = claims_table(table, data)
    assert verdicts(claims)["C1"] == "holds for a; does not hold for c; undecided for b"
    assert verdicts(claims)["C3"] == "does not hold for a, c; undecided for b"
    two = claims_table(table[table["network"] != "c"], data)
    assert verdicts(two)["C1"] == "holds for a; undecided for b"


@pytest.mark.parametrize("verdict", ["undecidable at 19 draws", "no tested subcluster"])
def test_tests_that_decide_nothing(verdict):
    claims = claims_table(synthesis(set(), verdict=verdict), {"a": "mnist", "b": "mnist"})
    assert verdicts(claims)["C1"] == "undecided: no test could be decided"
