"""More random counterparts, until a test is decided: page 11_more_draws."""

from localspec.studies.more_draws._plots import plot_first_against_sequential_p
from localspec.studies.more_draws._tables import (
    more_draws_table,
    more_draws_test_table,
    newly_decided_table,
)

__all__ = [
    "more_draws_table",
    "more_draws_test_table",
    "newly_decided_table",
    "plot_first_against_sequential_p",
]
