"""Networks of ImageNet of which one figure each is published: ours beside them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings, TorchvisionSettings, weights_path
from localspec.pipeline import Replicate
from localspec.studies.published._compare import published_rows
from localspec.studies.published._tables import ncut_columns

PUBLISHED = ("ncut", "shuffled_ncut_mean", "shuffled_ncut_std", "z_score", "n_shuffles")
HERE, NOT_HERE = "yes", "not run here"


def weights_are_there(settings: NetworkSettings) -> bool:
    """Return whether a network of torchvision has random weights, or a file that is there."""
    if not isinstance(settings, TorchvisionSettings):
        return False
    try:
        weights_path(settings)
    except InvalidInputError:
        return False
    return True


def pretrained_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return n-cuts of networks of torchvision beside the published ones of their architecture.

    Parameters
    ----------
    replicates : sequence of Replicate
        Networks with published figures.

    Returns
    -------
    pandas.DataFrame
        One row a network and seed. ``run`` says whether it was clustered here; of networks
        whose file of weights is not there, nothing but the published figures is known. There is no
        verdict: one network each is published, and of ResNets another implementation.
    """
    rows = []
    for replicate in replicates:
        settings = replicate.settings
        runs = weights_are_there(settings)
        row: dict[str, object] = {
            "network": replicate.network,
            "architecture": settings.architecture,
            "weights": getattr(settings, "weights", None) or "random",
            "seed": replicate.seed,
            "run": HERE if runs else NOT_HERE,
        }
        if runs:
            result = replicate.clusterability()
            row |= {
                "n_units": replicate.graph("weights").n_units,
                **ncut_columns(result),
                "n_shuffles": str(len(result.null)),  # of some rows there is none
            }
        (published,) = published_rows(settings.published, pruned=False).to_dict("records")
        rows.append(row | {f"published_{name}": published[name] for name in PUBLISHED})
    return pd.DataFrame(rows)
