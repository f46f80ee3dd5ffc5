"""Tables of the n-cut while a network is trained, and then pruned.

What takes replicates raises InvalidInputError if there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pandas as pd
import torch

from localspec.clustering import layer_agreement
from localspec.pipeline import OTHER_SEED, check_replicates
from localspec.statistics import t_interval
from localspec.studies.learning_curve._epochs import PARTITIONING, EpochReplicate

SHUFFLES = {"permute": "all weights", "permute_nonzero": "weights other than zero"}  # by null


def published_curve(name: str | None) -> pd.DataFrame:
    """Return the published n-cuts of one model after some epochs, those of pruning counted on.

    Filan et al., arXiv:2103.03386, the stored output of the companion code's learning curves. No
    rows where nothing is published.
    """
    folder = files("localspec.studies.learning_curve")
    with folder.joinpath("published.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file)
    return table[table["published"] == name].drop(columns="published").reset_index(drop=True)


def _test_accuracy(replicate: EpochReplicate) -> float:
    data, module = replicate.dataset, replicate.trained.module
    if data.task == "regression":
        return float("nan")
    device = next(module.parameters()).device
    with torch.inference_mode():
        answers = [module(part.to(device)).argmax(1).cpu() for part in data.x_test.split(1000)]
    return float((torch.cat(answers) == data.y_test.cpu()).double().mean())


def _share_zero(replicate: EpochReplicate) -> float:
    state = replicate.trained.module.state_dict()
    weights = torch.cat([value.flatten() for value in state.values() if value.ndim > 1])
    return int((weights == 0).sum()) / len(weights)


def networks_by_epoch(replicates: Sequence[EpochReplicate]) -> pd.DataFrame:
    """Return what each network comes to after each epoch.

    Parameters
    ----------
    replicates : sequence of EpochReplicate
        Of one network; the last epoch of training is among those of each seed.

    Returns
    -------
    pandas.DataFrame
        One row a seed and epoch. ``zeros``: share of weights that are zero; ``ncut``, with
        ``shuffled_ncut``, the mean over its shuffled copies, and ``z_score``; ``agreement``: with
        the partition after the last epoch of training, ``restarts``: with that of the same graph
        from another start of k-means, both by :func:`localspec.clustering.layer_agreement`. Where
        a curve is published ``ncut_as_published``, the n-cut with as many clusters, and
        ``published_ncut``.
    """
    check_replicates(replicates)
    settings = replicates[0].settings
    ends = {each.seed: each for each in replicates if each.epoch == settings.n_epochs}
    published = published_curve(settings.published)
    rows = []
    for each in replicates:
        cut = each.clusterability()
        partition = each.partition(PARTITIONING)
        restarted = each.with_choices(clustering_seed=OTHER_SEED).partition(PARTITIONING)
        row = {
            "network": each.network,
            "seed": each.seed,
            "phase": each.phase,
            "epoch": each.epoch,
            "zeros": _share_zero(each),
            "test_accuracy": _test_accuracy(each),
            "ncut": cut.statistic,
            "shuffled_ncut": float(cut.null.mean()),
            "z_score": cut.z_score,
            "agreement": layer_agreement(partition, ends[each.seed].partition(PARTITIONING)),
            "restarts": layer_agreement(partition, restarted),
        }
        if len(published):
            at = published[published["epoch"] == each.epoch]
            clusters = int(published["n_clusters"].iloc[0])
            as_published = each.with_choices(n_clusters=clusters).ncut() if len(at) else np.nan
            row["ncut_as_published"] = as_published
            row["published_ncut"] = at["ncut"].iloc[0] if len(at) else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def curve_table(networks: pd.DataFrame) -> pd.DataFrame:
    """Return the means over seeds after each epoch.

    Parameters
    ----------
    networks : pandas.DataFrame
        From :func:`networks_by_epoch`.

    Returns
    -------
    pandas.DataFrame
        One row an epoch, with the columns of `networks`; and ``change``, the mean over seeds of the
        n-cut over that of shuffled copies less the same after the first epoch of the table, with
        Student's 95 % interval ``low`` to ``high``.
    """
    by_epoch = networks.groupby(["network", "phase", "epoch"], sort=False)
    table = by_epoch.mean().drop(columns="seed")
    ratios = (networks["ncut"] / networks["shuffled_ncut"]).rename("ratio")
    of_seeds = networks.assign(ratio=ratios).pivot(index="seed", columns="epoch", values="ratio")
    changes = of_seeds.sub(of_seeds.iloc[:, 0], axis=0)
    intervals = [t_interval(changes[epoch].to_numpy()) for *_, epoch in table.index]
    table["ncut_ratio"] = [of_seeds[epoch].mean() for *_, epoch in table.index]
    table["change"] = [interval.mean for interval in intervals]
    table["low"] = [interval.low for interval in intervals]
    table["high"] = [interval.high for interval in intervals]
    return table.reset_index()


def _stability_row(group: Sequence[EpochReplicate], null: str) -> dict[str, object]:
    cuts = [each.clusterability(null=null) for each in group]
    n_below = sum(bool(cut.statistic < cut.null.min()) for cut in cuts)
    return {
        "network": group[0].network,
        "after": group[0].phase,
        "shuffle": SHUFFLES[null],
        "ncut": float(np.mean([cut.statistic for cut in cuts])),
        "shuffled_ncut": float(np.mean([cut.null.mean() for cut in cuts])),
        "z_score": float(np.mean([cut.z_score for cut in cuts])),
        "below_shuffles": f"{n_below} of {len(cuts)}",
        "is_stable": n_below == len(cuts),
    }


def stability_table(replicates: Sequence[EpochReplicate]) -> pd.DataFrame:
    """Return how stable it is over seeds that a network is clusterable, under two shuffles.

    Parameters
    ----------
    replicates : sequence of EpochReplicate
        Of one network.

    Returns
    -------
    pandas.DataFrame
        One row for training and one for pruning under the shuffle of all weights, each after its
        last epoch, and one under that of weights other than zero where some are zero.
        ``below_shuffles``: networks whose n-cut is below that of every shuffled copy;
        ``is_stable``: whether all are.

    References
    ----------
    Filan et al., arXiv:2103.03386, the companion code's stability over trainings.
    """
    check_replicates(replicates)
    settings = replicates[0].settings
    rows = []
    for last in (settings.n_epochs, settings.n_epochs + settings.n_pruning_epochs):
        group = [each for each in replicates if each.epoch == last]
        if not group or any(row["after"] == group[0].phase for row in rows):
            continue
        rows.append(_stability_row(group, "permute"))
        if any(_share_zero(each) > 0 for each in group):
            rows.append(_stability_row(group, "permute_nonzero"))
    return pd.DataFrame(rows)
