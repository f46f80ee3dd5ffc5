"""Tables: as they are printed on a page, so they are written to disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from localspec._utils.files import record, results_root, write_atomically
from localspec._utils.validation import check_options, check_type, require, shown
from localspec.clustering import NO_CLUSTER, inside_to_outside
from localspec.exceptions import InvalidInputError
from localspec.measures import LESIONED, MEASURES
from localspec.networks import HISTORY
from localspec.pipeline._replicate import PARTITIONINGS, Replicate
from localspec.statistics import summarize_effects

DIGITS = 4


def format_number(value: object) -> object:
    """Return a floating-point number as text with at most four significant digits.

    Examples
    --------
    >>> format_number(0.966629), format_number(float("nan")), format_number(12)
    ('0.9666', '', 12)
    """
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.{DIGITS}g}"
    return value


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with every floating-point number as text of four significant digits."""
    return table.map(format_number)


def page_folder(profile: str) -> Path:
    """Return the folder for a page's files: that of its profile, or the job's own."""
    own = job_folder()
    return results_root() / Path(profile).stem if own is None else own


def job_folder() -> Path | None:
    """Return ``LOCALSPEC_PAGES``, where a job of a single network puts what nobody reads."""
    named = os.environ.get("LOCALSPEC_PAGES")
    return Path(named) if named else None


def write_table(table: pd.DataFrame, name: str, *, profile: str) -> pd.DataFrame:
    """Write a table to ``<results>/<profile>/tables/<name>.csv`` and return it as printed.

    Parameters
    ----------
    table : pandas.DataFrame
        Its index is not written.
    name : str
    profile : str

    Returns
    -------
    pandas.DataFrame
        What the file holds: numbers as text of four significant digits.

    Raises
    ------
    ArtifactError
        If the file cannot be written.
    """
    check_type("table", table, pd.DataFrame, "pandas.DataFrame(rows)")
    printed = format_table(table)
    content = printed.to_csv(index=False)
    path = page_folder(profile) / "tables" / f"{name}.csv"
    write_atomically(path, lambda part: part.write_text(content, encoding="utf-8"))
    record(table=path.name, sha256=hashlib.sha256(content.encode()).hexdigest())
    return printed


def check_replicates(replicates: Sequence[Replicate], measures: Sequence[str] = MEASURES) -> None:
    """Refuse what no table can be made of: no replicates, or unknown measures.

    Parameters
    ----------
    replicates : sequence of Replicate
    measures : sequence of str, optional

    Raises
    ------
    InvalidInputError
    """
    check_options("measures", measures, MEASURES)
    require(
        isinstance(replicates, Sequence),
        f"replicates must be a list, as open_replicates returns it, not {shown(replicates)}",
    )
    if not replicates:
        raise InvalidInputError("there is no replicate to tabulate: name a network and a seed")


def training_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return the accuracies and losses of each network after its last epoch."""
    check_replicates(replicates)
    rows = []
    for replicate in replicates:
        history = replicate.trained.history
        last = {name: float(history[name][-1]) for name in HISTORY}
        first = {"network": replicate.network, "seed": replicate.seed}
        rows.append({**first, "n_epochs": len(history["train_loss"]), **last})
    return pd.DataFrame(rows)


def clusterability_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return the n-cut of each network beside those of its shuffled copies."""
    check_replicates(replicates)
    rows = []
    for replicate in replicates:
        result, n_clusters = replicate.clusterability(), replicate.n_clusters
        rows.append(
            {
                "network": replicate.network,
                "seed": replicate.seed,
                "n_clusters": n_clusters,
                "n_shuffles": replicate.profile.method.n_shuffles,
                "ncut": result.statistic,
                "inside_to_outside": inside_to_outside(result.statistic, n_clusters),
                "shuffled_ncut_mean": float(result.null.mean()),
                "shuffled_ncut_std": float(result.null.std()),
                "z_score": result.z_score,
                "p_value": result.pvalue,
                "p_floor": result.floor,
                "n_isolated": result.n_isolated,
                "n_near_dead": result.n_near_dead,
                "n_zero_volume": result.n_zero_volume,
                "n_empty": result.n_empty,
            }
        )
    return pd.DataFrame(rows)


def partition_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return sizes of clusters: one row a layer of each partition."""
    check_replicates(replicates)
    rows = []
    for replicate in replicates:
        for partitioning in PARTITIONINGS:
            partition = replicate.partition(partitioning)
            for layer in partition.tested:
                labels = partition.of(layer)
                sizes = np.unique(labels[labels != NO_CLUSTER], return_counts=True)[1]
                rows.append(
                    {
                        "network": replicate.network,
                        "seed": replicate.seed,
                        "partitioning": partitioning,
                        "layer": layer.name,
                        "n_live": int((labels != NO_CLUSTER).sum()),
                        "n_clusters": len(sizes),
                        "sizes": " ".join(map(str, sorted(sizes, reverse=True))),
                    }
                )
    return pd.DataFrame(rows)


def subcluster_table(
    replicates: Sequence[Replicate], measures: Sequence[str] = MEASURES
) -> pd.DataFrame:
    """Return every tested subcluster with its measures.

    Parameters
    ----------
    replicates : sequence of Replicate
    measures : sequence of str, optional

    Returns
    -------
    pandas.DataFrame
        One row a subcluster; for each measure its value, the mean of the random counterparts,
        p and the effect size (empty where undefined).

    Raises
    ------
    InvalidInputError
        If there is no replicate, or a measure is unknown.
    """
    check_replicates(replicates, measures)
    rows = []
    for replicate in replicates:
        for partitioning in PARTITIONINGS:
            rows += _subcluster_rows(replicate, measures, partitioning)
    return pd.DataFrame(rows)


def _subcluster_rows(
    replicate: Replicate, measures: Sequence[str], partitioning: str
) -> list[dict[str, object]]:
    rows = []
    assessed = {name: replicate.assessment(name, partitioning) for name in measures}
    for index, part in enumerate(replicate.draws(partitioning).subclusters):
        row: dict[str, object] = {"network": replicate.network, "seed": replicate.seed}
        row |= {"partitioning": partitioning, "layer": part.layer}
        row |= {"cluster": part.cluster, "n_units": part.n_units}
        for name, assessment in assessed.items():
            null = assessment.measure.values[1:, index]
            null = null[~np.isnan(null)]
            row[name] = float(assessment.measure.values[0, index])
            row[f"{name}_random"] = float(null.mean()) if len(null) else float("nan")
            row[f"{name}_p"] = float(assessment.p_values[index])
            row[f"{name}_effect"] = float(assessment.effects.effect[index])
        rows.append(row)
    return rows


def network_test_table(
    replicates: Sequence[Replicate], measures: Sequence[str] = MEASURES
) -> pd.DataFrame:
    """Return the tests of whole partitions: one row a network, seed, partitioning and measure.

    Where lesions of a network are not of full precision, ``other_predictions`` is the share of
    predictions under its true subclusters' lesions that this changes.
    """
    check_replicates(replicates, measures)
    rows = []
    for replicate in replicates:
        for partitioning in PARTITIONINGS:
            overlap = replicate.draws(partitioning).mean_overlap
            for name in measures:
                assessment = replicate.assessment(name, partitioning)
                changed = {}
                if name in LESIONED and replicate.settings.lesion_precision != "full":
                    n_other, n_predictions = replicate.other_predictions(partitioning)
                    changed = {"other_predictions": n_other / n_predictions}
                rows.append(
                    {
                        "network": replicate.network,
                        "seed": replicate.seed,
                        "partitioning": partitioning,
                        "measure": name,
                        "permutation_p": float(assessment.permutation.pvalue),
                        "mean_effect": summarize_effects([assessment.effects]).mean,
                        "fisher_p": float(assessment.fisher.pvalue),
                        "fisher_statistic": float(assessment.fisher.statistic),
                        "n_subclusters": len(assessment.p_values),
                        "n_undefined": assessment.measure.n_undefined,
                        "undefined_draws": assessment.measure.undefined_draws,
                        "draw_overlap": overlap,
                        **changed,
                    }
                )
    return pd.DataFrame(rows)
