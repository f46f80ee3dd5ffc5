"""Sensitivity of the conclusions to other choices: page 08_sensitivity."""

from localspec.studies.sensitivity._plots import plot_stability_and_eigengaps, plot_survival_map
from localspec.studies.sensitivity._stability import eigengap_table, stability_table
from localspec.studies.sensitivity._tables import (
    sensitivity_table,
    survival_table,
    variation_effects_table,
)
from localspec.studies.sensitivity._variations import BASELINE, variations

__all__ = [
    "BASELINE",
    "eigengap_table",
    "plot_stability_and_eigengaps",
    "plot_survival_map",
    "sensitivity_table",
    "stability_table",
    "survival_table",
    "variation_effects_table",
    "variations",
]
