"""False alarms: of tests of random partitions (page 07_calibration), and of the verdicts."""

from localspec.pipeline import stored_evidence
from localspec.studies.calibration._false_positives import all_p_values
from localspec.studies.calibration._plots import (
    plot_false_positive_rates,
    plot_null_p_values_against_uniform,
)
from localspec.studies.calibration._simulated_worlds import (
    AT_RANDOM,
    PLANTED_HALVES,
    simulated_verdicts,
    verdict_rates_table,
)
from localspec.studies.calibration._tables import (
    calibration_table,
    conclusions,
    sample_table,
    ties_table,
)

__all__ = [
    "AT_RANDOM",
    "PLANTED_HALVES",
    "all_p_values",
    "calibration_table",
    "conclusions",
    "plot_false_positive_rates",
    "plot_null_p_values_against_uniform",
    "sample_table",
    "simulated_verdicts",
    "stored_evidence",
    "ties_table",
    "verdict_rates_table",
]
