"""Tables of the null calibration, and the sentences that follow from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec.measures import MEASURES
from localspec.pipeline import NullEvidence, Replicate
from localspec.statistics import (
    BOUND_RATIO,
    RULES,
    clustered_rate,
    exceedances,
    fisher_shift,
    judgement,
)
from localspec.studies.calibration._false_positives import (
    GROUP_SIZES,
    PERMUTATION,
    PLAIN,
    RELEASED_CHAIN,
    SUBCLUSTER,
    PValues,
    combined,
    null_p_values,
)

SHOWN_GROUP = 5  # replicates of the paper's main tables


def _over(test: str, size: int) -> str:
    return f"{test}, {size} replicates"


CHAINS = {  # what a reader may want to believe: (test, rule) -> its name in a sentence
    (PLAIN, RELEASED_CHAIN): "Plain Fisher as released (strict rule, shifted, its own draws)",
    (PLAIN, "strict"): "Plain Fisher, strict rule, shifted",
    (PLAIN, "mid"): "Plain Fisher, mid rule",
    (PERMUTATION, "mid"): "Permutation Fisher, mid rule",
}
CHAINS |= {
    (_over(test, SHOWN_GROUP), rule): f"{what}, then Bates over {SHOWN_GROUP} networks"
    for (test, rule), what in CHAINS.items()
}


def calibration_table(p_values: dict[str, PValues], *, level: float = 0.05) -> pd.DataFrame:
    """Return the rate of false positives of every test, with its interval.

    Parameters
    ----------
    p_values : dict
        From :func:`localspec.studies.calibration.all_p_values`.
    level : float, optional

    Returns
    -------
    pandas.DataFrame
        One row a measure, test and rule: ``rate``, its 95 % interval ``low`` to ``high`` over
        networks (over groups of networks where replicates are combined), and how many networks
        and tests it rests on. Groups that do not fill are left out.
    """
    rows = []
    for name, tests in p_values.items():
        for (test, rule), values in tests.items():
            rows.append({"measure": name, "test": test, "rule": rule} | _rated(values, 1, level))
        for size in GROUP_SIZES:
            for (test, rule), values in tests.items():
                if test != SUBCLUSTER and len(values) >= size:
                    first = {"measure": name, "test": _over(test, size), "rule": rule}
                    rows.append(first | _rated(combined(values, size), size, level))
    return pd.DataFrame(rows)


def _rated(values: np.ndarray, size: int, level: float) -> dict:
    estimate = clustered_rate(values, level)
    counts = {"n_networks": size * estimate.n_clusters, "n_tests": estimate.n_tests}
    return {"rate": estimate.rate, "low": estimate.low, "high": estimate.high} | counts


def ties_table(
    evidence: Sequence[NullEvidence], p_values: dict[str, PValues], *, level: float = 0.05
) -> pd.DataFrame:
    """Return how often values tie, and what each rule makes of it.

    Parameters
    ----------
    evidence : sequence of NullEvidence
        One a network.
    p_values : dict
        Of these networks, from :func:`localspec.studies.calibration.all_p_values`.
    level : float, optional

    Returns
    -------
    pandas.DataFrame
        One row a measure and rule. ``tied_draws``: share of draws that tie with the null
        subcluster's own value; ``tied_subclusters``: share with at least one such draw;
        ``undefined``: share of subclusters whose value is undefined. ``mean_p``: after the
        rule's shift, 0.5 if the rule is fair; ``rate``: of subclusters at or below `level`.
    """
    n_draws = evidence[0].n_draws
    rows = []
    for name in MEASURES:
        tied, undefined = [], []
        for of_network in evidence:
            measure = of_network.measure(name)
            true, null = measure.values[:, 0], np.swapaxes(measure.values[:, 1:], 1, 2)
            tied.append(exceedances(true, null, measure.side)[1].ravel())
            undefined.append(np.isnan(true).ravel())
        ties = np.concatenate(tied)
        for rule in RULES:
            p_of_rule = p_values[name][SUBCLUSTER, rule]
            rows.append(
                {
                    "measure": name,
                    "rule": rule,
                    "tied_draws": float(ties.mean() / n_draws),
                    "tied_subclusters": float((ties > 0).mean()),
                    "undefined": float(np.concatenate(undefined).mean()),
                    "mean_p": float(np.nanmean(p_of_rule) - fisher_shift(rule, n_draws)),
                    "rate": clustered_rate(p_of_rule, level).rate,
                }
            )
    return pd.DataFrame(rows)


def sample_table(replicate: Replicate, evidence: NullEvidence, *, n_shown: int = 3) -> pd.DataFrame:
    """Return p-values of the first null partitions of one network, to be computed again.

    Parameters
    ----------
    replicate : Replicate
    evidence : NullEvidence
        Of this replicate.
    n_shown : int, optional

    Returns
    -------
    pandas.DataFrame
        One row a null partition and measure: the p-values of the whole partition, and the mean
        of the measure over its subclusters and over their random counterparts.
    """
    rows = []
    for name in MEASURES:
        values = evidence.measure(name).values
        tests = null_p_values(evidence, name, seed=replicate.seed)
        for index in range(n_shown):
            row: dict[str, object] = {"network": replicate.network, "seed": replicate.seed}
            row |= {"null_partition": index, "measure": name}
            row |= {"mean": float(np.nanmean(values[index, 0]))}
            row |= {"mean_random": float(np.nanmean(values[index, 1:]))}
            for rule in ("mid", "strict", "conservative"):
                row[f"plain_{rule}_p"] = float(tests[PLAIN, rule][index])
            row["permutation_p"] = float(tests[PERMUTATION, "mid"][index])
            rows.append(row)
    return pd.DataFrame(rows)


def conclusions(table: pd.DataFrame, *, level: float = 0.05) -> list[str]:
    """Say in sentences which p-values can be believed.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`calibration_table`.
    level : float, optional

    Returns
    -------
    list of str
        One sentence for each chain of tests, then one on the bound required of permutation
        Fisher. All follow from the numbers in `table`.
    """
    lines = []
    for (test, rule), what in CHAINS.items():
        rows = table[(table["test"] == test) & (table["rule"] == rule)]
        if len(rows):
            lines.append(f"{what}: " + _believed(rows, level))
    rows = table[(table["test"] == PERMUTATION) & (table["rule"] == "mid")]
    bound = BOUND_RATIO * level
    missed = rows[~(rows["high"] <= bound)]
    largest = (
        f"permutation Fisher of single networks, largest upper bound {rows['high'].max():.4f}, "
        f"required at most {bound:.4g}"
    )
    if len(missed):
        lines.append(f"Requirement MISSED for {_names(missed['measure'])} ({largest}).")
    else:
        lines.append(f"Requirement met for all measures ({largest}).")
    return lines


def _names(measures) -> str:
    return ", ".join(name.replace("_", " ") for name in measures)


def _believed(rows: pd.DataFrame, level: float) -> str:
    measures_of: dict[str, list[str]] = {}
    for row in rows.itertuples():
        measures_of.setdefault(judgement(row.low, row.high, level), []).append(row.measure)
    low, high = rows["rate"].min(), rows["rate"].max()
    text = f"false positives in {low:.1%} to {high:.1%} of tests at level {level:g}. A small p is "
    parts = []
    if "as promised" in measures_of:
        parts.append(f"believed for {_names(measures_of['as promised'])}")
    if "too seldom" in measures_of:
        names = _names(measures_of["too seldom"])
        parts.append(f"believed, but so seldom small that effects get lost, for {names}")
    if "too often" in measures_of:
        parts.append(f"NOT to be believed for {_names(measures_of['too often'])}")
    if "open" in measures_of:
        worst = rows.set_index("measure").loc[measures_of["open"], "high"]
        names = ", ".join(
            name.replace("_", " ") + ("" if np.isnan(high) else f" (up to {high:.1%})")
            for name, high in worst.items()
        )
        parts.append(f"too few networks to tell for {names}")
    return f"{text}{'; '.join(parts)}."
