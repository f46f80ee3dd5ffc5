"""Tables of the positive control: planted networks one by one, and combined over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from localspec.exceptions import InvalidInputError
from localspec.pipeline import NOT_SIGNIFICANT, SIGNIFICANT
from localspec.statistics import at_most, combine_replicates, p_floor, summarize_effects
from localspec.studies.controls._planted import PARTITIONING, TESTED_MEASURES, PlantedReplicate

VARIANT = ["network", "weights", "noise"]


def _row(replicate: PlantedReplicate) -> dict:
    lesioned = replicate.lesioned(PARTITIONING).lesioned.mean(axis=-1)
    row: dict[str, object] = {
        "network": replicate.network,
        "seed": replicate.seed,
        "weights": "shuffled" if replicate.shuffled else "planted",
        "noise": float(replicate.noise),
        "accuracy": replicate.accuracy(),
        "adjusted_rand": replicate.adjusted_rand(),
        "n_subclusters": lesioned.shape[1],
        "lesioned_accuracy": float(lesioned[0].mean()) if lesioned.size else float("nan"),
        "lesioned_accuracy_random": float(lesioned[1:].mean()) if lesioned.size else float("nan"),
    }
    for name in TESTED_MEASURES:
        assessment = replicate.assessment(name, PARTITIONING)
        row |= {
            f"{name}_undefined": assessment.measure.n_undefined,
            f"{name}_plain_p": float(assessment.fisher.pvalue),
            f"{name}_p": float(assessment.permutation.pvalue),
            f"{name}_effect": summarize_effects([assessment.effects]).mean,
        }
    return row


def control_table(replicates: Sequence[PlantedReplicate]) -> pd.DataFrame:
    """Return what the method says of each planted network.

    Parameters
    ----------
    replicates : sequence of PlantedReplicate

    Returns
    -------
    pandas.DataFrame
        One row a network. ``accuracy``: of the glued network; ``lesioned_accuracy``: mean over
        its subclusters after the lesion, beside that over their random counterparts. For each
        measure the p-values of plain Fisher and of permutation Fisher, and the mean effect.

    Raises
    ------
    InvalidInputError
        If there is no replicate.
    """
    if not replicates:
        raise InvalidInputError("there is no planted network to tabulate: name a noise and a seed")
    return pd.DataFrame([_row(replicate) for replicate in replicates])


def combined_control_table(
    table: pd.DataFrame, *, n_draws: int = 19, level: float = 0.05
) -> pd.DataFrame:
    """Combine the seeds of each step of noise and of the shuffled copies.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`control_table`.
    n_draws : int, optional
        For ``p_floor``.
    level : float, optional

    Returns
    -------
    pandas.DataFrame
        One row a step and measure. ``share_significant``: of networks whose own p is at most
        `level`. ``p``: permutation Fisher of the networks combined by the Bates distribution, of
        which ``p_floor`` is the lowest possible value; ``verdict`` goes by it. ``plain_p``: the
        same with plain Fisher.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Bates"; "Planted networks" is this project's control.
    """
    rows = []
    for variant, group in table.groupby(VARIANT, sort=False):
        for name in TESTED_MEASURES:
            combined = combine_replicates(group[f"{name}_p"])
            verdict = SIGNIFICANT if at_most(combined.pvalue, level) else NOT_SIGNIFICANT
            rows.append(
                {
                    **dict(zip(VARIANT, variant, strict=True)),
                    "measure": name,
                    "n_networks": len(group),
                    "accuracy": group["accuracy"].mean(),
                    "adjusted_rand": group["adjusted_rand"].mean(),
                    "adjusted_rand_min": group["adjusted_rand"].min(),
                    "share_significant": at_most(group[f"{name}_p"], level).mean(),
                    "p": combined.pvalue,
                    "p_floor": p_floor(n_draws, combined.n) if combined.n else float("nan"),
                    "plain_p": combine_replicates(group[f"{name}_plain_p"]).pvalue,
                    "effect": group[f"{name}_effect"].mean(),
                    "verdict": "no tested subcluster" if combined.n == 0 else verdict,
                }
            )
    return pd.DataFrame(rows)
