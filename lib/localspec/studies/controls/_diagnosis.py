"""Diagnosis: experiments on the result of the positive control, made after its first run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.clustering import NO_CLUSTER, Partition, cluster, label_agreement
from localspec.lesions import LesionedAccuracies
from localspec.measures import Assessment, Measure, assess
from localspec.pipeline import NOT_SIGNIFICANT, SIGNIFICANT, checked_coherence
from localspec.statistics import at_most, combine_replicates
from localspec.studies.controls._planted import (
    PARTITIONING,
    TESTED_MEASURES,
    PlantedReplicate,
    class_halves,
)

SELECTIVITY, EQUAL_DAMAGE = "half_selectivity", "coherence_at_equal_damage"


def half_selectivity(accuracies: LesionedAccuracies) -> Measure:
    """Measure how one-sidedly a lesion harms the classes of one half.

    ``|a - b| / (|a| + |b|)`` for the mean changes a and b of the two halves' classes: 1 if only one
    half's classes change, 0 if both change alike. High is extreme; NaN where nothing changes.

    Examples
    --------
    The first class loses 0.6, the second 0.2.

    >>> accuracies = LesionedAccuracies(
    ...     np.array([1.0, 1.0]), np.array([[[0.4, 0.8]]]), np.array([10, 10])
    ... )
    >>> half_selectivity(accuracies).values.round(4).tolist()
    [[0.5]]
    """
    change = accuracies.lesioned - accuracies.baseline
    a, b = (change[..., list(half)].mean(axis=-1) for half in class_halves(change.shape[-1]))
    total = np.abs(a) + np.abs(b)
    values = np.where(total > 0, np.abs(a - b) / np.where(total > 0, total, 1.0), np.nan)
    return Measure(SELECTIVITY, "high", values, "range", values)


def known_halves_table(
    replicates: Sequence[PlantedReplicate], *, level: float = 0.05
) -> pd.DataFrame:
    """Test the halves themselves, whether or not clustering would find them.

    Parameters
    ----------
    replicates : sequence of PlantedReplicate
        Opened with ``known=True``.
    level : float, optional

    Returns
    -------
    pandas.DataFrame
        One row a step of noise (and the shuffled copy) and measure, over seeds. ``true`` and
        ``random``: mean of the measure over the halves' subclusters and over their random
        counterparts; ``p``: permutation Fisher combined by the Bates distribution.

    References
    ----------
    Hod et al., arXiv:2110.08058; "Planted networks" is this project's control.
    """
    check_real("level", level, 0, 1)
    variants = list(dict.fromkeys((r.network, r.shuffled, r.noise) for r in replicates))
    rows = []
    for variant in variants:
        group = [r for r in replicates if (r.network, r.shuffled, r.noise) == variant]
        for name in (*TESTED_MEASURES, EQUAL_DAMAGE, SELECTIVITY):
            rows.append(_known_row(group, name, level))
    return pd.DataFrame(rows)


def _known_row(group: Sequence[PlantedReplicate], name: str, level: float) -> dict:
    first = group[0]
    assessments = [_known_assessment(replicate, name) for replicate in group]
    combined = combine_replicates([assessment.permutation.pvalue for assessment in assessments])
    true = np.concatenate([assessment.measure.values[0] for assessment in assessments])
    random = np.concatenate([assessment.measure.values[1:].ravel() for assessment in assessments])
    return {
        "network": first.network,
        "weights": "shuffled" if first.shuffled else "planted",
        "noise": float(first.noise),
        "measure": name,
        "true": float(np.nanmean(true)),
        "random": float(np.nanmean(random)),
        "n_undefined": int(np.isnan(true).sum()),
        "p": combined.pvalue,
        "verdict": SIGNIFICANT if at_most(combined.pvalue, level) else NOT_SIGNIFICANT,
    }


def _known_assessment(replicate: PlantedReplicate, name: str) -> Assessment:
    if name in TESTED_MEASURES:
        return replicate.assessment(name, PARTITIONING)
    if name == SELECTIVITY:
        accuracies = replicate.lesioned(PARTITIONING)
        return assess(half_selectivity(accuracies), seed=replicate.seed)
    return checked_coherence(replicate, "equal_damage", PARTITIONING)


def clusters_table(
    replicates: Sequence[PlantedReplicate], n_clusters: Sequence[int] = (2, 3, 4, 6)
) -> pd.DataFrame:
    """Return what clusterings with other numbers of clusters, or of activations, find.

    Parameters
    ----------
    replicates : sequence of PlantedReplicate
        Shuffled copies are left out.
    n_clusters : sequence of int, optional
        For the weights graph; the activations graph is clustered with the first.

    Returns
    -------
    pandas.DataFrame
        One row a step of noise and clustering, means over seeds. ``purity``: share of hidden
        units in a cluster most of whose hidden units are of the same half; ``adjusted_rand``
        with the halves; ``adjusted_rand_depth``: with the best cut between two layers.
    """
    rows = []
    settings = [("weights", k) for k in n_clusters] + [("activations", n_clusters[0])]
    for replicate in (r for r in replicates if not r.shuffled):
        graphs = {kind: replicate.graph(kind) for kind in ("weights", "activations")}
        for kind, k in settings:
            partition = cluster(graphs[kind], k, seed=replicate.seed)
            row = {"network": replicate.network, "noise": float(replicate.noise)}
            rows.append({**row, "graph": kind, "k": k, **_agreement(replicate, partition)})
    table = pd.DataFrame(rows)
    return table.groupby(["network", "noise", "graph", "k"], sort=False).mean().reset_index()


def _agreement(replicate: PlantedReplicate, partition: Partition) -> dict[str, float]:
    labels = np.concatenate([partition.of(layer) for layer in partition.tested])
    halves = replicate.planted_labels()
    live = labels != NO_CLUSTER
    majorities = [np.bincount(halves[labels == label]).max() for label in np.unique(labels[live])]
    n_units = [layer.n_units for layer in partition.layers]
    depths = np.repeat(np.arange(len(n_units)), n_units)
    scores_of_cuts = [
        label_agreement((depths > cut).astype(int), partition.labels, units="all")
        for cut in range(depths.max())
    ]
    return {
        "purity": sum(majorities) / live.sum(),
        "adjusted_rand": label_agreement(halves, labels, units="all"),
        "adjusted_rand_depth": max(scores_of_cuts),
    }
