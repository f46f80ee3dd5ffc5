"""Tables of the ways of lesioning.

What takes replicates raises InvalidInputError if there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.measures import LESIONED, coherence, importance
from localspec.pipeline import (
    PARTITIONINGS,
    Replicate,
    by_network,
    check_replicates,
    form_columns,
    with_findings,
)
from localspec.statistics import at_most, benjamini_hochberg, rank_correlation
from localspec.studies.ablations._ways import (
    WAYS,
    ZERO,
    Fit,
    optimal_lesions,
    way_accuracies,
    way_assessment,
)


def ablations_table(
    replicates: Sequence[Replicate], *, fit: Fit, level: float = 0.05
) -> pd.DataFrame:
    """Return what importance and class coherence come to under each way of lesioning.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    fit : Fit
        Of optimal constants.
    level : float, optional
        False discovery rate of the family: all networks, partitionings and measures of one way.

    Returns
    -------
    pandas.DataFrame
        One row a network, partitioning, measure and way. ``p``: permutation Fisher, combined by
        the Bates distribution, ``bh`` adjusted by Benjamini-Hochberg, by which ``finding`` goes,
        see :func:`localspec.pipeline.form_finding`; ``finding_zero``: that of the lesion with zero.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion", "Families"; Li & Janson, arXiv:2409.09951.
    """
    check_real("level", level, 0, 1)
    check_replicates(replicates)
    tables = []
    for way in WAYS:
        table = pd.DataFrame(
            [
                _row(group, name, partitioning, way, fit)
                for group in by_network(replicates)
                for partitioning in PARTITIONINGS
                for name in LESIONED
            ]
        )
        bh = benjamini_hochberg(table["p"]).adjusted
        tables.append(with_findings(table, bh, level=level))
    table = pd.concat(tables, ignore_index=True)
    table["finding_zero"] = np.tile(tables[0]["finding"], len(WAYS))
    rank = table["measure"].map(LESIONED.index)
    ordered = np.lexsort((table["partitioning"].map(PARTITIONINGS.index), rank))
    return table.iloc[ordered].reset_index(drop=True)


def _row(group: Sequence[Replicate], name: str, partitioning: str, way: str, fit: Fit) -> dict:
    assessments = [way_assessment(replicate, name, partitioning, way, fit) for replicate in group]
    row = {"network": group[0].network, "partitioning": partitioning}
    return {**row, "measure": name, "way": way, **form_columns(assessments)}


def agreement_table(
    replicates: Sequence[Replicate], *, fit: Fit, level: float = 0.05
) -> pd.DataFrame:
    """Return how far each other way of lesioning agrees with zero, subcluster by subcluster.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    fit : Fit
        Of optimal constants.
    level : float, optional
        Of the p-values of single subclusters, which are not corrected.

    Returns
    -------
    pandas.DataFrame
        One row a network, partitioning, measure and way other than zero. ``spearman``: correlation
        of the measure's values under both ways over a network's subclusters, a mean over networks;
        ``spearman_random``: that over all their counterparts; ``both`` and ``either``: shares of
        subclusters whose p is at most `level` under both ways, and under at least one.
    """
    check_real("level", level, 0, 1)
    check_replicates(replicates)
    return pd.DataFrame(
        [
            _agreement(group, name, partitioning, way, fit, level)
            for group in by_network(replicates)
            for name in LESIONED
            for partitioning in PARTITIONINGS
            for way in WAYS
            if way != ZERO
        ]
    )


def _agreement(
    group: Sequence[Replicate], name: str, partitioning: str, way: str, fit: Fit, level: float
) -> dict:
    pairs = [
        [way_assessment(replicate, name, partitioning, each, fit) for each in (ZERO, way)]
        for replicate in group
    ]
    values = [(zero.measure.values, other.measure.values) for zero, other in pairs]
    significant = np.concatenate(
        [[at_most(each.p_values, level) for each in pair] for pair in pairs], axis=1
    )
    return {
        "network": group[0].network,
        "partitioning": partitioning,
        "measure": name,
        "way": way,
        "spearman": pd.Series(rank_correlation(zero[0], other[0]) for zero, other in values).mean(),
        "spearman_random": pd.Series(
            rank_correlation(zero[1:].ravel(), other[1:].ravel()) for zero, other in values
        ).mean(),
        "both": pd.Series(significant.all(axis=0)).mean(),
        "either": pd.Series(significant.any(axis=0)).mean(),
    }


def damage_table(replicates: Sequence[Replicate], *, fit: Fit) -> pd.DataFrame:
    """Return how much accuracy each way of lesioning costs.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    fit : Fit
        Of optimal constants.

    Returns
    -------
    pandas.DataFrame
        One row a network, partitioning and way. ``loss``: accuracy lost by lesions of subclusters,
        averaged over classes, a mean over subclusters; ``loss_random``: that of their counterparts;
        ``undefined_draws``: share of counterparts that do too little damage for class coherence to
        be defined.
    """
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for partitioning in PARTITIONINGS:
            for way in WAYS:
                found = [way_accuracies(each, partitioning, way, fit) for each in group]
                changes = [importance(each).effect_values for each in found]
                ranges = [coherence(each, "class").values[1:].ravel() for each in found]
                rows.append(
                    {
                        "network": group[0].network,
                        "partitioning": partitioning,
                        "way": way,
                        "loss": -pd.Series(np.concatenate([each[0] for each in changes])).mean(),
                        "loss_random": -pd.Series(
                            np.concatenate([each[1:].ravel() for each in changes])
                        ).mean(),
                        "undefined_draws": pd.Series(np.isnan(np.concatenate(ranges))).mean(),
                    }
                )
    return pd.DataFrame(rows)


def fit_table(replicates: Sequence[Replicate], *, fit: Fit) -> pd.DataFrame:
    """Return the losses where lesioned units give optimal constants, before the fit and after it.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    fit : Fit

    Returns
    -------
    pandas.DataFrame
        One row a network and partitioning. ``start`` and ``fitted``: mean cross-entropy on the
        images of the fit, in nats, with the better of zero and the means and with the constants
        fitted, averaged over subclusters; ``start_random`` and ``fitted_random``: those of
        counterparts; ``gained``: share of what L-BFGS could gain in all that the fit gained, over
        the largest subclusters of each layer.
    """
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for partitioning in PARTITIONINGS:
            found = [optimal_lesions(each, partitioning, fit) for each in group]
            start, fitted = (
                np.concatenate([each[name] for each in found], axis=1)
                for name in ("start_losses", "losses")
            )
            refined = np.concatenate([each["refined_losses"] for each in found])
            known = ~np.isnan(refined)
            in_all = np.sum((start[0] - refined)[known])
            rows.append(
                {
                    "network": group[0].network,
                    "partitioning": partitioning,
                    "start": pd.Series(start[0]).mean(),
                    "fitted": pd.Series(fitted[0]).mean(),
                    "start_random": pd.Series(start[1:].ravel()).mean(),
                    "fitted_random": pd.Series(fitted[1:].ravel()).mean(),
                    "gained": np.sum((start[0] - fitted[0])[known]) / in_all if in_all else 1.0,
                }
            )
    return pd.DataFrame(rows)
