"""Weights against activations: compare the effects of partitionings from the two graphs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec.clustering import SCOPES
from localspec.measures import MEASURES
from localspec.pipeline import Replicate, by_network
from localspec.statistics import paired_difference, summarize_effects

MARGIN = 0.1  # of an effect over its null mean; fixed before any network of the paper was lesioned


def graph_difference_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Compare effects of weights partitionings with those of activations partitionings.

    Parameters
    ----------
    replicates : sequence of Replicate

    Returns
    -------
    pandas.DataFrame
        One row a network, scope and measure: the mean over replicates of the difference between
        the two effects, each over its null mean and turned so that more is more specialized
        (``difference`` above 0: weights are better); a 90 % bootstrap interval over replicates;
        "equivalent" if it lies within `MARGIN` of 0, "different" if outside, else "undecidable".

    References
    ----------
    Hod et al., arXiv:2110.08058, "Weights against activations".
    """

    def ratios(group: list[Replicate], name: str, partitioning: str) -> np.ndarray:
        effects = [replicate.assessment(name, partitioning).effects for replicate in group]
        summary = summarize_effects(effects)
        sign = -1 if summary.favourable_direction == "below" else 1
        return sign * summary.network_means / summary.network_null_means

    rows = []
    for group in by_network(replicates):
        for scope in SCOPES:
            for name in MEASURES:
                weights = ratios(group, name, f"weights/{scope}")
                activations = ratios(group, name, f"activations/{scope}")
                pair = paired_difference(weights, activations, MARGIN, seed=0)
                rows.append(
                    {
                        "network": group[0].network,
                        "scope": scope,
                        "measure": name,
                        "difference": pair.difference,
                        "low": pair.interval[0],
                        "high": pair.interval[1],
                        "margin": MARGIN,
                        "n_replicates": pair.n_networks,
                        "verdict": pair.verdict,
                    }
                )
    return pd.DataFrame(rows)
