"""Findings by hand: what tests and differences come to in a word."""

import numpy as np
import pandas as pd
import pytest

from localspec.exceptions import InvalidInputError
from localspec.pipeline import difference_reading, form_finding, with_findings

ROW = {"undefined_draws": 0.1, "n_subclusters": 4, "effect_ratio": 1.2, "favourable": "above"}


@pytest.mark.parametrize(
    ("changes", "p", "expected"),
    [
        ({}, 0.05, "found"),
        ({}, 0.06, "not found"),
        ({"effect_ratio": 0.9}, 0.01, "wrong side"),
        ({"effect_ratio": 0.9, "favourable": "below"}, 0.01, "found"),
        ({"effect_ratio": float("nan")}, 0.01, "wrong side"),
        ({"undefined_draws": 0.51}, 0.01, "undefined"),
        ({"undefined_draws": 0.5}, 0.01, "found"),
        ({}, float("nan"), "undefined"),
        ({"n_subclusters": 0}, float("nan"), "no tested subcluster"),
    ],
)
def test_findings_by_hand(changes, p, expected):
    assert form_finding(ROW | changes, p) == expected


def test_each_row_of_a_table_goes_by_its_adjusted_p():
    table = pd.DataFrame([ROW, ROW, ROW | {"effect_ratio": 0.8}]).assign(p=[0.01, 0.04, 0.02])
    found = with_findings(table, np.array([0.03, 0.06, 0.04]))
    assert found["finding"].tolist() == ["found", "not found", "wrong side"]
    assert found["bh"].tolist() == [0.03, 0.06, 0.04]
    assert with_findings(table, np.array([0.03, 0.06, 0.04]), level=0.1)["finding"][1] == "found"
    assert "finding" not in table
    with pytest.raises(ValueError, match="shorter"):
        with_findings(table, np.array([0.03]))


@pytest.mark.parametrize(
    ("name", "low", "high", "undefined", "reading"),
    [
        ("importance", 0.1, 0.2, 0.0, "more specialized"),
        ("importance", -0.2, -0.1, 0.0, "less specialized"),
        ("output_coherence", 0.1, 0.2, 0.0, "less specialized"),
        ("output_coherence", -0.2, -0.1, 0.0, "more specialized"),
        ("input_coherence", -0.1, 0.2, 0.0, "not told apart"),
        ("class_coherence", 0.1, 0.2, 0.6, "undefined"),
        ("class_coherence", 0.1, 0.2, np.nan, "undefined"),
        ("importance", np.nan, np.nan, 0.0, "undefined"),
    ],
)
def test_readings_of_differences(name, low, high, undefined, reading):
    assert difference_reading(name, low, high, undefined) == reading


def test_only_measures_have_such_readings():
    with pytest.raises(InvalidInputError, match="ncut"):
        difference_reading("ncut", 0.1, 0.2, 0.0)
