"""The chi-squared test on ranks, and what importance goes with: page 21_rank_tests."""

from localspec.studies.rank_tests._plots import (
    plot_chi2_against_fisher,
    plot_null_rates,
    plot_property_correlations,
)
from localspec.studies.rank_tests._properties import PROPERTIES, properties_table
from localspec.studies.rank_tests._tables import (
    disagreements_table,
    null_rates_table,
    published_tests,
    rank_tests_table,
)

__all__ = [
    "PROPERTIES",
    "disagreements_table",
    "null_rates_table",
    "plot_chi2_against_fisher",
    "plot_null_rates",
    "plot_property_correlations",
    "properties_table",
    "published_tests",
    "rank_tests_table",
]
