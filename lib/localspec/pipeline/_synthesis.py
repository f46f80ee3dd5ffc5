"""The synthesis: replicates combined, one family of tests, effects beside their null means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real, check_type, require, shown
from localspec.measures import MEASURES, Assessment
from localspec.pipeline._choices import CHECKS
from localspec.pipeline._findings import undefined_share
from localspec.pipeline._open import by_network
from localspec.pipeline._replicate import PARTITIONINGS, Replicate, checked_coherence
from localspec.pipeline._tables import check_replicates
from localspec.statistics import (
    benjamini_hochberg,
    benjamini_yekutieli,
    combine_replicates,
    p_floor,
    summarize_effects,
)

SIGNIFICANT, NOT_SIGNIFICANT = "significant", "not significant"
UNCALIBRATED, INDEPENDENT = "uncalibrated", "independent draws"
COLUMNS = [
    "network",
    "partitioning",
    "measure",
    "p",
    "bh",
    "verdict",
    "effect",
    "effect_se",
    "effect_null",
    "effect_ratio",
    "favourable",
    "by",
    "plain_p",
    "p_floor",
    "fisher_statistic",
    "n_replicates",
    "n_subclusters",
    "n_undefined",
    "chain",
]


def _row(group: Sequence[Replicate], partitioning: str, name: str) -> dict:
    assessments = [replicate.assessment(name, partitioning) for replicate in group]
    plain = combine_replicates([assessment.fisher.pvalue for assessment in assessments])
    calibrated = combine_replicates([assessment.permutation.pvalue for assessment in assessments])
    effects = summarize_effects([assessment.effects for assessment in assessments])
    statistics = [assessment.fisher.statistic for assessment in assessments if assessment.fisher.n]
    single = len(assessments) == 1
    joint = all(replicate.conventions.draws == "joint" for replicate in group)
    return {
        "network": group[0].network,
        "partitioning": partitioning,
        "measure": name,
        "n_replicates": len(assessments),
        "n_subclusters": sum(len(assessment.p_values) for assessment in assessments),
        "n_undefined": sum(assessment.measure.n_undefined for assessment in assessments),
        "fisher_statistic": float(np.mean(statistics)) if statistics else float("nan"),
        "plain_p": plain.pvalue,
        "p": plain.pvalue if single else calibrated.pvalue,
        "p_floor": p_floor(assessments[0].measure.n_draws, max(calibrated.n, 1)),
        "chain": UNCALIBRATED if single else "calibrated" if joint else INDEPENDENT,
        "effect": effects.mean,
        "effect_se": effects.standard_error,
        "effect_null": effects.null_mean,
        "effect_ratio": effects.ratio,
        "favourable": effects.favourable_direction,
        "n_draws": assessments[0].measure.n_draws,
    }


def _verdict(row: pd.Series) -> str:
    if row["chain"] == UNCALIBRATED:
        return f"undecidable at {row['n_draws']} draws"
    if np.isnan(row["p"]):
        return "no tested subcluster"
    return SIGNIFICANT if row["rejected"] else NOT_SIGNIFICANT


def on_favourable_side(table: pd.DataFrame) -> pd.Series:
    """Return for each row of a synthesis whether its mean effect speaks for specialization.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`synthesis_table`.

    Returns
    -------
    pandas.Series of bool
        False, too, where there is no effect. A test that is significant on the other side of its
        null mean is no support.
    """
    ratio = table["effect_ratio"]
    return pd.Series(np.where(table["favourable"] == "above", ratio > 1, ratio < 1), table.index)


def combined_rows(
    replicates: Sequence[Replicate], measures: Sequence[str] = MEASURES
) -> list[dict]:
    """Combine replicates: one row a network, partitioning and measure, not corrected yet.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    measures : sequence of str, optional

    Returns
    -------
    list of dict
        For :func:`corrected_table`.

    Raises
    ------
    InvalidInputError
        If there is no replicate.
    """
    check_replicates(replicates, measures)
    return [
        _row(group, partitioning, name)
        for group in by_network(replicates)
        for partitioning in PARTITIONINGS
        for name in measures
    ]


def corrected_table(rows: Sequence[dict], *, level: float = 0.05) -> pd.DataFrame:
    """Correct rows for their number, and decide: see :func:`synthesis_table`.

    Parameters
    ----------
    rows : sequence of dict
        From :func:`combined_rows`: the family.
    level : float, optional
        False discovery rate.

    Raises
    ------
    InvalidInputError
        If there are no rows, or `level` is not between 0 and 1.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Families".
    """
    check_real("level", level, 0, 1)
    require(
        isinstance(rows, Sequence) and len(rows) > 0,
        f"rows must be a list, as combined_rows returns it, not {shown(rows)}",
    )
    table = pd.DataFrame(rows)
    family = np.where(table["chain"] == UNCALIBRATED, np.nan, table["p"])
    corrected = benjamini_hochberg(family, alpha=level)
    table["bh"], table["rejected"] = corrected.adjusted, corrected.rejected
    table["by"] = benjamini_yekutieli(family, alpha=level).adjusted
    table["verdict"] = [_verdict(row) for _, row in table.iterrows()]
    return table[COLUMNS]


def synthesis_table(replicates: Sequence[Replicate], *, level: float = 0.05) -> pd.DataFrame:
    """Combine replicates and correct for the number of tests.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    level : float, optional
        False discovery rate of the family: every row that is not marked uncalibrated.

    Returns
    -------
    pandas.DataFrame
        One row a network, partitioning and measure. ``plain_p``: plain Fisher p-values of the
        replicates combined by the Bates distribution. ``p``: the same with permutation Fisher,
        of which ``p_floor`` is the lowest possible value (plain Fisher has none). ``bh`` and
        ``by``: ``p`` adjusted by Benjamini-Hochberg and Benjamini-Yekutieli; ``verdict`` goes by
        ``bh``. ``effect``: mean over networks, with its standard error and its mean under permuted
        partitions.

    Raises
    ------
    InvalidInputError
        If there is no replicate.

    Notes
    -----
    With one replicate permutation Fisher cannot decide; plain Fisher stands in, marked
    uncalibrated, and the verdict is that the number of draws leaves it undecidable. Where each
    subcluster draws on its own, counterparts may overlap as clusters cannot, so that the level of
    permutation Fisher is not assured: these rows are marked "independent draws".

    References
    ----------
    Hod et al., arXiv:2110.08058, "Network level", "Families".
    """
    check_real("level", level, 0, 1)
    return corrected_table(combined_rows(replicates), level=level)


MEASURE = "class_coherence"


def coherence_checks_table(
    replicates: Sequence[Replicate], synthesis: pd.DataFrame, *, level: float = 0.05
) -> pd.DataFrame:
    """Return what the checks leave of the verdicts on class coherence.

    Parameters
    ----------
    replicates : sequence of Replicate
    synthesis : pandas.DataFrame
        Made of them by :func:`localspec.pipeline.synthesis_table`.
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
    check_type("synthesis", synthesis, pd.DataFrame, "synthesis_table(replicates) returns it")
    check_real("level", level, 0, 1)
    at = np.flatnonzero(synthesis["measure"] == MEASURE)
    rows = synthesis.iloc[at].reset_index(drop=True)
    of_network = {group[0].network: group for group in by_network(replicates)}
    groups = [(of_network[row.network], row.partitioning) for row in rows.itertuples()]
    decided = synthesis["verdict"].isin((SIGNIFICANT, NOT_SIGNIFICANT)).to_numpy()
    p_values, verdicts, undefined = {"p": rows["p"]}, {"verdict": rows["verdict"]}, []
    for check in CHECKS:
        assessed = [
            [checked_coherence(replicate, check, partitioning) for replicate in group]
            for group, partitioning in groups
        ]
        if check == "defined":
            undefined = [undefined_share(assessments) for assessments in assessed]
        p = np.array([_combined(assessments) for assessments in assessed])
        family = np.where(decided, synthesis["p"], np.nan)
        family[at] = np.where(decided[at], p, np.nan)
        rejected = benjamini_hochberg(family, alpha=level).rejected[at]
        p_values[f"p_{check}"] = p
        checked = np.where(rejected, SIGNIFICANT, NOT_SIGNIFICANT)
        verdicts[f"verdict_{check}"] = np.where(decided[at], checked, rows["verdict"])
    return rows[["network", "partitioning"]].assign(
        **p_values, **verdicts, undefined_draws=undefined
    )


def _combined(assessments: Sequence[Assessment]) -> float:
    if len(assessments) == 1:  # plain Fisher stands in, as in the synthesis
        return float(assessments[0].fisher.pvalue)
    return combine_replicates([assessment.permutation.pvalue for assessment in assessments]).pvalue
