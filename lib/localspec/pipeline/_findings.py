"""Findings: what the tests of one measure, or a difference of two effects, come to in a word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_option, check_real
from localspec.measures import MEASURES, Assessment
from localspec.statistics import (
    MOST_UNDEFINED,
    at_most,
    combine_replicates,
    relative_compare,
    summarize_effects,
)

FOUND, OTHER_SIDE, NOT_FOUND = "found", "wrong side", "not found"
NOTHING_TESTED = "no tested subcluster"
MORE, LESS, NOT_TOLD_APART = "more specialized", "less specialized", "not told apart"
UNDEFINED = "undefined"


def form_columns(assessments: Sequence[Assessment]) -> dict:
    """Combine the assessments of one network's replicates into the columns of :func:`form_row`.

    Parameters
    ----------
    assessments : sequence of Assessment
        One a replicate.

    Returns
    -------
    dict
    """
    combined = combine_replicates([each.permutation.pvalue for each in assessments])
    effects = summarize_effects([each.effects for each in assessments])
    return {
        "p": combined.pvalue,
        "effect_ratio": effects.ratio,
        "effect": effects.mean,
        "effect_null": effects.null_mean,
        "favourable": effects.favourable_direction,
        "n_networks": len(assessments),
        "n_subclusters": sum(len(each.p_values) for each in assessments),
        "n_undefined": sum(each.measure.n_undefined for each in assessments),
        "undefined_draws": undefined_share(assessments),
    }


def undefined_share(assessments: Sequence[Assessment]) -> float:
    """Return the share of undefined draws over all replicates; NaN without a draw."""
    undefined = np.concatenate([np.isnan(each.measure.values[1:]).ravel() for each in assessments])
    return float(undefined.mean()) if undefined.size else float("nan")


def form_finding(row: dict, p: float, *, level: float = 0.05) -> str:
    """Say what a row of :func:`form_row` comes to.

    Parameters
    ----------
    row : dict
    p : float
        What is compared with the level: that of the row, or adjusted.
    level : float, optional

    Returns
    -------
    {"found", "wrong side", "not found", "undefined", "no tested subcluster"}
        ``wrong side``: significant, but the effect speaks against specialization; that is no
        support. ``undefined``: more than half of the counterparts have no value.

    Examples
    --------
    >>> row = {"undefined_draws": 0.0, "n_subclusters": 3, "effect_ratio": 0.9}
    >>> form_finding({**row, "favourable": "above"}, 0.01)
    'wrong side'
    """
    check_real("level", level, 0, 1)
    if row["n_subclusters"] == 0:
        return NOTHING_TESTED
    if np.isnan(p) or row["undefined_draws"] > MOST_UNDEFINED:
        return UNDEFINED
    if not at_most(p, level):
        return NOT_FOUND
    sign = 1 if row["favourable"] == "above" else -1
    return FOUND if int(relative_compare(row["effect_ratio"], 1.0)) == sign else OTHER_SIDE


def with_findings(table: pd.DataFrame, bh: np.ndarray, *, level: float = 0.05) -> pd.DataFrame:
    """Return a table of tests with what each comes to.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a test, with the columns of :func:`form_columns`.
    bh : numpy.ndarray, shape (n_rows,)
        p of every row adjusted by Benjamini-Hochberg.
    level : float, optional

    Returns
    -------
    pandas.DataFrame
        With the columns ``bh`` and ``finding``, see :func:`form_finding`.
    """
    rows = table.to_dict(orient="records")
    findings = [form_finding(row, p, level=level) for row, p in zip(rows, bh, strict=True)]
    return table.assign(bh=bh, finding=findings)


def difference_reading(measure: str, low: float, high: float, undefined_draws: float) -> str:
    """Say what the difference of two effects of a measure comes to.

    Parameters
    ----------
    measure : str
    low, high : float
        Its interval.
    undefined_draws : float
        Share of counterparts without a value, of the one of both that has more of them.

    Returns
    -------
    {"more specialized", "less specialized", "not told apart", "undefined"}
        The first two where the interval lies on one side of 0. ``undefined``: there is no
        interval, or more than half of the counterparts have no value.

    Examples
    --------
    Less entropy is more coherent.

    >>> difference_reading("output_coherence", -0.3, -0.1, 0.0)
    'more specialized'
    """
    check_option("measure", measure, MEASURES)
    if np.isnan(low) or not undefined_draws <= MOST_UNDEFINED:
        return UNDEFINED
    if low <= 0 <= high:
        return NOT_TOLD_APART
    return MORE if (low > 0) == (measure != "output_coherence") else LESS
