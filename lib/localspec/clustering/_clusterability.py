"""Clusterability: compare a network's n-cut with the n-cuts of shuffled copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from localspec._utils.hardware import limited_threads
from localspec._utils.validation import (
    check_flag,
    check_integer,
    check_option,
    check_real,
    check_seed,
)
from localspec.clustering._spectral import (
    VOLUME_EPSILON,
    live_units,
    ncut_checked,
    spectral_labels_checked,
)
from localspec.clustering._unit_graph import UnitGraph, check_edges, check_graph, nulls_of, shuffled
from localspec.exceptions import InvalidInputError
from localspec.statistics import RTOL, at_most

MAX_JOBS = 1024  # threads
MAX_SHUFFLES = 10**6  # all are kept in memory, and each is clustered


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
        With the population standard deviation; NaN where copies do not differ, but for rounding.
    pvalue : float
        ``(1 + number of shuffles at most as high) / (n_shuffles + 1)``.
    floor : float
        The lowest p that this number of shuffles can give.
    n_isolated : int
        Units of the network without edges, which were removed.
    n_near_dead : int
        Other units whose edges sum to less than 1e-8, so that the epsilon of n-cut decides.
    n_zero_volume : int
        Clusters whose edges sum to less than that.
    n_empty : int
        Clusters that were asked for and hold no unit.
    """

    statistic: float
    null: np.ndarray
    z_score: float
    pvalue: float
    floor: float
    n_isolated: int = 0
    n_near_dead: int = 0
    n_zero_volume: int = 0
    n_empty: int = 0


def inside_to_outside(ncut: float, n_clusters: int) -> float:
    """Return how much edge weight lies inside of an average cluster for each unit that leaves it.

    Parameters
    ----------
    ncut : float
        Of all clusters together.
    n_clusters : int

    Returns
    -------
    float
        ``(1 - share) / (2 share)`` with ``share = ncut / n_clusters``, the mean over clusters of
        the share that leaves the cluster: an edge inside counts at both of its ends. Infinite
        where nothing leaves.

    Raises
    ------
    InvalidInputError
        If `ncut` is negative or undefined, or there is no cluster.

    References
    ----------
    Filan et al., arXiv:2103.03386, "Clusterability".

    Examples
    --------
    Two triangles that one edge joins: of seven ends of edges in each, one leaves it.

    >>> round(inside_to_outside(2 / 7, 2), 9)  # three edges inside, one leaves
    3.0
    """
    n_clusters = check_integer("n_clusters", n_clusters, 1)
    ncut = check_real("ncut", ncut, or_low=True)
    share = ncut / n_clusters
    return (1 - share) / (2 * share) if share > 0 else float("inf")


def clusterability(
    graph: UnitGraph,
    n_clusters: int,
    *,
    n_shuffles: int = 50,
    null: str = "permute",
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Clusterability:
    """Compare a network's n-cut with those of copies whose edges are shuffled by layer.

    Parameters
    ----------
    graph : UnitGraph
        Isolated units, and those that never vary, are removed before shuffling, and isolated
        ones after it.
    n_clusters : int
    n_shuffles : int, optional
    null : {"permute", "permute_nonzero", "resample_nonzero", "permute_resample", "permute_all"}
        See :func:`localspec.clustering.shuffled`.
    seed : int, optional
        Of the shuffles and of every k-means.
    n_jobs : int, optional
        Copies clustered at once, on one thread each; by default as many as torch has threads.
        Results do not depend on it.
    progress : bool, optional

    Returns
    -------
    Clusterability

    Raises
    ------
    InvalidInputError
        If graphs of this kind have no such null, or `n_clusters` does not fit the graph or a copy.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Clusterability".
    """
    check_graph(graph)
    n_shuffles = check_integer("n_shuffles", n_shuffles, 1, MAX_SHUFFLES)
    n_clusters, seed = check_integer("n_clusters", n_clusters, 2), check_seed(seed)
    check_option(f"null of {graph.kind}", null, nulls_of(graph))
    check_flag("progress", progress)
    n_jobs = (
        torch.get_num_threads() if n_jobs is None else check_integer("n_jobs", n_jobs, 1, MAX_JOBS)
    )
    check_edges(graph.adjacency)
    rng = np.random.default_rng(seed)
    n_units = graph.n_units
    graph = graph.keep(live_units(graph))
    labels = spectral_labels_checked(graph, n_clusters, seed=seed)
    value = ncut_checked(graph.adjacency, labels)
    degrees = np.asarray(graph.adjacency.sum(axis=1)).ravel()
    volumes = np.bincount(labels, weights=degrees)

    def shuffled_ncut(copy: UnitGraph) -> float:
        try:
            labels = spectral_labels_checked(copy, n_clusters, seed=seed)
        except InvalidInputError as error:  # shuffles can isolate units
            raise InvalidInputError(f"a shuffled copy cannot be clustered: {error}") from error
        return ncut_checked(copy.adjacency, labels)

    copies = (shuffled(graph, rng, null=null) for _ in range(n_shuffles))  # drawn one by one
    with limited_threads(1):
        ncuts = Parallel(n_jobs, prefer="threads", return_as="generator")(
            delayed(shuffled_ncut)(copy) for copy in copies
        )
        bar = tqdm(ncuts, desc="shuffles", total=n_shuffles, disable=not progress)
        null_values = np.array(list(bar))
    mean, spread = null_values.mean(), null_values.std()
    differs = spread > RTOL * np.abs(null_values).max()
    n_low = int(at_most(null_values, value).sum())
    return Clusterability(
        statistic=value,
        null=null_values,
        z_score=float((value - mean) / spread) if differs else float("nan"),
        pvalue=(1 + n_low) / (n_shuffles + 1),
        floor=1 / (n_shuffles + 1),
        n_isolated=n_units - graph.n_units,
        n_near_dead=int((degrees < VOLUME_EPSILON).sum()),
        n_zero_volume=int((volumes < VOLUME_EPSILON).sum()),
        n_empty=n_clusters - len(volumes),
    )
