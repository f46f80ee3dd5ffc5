"""Lesions of two subclusters at a time: page 19_double_lesions."""

from localspec.studies.double_lesions._pairs import PairLesions, pair_lesions
from localspec.studies.double_lesions._plots import plot_double_lesions
from localspec.studies.double_lesions._tables import (
    conditional_table,
    double_lesions_table,
    strongest_pairs_table,
)

__all__ = [
    "PairLesions",
    "conditional_table",
    "double_lesions_table",
    "pair_lesions",
    "plot_double_lesions",
    "strongest_pairs_table",
]
