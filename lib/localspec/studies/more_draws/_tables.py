"""Tables of the page of more draws: p from a fixed number of draws beside sequential p."""

from __future__ import annotations

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS, UNCALIBRATED, Replicate
from localspec.statistics import benjamini_hochberg, fisher, p_floor
from localspec.studies.more_draws._rounds import sequential_p_values_of

BOTH, MORE_ONLY, FIRST_ONLY, NEITHER = "both", "more draws only", "first draws only", "neither"
GROUP = ["partitioning", "measure"]


def more_draws_table(
    replicate: Replicate,
    *,
    max_draws: int = 999,
    max_exceedances: int = 10,
    level: float = 0.05,
) -> pd.DataFrame:
    """Return both p-values of every tested subcluster.

    Parameters
    ----------
    replicate : Replicate
    max_draws, max_exceedances : int, optional
        When the drawing ends, see :func:`localspec.studies.more_draws.sequential_p_values_of`.
    level : float, optional
        False discovery rate of each family: the subclusters of one partitioning and measure.

    Returns
    -------
    pandas.DataFrame
        One row a subcluster, partitioning and measure. ``value`` is empty where undefined.
        ``p_first``: from the fixed number of draws of the other pages, by their rule;
        ``p_sequential``: by sequential stopping, after ``draws_used`` draws, of which
        ``n_exceedances`` were at least as extreme. ``bh_first`` and ``bh_sequential``: adjusted by
        Benjamini-Hochberg; ``significant`` tells which of the two are at most `level`.

    References
    ----------
    Hod et al., arXiv:2110.08058, "p of a subcluster", "Families".
    """
    check_real("level", level, 0, 1)
    limits = {"max_draws": max_draws, "max_exceedances": max_exceedances}
    tables = [
        _rows(replicate, partitioning, name, level, **limits)
        for partitioning in PARTITIONINGS
        for name in MEASURES
    ]
    return pd.concat(tables, ignore_index=True)


def _rows(
    replicate: Replicate, partitioning: str, name: str, level: float, **limits: int
) -> pd.DataFrame:
    parts = replicate.draws(partitioning).subclusters
    assessed = replicate.assessment(name, partitioning)
    results = sequential_p_values_of(replicate, name, partitioning, **limits)
    sequential = np.array([result.pvalue for result in results])
    first = benjamini_hochberg(assessed.p_values, alpha=level)
    more = benjamini_hochberg(sequential, alpha=level)
    verdicts = {(True, True): BOTH, (False, True): MORE_ONLY, (True, False): FIRST_ONLY}
    pairs = zip(first.rejected.tolist(), more.rejected.tolist(), strict=True)
    return pd.DataFrame(
        {
            "partitioning": partitioning,
            "measure": name,
            "layer": [part.layer for part in parts],
            "cluster": [part.cluster for part in parts],
            "n_units": [part.n_units for part in parts],
            "value": assessed.measure.values[0],
            "p_first": assessed.p_values,
            "p_sequential": sequential,
            "draws_used": [result.n_draws for result in results],
            "n_exceedances": [result.n_exceedances for result in results],
            "bh_first": first.adjusted,
            "bh_sequential": more.adjusted,
            "significant": [verdicts.get(pair, NEITHER) for pair in pairs],
        }
    )


def newly_decided_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of :func:`more_draws_table` whose verdict more draws change, smallest first.

    Parameters
    ----------
    table : pandas.DataFrame

    Returns
    -------
    pandas.DataFrame
    """
    changed = table[table["significant"].isin((MORE_ONLY, FIRST_ONLY))]
    return changed.sort_values("p_sequential", kind="stable", ignore_index=True)


def more_draws_test_table(
    replicate: Replicate, table: pd.DataFrame, *, max_exceedances: int = 10
) -> pd.DataFrame:
    """Return one row a partitioning and measure: subclusters decided, and the network's p.

    Parameters
    ----------
    replicate : Replicate
    table : pandas.DataFrame
        From :func:`more_draws_table`.
    max_exceedances : int, optional
        That of the table.

    Returns
    -------
    pandas.DataFrame
        ``significant_first`` and ``significant_sequential``: subclusters that are, after
        Benjamini-Hochberg; ``mean_draws_used``: of a subcluster; ``n_at_limit``: subclusters that
        all `max_draws` draws did not stop. ``permutation_p``: of the first draws, with its floor.
        ``fisher_p_first`` and ``fisher_p``: plain Fisher of the first draws and of
        sequential p-values, without shift; ``chain`` marks the latter as uncalibrated.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Network level".
    """
    rows = []
    for (partitioning, name), part in table.groupby(GROUP, sort=False):
        assessed = replicate.assessment(name, partitioning)
        plain = fisher(part["p_sequential"], rule="conservative")  # no shift
        rows.append(
            {
                "partitioning": partitioning,
                "measure": name,
                "n_subclusters": len(part),
                "n_undefined": assessed.measure.n_undefined,
                "significant_first": int(part["significant"].isin((BOTH, FIRST_ONLY)).sum()),
                "significant_sequential": int(part["significant"].isin((BOTH, MORE_ONLY)).sum()),
                "mean_draws_used": float(part["draws_used"].mean()),
                "n_at_limit": int((part["n_exceedances"] < max_exceedances).sum()),
                "permutation_p": float(assessed.permutation.pvalue),
                "permutation_floor": p_floor(assessed.measure.n_draws),
                "fisher_p_first": float(assessed.fisher.pvalue),
                "fisher_statistic": float(plain.statistic),
                "fisher_p": float(plain.pvalue),
                "chain": UNCALIBRATED,
            }
        )
    return pd.DataFrame(rows)
