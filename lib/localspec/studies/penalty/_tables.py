"""Tables of further training with a penalty and without.

What takes replicates raises InvalidInputError if there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from localspec._utils.validation import check_real
from localspec.measures import MEASURES
from localspec.pipeline import (
    NOT_TOLD_APART,
    UNDEFINED,
    by_network,
    check_replicates,
    difference_reading,
    form_columns,
    with_findings,
)
from localspec.statistics import benjamini_hochberg, summarize_effects, t_interval
from localspec.studies.penalty._penalties import inside_masks, share_between
from localspec.studies.penalty._replicates import (
    BLOCKS,
    NCUT,
    NO_PENALTY,
    PARTITIONING,
    WAYS,
    PenalizedReplicate,
    gradient_norms,
    start_blocks,
)

HIGHER, LOWER = "higher", "lower"
QUANTITIES = ("test_accuracy", "share_inside", "ncut", "z_score")


def networks_table(replicates: Sequence[PenalizedReplicate]) -> pd.DataFrame:
    """Return what each network comes to after further training.

    Parameters
    ----------
    replicates : sequence of PenalizedReplicate

    Returns
    -------
    pandas.DataFrame
        One row a network, seed and way. ``share_inside``: share of squared weights that run inside
        of the clusters before; ``ncut``: that of the clusters after, beside those of shuffled
        copies; by the name of each measure the effect of the clusters after over its null mean,
        and by ``undefined_`` and its name the share of undefined counterparts.
    """
    check_replicates(replicates)
    rows = []
    for each in replicates:
        cut = each.clusterability()
        row = {
            "network": each.network,
            "seed": each.seed,
            "way": each.way,
            "test_accuracy": float(each.trained.history["test_accuracy"][-1]),
            "share_inside": _share_inside(each),
            "ncut": cut.statistic,
            "shuffled_ncut_mean": float(cut.null.mean()),
            "z_score": cut.z_score,
            "is_below": bool(cut.statistic < cut.null.min()),
        }
        for name in MEASURES:
            assessment = each.assessment(name, PARTITIONING)
            row[name] = summarize_effects([assessment.effects]).ratio
            row[f"undefined_{name}"] = assessment.measure.undefined_draws
        rows.append(row)
    return pd.DataFrame(rows)


def _share_inside(replicate: PenalizedReplicate) -> float:
    weights = replicate.trained.module.state_dict()
    kernels = [weights[name].double().cpu() for name in weights if name.endswith("weight")]
    with torch.inference_mode():
        return 1 - float(share_between(kernels, inside_masks(start_blocks(replicate.start))))


def ways_table(networks: pd.DataFrame) -> pd.DataFrame:
    """Return accuracy and n-cut by way of further training: means over seeds.

    Parameters
    ----------
    networks : pandas.DataFrame
        From :func:`networks_table`.

    Returns
    -------
    pandas.DataFrame
        One row a network and way. ``below_shuffles``: in how many networks the n-cut is below that
        of every shuffled copy.
    """
    rows = []
    for (network, way), group in networks.groupby(["network", "way"], sort=False):
        means = {name: float(group[name].mean()) for name in (*QUANTITIES, "shuffled_ncut_mean")}
        below = f"{int(group['is_below'].sum())} of {len(group)}"
        rows.append({"network": network, "way": way, **means, "below_shuffles": below})
    return pd.DataFrame(rows)


def penalty_effects_table(
    replicates: Sequence[PenalizedReplicate], *, level: float = 0.05
) -> pd.DataFrame:
    """Return what each measure of the clusters after further training comes to.

    Parameters
    ----------
    replicates : sequence of PenalizedReplicate
        All seeds and ways of one or more networks.
    level : float, optional
        False discovery rate of the family: all networks, measures and ways.

    Returns
    -------
    pandas.DataFrame
        One row a network, measure and way. ``p``: permutation Fisher, combined by the Bates
        distribution, ``bh`` adjusted by Benjamini-Hochberg, by which ``finding`` goes, see
        :func:`localspec.pipeline.form_finding`.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Families".
    """
    check_real("level", level, 0, 1)
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for name in MEASURES:
            for way in WAYS:
                found = [each.assessment(name, PARTITIONING) for each in group if each.way == way]
                row = {"network": group[0].network, "measure": name, "way": way}
                rows.append({**row, **form_columns(found)})
    table = pd.DataFrame(rows)
    return with_findings(table, benjamini_hochberg(table["p"]).adjusted, level=level)


def differences_table(networks: pd.DataFrame) -> pd.DataFrame:
    """Return what each penalty changes, from differences within networks.

    Parameters
    ----------
    networks : pandas.DataFrame
        From :func:`networks_table`.

    Returns
    -------
    pandas.DataFrame
        One row a network, quantity and penalty. ``without``: mean without a penalty; ``with``: with
        it; ``difference``: mean over seeds of the one with less the one without, with Student's
        95 % interval ``low`` to ``high``. ``reading``: for a measure "more specialized" or "less
        specialized", else "higher" or "lower", where the interval lies on one side of 0; "not told
        apart" where it holds 0; "undefined" where more than half of the counterparts have no value,
        or there are fewer than two seeds.
    """
    rows = []
    for network, group in networks.groupby("network", sort=False):
        by_way = {way: part.set_index("seed") for way, part in group.groupby("way")}
        before = by_way[NO_PENALTY]
        for name in (*QUANTITIES, *MEASURES):
            for way in (NCUT, BLOCKS):
                after = by_way[way]
                interval = t_interval((after[name] - before[name]).to_numpy(dtype=float))
                undefined = 0.0
                if name in MEASURES:
                    shares = [part[f"undefined_{name}"].mean() for part in (before, after)]
                    undefined = max(shares)
                rows.append(
                    {
                        "network": network,
                        "quantity": name,
                        "way": way,
                        "without": float(before[name].mean()),
                        "with": float(after[name].mean()),
                        "difference": interval.mean,
                        "low": interval.low,
                        "high": interval.high,
                        "n_networks": interval.n,
                        "reading": _reading(name, interval.low, interval.high, undefined),
                    }
                )
    return pd.DataFrame(rows)


def _reading(name: str, low: float, high: float, undefined: float) -> str:
    """Say what the interval of a difference comes to."""
    if name in MEASURES:
        return difference_reading(name, low, high, undefined)
    if np.isnan(low):
        return UNDEFINED
    if low <= 0 <= high:
        return NOT_TOLD_APART
    return HIGHER if low > 0 else LOWER


def weights_table(replicates: Sequence[PenalizedReplicate]) -> pd.DataFrame:
    """Return the weight of each penalty beside what the rule gives for these networks.

    Parameters
    ----------
    replicates : sequence of PenalizedReplicate

    Returns
    -------
    pandas.DataFrame
        One row a network and penalty: ``cross_entropy`` and ``gradient``, the means over seeds of
        :func:`gradient_norms`; ``by_rule``: their ratio; ``weight``: the one that was used.
    """
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        norms = pd.DataFrame([gradient_norms(each.start) for each in group if each.way == NCUT])
        loss = float(norms["cross-entropy"].mean())
        for way in (NCUT, BLOCKS):
            gradient = float(norms[way].mean())
            rows.append(
                {
                    "network": group[0].network,
                    "way": way,
                    "cross_entropy": loss,
                    "gradient": gradient,
                    "by_rule": loss / gradient,
                    "weight": next(each.weight for each in group if each.way == way),
                }
            )
    return pd.DataFrame(rows)
