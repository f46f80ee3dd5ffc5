"""Published figures beside ours, and weights against activations: pages 10, 13 to 16 and 05."""

from localspec.studies.published._activations import activations_table
from localspec.studies.published._compare import HOLDS, published_table
from localspec.studies.published._data import load_published
from localspec.studies.published._diagnosis import diagnosis_table
from localspec.studies.published._graph_difference import graph_difference_table
from localspec.studies.published._l2 import l2_replicates, l2_replicates_table, l2_table
from localspec.studies.published._plots import (
    plot_activations_ncuts,
    plot_differences_from_published,
    plot_l2,
    plot_moved_quantities,
    plot_ncuts,
    plot_pretrained,
    plot_published_beside_ours,
    plot_untrained,
)
from localspec.studies.published._pretrained import pretrained_table, weights_are_there
from localspec.studies.published._tables import (
    has_published_figures,
    is_diagnosis,
    means_table,
    replicates_table,
    stands_alone,
    under_every_reading,
)
from localspec.studies.published._untrained import untrained_table

__all__ = [
    "HOLDS",
    "activations_table",
    "diagnosis_table",
    "graph_difference_table",
    "has_published_figures",
    "is_diagnosis",
    "l2_replicates",
    "l2_replicates_table",
    "l2_table",
    "load_published",
    "means_table",
    "plot_activations_ncuts",
    "plot_differences_from_published",
    "plot_l2",
    "plot_moved_quantities",
    "plot_ncuts",
    "plot_pretrained",
    "plot_published_beside_ours",
    "plot_untrained",
    "pretrained_table",
    "published_table",
    "replicates_table",
    "stands_alone",
    "under_every_reading",
    "untrained_table",
    "weights_are_there",
]
