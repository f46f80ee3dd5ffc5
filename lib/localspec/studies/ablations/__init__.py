"""Other values in place of lesioned units than zero: page 20_ablations."""

from localspec.studies.ablations._optimal import FittedConstants, optimal_constants, refined_loss
from localspec.studies.ablations._plots import plot_ablations
from localspec.studies.ablations._tables import (
    ablations_table,
    agreement_table,
    damage_table,
    fit_table,
)
from localspec.studies.ablations._ways import (
    WAYS,
    Fit,
    constant_accuracies,
    fit_images,
    optimal_lesions,
    other_images,
    replaced_accuracies,
    way_accuracies,
    way_assessment,
)

__all__ = [
    "WAYS",
    "Fit",
    "FittedConstants",
    "ablations_table",
    "agreement_table",
    "constant_accuracies",
    "damage_table",
    "fit_images",
    "fit_table",
    "optimal_constants",
    "optimal_lesions",
    "other_images",
    "plot_ablations",
    "refined_loss",
    "replaced_accuracies",
    "way_accuracies",
    "way_assessment",
]
