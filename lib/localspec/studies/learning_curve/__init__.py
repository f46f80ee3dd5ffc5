"""The n-cut while a network is trained, and then pruned: page 24_learning_curve."""

from localspec.studies.learning_curve._epochs import (
    PARTITIONING,
    PRUNING,
    TRAINING,
    EpochReplicate,
    open_epochs,
    trained_by_epoch,
)
from localspec.studies.learning_curve._plots import plot_ncut_by_epoch
from localspec.studies.learning_curve._tables import curve_table, networks_by_epoch, stability_table

__all__ = [
    "PARTITIONING",
    "PRUNING",
    "TRAINING",
    "EpochReplicate",
    "curve_table",
    "networks_by_epoch",
    "open_epochs",
    "plot_ncut_by_epoch",
    "stability_table",
    "trained_by_epoch",
]
