"""Tables of the controls of coherence: every form of the measures on planted networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.exceptions import InvalidInputError
from localspec.measures import LOGIT_FORMS
from localspec.pipeline import FORMS, FOUND, form_assessment, form_finding, form_row
from localspec.statistics import at_most
from localspec.studies.controls._designs import design_of, recovery
from localspec.studies.controls._planted import PARTITIONING, PlantedReplicate

TESTED_FORMS = [  # log-entropies rank as entropies do, so that their p is the same
    (name, form) for name, forms in FORMS.items() for form in forms if form != LOGIT_FORMS[0]
]
SHOWN = ["design", "weights", "noise", "measure", "form", "p", "finding"]


def coherence_controls_table(
    replicates: Sequence[PlantedReplicate], *, level: float = 0.05
) -> pd.DataFrame:
    """Return what every form of the measures says of planted parts.

    Parameters
    ----------
    replicates : sequence of PlantedReplicate
        From :func:`localspec.studies.controls.open_designs`.
    level : float, optional

    Returns
    -------
    pandas.DataFrame
        One row a design, step of noise (and the shuffled copy), measure and form, over seeds; the
        columns are those of :func:`localspec.pipeline.form_row`. ``finding`` goes by p itself;
        ``share_significant``: of networks whose own p is at most `level`; ``accuracy``: of the
        glued networks; ``adjusted_rand``: of clusters found in their weights with the parts, which
        are tested whether found or not; empty for shuffled copies, whose clusters are arbitrary.

    Raises
    ------
    InvalidInputError
        If there is no replicate.

    References
    ----------
    Hod et al., arXiv:2110.08058; "Planted networks" is this project's control.
    """
    check_real("level", level, 0, 1)
    if not replicates:
        raise InvalidInputError("there is no planted network to tabulate: name a noise and a seed")
    groups: dict[tuple[str, bool, float], list[PlantedReplicate]] = {}
    for each in replicates:
        groups.setdefault((design_of(each), each.shuffled, each.noise), []).append(each)
    rows = []
    for (design, shuffled, noise), group in groups.items():
        shared = {
            "design": design,
            "weights": "shuffled" if shuffled else "planted",
            "noise": float(noise),
            "accuracy": float(np.mean([each.accuracy() for each in group])),
            "adjusted_rand": np.nan if shuffled else float(np.mean([recovery(r) for r in group])),
        }
        for name, form in TESTED_FORMS:
            row = {**shared, **form_row(group, name, form, PARTITIONING)}
            own = [
                form_assessment(each, name, form, PARTITIONING).permutation.pvalue for each in group
            ]
            row["share_significant"] = float(at_most(own, level).mean())
            row["finding"] = form_finding(row, row["p"], level=level)
            rows.append(row)
    table = pd.DataFrame(rows).drop(columns="partitioning")
    return table[SHOWN + [name for name in table if name not in SHOWN]]


def coherence_power_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return how much noise each form of the measures bears.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`coherence_controls_table`.

    Returns
    -------
    pandas.DataFrame
        One row a design, measure and form. ``p`` and ``finding`` without noise; ``found_up_to``:
        the most noise up to which it is found at every step, "none" if it is not found without;
        ``shuffled``: the finding in shuffled copies.
    """
    rows = []
    for (design, name, form), part in table.groupby(["design", "measure", "form"], sort=False):
        planted = part[part["weights"] == "planted"].sort_values("noise")
        (shuffled,) = part.loc[part["weights"] == "shuffled", "finding"]
        lost = (planted["finding"] != FOUND).to_numpy()
        n_found = int(lost.argmax()) if lost.any() else len(lost)
        rows.append(
            {
                "design": design,
                "measure": name,
                "form": form,
                "p": planted["p"].iloc[0],
                "finding": planted["finding"].iloc[0],
                "found_up_to": f"{planted['noise'].iloc[n_found - 1]:g}" if n_found else "none",
                "shuffled": shuffled,
            }
        )
    return pd.DataFrame(rows)
