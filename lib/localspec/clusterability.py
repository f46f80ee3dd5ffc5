"""Clusterability: a network's n-cut against those of shuffled copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from localspec.errors import InvalidInputError, choose, whole
from localspec.graphs import NULLS, UnitGraph, shuffled
from localspec.spectral import live_units, ncut, spectral_labels
from localspec.statistics import relative_compare

STAGE_VERSION = 1


@dataclass(frozen=True)
class Clusterability:
    """How much lower a network's n-cut is than that of its shuffled copies.

    Attributes
    ----------
    statistic : float
        n-cut of the network.
    null : numpy.ndarray, shape (n_shuffles,)
        n-cuts of the shuffled copies.
    z_score : float
        With the population standard deviation.
    pvalue : float
        ``(1 + number of shuffles at most as high) / (n_shuffles + 1)``.
    floor : float
        The lowest p that this number of shuffles can give.
    """

    statistic: float
    null: np.ndarray
    z_score: float
    pvalue: float
    floor: float


def clusterability(
    graph: UnitGraph,
    n_clusters: int,
    *,
    n_shuffles: int = 50,
    null: str = "permute",
    seed: int = 0,
    progress: bool = False,
) -> Clusterability:
    """Compare a network's n-cut with those of copies whose weights are shuffled by layer.

    Parameters
    ----------
    graph : UnitGraph
        A weights graph. Isolated units are removed before and after shuffling.
    n_clusters : int
    n_shuffles : int, optional
    null : {"permute", "permute_nonzero"}
    seed : int, optional
        Of the shuffles and of every k-means.
    progress : bool, optional

    Returns
    -------
    Clusterability

    Raises
    ------
    InvalidInputError
        If the graph is not a weights graph, or `n_clusters` does not fit.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Clusterability".
    """
    whole("n_shuffles", n_shuffles, 1)
    whole("n_clusters", n_clusters, 2)
    whole("seed", seed, 0)
    choose("null", null, NULLS)
    if graph.kind != "weights":
        raise InvalidInputError("only a weights graph has layer matrices to shuffle")
    rng = np.random.default_rng(seed)
    graph = graph.keep(live_units(graph))
    value = ncut(graph.adjacency, spectral_labels(graph, n_clusters, seed=seed))
    null_values = np.empty(n_shuffles)
    for index in tqdm(range(n_shuffles), desc="shuffles", disable=not progress):
        copy = shuffled(graph, rng, null=null)
        labels = spectral_labels(copy, n_clusters, seed=seed)
        null_values[index] = ncut(copy.adjacency, labels)
    spread = null_values.std()
    n_low = int((relative_compare(null_values, value) <= 0).sum())
    return Clusterability(
        statistic=value,
        null=null_values,
        z_score=float((value - null_values.mean()) / spread) if spread > 0 else float("nan"),
        pvalue=(1 + n_low) / (n_shuffles + 1),
        floor=1 / (n_shuffles + 1),
    )
