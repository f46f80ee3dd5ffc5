"""Tables of the chi-squared test on ranks beside Fisher's method.

What takes replicates raises InvalidInputError if there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS, NullEvidence, Replicate, by_network, check_replicates
from localspec.statistics import at_most, clustered_rate, rank_chi2
from localspec.studies.rank_tests._null_values import (
    PERMUTATION,
    PLAIN,
    null_tests,
    p_values_of,
    simulated_measure,
)

N_SIMULATED = 1000
RANDOM_VALUES = "random values"
COLUMN_OF = {PERMUTATION: "permutation_p", PLAIN: "plain_p"}
PUBLISHED_NAMES = {  # of the statistics in published tables
    "importance": "accuracy",
    "class_coherence": "class_range",
    "input_coherence": "score",
    "output_coherence": "entropy",
}


def rank_tests_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return p of the chi-squared test on ranks beside Fisher's, for every network by itself.

    Parameters
    ----------
    replicates : sequence of Replicate

    Returns
    -------
    pandas.DataFrame
        One row a network, seed, partitioning and measure. ``chi2_p``: a tied value counts at the
        most extreme rank that it may have, as in the released code; ``chi2_spread_p``: at each in
        equal parts; ``plain_p``, ``permutation_p``: Fisher's method, plain and by permutation;
        ``mean_p``: mean of the subclusters' p, below 0.5 where they lean to the extreme side.

    References
    ----------
    Hod et al., arXiv:2110.08058, released code: chi-squared test on rank counts.
    """
    check_replicates(replicates)
    rows = []
    for replicate in replicates:
        for partitioning in PARTITIONINGS:
            for name in MEASURES:
                assessment = replicate.assessment(name, partitioning)
                measure = assessment.measure
                true, null = measure.values[0], measure.values[1:].T
                row = {"network": replicate.network, "seed": replicate.seed}
                row |= {"partitioning": partitioning, "measure": name}
                row |= {"chi2_p": rank_chi2(true, null, measure.side, ties="strict")}
                row |= {"plain_p": assessment.fisher.pvalue}
                row |= {"permutation_p": assessment.permutation.pvalue}
                row |= {"chi2_spread_p": rank_chi2(true, null, measure.side)}
                n_subclusters = len(assessment.p_values)
                mean_p = float(np.mean(assessment.p_values)) if n_subclusters else np.nan
                rows.append(row | {"mean_p": mean_p, "n_subclusters": n_subclusters})
    return pd.DataFrame(rows)


def published_tests(lesions: pd.DataFrame, visualization: pd.DataFrame) -> pd.DataFrame:
    """Return the published p of both tests in the form of :func:`rank_tests_table`.

    Parameters
    ----------
    lesions, visualization : pandas.DataFrame
        From :func:`localspec.studies.published.load_published`.

    Returns
    -------
    pandas.DataFrame
        One row a published network and measure: ``chi2_p`` and ``plain_p``; no other test is
        published.

    References
    ----------
    Filan et al. (2021), result files.
    """
    rows = []
    for name, published in PUBLISHED_NAMES.items():
        table = lesions if f"chi2_p_{published}" in lesions else visualization
        for row in table.to_dict(orient="records"):
            p_values = {
                "chi2_p": row[f"chi2_p_{published}"],
                "plain_p": row[f"fisher_p_{published}"],
            }
            rows.append({"network": "published", "measure": name} | p_values)
    return pd.DataFrame(rows)


def disagreements_table(table: pd.DataFrame, *, level: float = 0.05) -> pd.DataFrame:
    """Return how often the chi-squared test and Fisher's method disagree at a level.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`rank_tests_table` or :func:`published_tests`.
    level : float, optional

    Returns
    -------
    pandas.DataFrame
        One row a network, measure and test that stands ``beside`` chi-squared: how many tests find
        something by ``both``, by ``only_chi2`` and by ``only_beside``, of ``n_tests``; and how many
        of those of chi-squared alone are ``less_extreme``: plain Fisher's p is above 0.5 there,
        so that values lean to the other side.

    Raises
    ------
    InvalidInputError
        If the level is not between 0 and 1.
    """
    check_real("level", level, 0, 1)
    rows = []
    for (network, name), group in table.groupby(["network", "measure"], sort=False):
        for beside, column in COLUMN_OF.items():
            if column not in group:
                continue
            tested = group.dropna(subset=["chi2_p", column])
            chi2, other = at_most(tested["chi2_p"], level), at_most(tested[column], level)
            alone = chi2 & ~other
            rows.append(
                {
                    "network": network,
                    "measure": name,
                    "beside": beside,
                    "both": int((chi2 & other).sum()),
                    "only_chi2": int(alone.sum()),
                    "only_beside": int((other & ~chi2).sum()),
                    "n_tests": len(tested),
                    "less_extreme": int((alone & (tested["plain_p"] > 0.5)).sum()),
                }
            )
    return pd.DataFrame(rows)


def null_rates_table(
    replicates: Sequence[Replicate],
    evidence: Sequence[NullEvidence],
    *,
    level: float = 0.05,
    n_simulated: int = N_SIMULATED,
) -> pd.DataFrame:
    """Return how often each test finds something where there is nothing.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks, with joint draws.
    evidence : sequence of NullEvidence
        Of each of these replicates; or of none.
    level : float, optional
    n_simulated : int, optional
        Times that units get random values, for each partitioning of a network.

    Returns
    -------
    pandas.DataFrame
        One row a network, measure and test: ``rate`` of p at or below `level` among partitions with
        permuted labels, with its 95 % interval ``low`` to ``high`` over networks. The measure
        "random values" is the sum of a random number of each unit, over all partitionings.

    References
    ----------
    Hod et al., arXiv:2110.08058, released code: chi-squared test on rank counts; the rates are this
    project's.
    """
    check_real("level", level, 0, 1)
    check_replicates(replicates)
    rows = []
    of_replicate = dict(zip(replicates, evidence, strict=True)) if len(evidence) else {}
    for group in by_network(replicates):
        of_group = [of_replicate[each] for each in group if each in of_replicate]
        for name in MEASURES if of_group else ():
            tests = [null_tests(of_network, name) for of_network in of_group]
            rows += _rates(group[0].network, name, tests, level)
        simulated = [_simulated_tests(each, n_simulated) for each in group]
        rows += _rates(group[0].network, RANDOM_VALUES, simulated, level)
    return pd.DataFrame(rows)


def _simulated_tests(replicate: Replicate, n_simulated: int) -> dict[str, np.ndarray]:
    """Return p of every test of random values, over all partitionings with a subcluster."""
    measures = [simulated_measure(replicate, each, n_simulated) for each in PARTITIONINGS]
    tests = [p_values_of(measure) for measure in measures if measure.values.shape[-1]]
    return {test: np.concatenate([each[test] for each in tests]) for test in tests[0]}


def _rates(
    network: str, name: str, tests: Sequence[Mapping[str, np.ndarray]], level: float
) -> list[dict]:
    """Return a row for each test that all networks have."""
    rows = []
    for test in tests[0]:
        if all(test in each for each in tests):
            estimate = clustered_rate(np.stack([each[test] for each in tests]), level)
            row = {"network": network, "measure": name, "test": test, "rate": estimate.rate}
            row |= {"low": estimate.low, "high": estimate.high, "n_tests": estimate.n_tests}
            rows.append(row | {"n_networks": estimate.n_clusters})
    return rows
