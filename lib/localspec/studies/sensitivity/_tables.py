"""Tables of the sensitivity page: the conclusions under each variation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS, Replicate
from localspec.statistics import at_most, benjamini_hochberg, combine_replicates, summarize_effects
from localspec.studies.sensitivity._variations import Variation

ROW = ["partitioning", "measure"]


def sensitivity_table(
    varied: dict[Variation, Sequence[Replicate]], *, level: float = 0.05
) -> pd.DataFrame:
    """Return the verdict on every partitioning and measure under every variation.

    Parameters
    ----------
    varied : dict of Variation to sequence of Replicate
        The replicates of one network under each variation; the baseline first.
    level : float, optional
        False discovery rate of the family.

    Returns
    -------
    pandas.DataFrame
        One row a partitioning, measure and variation that concerns the measure. ``p``:
        permutation Fisher of the networks, combined by the Bates distribution; ``significant``
        after Benjamini-Hochberg over all partitionings and measures, with the baseline's p where
        the variation changes nothing; ``n_significant``: networks whose own p is at most
        `level`; ``stands_without_one``: networks that can be left out without changing whether p
        is at most `level`.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Bates", "Families".
    """
    check_real("level", level, 0, 1)
    baseline: dict[tuple[str, str], list[float]] = {}
    tables = []
    for variation, replicates in varied.items():
        changed = {
            (partitioning, name): [
                float(replicate.assessment(name, partitioning).permutation.pvalue)
                for replicate in replicates
            ]
            for partitioning in PARTITIONINGS
            for name in variation.measures
        }
        baseline = baseline or changed
        family = {**baseline, **changed}
        table = pd.DataFrame([_row(key, p_values, level) for key, p_values in family.items()])
        table["significant"] = benjamini_hochberg(table["p"], alpha=level).rejected
        table.insert(0, "variation", variation.name)
        tables.append(table[[key in changed for key in family]])
    return pd.concat(tables, ignore_index=True)


def _row(key: tuple[str, str], p_values: Sequence[float], level: float) -> dict:
    p = combine_replicates(p_values).pvalue
    rest = [combine_replicates(np.delete(p_values, i)).pvalue for i in range(len(p_values))]
    return {
        **dict(zip(ROW, key, strict=True)),
        "p": p,
        "n_networks": len(p_values),
        "n_significant": int(at_most(p_values, level).sum()),
        "stands_without_one": int((at_most(rest, level) == at_most(p, level)).sum()),
    }


def variation_effects_table(varied: dict[Variation, Sequence[Replicate]]) -> pd.DataFrame:
    """Return on which side of its null mean the effect lies under every variation.

    Parameters
    ----------
    varied : dict of Variation to sequence of Replicate
        The replicates of one network under each variation.

    Returns
    -------
    pandas.DataFrame
        The rows of :func:`sensitivity_table`: ``effect_ratio``, the mean effect over its null
        mean, and ``favourable``, on which side of 1 it speaks for specialization.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Effect size".
    """
    rows = []
    for variation, replicates in varied.items():
        for partitioning in PARTITIONINGS:
            for name in variation.measures:
                effects = [each.assessment(name, partitioning).effects for each in replicates]
                summary = summarize_effects(effects)
                rows.append(
                    {
                        "variation": variation.name,
                        "partitioning": partitioning,
                        "measure": name,
                        "effect_ratio": summary.ratio,
                        "favourable": summary.favourable_direction,
                    }
                )
    return pd.DataFrame(rows)


def survival_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a conclusion and one column a variation.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`sensitivity_table`.

    Returns
    -------
    pandas.DataFrame
        Cells are p, with a star where significant; empty where the variation changes nothing.
        ``same_verdict``: in how many of the variations that concern the measure the verdict is
        the baseline's; ``networks_significant``: of how many networks each on its own;
        ``stands_without_one``: of how many networks each can be left out.
    """
    names = list(dict.fromkeys(table["variation"]))
    rows = []
    for partitioning in PARTITIONINGS:
        for name in MEASURES:
            part = table[(table["partitioning"] == partitioning) & (table["measure"] == name)]
            part = part.set_index("variation")
            first, rest = part.iloc[0], part.iloc[1:]
            cells = {
                column: f"{part.loc[column, 'p']:.2g}{'*' * bool(part.loc[column, 'significant'])}"
                if column in part.index
                else ""
                for column in names
            }
            same = int((rest["significant"] == first["significant"]).sum())
            rows.append(
                {
                    "partitioning": partitioning,
                    "measure": name,
                    **cells,
                    "same_verdict": f"{same} of {len(rest)}",
                    "networks_significant": f"{first['n_significant']} of {first['n_networks']}",
                    "stands_without_one": f"{first['stands_without_one']} of {first['n_networks']}",
                }
            )
    return pd.DataFrame(rows)
