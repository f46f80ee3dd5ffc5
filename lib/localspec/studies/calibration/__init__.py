"""False alarms among partitions that are drawn at random: page 07_calibration."""

from localspec.studies.calibration._evidence import stored_evidence
from localspec.studies.calibration._false_positives import all_p_values
from localspec.studies.calibration._plots import (
    plot_false_positive_rates,
    plot_null_p_values_against_uniform,
)
from localspec.studies.calibration._tables import (
    calibration_table,
    conclusions,
    sample_table,
    ties_table,
)

__all__ = [
    "all_p_values",
    "calibration_table",
    "conclusions",
    "plot_false_positive_rates",
    "plot_null_p_values_against_uniform",
    "sample_table",
    "stored_evidence",
    "ties_table",
]
