"""Published figures: read them as the companion code base has them."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from localspec._utils.validation import check_option

TABLES = (
    "activations_ncut",
    "clusterability",
    "feature_visualization",
    "lesions",
    "paper_claims",
    "untrained_ncut",
)


def load_published(table: str) -> pd.DataFrame:
    """Load a table of published figures.

    Parameters
    ----------
    table : str
        One of ``TABLES``.

    Returns
    -------
    pandas.DataFrame
        A result file of Filan et al. (2021); the claims are those of the abstract of Hod et al.,
        arXiv:2110.08058.

    Raises
    ------
    InvalidInputError
        If there is no such table.
    """
    name = f"{check_option('table', table, TABLES)}.csv"
    with files("localspec.studies.published").joinpath("data", name).open(encoding="utf-8") as file:
        return pd.read_csv(file)
