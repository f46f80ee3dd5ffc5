"""Visualization: images made to excite units, and the images that excite them most."""

from localspec.visualization._exciting_images import (
    ExcitingImages,
    compared_bits,
    excitations,
    exciting_images,
    top_images,
)
from localspec.visualization._visualize import (
    N_STEPS,
    Visualizations,
    check_image_shape,
    visualize,
    visualize_traced,
)

__all__ = [
    "N_STEPS",
    "ExcitingImages",
    "Visualizations",
    "check_image_shape",
    "compared_bits",
    "excitations",
    "exciting_images",
    "top_images",
    "visualize",
    "visualize_traced",
]
