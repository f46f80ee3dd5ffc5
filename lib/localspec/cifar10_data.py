"""CIFAR-10, from its original batches or from a folder of image files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from localspec.artifacts import locked
from localspec.data_files import DATA_VARIABLE, ORIGINAL, Images, check_md5, fetch_and_move
from localspec.errors import InvalidInputError
from localspec.image_folders import load_image_folders
from localspec.torchvision_import import import_torchvision

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
FOLDER = "CIFAR10"  # of image files: train/<class>/ and test/<class>/
N_PER_CLASS = {"train": 5_000, "test": 1_000}
SHAPE = (3, 32, 32)
CURE = (
    "load with download=True, or put cifar-10-python.tar.gz or image files as "
    f"{FOLDER}/train/<class>/<name>.jpg and {FOLDER}/test/<class>/<name>.jpg into the folder for "
    f"data sets ({DATA_VARIABLE})"
)


def _check_batches(folder: Path) -> None:
    """Refuse a folder whose original batches are not all there and whole."""
    original = import_torchvision().datasets.CIFAR10
    meta = (original.meta["filename"], original.meta["md5"])
    for name, md5 in (*original.train_list, *original.test_list, meta):
        cure = f"delete {folder}, then {CURE}"
        check_md5(folder / name, md5, what=f"{name} of CIFAR-10", cure=cure)


def _provide(root: Path) -> None:
    """Unpack the original archive if it is there, else download it."""
    vision = import_torchvision()
    original = vision.datasets.CIFAR10
    archive, batches = root / original.filename, root / original.base_folder
    if batches.is_dir():  # another process was faster
        return
    if archive.exists():
        cure = f"delete it, then {CURE}"
        check_md5(archive, original.tgz_md5, what="CIFAR-10's archive", cure=cure)
        fetch = partial(vision.datasets.utils.extract_archive, str(archive))
    else:
        fetch = partial(original, download=True)

    def move(temporary: Path) -> None:
        _check_batches(temporary / original.base_folder)
        os.replace(temporary / original.base_folder, batches)

    fetch_and_move("CIFAR-10", fetch, move, root=root)


def load_cifar10(
    root: Path, *, download: bool = True, n_per_class: Mapping[str, int] = N_PER_CLASS
) -> Images:
    """Load CIFAR-10.

    Parameters
    ----------
    root : Path
        Folder for data sets. Looked for in this order: the original batches
        (``cifar-10-batches-py``), their archive (``cifar-10-python.tar.gz``), image files
        (``CIFAR10/train/<class>/`` and ``CIFAR10/test/<class>/``).
    download : bool, optional
        Whether torchvision may download the archive where nothing is found.
    n_per_class : mapping of str to int, optional
        How many images of each class the image files must be: of ``"train"`` and of ``"test"``.

    Returns
    -------
    Images
        In the original order, or sorted by class and name if read from image files.

    Raises
    ------
    InvalidInputError
        If something is missing or damaged.
    ArtifactError
        If the folder must be written and cannot.
    """
    original = import_torchvision().datasets.CIFAR10
    batches, folder = root / original.base_folder, root / FOLDER
    has_original = batches.is_dir() or (root / original.filename).exists()
    if folder.is_dir() and not has_original:
        return load_image_folders(
            folder,
            CLASS_NAMES,
            n_per_class,
            SHAPE,
            cure=f"unpack the image files again, or delete {folder} and {CURE}",
        )
    if not has_original and not download:
        raise InvalidInputError(
            f"CIFAR-10 is not in {root}: neither {batches.name}, {original.filename} nor {FOLDER} "
            f"found; {CURE}"
        )
    if not batches.is_dir():
        with locked(batches, variable=DATA_VARIABLE):
            _provide(root)
    _check_batches(batches)
    splits = [original(root, train=train, download=False) for train in (True, False)]
    pixels = [torch.from_numpy(split.data).permute(0, 3, 1, 2).contiguous() for split in splits]
    labels = [torch.tensor(split.targets, dtype=torch.int64) for split in splits]
    return Images(
        pixels[0], labels[0], pixels[1], labels[1], class_names=CLASS_NAMES, source=ORIGINAL
    )
