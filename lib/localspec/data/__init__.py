"""Data sets: load them, derive others from them, check what a user brings."""

from localspec.data._dataset import (
    DTYPES,
    Dataset,
    check_class_labels,
    check_dataset,
    check_images,
    other_image,
)
from localspec.data._derived import in_three_channels
from localspec.data._files import data_root
from localspec.data._load import DATASETS, DERIVED, load_dataset
from localspec.data._torchvision import import_torchvision

__all__ = [
    "DATASETS",
    "DERIVED",
    "DTYPES",
    "Dataset",
    "check_class_labels",
    "check_dataset",
    "check_images",
    "data_root",
    "import_torchvision",
    "in_three_channels",
    "load_dataset",
    "other_image",
]
