"""The replicates that a page of published figures compares, and what was measured of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from localspec.clusterability import inside_to_outside
from localspec.errors import InvalidInputError
from localspec.forks import ForkReplicate
from localspec.pipeline import by_network
from localspec.profiles import PublishedSection, load_profile
from localspec.published import other_readings
from localspec.settings import NetworkSettings


def _opened(
    section: PublishedSection, wanted: Callable[[NetworkSettings], bool], progress: bool
) -> list[ForkReplicate]:
    """Return the replicates of the networks that are wanted, if they are or may be trained."""
    profile = load_profile(section.profile).select(section)
    profile.check_clusters(profile.method.n_clusters)
    found = []
    for name, settings in profile.networks.items():
        group = [
            ForkReplicate(profile, name, seed, compute=section.compute, progress=progress)
            for seed in profile.seeds
        ]
        if not wanted(settings):
            continue
        if section.untrained == "train" or all(one.stored_path for one in group):
            found += group
    return found


def open_published(section: PublishedSection, *, progress: bool = True) -> list[ForkReplicate]:
    """Return the replicates that a notebook's parameters name and that figures are published of.

    Parameters
    ----------
    section : PublishedSection
        ``untrained="leave out"`` leaves out networks that are not stored for every seed.
    progress : bool, optional

    Raises
    ------
    InvalidInputError
        If the profile, one of its networks or data sets, or its device does not exist, or if
        nothing is left to compare.
    """
    found = _opened(section, lambda settings: settings.published is not None, progress)
    if not found:
        raise InvalidInputError(
            "no network with published figures is trained for every seed: run localspec train "
            f"{section.profile}, or set untrained='train'"
        )
    return found


def open_diagnoses(section: PublishedSection, *, progress: bool = True) -> list[ForkReplicate]:
    """Return the replicates of networks that differ from a published one in one thing.

    Like :func:`open_published`, but there may be none.
    """
    return _opened(section, lambda settings: settings.diagnoses is not None, progress)


def open_unpublished(section: PublishedSection, *, progress: bool = True) -> list[ForkReplicate]:
    """Return the replicates of networks that stand for themselves: nothing to compare them with.

    Like :func:`open_published`, but there may be none. Networks that diagnose another are left out.
    """

    def wanted(settings: NetworkSettings) -> bool:
        return settings.published is None and settings.diagnoses is None

    return _opened(section, wanted, progress)


def under_every_reading(replicates: Sequence[ForkReplicate]) -> list[ForkReplicate]:
    """Return replicates with published figures, and behind each network those read otherwise.

    Parameters
    ----------
    replicates : sequence of ForkReplicate
        Under the plain reading.
    """
    found = []
    for group in by_network(replicates):
        found += group
        for reading in other_readings(group[0].settings):
            found += [one.under(reading.conventions) for one in group]
    return found


def replicates_table(replicates: Sequence[ForkReplicate]) -> pd.DataFrame:
    """Return what was measured of each replicate, as the published table has it.

    Parameters
    ----------
    replicates : sequence of ForkReplicate

    Returns
    -------
    pandas.DataFrame
        One row a replicate, with the columns of ``load_published("clusterability")``, the numbers
        of units without edges, of units and clusters that weigh next to nothing, and of empty
        clusters (see :class:`localspec.clusterability.Clusterability`), and how the method was
        read; ``training`` is the network's name in the profile, ``model`` its published
        counterpart if there is one. Accuracies are those of the last epoch, that on training
        images its running mean; of regressions there are none.
    """
    rows = []
    for replicate in replicates:
        settings, method = replicate.settings, replicate.profile.method
        found, history = replicate.clusterability(), replicate.trained.history
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
                "n_clusters": method.n_clusters,
                "n_shuffles": method.n_shuffles,
                "ncut": found.statistic,
                "shuffled_ncut_mean": float(found.null.mean()),
                "shuffled_ncut_std": float(found.null.std()),
                "z_score": found.z_score,
                "p_value": found.pvalue,
                **accuracies,
                "n_isolated": found.n_isolated,
                "n_near_dead": found.n_near_dead,
                "n_zero_volume": found.n_zero_volume,
                "n_empty": found.n_empty,
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
        n-cut, see :func:`localspec.clusterability.inside_to_outside`.
    """
    groups = table.groupby(["training", "reading"], sort=False)
    columns = ["ncut", "shuffled_ncut_mean", "z_score", "test_accuracy", "n_zero_volume"]
    found = groups[columns].mean()
    found.insert(0, "n_networks", groups.size())
    ratios = map(inside_to_outside, found["ncut"], groups["n_clusters"].first())
    found.insert(2, "inside_to_outside", list(ratios))
    return found.reset_index()
