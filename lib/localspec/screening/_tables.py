"""Tables of a screening: groups and tests, and how many groups stand out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from localspec.clustering import Draws
from localspec.measures import Assessment
from localspec.statistics import at_most, benjamini_hochberg

LAST_COLUMNS = ("evidence", "n_extreme")
LEAST_SKILL = 1 / 3  # of the way from chance to no mistake, below which accuracy is near chance
Assessments = Mapping[tuple[str, str], Assessment]


def group_rows(draws: Draws, assessed: Mapping[str, Assessment], level: float) -> list[dict]:
    """Return a row for each tested group of a partition, in its order."""
    rows = []
    for index, part in enumerate(draws.subclusters):
        row = {"layer": part.layer, "cluster": part.cluster, "n_units": part.n_units}
        for measure, assessment in assessed.items():
            row[measure] = float(assessment.measure.values[0, index])
            row[f"{measure}_p"] = float(assessment.p_values[index])
        p_values = np.array([assessment.p_values[index] for assessment in assessed.values()])
        row["evidence"] = float(-np.nansum(np.log(p_values)))
        row["n_extreme"] = int(at_most(p_values, level).sum())
        rows.append(row)
    return rows


def group_table(
    draws: Mapping[str, Draws], assessments: Assessments, measures: Sequence[str], level: float
) -> pd.DataFrame:
    """Return one row a tested group of every partition, those that stand out most first."""
    rows = []
    for name, drawn in draws.items():
        assessed = {measure: assessments[name, measure] for measure in measures}
        rows += [{"partitioning": name} | row for row in group_rows(drawn, assessed, level)]
    parts = ("partitioning", "layer", "cluster", "n_units")
    columns = [*parts, *(f"{m}{end}" for m in measures for end in ("", "_p")), *LAST_COLUMNS]
    table = pd.DataFrame(rows, columns=columns)
    if not len(table):
        return table
    order = table.assign(evidence=table["evidence"].round(9)).sort_values(
        ["n_extreme", "evidence"], ascending=False, kind="stable"
    )
    return order.reset_index(drop=True)


def tests_table(assessments: Assessments) -> pd.DataFrame:
    """Return one row a partition and measure: permutation Fisher over all its groups."""
    rows = [
        {
            "partitioning": name,
            "measure": measure,
            "n_subclusters": len(assessment.p_values),
            "permutation_p": float(assessment.permutation.pvalue),
        }
        for (name, measure), assessment in assessments.items()
    ]
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Count:
    """How many groups stand out in one measure, over all partitions.

    Attributes
    ----------
    measure : str
    n_groups : int
        Groups tested.
    n_undefined : int
        Of these, groups whose value is undefined: they cannot stand out.
    n_extreme : int
        Groups whose p is at most the level.
    by_chance : float
        How many of those with a value would be on average if groups were random ones.
    n_adjusted : int
        Groups still at most the level after Benjamini-Hochberg over this measure's groups.
    """

    measure: str
    n_groups: int
    n_undefined: int
    n_extreme: int
    by_chance: float
    n_adjusted: int


def near_chance(accuracy: float, chance: float) -> bool:
    """Return whether an accuracy is so near chance that lesions can show little."""
    return accuracy < chance + LEAST_SKILL * (1 - chance)


def chance_rate(level: float, n_draws: int, rule: str) -> float:
    """Return how often a random group's p is at most a level, if nothing ties.

    The rule is that of p-values, or ``"sequential"`` for draws until a decision.

    Examples
    --------
    With 19 draws, p of the mid rule is 0.025, 0.075, ...: one of 20 equally likely ranks.

    >>> chance_rate(0.05, 19, "mid"), chance_rate(0.05, 8, "mid")
    (0.05, 0.0)
    """
    if rule in ("sequential", "randomised"):
        return level
    offset = 0.5 if rule == "mid" else 0.0
    ranks = math.floor(level * (n_draws + 1) * (1 + 1e-9) + offset)
    return min(ranks, n_draws + 1) / (n_draws + 1)


def lowest_p(n_draws: int, rule: str) -> float:
    """Return the lowest p-value that so many draws can give, if nothing ties.

    Examples
    --------
    >>> lowest_p(19, "mid"), lowest_p(999, "sequential")
    (0.025, 0.001)
    """
    return {"mid": 0.5, "randomised": 0.0}.get(rule, 1.0) / (n_draws + 1)


def counts(
    assessments: Assessments, measures: Sequence[str], level: float, rate: float
) -> list[Count]:
    """Count the groups that stand out in each measure."""
    rows = []
    for measure in measures:
        parts = [found for (_, name), found in assessments.items() if name == measure]
        p_values = np.concatenate([part.p_values for part in parts] or [np.empty(0)])
        defined = p_values[~np.isnan(p_values)]
        n_undefined = sum(part.measure.n_undefined for part in parts)
        adjusted = benjamini_hochberg(defined, alpha=level).rejected if len(defined) else defined
        rows.append(
            Count(
                measure=measure,
                n_groups=len(p_values),
                n_undefined=n_undefined,
                n_extreme=int(at_most(p_values, level).sum()),
                by_chance=rate * (len(p_values) - n_undefined),
                n_adjusted=int(np.sum(adjusted)),
            )
        )
    return rows
