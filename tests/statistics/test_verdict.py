"""The rule of the verdicts: every branch, and which one comes first."""

import numpy as np
import pytest

from localspec.statistics import MOST_UNDEFINED, MeanInterval, beyond_one, verdict

NAN = float("nan")


def judged(low, high, **changes):
    mean = (low + high) / 2
    given = {"equivalence": 0.9, "favourable": "above", "n_significant": 2, "n_tests": 2}
    given |= changes
    equivalence, favourable = given.pop("equivalence"), given.pop("favourable")
    return verdict(MeanInterval(mean, low, high, 4, 5), equivalence, favourable, **given)


@pytest.mark.parametrize(
    ("low", "high", "changes", "expected"),
    [
        (1.1, 1.3, {}, "supported"),
        (0.7, 0.9, {"favourable": "below"}, "supported"),
        (1.1, 1.3, {"checks": [True, None, True]}, "supported"),  # one was not made
        (1.1, 1.3, {"checks": [True, False, True]}, "mixed"),
        (1.1, 1.3, {"checks": [np.True_, np.False_, None]}, "mixed"),
        (1.1, 1.3, {"n_significant": 1}, "mixed"),  # half is no majority
        (1.1, 1.3, {"n_significant": 3, "n_tests": 4}, "supported"),
        (1.1, 1.3, {"n_significant": 0}, "mixed"),
        (0.9, 1.3, {}, "mixed"),  # the interval holds 1, however significant
        (1.0, 1.3, {}, "mixed"),  # 1 itself is not beyond 1
        (0.7, 0.9, {}, "contradicted"),  # the wrong side, however significant
        (1.1, 1.3, {"favourable": "below"}, "contradicted"),
        (0.7, 0.9, {"n_significant": 0, "checks": [False]}, "contradicted"),
        (1.01, 1.03, {"equivalence": 0.001}, "negligible"),  # significant and small
        (0.97, 0.99, {"equivalence": 0.001}, "negligible"),  # on the wrong side and small
        (0.98, 1.02, {"equivalence": 0.05, "n_significant": 0}, "negligible"),
        (0.98, 1.02, {"equivalence": 0.051, "n_significant": 0}, "mixed"),
        (1.1, 1.3, {"undefined": MOST_UNDEFINED}, "supported"),
        (1.1, 1.3, {"undefined": MOST_UNDEFINED + 0.01}, "undecidable"),
        (0.7, 0.9, {"undefined": 0.97}, "undecidable"),
        (0.98, 1.02, {"equivalence": 0.001, "undefined": 0.97}, "undecidable"),
        (1.1, 1.3, {"undefined": NAN}, "undecidable"),  # no counterpart at all
        (NAN, NAN, {"equivalence": NAN}, "undecidable"),  # one network, or no effect
    ],
)
def test_every_branch(low, high, changes, expected):
    assert judged(low, high, **changes) == expected


def test_an_interval_beyond_one():
    assert beyond_one(1.1, 1.2, "above") == beyond_one(0.8, 0.9, "below") == 1
    assert beyond_one(0.8, 0.9, "above") == beyond_one(1.1, 1.2, "below") == -1
    assert beyond_one(0.9, 1.1, "below") == beyond_one(NAN, NAN, "above") == 0
