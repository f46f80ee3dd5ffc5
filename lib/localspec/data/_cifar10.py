"""CIFAR-10: read its original batches or a folder of image files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch

from localspec.data._files import DATA_VARIABLE, ORIGINAL, RawImages, check_md5, fetch_missing
from localspec.data._image_folders import load_image_folders
from localspec.data._torchvision import import_torchvision
from localspec.exceptions import InvalidInputError

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


def load_cifar10(
    root: Path, *, download: bool = True, n_per_class: Mapping[str, int] = N_PER_CLASS
) -> RawImages:
    """Load CIFAR-10.

    In the folder for data sets these are looked for, in this order: the original batches
    (``cifar-10-batches-py``), their archive (``cifar-10-python.tar.gz``), image files
    (``CIFAR10/train/<class>/`` and ``CIFAR10/test/<class>/``, `n_per_class` in each). Where nothing
    is found torchvision may download the archive. Images are in the original order, or sorted by
    class and name if read from image files.
    """
    datasets = import_torchvision().datasets
    original = datasets.CIFAR10
    batches, archive, folder = root / original.base_folder, root / original.filename, root / FOLDER
    has_original = batches.is_dir() or archive.exists()
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
            f"CIFAR-10 is not in {root}: neither {batches.name}, {archive.name} nor {FOLDER} "
            f"found; {CURE}"
        )
    if not batches.is_dir():
        fetch = partial(original, download=True)
        if archive.exists():
            cure = f"delete it, then {CURE}"
            check_md5(archive, original.tgz_md5, what="CIFAR-10's archive", cure=cure)
            fetch = partial(datasets.utils.extract_archive, str(archive))
        fetch_missing("CIFAR-10", [Path(batches.name)], fetch, root=root)
    meta = (original.meta["filename"], original.meta["md5"])
    for name, md5 in (*original.train_list, *original.test_list, meta):
        cure = f"delete {batches}, then {CURE}"
        check_md5(batches / name, md5, what=f"{name} of CIFAR-10", cure=cure)
    train, test = original(root, train=True), original(root, train=False)
    return RawImages(
        x_train=torch.from_numpy(train.data).permute(0, 3, 1, 2).contiguous(),
        y_train=torch.tensor(train.targets, dtype=torch.int64, device="cpu"),
        x_test=torch.from_numpy(test.data).permute(0, 3, 1, 2).contiguous(),
        y_test=torch.tensor(test.targets, dtype=torch.int64, device="cpu"),
        class_names=CLASS_NAMES,
        source=ORIGINAL,
    )
