"""Visualizations beside natural images: page 23_natural_images."""

from localspec.studies.natural_images._natural_scores import (
    natural_assessment,
    natural_images_of,
    natural_scores_table,
)
from localspec.studies.natural_images._plots import plot_similarities
from localspec.studies.natural_images._similarity import (
    Similarities,
    set_similarities,
    similarity_table,
)

__all__ = [
    "Similarities",
    "natural_assessment",
    "natural_images_of",
    "natural_scores_table",
    "plot_similarities",
    "set_similarities",
    "similarity_table",
]
