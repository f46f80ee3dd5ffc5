"""Tables of published figures: the replicates to compare, and the quantities of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec.clustering import Clusterability, inside_to_outside
from localspec.networks import NetworkSettings
from localspec.pipeline import Replicate, by_network
from localspec.studies.published._compare import other_readings


def has_published_figures(settings: NetworkSettings) -> bool:
    """Return whether figures are published of such a network."""
    return settings.published is not None


def is_diagnosis(settings: NetworkSettings) -> bool:
    """Return whether a network differs from one with published figures in one thing."""
    return settings.diagnoses is not None


def stands_alone(settings: NetworkSettings) -> bool:
    """Return whether there is nothing to compare a network with: it stands for itself."""
    return settings.published is None and settings.diagnoses is None


def ncut_columns(result: Clusterability) -> dict[str, float]:
    """Return the n-cut of a network and what its shuffled copies have, as columns of a table."""
    return {
        "ncut": result.statistic,
        "shuffled_ncut_mean": float(result.null.mean()),
        "shuffled_ncut_std": float(result.null.std()),
        "z_score": result.z_score,
        "p_value": result.pvalue,
    }


def under_every_reading(replicates: Sequence[Replicate]) -> list[Replicate]:
    """Return replicates, and behind each network those of it that are read otherwise.

    Parameters
    ----------
    replicates : sequence of Replicate
        Under the plain reading.
    """
    every = []
    for group in by_network(replicates):
        every += group
        for reading in other_readings(group[0].settings):
            every += [replicate.with_choices(**reading.changes) for replicate in group]
    return every


def replicates_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return what was measured of each replicate, as the published table has it.

    Parameters
    ----------
    replicates : sequence of Replicate

    Returns
    -------
    pandas.DataFrame
        One row a replicate, with the columns of ``load_published("clusterability")``, the numbers
        of units without edges, of units and clusters that weigh next to nothing, and of empty
        clusters (see :class:`localspec.clustering.Clusterability`), and how the method was
        read; ``training`` is the network's name in the profile, ``model`` its published
        counterpart if there is one. Accuracies are those of the last epoch, that on training
        images its running mean; of regressions there are none.
    """
    rows = []
    for replicate in replicates:
        settings, method = replicate.settings, replicate.profile.method
        result, history = replicate.clusterability(), replicate.trained.history
        classifies = replicate.dataset.task == "classification"
        accuracies = {
            name: float(history[name][-1]) if classifies else np.nan
            for name in ("train_accuracy", "test_accuracy")
        }
        rows.append(
            {
                "model": settings.published or "",
                "architecture": settings.architecture,
                "dataset": settings.dataset,
                "training": replicate.network,
                "pruned": settings.n_pruning_epochs > 0,
                "replicate": replicate.seed,
                "n_clusters": replicate.n_clusters,
                "n_shuffles": method.n_shuffles,
                **ncut_columns(result),
                **accuracies,
                "n_isolated": result.n_isolated,
                "n_near_dead": result.n_near_dead,
                "n_zero_volume": result.n_zero_volume,
                "n_empty": result.n_empty,
                "reading": replicate.reading,
            }
        )
    return pd.DataFrame(rows)


def means_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the replicates of each network and reading.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`replicates_table`.

    Returns
    -------
    pandas.DataFrame
        One row a network and reading, in the order of `table`: ``training``, ``reading``,
        ``n_networks``, and the means of the columns ``ncut``, ``shuffled_ncut_mean``,
        ``z_score``, ``test_accuracy`` and ``n_zero_volume``; ``inside_to_outside`` of the mean
        n-cut, see :func:`localspec.clustering.inside_to_outside`.
    """
    groups = table.groupby(["training", "reading"], sort=False)
    columns = ["ncut", "shuffled_ncut_mean", "z_score", "test_accuracy", "n_zero_volume"]
    means = groups[columns].mean()
    means.insert(0, "n_networks", groups.size())
    ratios = map(inside_to_outside, means["ncut"], groups["n_clusters"].first())
    means.insert(2, "inside_to_outside", list(ratios))
    return means.reset_index()
