"""Tables of the double lesions.

What takes replicates raises InvalidInputError if there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_integer, check_real
from localspec.pipeline import (
    NOT_SIGNIFICANT,
    OTHER_SIDE,
    PARTITIONINGS,
    SIGNIFICANT,
    Replicate,
    by_network,
    check_replicates,
)
from localspec.statistics import at_most, benjamini_hochberg, combine_replicates
from localspec.studies.double_lesions._pairs import (
    WHERE,
    excess_assessment,
    losses,
    pair_lesions,
    second_lesions,
)

NOTHING = "no pair"


def double_lesions_table(replicates: Sequence[Replicate], *, level: float = 0.05) -> pd.DataFrame:
    """Return whether pairs of subclusters lose more together than apart, beside random pairs.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    level : float, optional
        False discovery rate over all rows.

    Returns
    -------
    pandas.DataFrame
        One row a network, partitioning and place of the pairs: both subclusters in the same layer,
        or in two layers. ``excess``: accuracy lost together less the sum of what each loses alone,
        a mean over pairs; ``excess_random``: that of their counterparts; ``p``: permutation Fisher
        over pairs, combined by the Bates distribution, ``bh`` adjusted by Benjamini-Hochberg, by
        which ``verdict`` goes: "wrong side" where it is significant, but the mean excess is not
        above that of the counterparts.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion", "Families".
    """
    check_real("level", level, 0, 1)
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for partitioning in PARTITIONINGS:
            for where in WHERE:
                assessments = [excess_assessment(each, partitioning, where) for each in group]
                combined = combine_replicates([each.permutation.pvalue for each in assessments])
                true = np.concatenate([each.measure.values[0] for each in assessments])
                random = np.concatenate([each.measure.values[1:].ravel() for each in assessments])
                rows.append(
                    {
                        "network": group[0].network,
                        "partitioning": partitioning,
                        "pairs": where,
                        "excess": float(true.mean()) if true.size else np.nan,
                        "excess_random": float(random.mean()) if random.size else np.nan,
                        "p": combined.pvalue,
                        "n_pairs": len(true),
                        "n_networks": len(group),
                    }
                )
    table = pd.DataFrame(rows)
    corrected = benjamini_hochberg(table["p"], alpha=level)
    table["bh"] = corrected.adjusted
    above = np.where(table["excess"] > table["excess_random"], SIGNIFICANT, OTHER_SIDE)
    verdicts = np.where(corrected.rejected, above, NOT_SIGNIFICANT)
    table["verdict"] = np.where(table["n_pairs"] == 0, NOTHING, verdicts)
    return table


def strongest_pairs_table(replicates: Sequence[Replicate], *, n_pairs: int = 20) -> pd.DataFrame:
    """Return the pairs that lose most together beyond apart, among those beyond all counterparts.

    Parameters
    ----------
    replicates : sequence of Replicate
    n_pairs : int, optional
        Most rows.

    Returns
    -------
    pandas.DataFrame
        One row a pair, named by layer and cluster; ``apart`` is the sum of what each loses alone,
        ``excess_random`` the mean over its counterparts. Pairs are picked as the largest of many,
        so that none of them is a finding by itself.
    """
    n_pairs = check_integer("n_pairs", n_pairs, 1)
    check_replicates(replicates)
    rows = []
    for replicate in replicates:
        for partitioning in PARTITIONINGS:
            lost = pair_lesions(replicate, partitioning)
            excess = lost.together - lost.apart
            parts = replicate.draws(partitioning).subclusters
            lowest = 0.5 / len(excess)  # beyond all draws, by the mid rule
            p_values = np.full(len(lost.pairs), np.nan)
            for where in WHERE:
                chosen = lost.where == where
                p_values[chosen] = excess_assessment(replicate, partitioning, where).p_values
            for column in np.flatnonzero(at_most(p_values, lowest)):
                first, second = (parts[index] for index in lost.pairs[column])
                rows.append(
                    {
                        "network": replicate.network,
                        "seed": replicate.seed,
                        "partitioning": partitioning,
                        "first": f"{first.layer}/{first.cluster}",
                        "second": f"{second.layer}/{second.cluster}",
                        "together": lost.together[0, column],
                        "apart": lost.apart[0, column],
                        "excess": excess[0, column],
                        "excess_random": excess[1:, column].mean(),
                    }
                )
    columns = ["network", "seed", "partitioning", "first", "second", "together", "apart"]
    table = pd.DataFrame(rows, columns=[*columns, "excess", "excess_random"])
    ordered = table.sort_values("excess", ascending=False, kind="stable")
    return ordered.head(n_pairs).reset_index(drop=True)


def conditional_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return what lesions cost in the whole network, and in one that lacks a subcluster already.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.

    Returns
    -------
    pandas.DataFrame
        Two rows a network and partitioning: ``in`` "the whole network", over subclusters, and "one
        that lacks another", over ordered pairs of them. ``loss``: mean accuracy lost;
        ``loss_random``: by random counterparts, which leave the missing subcluster alone;
        ``most_of_all``: share that lose more than all their counterparts.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion"; double lesions are those of its companion code,
    without overlaps.
    """
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for partitioning in PARTITIONINGS:
            whole = [each.lesioned(partitioning) for each in group]
            second = [
                second_lesions(each, partitioning, lesioned)
                for each in group
                for lesioned in range(len(each.draws(partitioning).subclusters))
            ]
            for name, found in (("the whole network", whole), ("one that lacks another", second)):
                rows.append(
                    {
                        "network": group[0].network,
                        "partitioning": partitioning,
                        "in": name,
                        **losses(found),
                    }
                )
    return pd.DataFrame(rows)
