"""Forks, the other readings of the method: page 09_forks."""

from localspec.studies.forks._plots import plot_changes_of_p
from localspec.studies.forks._tables import fork_replicates, fork_table, fork_test_table

__all__ = [
    "fork_replicates",
    "fork_table",
    "fork_test_table",
    "plot_changes_of_p",
]
