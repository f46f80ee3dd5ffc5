"""What is left of class coherence where counterparts that do hardly any damage do not count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec.pipeline import CHECKS, Replicate, by_network, checked_coherence
from localspec.statistics import benjamini_hochberg, combine_replicates
from localspec.synthesis import NOT_SIGNIFICANT, SIGNIFICANT

MEASURE = "class_coherence"


def coherence_checks_table(
    replicates: Sequence[Replicate], synthesis: pd.DataFrame, *, level: float = 0.05
) -> pd.DataFrame:
    """Return what the checks leave of the verdicts on class coherence.

    Parameters
    ----------
    replicates : sequence of Replicate
    synthesis : pandas.DataFrame
        Made of them by :func:`localspec.synthesis.synthesis_table`.
    level : float, optional
        False discovery rate of the family, in which a check's p-values take the place of those of
        class coherence.

    Returns
    -------
    pandas.DataFrame
        One row a network and partitioning. ``p`` and ``verdict`` as in `synthesis`;
        ``p_defined`` and ``verdict_defined``, ``p_equal_damage`` and ``verdict_equal_damage``: of
        each check; ``undefined_draws``: share of random counterparts without a range.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Class coherence", "Families".
    """
    at = np.flatnonzero(synthesis["measure"] == MEASURE)
    rows = synthesis.iloc[at].reset_index(drop=True)
    of_network = {group[0].network: group for group in by_network(replicates)}
    groups = [(of_network[row.network], row.partitioning) for row in rows.itertuples()]
    decided = synthesis["verdict"].isin((SIGNIFICANT, NOT_SIGNIFICANT)).to_numpy()
    p_values, verdicts = {"p": rows["p"]}, {"verdict": rows["verdict"]}
    for check in CHECKS:
        p = np.array([_combined(group, partitioning, check) for group, partitioning in groups])
        family = np.where(decided, synthesis["p"], np.nan)
        family[at] = np.where(decided[at], p, np.nan)
        rejected = benjamini_hochberg(family, alpha=level).rejected[at]
        p_values[f"p_{check}"] = p
        checked = np.where(rejected, SIGNIFICANT, NOT_SIGNIFICANT)
        verdicts[f"verdict_{check}"] = np.where(decided[at], checked, rows["verdict"])
    undefined = [_undefined(group, partitioning) for group, partitioning in groups]
    return rows[["network", "partitioning"]].assign(
        **p_values, **verdicts, undefined_draws=undefined
    )


def _undefined(group: Sequence[Replicate], partitioning: str) -> float:
    """Return the share of undefined draws over all replicates; NaN without a draw."""
    measures = [checked_coherence(one, "defined", partitioning).measure for one in group]
    found = np.concatenate([np.isnan(one.values[1:]).ravel() for one in measures])
    return float(found.mean()) if found.size else float("nan")


def _combined(group: Sequence[Replicate], partitioning: str, check: str) -> float:
    found = [checked_coherence(one, check, partitioning) for one in group]
    if len(found) == 1:  # plain Fisher stands in, as in the synthesis
        return float(found[0].fisher.pvalue)
    return combine_replicates([one.permutation.pvalue for one in found]).pvalue
