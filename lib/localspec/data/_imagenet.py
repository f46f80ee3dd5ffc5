"""ImageNet sample: one image of each of the 1,000 classes, from a folder or an archive of files."""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm.auto import tqdm

from localspec._utils.artifacts import fingerprint
from localspec.data._dataset import Dataset
from localspec.data._files import DATA_VARIABLE
from localspec.data._image_folders import FORMATS, LARGEST, decoded, listing_of
from localspec.exceptions import InvalidInputError

NAME = "imagenet-sample"  # of the folder, and of the archive with the ending .tar
SHAPE = (3, 224, 224)
SHORTER_SIDE = 256
CURE = (
    f"put one image of each class as {NAME}/val/<wnid>/<name>.JPEG, or an archive {NAME}.tar of "
    f"that folder val, into the folder for data sets ({DATA_VARIABLE}); wnid is a class's number "
    "in WordNet, such as n01440764. Images are at github.com/EliSchwartz/imagenet-sample-images, "
    "for non-commercial research and education"
)


@cache
def imagenet_classes() -> tuple[dict[str, str], ...]:
    """Return ``wnid``, ``name`` and ``group`` of each class, in the order of networks' outputs."""
    path = files("localspec.data").joinpath("imagenet_classes.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(csv.DictReader(line for line in lines if not line.startswith("#")))


def _from_archive(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield class, name and content of every image; nothing is unpacked."""
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            parts = Path(member.name).parts
            if member.isfile() and parts[-1].endswith(".JPEG") and len(parts) > 1:
                if member.size > LARGEST:
                    raise InvalidInputError(
                        f"{member.name} in {path} has more than {LARGEST:,} bytes; {CURE}"
                    )
                yield parts[-2], f"{member.name} in {path}", archive.extractfile(member).read()


def cropped(image: Image.Image) -> np.ndarray:
    """Return the middle (3, 224, 224) of an image whose shorter side is made 256 pixels long."""
    width, height = image.size
    shorter = min(width, height)
    if shorter != SHORTER_SIDE:
        size = (width * SHORTER_SIDE // shorter, height * SHORTER_SIDE // shorter)
        image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = (round((side - SHAPE[1]) / 2) for side in image.size)
    box = (left, top, left + SHAPE[2], top + SHAPE[1])
    return np.array(image.convert("RGB").crop(box)).transpose(2, 0, 1)


def _decode(
    samples: Iterator[tuple[str, str, bytes]], wnids: Sequence[str], place: Path
) -> torch.Tensor:
    """Return the one image of each class, shape (n_classes, 3, 224, 224)."""
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    pixels = torch.empty((len(wnids), *SHAPE), dtype=torch.uint8, device="cpu")
    seen = set()
    for wnid, name, content in tqdm(samples, desc=f"decoding {NAME}", unit="image"):
        if wnid not in labels or wnid in seen:
            why = "is a second image of its class" if wnid in seen else "is of no class of ImageNet"
            raise InvalidInputError(f"{name} {why}; {CURE}")
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                pixels[labels[wnid]] = torch.from_numpy(cropped(image))
        except Exception as error:  # Pillow raises many types where a file is damaged
            raise InvalidInputError(f"{name} is no whole image: {error}; {CURE}") from error
        seen.add(wnid)
    if len(seen) < len(wnids):
        missing = [wnid for wnid in wnids if wnid not in seen]
        raise InvalidInputError(
            f"{place} holds no image of {len(missing):,} of {len(wnids):,} classes, such as "
            f"{missing[0]}; {CURE}"
        )
    return pixels


def load_imagenet_sample(
    root: Path, dtype: torch.dtype, *, classes: Sequence[dict[str, str]] | None = None
) -> Dataset:
    """Load one image of each class of ImageNet; nothing is downloaded.

    In the folder for data sets these are looked for, in this order: the folder
    ``imagenet-sample/val`` with a folder a class, named by its number in WordNet, and the archive
    ``imagenet-sample.tar`` of it. Images whose shorter side is not 256 pixels long are resized;
    the middle 224 x 224 pixels are taken. Decoded images are kept in the folder for data sets as
    ``imagenet-sample.safetensors``, and decoded again when files changed.

    The same images stand for training and for tests: no network is trained on them. Classes have
    one image each and therefore groups, over which accuracies are taken. `classes` are by default
    those of :func:`imagenet_classes`.
    """
    classes = imagenet_classes() if classes is None else classes
    wnids = [row["wnid"] for row in classes]
    folder, archive = root / NAME / "val", root / f"{NAME}.tar"
    if folder.is_dir():
        paths = sorted(folder.glob("*/*.JPEG"))
        place = folder
        samples = ((path.parent.name, str(path), path.read_bytes()) for path in paths)
        listing = listing_of(folder, [(path, 0) for path in paths], CURE)
    elif archive.is_file():
        place, samples, status = archive, _from_archive(archive), archive.stat()
        listing = f"{status.st_size} {status.st_mtime_ns}"
    else:
        raise InvalidInputError(
            f"{NAME} is not in {root}: neither {NAME}/val nor {NAME}.tar; {CURE}"
        )
    path = root / f"{NAME}.safetensors"
    try:
        pixels = decoded(
            path, listing, ("images",), lambda: {"images": _decode(samples, wnids, place)}
        )["images"]
    except tarfile.TarError as error:
        raise InvalidInputError(f"cannot read {archive}: {error}; {CURE}") from error
    x, y = pixels.to(dtype).div_(255), torch.arange(len(wnids), device="cpu")
    groups = tuple(row["group"] for row in classes)
    return Dataset(
        name=NAME,
        x_train=x,
        y_train=y,
        x_test=x,
        y_test=y,
        class_names=tuple(row["name"] for row in classes),
        source=f"one image a class ({place.name})",
        fingerprint=fingerprint(pixels, y, names=groups),
        groups=groups,
    )
