"""Published figures beside ours, and the paper's claims: pages 10_published and 05_synthesis."""

from localspec.studies.published._claims import claims_table, graph_difference_table
from localspec.studies.published._compare import HOLDS, published_table
from localspec.studies.published._diagnosis import diagnosis_table
from localspec.studies.published._plots import plot_moved_quantities, plot_published_beside_ours
from localspec.studies.published._tables import (
    has_published_figures,
    is_diagnosis,
    means_table,
    replicates_table,
    stands_alone,
    under_every_reading,
)

__all__ = [
    "HOLDS",
    "claims_table",
    "diagnosis_table",
    "graph_difference_table",
    "has_published_figures",
    "is_diagnosis",
    "means_table",
    "plot_moved_quantities",
    "plot_published_beside_ours",
    "published_table",
    "replicates_table",
    "stands_alone",
    "under_every_reading",
]
