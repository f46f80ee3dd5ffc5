"""How stable partitions are: over k-means seeds, numbers of clusters and training seeds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import linalg
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from localspec.correlations import unit_values
from localspec.errors import require
from localspec.graphs import UnitGraph
from localspec.partitions import NO_CLUSTER, Partition
from localspec.pipeline import PARTITIONINGS, Replicate
from localspec.readings import OTHER_SEED
from localspec.sensitivity import Variation
from localspec.spectral import live_units


def layer_agreement(
    first: Partition, second: Partition, order: dict[str, np.ndarray] | None = None
) -> float:
    """Return the adjusted Rand score of two partitions, averaged over tested layers.

    Units without a cluster in either are left out, and so is a layer that has no others.

    Parameters
    ----------
    first, second : Partition
        Of the same layers.
    order : dict of str to numpy.ndarray of int, shape (n_units of the layer,), optional
        Which unit of the second stands for each unit of the first.

    Examples
    --------
    >>> partition = Partition.from_labels({"a": np.array([0, 0, 1, 1])})
    >>> other = Partition.from_labels({"a": np.array([1, 1, 0, 0])})
    >>> layer_agreement(partition, other)
    1.0
    """
    scores = []
    for one, two in zip(first.tested, second.tested, strict=True):
        labels = second.of(two)
        if order is not None:
            labels = labels[order[one.name]]
        live = (first.of(one) != NO_CLUSTER) & (labels != NO_CLUSTER)
        if live.any():
            scores.append(adjusted_rand_score(first.of(one)[live], labels[live]))
    return float(np.mean(scores)) if scores else float("nan")


def match_units(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Match the units of two networks' layers by their values on the same images.

    Parameters
    ----------
    first, second : numpy.ndarray, shape (n_images, n_units)

    Returns
    -------
    numpy.ndarray of int, shape (n_units,)
        Which column of the second each column of the first is matched with: one to one, with
        the largest sum of correlations.

    Examples
    --------
    >>> values = np.array([[1.0, 0.0, 5.0], [2.0, 3.0, 0.0], [4.0, 1.0, 1.0]])
    >>> match_units(values, values[:, [2, 0, 1]]).tolist()
    [1, 2, 0]
    """
    require(
        first.shape == second.shape,
        f"values of shapes {first.shape} and {second.shape} must be of as many images and units",
    )
    standard = []
    for values in (first, second):
        centred = values - values.mean(axis=0)
        length = np.sqrt((centred**2).sum(axis=0))
        standard.append(centred / np.where(length > 0, length, 1.0))
    return linear_sum_assignment(standard[0].T @ standard[1], maximize=True)[1]


def eigengaps(graph: UnitGraph, k_max: int) -> np.ndarray:
    """Return the gap below each of the largest eigenvalues of D^-1/2 A D^-1/2.

    Parameters
    ----------
    graph : UnitGraph
    k_max : int
        Fewer than the live units.

    Returns
    -------
    numpy.ndarray, shape (k_max - 1,)
        Eigenvalue k less eigenvalue k + 1, for k = 2, ..., k_max. The eigengap heuristic takes
        the k of the largest.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Spectral clustering and n-cut"; von Luxburg (2007), "the
    eigengap heuristic".

    Examples
    --------
    Three pairs of units, joined within pairs only: eigenvalues 1, 1, 1, -1, -1, -1.

    >>> import scipy.sparse
    >>> from localspec.graphs import layer_ranges
    >>> pairs = scipy.sparse.csr_array(np.kron(np.eye(3), [[0, 1], [1, 0]]))
    >>> graph = UnitGraph(pairs, layer_ranges([("a", 6, True)]), "weights", np.zeros(6, bool))
    >>> (eigengaps(graph, 4).round(6) + 0.0).tolist()
    [0.0, 2.0, 0.0]
    """
    live = live_units(graph)
    n = int(live.sum())
    require(2 <= k_max < n, f"k_max={k_max} must be from 2 to {n - 1}")
    adjacency = graph.adjacency[live][:, live]
    dense = adjacency if isinstance(adjacency, np.ndarray) else adjacency.toarray()
    scale = 1 / np.sqrt(dense.sum(axis=1))
    values = linalg.eigvalsh(
        dense * scale[:, None] * scale[None, :], subset_by_index=[n - k_max - 1, n - 1]
    )[::-1]
    return values[1:-1] - values[2:]


def eigengap_table(replicates: Sequence[Replicate], *, k_max: int = 16) -> pd.DataFrame:
    """Return the eigengaps of every network's two graphs: one row a k."""
    rows = []
    for replicate in replicates:
        for kind in ("weights", "activations"):
            first = {"network": replicate.network, "seed": replicate.seed, "graph": kind}
            gaps = eigengaps(replicate.graph(kind), k_max)
            rows += [
                {**first, "k": k, "gap": float(gap), "chosen": bool(gap == gaps.max())}
                for k, gap in enumerate(gaps, start=2)
            ]
    return pd.DataFrame(rows)


def _pairs(replicates: Sequence[Replicate], partitioning: str, others: dict) -> list[dict]:
    rows = []
    for against, varied in others.items():
        for one, other in zip(replicates, varied, strict=True):
            score = layer_agreement(one.partition(partitioning), other.partition(partitioning))
            rows.append({"over": against, "network": one.name, "adjusted_rand": score})
    return rows


def _training_pairs(
    replicates: Sequence[Replicate], values: list[dict[str, np.ndarray]], partitioning: str
) -> list[dict]:
    rows = []
    for i, j in combinations(range(len(replicates)), 2):
        one, other = replicates[i], replicates[j]
        order = {name: match_units(values[i][name], values[j][name]) for name in values[i]}
        score = layer_agreement(one.partition(partitioning), other.partition(partitioning), order)
        names = f"{one.name} and {other.seed}"
        rows.append({"over": "training seeds", "network": names, "adjusted_rand": score})
    return rows


def stability_table(
    varied: dict[Variation, Sequence[Replicate]], *, n_seeds: int = 5
) -> pd.DataFrame:
    """Return how well partitions agree with those of other seeds and numbers of clusters.

    Parameters
    ----------
    varied : dict of Variation to sequence of Replicate
        The replicates of one network under each variation; the baseline first.
    n_seeds : int, optional
        Number of k-means seeds to compare with.

    Returns
    -------
    pandas.DataFrame
        One row a partitioning, comparison and network (or pair of networks); ``adjusted_rand``
        is averaged over tested layers. Units of networks from different training seeds are
        matched by their correlation over the test images first.
    """
    (_, replicates), *rest = varied.items()
    others = {}
    for index in range(1, n_seeds + 1):
        others[f"k-means seed {index}"] = [
            replicate.with_choices(clustering_seed=index * OTHER_SEED) for replicate in replicates
        ]
    others |= {
        variation.name: list(group)
        for variation, group in rest
        if variation.choices.n_clusters is not None
    }
    values = [
        unit_values(one.trained, one.dataset.x_test, conventions=one.conventions)
        for one in replicates
    ]
    rows = []
    for partitioning in PARTITIONINGS:
        found = _pairs(replicates, partitioning, others)
        found += _training_pairs(replicates, values, partitioning)
        rows += [{"partitioning": partitioning, **row} for row in found]
    table = pd.DataFrame(rows)
    table["over"] = table["over"].str.replace(r"^k-means seed \d+$", "k-means seeds", regex=True)
    return table
