"""Clusters by what units do to the logits, beside ours: page 25_downstream."""

from localspec.studies.downstream._plots import plot_downstream
from localspec.studies.downstream._replicates import (
    DOWNSTREAM,
    GRAPHS,
    DownstreamReplicate,
    by_graph,
)
from localspec.studies.downstream._tables import (
    downstream_differences_table,
    downstream_effects_table,
    graphs_table,
)

__all__ = [
    "DOWNSTREAM",
    "GRAPHS",
    "DownstreamReplicate",
    "by_graph",
    "downstream_differences_table",
    "downstream_effects_table",
    "graphs_table",
    "plot_downstream",
]
