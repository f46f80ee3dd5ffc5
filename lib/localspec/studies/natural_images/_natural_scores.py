"""Input coherence with natural images in place of visualizations."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from localspec._utils.validation import check_integer, check_real, check_type
from localspec.measures import Assessment, Measure, assess
from localspec.pipeline import (
    PARTITIONINGS,
    Replicate,
    by_network,
    check_replicates,
    form_columns,
    form_finding,
)
from localspec.statistics import benjamini_hochberg, rank_correlation, t_interval
from localspec.visualization import ExcitingImages, exciting_images

WAYS = ("visualization", "natural")


def natural_images_of(replicate: Replicate, partitioning: str, n_natural: int) -> ExcitingImages:
    """Return the test images that excite subclusters and counterparts most.

    Parameters
    ----------
    replicate : Replicate
    partitioning : str
    n_natural : int
        How many for each set.

    Returns
    -------
    ExcitingImages
        In the order of ``replicate.draws(partitioning).lesions()``.

    Raises
    ------
    InvalidInputError
        If there are not so many test images.
    """
    check_type("replicate", replicate, Replicate, "open_replicates(section) returns a list of them")
    n_natural = check_integer("n_natural", n_natural, 1)
    x, _ = replicate.lesion_images()
    sets = replicate.draws(partitioning).lesions()
    return exciting_images(replicate.trained, x, sets, n_images=n_natural)


def natural_assessment(replicate: Replicate, partitioning: str, n_natural: int) -> Assessment:
    """Assess input coherence with natural images in place of visualizations.

    Parameters
    ----------
    replicate : Replicate
    partitioning : str
    n_natural : int
        The value of a set is the mean objective over so many test images that excite it most.

    Returns
    -------
    Assessment

    Raises
    ------
    InvalidInputError
        If there are not so many test images.
    """
    scores = natural_images_of(replicate, partitioning, n_natural).scores.mean(axis=1)
    arranged = replicate.draws(partitioning).arrange(scores)
    measure = Measure("input_coherence", "high", arranged, "score", arranged)
    return assess(measure, conventions=replicate.conventions, seed=replicate.seed)


def natural_scores_table(
    replicates: Sequence[Replicate], n_natural: int, *, level: float = 0.05
) -> pd.DataFrame:
    """Return input coherence by visualizations and by natural images, side by side.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.
    n_natural : int
        See :func:`natural_assessment`.
    level : float, optional
        False discovery rate of each way: all networks and partitionings.

    Returns
    -------
    pandas.DataFrame
        One row a network and partitioning. Of both ways ``p``: permutation Fisher, combined by the
        Bates distribution, ``bh`` adjusted by Benjamini-Hochberg, by which ``finding`` goes, see
        :func:`localspec.pipeline.form_finding`; ``effect``: over its mean under random partitions.
        ``spearman``: correlation of the effects of both ways over a network's subclusters, a mean
        over networks.

    Raises
    ------
    InvalidInputError
        If there is no replicate, or there are not so many test images.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Input coherence"; natural images are this project's check.
    """
    check_real("level", level, 0, 1)
    check_replicates(replicates)
    rows, columns = [], {way: [] for way in WAYS}
    for group in by_network(replicates):
        for partitioning in PARTITIONINGS:
            pairs = [
                (
                    replicate.assessment("input_coherence", partitioning),
                    natural_assessment(replicate, partitioning, n_natural),
                )
                for replicate in group
            ]
            for way, assessments in zip(WAYS, zip(*pairs, strict=True), strict=True):
                columns[way].append(form_columns(assessments))
            rho = [rank_correlation(a.effects.effect, b.effects.effect) for a, b in pairs]
            rows.append(
                {
                    "network": group[0].network,
                    "partitioning": partitioning,
                    "spearman": t_interval(rho).mean,
                    "n_subclusters": columns["natural"][-1]["n_subclusters"],
                }
            )
    table = pd.DataFrame(rows)
    for way in WAYS:
        p_values = [each["p"] for each in columns[way]]
        adjusted = benjamini_hochberg(p_values, alpha=level).adjusted
        table[f"{way}_p"] = p_values
        table[f"{way}_bh"] = adjusted
        table[f"{way}_effect"] = [each["effect_ratio"] for each in columns[way]]
        table[f"{way}_finding"] = [
            form_finding(each, p, level=level)
            for each, p in zip(columns[way], adjusted, strict=True)
        ]
    return table
