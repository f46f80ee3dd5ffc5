"""Other values in place of lesioned units than zero: page 20_ablations."""

from localspec.studies.ablations._plots import plot_ablations
from localspec.studies.ablations._tables import ablations_table, agreement_table, damage_table
from localspec.studies.ablations._ways import (
    WAYS,
    other_images,
    replaced_accuracies,
    way_accuracies,
    way_assessment,
)

__all__ = [
    "WAYS",
    "ablations_table",
    "agreement_table",
    "damage_table",
    "other_images",
    "plot_ablations",
    "replaced_accuracies",
    "way_accuracies",
    "way_assessment",
]
