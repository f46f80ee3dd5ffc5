"""How weak the range rule is: the rates that the book gives for it, simulated."""

import re
from pathlib import Path

import numpy as np
import pytest

from localspec.studies.published._compare import compare

METHOD = Path(__file__).resolve().parents[2] / "book" / "method.md"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_rates_of_the_range_rule(place):
    text = re.search(
        r"it is met in (\d+) %.*?in (\d+) % at one.*?in (\d+) % at two", METHOD.read_text()
    )
    said = float(text[place + 1]) / 100
    rng = np.random.default_rng(place)
    rates = [compare(rng.normal(size=5) + place, rng.normal(size=5)).holds for _ in range(4000)]
    error = np.sqrt(said * (1 - said) / len(rates))
    assert np.mean(rates) == pytest.approx(said, abs=0.005 + 3 * error)
