"""Similarity: whether a network treats a visualization as it treats natural images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata

from localspec._utils.validation import require
from localspec.pipeline import PARTITIONINGS, Replicate, by_network, check_replicates
from localspec.statistics import t_interval
from localspec.studies.natural_images._natural_scores import natural_images_of
from localspec.units import unit_values


@dataclass(frozen=True)
class Similarities:
    """Rank correlations between the values that one layer's units have on images.

    Attributes
    ----------
    visualization : numpy.ndarray, shape (n_sets,)
        Of each set's visualization with the natural images that excite the set most, their mean.
    natural : numpy.ndarray, shape (n_sets,)
        Of these natural images with each other.
    other : numpy.ndarray, shape (n_sets,)
        Of these natural images with all others.
    """

    visualization: np.ndarray
    natural: np.ndarray
    other: np.ndarray

    def of(self, chosen: np.ndarray) -> Similarities:
        """Return those of some sets."""
        return Similarities(self.visualization[chosen], self.natural[chosen], self.other[chosen])


def _directions(values: np.ndarray) -> np.ndarray:
    """Return ranks over units, centred and of length 1: their products are correlations."""
    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, lengths, out=np.full_like(ranks, np.nan), where=lengths > 0)


def set_similarities(
    visualized: np.ndarray, values: np.ndarray, chosen: np.ndarray
) -> Similarities:
    """Compare what units do on visualizations with what they do on natural images.

    Parameters
    ----------
    visualized : numpy.ndarray, shape (n_sets, n_units)
        Values of one layer's units on each set's visualization.
    values : numpy.ndarray, shape (n_images, n_units)
        Their values on natural images.
    chosen : numpy.ndarray of int, shape (n_sets, n_chosen)
        The natural images that excite each set most: two or more, and not all.

    Returns
    -------
    Similarities

    Raises
    ------
    InvalidInputError
        If the shapes do not fit, or too few or too many images are chosen.

    References
    ----------
    Geirhos et al., arXiv:2306.04719, who compare paths of visualizations through a network with
    those of natural images; which images are compared is this project's choice.

    Examples
    --------
    Images one and two order the three units alike, the third one the other way round. The
    visualization is ordered as the first two.

    >>> values = np.array([[1.0, 2.0, 3.0], [0.0, 5.0, 9.0], [3.0, 2.0, 1.0]])
    >>> similarities = set_similarities(np.array([[1.0, 3.0, 4.0]]), values, np.array([[0, 1]]))
    >>> similarities.visualization.round(6).tolist()
    [1.0]
    >>> similarities.natural.round(6).tolist(), similarities.other.round(6).tolist()
    ([1.0], [-1.0])
    """
    n_sets, n_chosen = chosen.shape
    require(
        visualized.shape == (n_sets, values.shape[1]),
        f"visualized must have a row for each set and a column for each unit, {n_sets} x "
        f"{values.shape[1]}, not {visualized.shape}",
    )
    require(
        1 < n_chosen < len(values),
        f"chosen must name 2 to {len(values) - 1} of the images for each set, not {n_chosen}",
    )
    images = _directions(values)
    total = images.sum(axis=0)
    sums = images[chosen].sum(axis=1)
    visualization = np.einsum("su,su->s", _directions(visualized), sums) / n_chosen
    squared = np.einsum("su,su->s", sums, sums)
    natural = (squared - n_chosen) / (n_chosen * (n_chosen - 1))  # without each with itself
    n_pairs = n_chosen * (len(values) - n_chosen)
    other = np.einsum("su,su->s", sums, total - sums) / n_pairs
    return Similarities(visualization, natural, other)


def _share(similarities: Sequence[Similarities]) -> float:
    """Return where visualizations lie between other images (0) and the most exciting ones (1)."""
    means = [
        np.nanmean(np.concatenate([getattr(each, name) for each in similarities]))
        for name in ("visualization", "natural", "other")
    ]
    visualization, natural, other = means
    return float((visualization - other) / (natural - other))


def _by_distance(
    replicate: Replicate, partitioning: str, n_natural: int
) -> dict[int, dict[str, list[Similarities]]]:
    """Return the similarities of true and random sets by the distance from the set's layer."""
    draws = replicate.draws(partitioning)
    if not draws.subclusters:
        return {}
    x, _ = replicate.lesion_images()
    images = replicate.visualizations(partitioning).images
    shown = torch.from_numpy(np.moveaxis(images, 0, 1).reshape(-1, *images.shape[2:]))
    conventions = replicate.conventions
    values = unit_values(replicate.trained, x, conventions=conventions)
    visualized = unit_values(replicate.trained, shown.to(x), conventions=conventions)
    chosen = natural_images_of(replicate, partitioning, n_natural).indices
    names = list(values)
    own = np.array([names.index(next(iter(each))) for each in draws.lesions()])
    true = np.arange(len(own)) % (draws.n_draws + 1) == 0
    by_distance: dict[int, dict[str, list[Similarities]]] = {}
    for place, name in enumerate(names):
        similarities = set_similarities(visualized[name], values[name], chosen)
        for layer in np.unique(own):
            kinds = by_distance.setdefault(place - int(layer), {"true": [], "random": []})
            kinds["true"].append(similarities.of((own == layer) & true))
            kinds["random"].append(similarities.of((own == layer) & ~true))
    return by_distance


def similarity_table(replicates: Sequence[Replicate], n_natural: int) -> pd.DataFrame:
    """Return how far networks treat visualizations as natural images, layer by layer.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    n_natural : int
        Test images that excite a set most, with which its visualization is compared.

    Returns
    -------
    pandas.DataFrame
        One row a network, partitioning and ``distance``: how many tested layers behind the set's
        own layer (negative: before it) values are compared. ``share``: where the similarity of
        visualizations lies between that of other images (0) and that of the exciting images with
        each other (1), of means over the sets, a mean over seeds; ``low`` and ``high``: its 95 %
        interval over seeds; ``share_random``: that of random counterparts. ``visualization``,
        ``natural`` and ``other``: the similarities of true sets, means over sets and seeds.

    Raises
    ------
    InvalidInputError
        If there is no replicate, or there are not so many test images.

    References
    ----------
    Geirhos et al., arXiv:2306.04719.
    """
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for partitioning in PARTITIONINGS:
            of_seeds = [_by_distance(each, partitioning, n_natural) for each in group]
            distances = sorted({distance for each in of_seeds for distance in each})
            for distance in distances:
                seeds = [each[distance] for each in of_seeds if distance in each]
                shares = t_interval([_share(each["true"]) for each in seeds])
                row = {
                    "network": group[0].network,
                    "partitioning": partitioning,
                    "distance": distance,
                    "share": shares.mean,
                    "low": shares.low,
                    "high": shares.high,
                    "share_random": t_interval([_share(each["random"]) for each in seeds]).mean,
                }
                every = [part for each in seeds for part in each["true"]]
                for name in ("visualization", "natural", "other"):
                    row[name] = np.nanmean(np.concatenate([getattr(part, name) for part in every]))
                row["n_sets"] = sum(len(part.natural) for part in every)
                rows.append(row)
    return pd.DataFrame(rows)
