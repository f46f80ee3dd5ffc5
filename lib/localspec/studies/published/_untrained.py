"""Untrained networks: n-cuts of initial weights beside the published ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec.clustering import cluster, ncut, weight_graph
from localspec.conventions import Conventions
from localspec.networks import NetworkSettings, build_network
from localspec.pipeline import Replicate, by_network
from localspec.studies.published._compare import other_readings, standardised_difference
from localspec.studies.published._data import load_published
from localspec.studies.published._pretrained import HERE, NOT_HERE

NAMES = {"mlp": "MLP", "cnn": "CNN", "vgg": "CNN-VGG"}  # of the published architectures


def initial_ncut(
    settings: NetworkSettings,
    image_shape: tuple[int, ...],
    n_outputs: int,
    n_clusters: int,
    *,
    seed: int,
    dtype: str,
    conventions: Conventions,
) -> float:
    """Return the n-cut of a network with its initial weights; the seed is that of k-means, too."""
    module = build_network(settings, image_shape, n_outputs, seed=seed, dtype=dtype)
    graph = weight_graph(module.eval(), conventions=conventions)
    return ncut(graph.adjacency, cluster(graph, n_clusters, seed=seed).labels)


def untrained_ncut(replicate: Replicate) -> float:
    """Return the n-cut of a replicate's network before training, from disk if it is there."""
    settings, data = replicate.settings, replicate.dataset
    own = {"seed": replicate.seed, "dtype": replicate.profile.dtype}

    def compute() -> dict[str, np.ndarray]:
        shapes = (data.image_shape, data.n_outputs, replicate.n_clusters)
        value = initial_ncut(settings, *shapes, conventions=replicate.conventions, **own)
        return {"ncut": np.array([value])}

    parameters = {
        **settings.training_key(),
        **replicate.conventions.subset("kernel_norm", "batch_norm_edges", "residual_units"),
        "image_shape": list(data.image_shape),
        "n_outputs": data.n_outputs,
        "n_clusters": replicate.n_clusters,
        **own,
    }
    return float(replicate.stored("untrained", dict, compute, parameters=parameters)["ncut"][0])


def _row(reading: str, values: np.ndarray, published: pd.Series) -> dict[str, object]:
    difference, interval = standardised_difference(
        (values.mean(), published["ncut_mean"]),
        (values.std(ddof=1), published["ncut_std"]),
        (len(values), published["n"]),
    )
    return {
        "run": HERE,
        "reading": reading,
        "n_ours": str(len(values)),  # of some rows there is none
        "ours": values.mean(),
        "ours_std": values.std(ddof=1),
        "ours_min": values.min(),
        "ours_max": values.max(),
        "mean_difference": values.mean() - published["ncut_mean"],
        "difference": difference,
        "difference_low": interval[0],
        "difference_high": interval[1],
    }


def untrained_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return n-cuts of untrained networks beside the published ones.

    Parameters
    ----------
    replicates : sequence of Replicate
        Under the plain reading; two or more of each network. Networks with convolutions are
        compared under the released kernel norm as well.

    Returns
    -------
    pandas.DataFrame
        One row a published setting and reading: mean, standard deviation (of a sample; the
        published one is taken for that), least and largest n-cut of ours and of the published
        networks, and the standardised difference of the means with its 95 % interval. Of a
        published setting without a network of ours nothing but the published figures is known.
    """
    groups = {}  # by published architecture, and whether modules are planted in the network
    for group in by_network(replicates):
        settings = group[0].settings
        groups[NAMES[settings.architecture], settings.module_distance is not None] = group
    rows = []
    for _, published in load_published("untrained_ncut").iterrows():
        setting = (published["architecture"], bool(published["clusterable_init"]))
        ours: list[dict[str, object]] = [{"run": NOT_HERE}]
        if setting in groups:
            group = groups[setting]
            values = np.array([untrained_ncut(replicate) for replicate in group])
            ours = [_row(group[0].reading, values, published)]
            for reading in other_readings(group[0].settings):
                changed = [replicate.with_choices(**reading.changes) for replicate in group]
                values = np.array([untrained_ncut(replicate) for replicate in changed])
                ours.append(_row(str(reading), values, published))
        for row in ours:
            rows.append(
                {
                    "architecture": setting[0],
                    "initialisation": "clusterable" if setting[1] else "plain",
                    **row,
                    "n_published": published["n"],
                    "published": published["ncut_mean"],
                    "published_std": published["ncut_std"],
                    "published_min": published["ncut_min"],
                    "published_max": published["ncut_max"],
                }
            )
    return pd.DataFrame(rows)
