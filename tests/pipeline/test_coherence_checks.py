"""What is left of class coherence where counterparts without damage do not count."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from localspec.conventions import PAPER, Conventions
from localspec.lesions import LesionedAccuracies
from localspec.pipeline import checked_coherence, coherence_checks_table
from localspec.statistics import bates_cdf


@dataclass
class Fake:
    """A replicate whose lesions change the accuracies of two classes as given."""

    network: str
    changes: list  # draw, subcluster, class
    conventions: Conventions = PAPER
    seed: int = 0

    def lesioned(self, _partitioning):
        lesioned = 1 + np.array(self.changes, dtype=float)
        return LesionedAccuracies(np.ones(2), lesioned, np.array([100, 100]))

    def draws(self, _partitioning):
        """Return draws of which only the layers of the subclusters are looked at."""
        parts = [SimpleNamespace(layer="a") for _ in self.changes[0]]
        return SimpleNamespace(subclusters=parts)


# an even damage of 0.2, a draw that is uneven, and two that do nothing
EVEN, UNEVEN, NOTHING = [-0.2, -0.2], [-0.3, -0.1], [0.0, 0.0]
HELPED = Fake("a", [[EVEN], [UNEVEN], [NOTHING], [NOTHING]])


def test_draws_without_damage_no_longer_help():
    # plainly (1 + 1/2) / 4; among the one defined draw it is last: (1 + 1/2) / 2
    assessment = checked_coherence(HELPED, "defined", "weights/global")
    assert assessment.p_values == pytest.approx([3 / 4])
    assert assessment.measure.undefined_draws == pytest.approx(2 / 3)
    # rows: 3/4, 1/4 and twice nothing
    assert assessment.permutation.pvalue == pytest.approx(2 / 4)


def test_equal_damage_ranks_the_ratio_to_what_as_much_damage_does():
    # damage 0.1, 0.2, 0.4 with ranges 0.1, 0.4, 0.4: ratios 2^(-1/3), 2^(2/3), 2^(-1/3)
    changes = [[[-0.15, -0.05]], [[-0.4, 0]], [[-0.6, -0.2]], [NOTHING]]
    assessment = checked_coherence(Fake("a", changes), "equal_damage", "weights/global")
    assert assessment.measure.values.ravel()[:3] == pytest.approx(
        2 ** np.array([-1 / 3, 2 / 3, -1 / 3])
    )
    assert assessment.p_values == pytest.approx([(1 + 1 / 2 + 1 / 2) / 3])


def test_the_released_reading_is_checked_too():
    released = Fake("a", HELPED.changes, Conventions(p_rule="strict", undefined_ranges="released"))
    assessment = checked_coherence(released, "defined", "weights/global")
    assert assessment.p_values == pytest.approx([3 / 4])


def family(p, verdict):
    """Return a synthesis of two partitionings and two measures."""
    rows = [
        {"network": "a", "partitioning": where, "measure": name, "p": 0.5, "verdict": verdict}
        for where in ("weights/global", "weights/local")
        for name in ("importance", "class_coherence")
    ]
    return pd.DataFrame(rows).assign(p=p)


def test_the_table_puts_the_checked_p_into_the_family():
    table = coherence_checks_table([HELPED], family([0.01, 0.02, 0.03, 0.04], "significant"))
    assert table["partitioning"].tolist() == ["weights/global", "weights/local"]
    assert table["p"].tolist() == [0.02, 0.04]
    assert table["undefined_draws"].tolist() == pytest.approx([2 / 3] * 2)
    # of a single network plain Fisher's, as in the synthesis: of one p of 3/4 it is the same
    assert table["p_defined"].tolist() == pytest.approx([3 / 4] * 2)
    assert table["verdict_defined"].tolist() == ["not significant"] * 2
    # ten networks of p = 1/4 each: far below the level, as is the rest of the family
    many = [Fake("a", [[UNEVEN], [EVEN], [EVEN], [EVEN]], seed=seed) for seed in range(10)]
    table = coherence_checks_table(many, family([0.01, 0.9, 0.03, 0.9], "not significant"))
    assert table["p_defined"].tolist() == pytest.approx([bates_cdf(0.25, 10)] * 2)  # 0.0025
    assert table["verdict_defined"].tolist() == ["significant"] * 2


def test_what_could_not_be_decided_stays_so():
    undecidable = "undecidable at 3 draws"
    table = coherence_checks_table([HELPED], family([0.01] * 4, undecidable))
    assert table["verdict_defined"].tolist() == [undecidable] * 2
    assert table["verdict_equal_damage"].tolist() == [undecidable] * 2
