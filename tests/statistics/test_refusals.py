"""Values and options that the statistics refuse."""

import numpy as np
import pytest
from helpers.refusals import cases, check_refused

from localspec.statistics import empirical_p, fisher, p_floor

NULL = np.linspace(0, 1, 19)
CASES = {
    "p rule": (lambda: empirical_p(0.5, NULL, "low", "middle"), "'middle'", "'mid', 'strict'"),
    "side": (lambda: empirical_p(0.5, NULL, "left"), "side='left'", "'low', 'high'"),
    "a p-value of 0": (lambda: fisher([0.0, 0.5]), "(0, 1]"),
    "p of no draws": (lambda: p_floor(0), "n_draws=0", "at least 1"),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
