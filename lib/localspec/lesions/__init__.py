"""Lesions: what a network still gets right without some of its units."""

from localspec.lesions._accuracies import (
    LesionedAccuracies,
    class_sizes,
    lesion_accuracies,
    lesion_accuracies_traced,
    lesion_draws,
    lesion_draws_traced,
    lesion_predictions,
    other_predictions,
)
from localspec.lesions._double import conditional_lesions, joint_lesions
from localspec.lesions._options import LesionOptions

__all__ = [
    "LesionOptions",
    "LesionedAccuracies",
    "class_sizes",
    "conditional_lesions",
    "joint_lesions",
    "lesion_accuracies",
    "lesion_accuracies_traced",
    "lesion_draws",
    "lesion_draws_traced",
    "lesion_predictions",
    "other_predictions",
]
