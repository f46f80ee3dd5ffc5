"""Image folders: decode the images of every class once, and store them as one file of tensors."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm.auto import tqdm

from localspec._utils.artifacts import fingerprint
from localspec._utils.files import locked, write_atomically
from localspec.data._files import DATA_VARIABLE, RawImages
from localspec.data._torchvision import import_torchvision
from localspec.exceptions import InvalidInputError

DECODED = "decoded.safetensors"
TENSORS = ("x_train", "y_train", "x_test", "y_test")


def _samples(
    folder: Path, class_names: tuple[str, ...], n_per_class: int, cure: str
) -> list[tuple[str, int]]:
    """Return the files of one split and their classes, in torchvision's order."""
    try:
        images = import_torchvision().datasets.ImageFolder(folder, allow_empty=True)
    except OSError as error:
        raise InvalidInputError(f"cannot read the classes of {folder}: {error}; {cure}") from error
    if set(images.classes) != set(class_names):
        missing = sorted(set(class_names) - set(images.classes))
        extra = sorted(set(images.classes) - set(class_names))
        raise InvalidInputError(
            f"the class folders of {folder} are not those expected: missing {missing}, not "
            f"expected {extra}; {cure}"
        )
    counts = Counter(images.classes[label] for _, label in images.samples)
    for name in class_names:
        if counts[name] != n_per_class:
            raise InvalidInputError(
                f"{folder / name} holds {counts[name]:,} images, not {n_per_class:,} (unpacked "
                f"only in part?); {cure}"
            )
    return [(path, class_names.index(images.classes[label])) for path, label in images.samples]


def _listing(folder: Path, samples: list[tuple[str, int]]) -> str:
    """Return a sum over names, sizes and times of change of all files, in order."""
    digest = hashlib.sha256()
    for path, label in samples:
        status = Path(path).stat()
        name = Path(path).relative_to(folder).as_posix()
        digest.update(f"{name} {label} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _decode(samples: list[tuple[str, int]], shape: tuple[int, int, int], bar: tqdm, cure: str):
    """Return images (n_images, *shape) and labels (n_images,)."""
    vision = import_torchvision()
    images = torch.empty((len(samples), *shape), dtype=torch.uint8)
    for index, (path, _) in enumerate(samples):
        try:
            pixels = vision.transforms.functional.pil_to_tensor(
                vision.datasets.folder.pil_loader(path)
            )
        except (OSError, SyntaxError) as error:  # SyntaxError is Pillow's for a broken PNG
            raise InvalidInputError(f"{path} is no whole image: {error}; {cure}") from error
        if pixels.shape != shape:
            raise InvalidInputError(
                f"{path} has the shape {tuple(pixels.shape)}, not {shape} (channels, height, "
                f"width); {cure}"
            )
        images[index] = pixels
        bar.update()
    return images, torch.tensor([label for _, label in samples], dtype=torch.int64)


def _read(path: Path, listing: str) -> dict[str, torch.Tensor] | None:
    """Return the decoded tensors, or None if the file is missing, damaged or of other images."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("listing") != listing or set(file.keys()) != set(TENSORS):
                return None
            tensors = {name: file.get_tensor(name) for name in TENSORS}
    except (FileNotFoundError, SafetensorError):
        return None
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error}; delete it") from error
    return tensors if fingerprint(*tensors.values()) == metadata.get("fingerprint") else None


def load_image_folders(
    folder: Path,
    class_names: tuple[str, ...],
    n_per_class: Mapping[str, int],
    shape: tuple[int, int, int],
    *,
    cure: str,
) -> RawImages:
    """Load images from ``<folder>/<split>/<class>/<any name>.jpg`` (or any format of Pillow's).

    Decoded images are kept beside the folders of the splits, as ``decoded.safetensors``; they are
    decoded again when the name, size or time of a file changed, or that file is damaged.

    Parameters
    ----------
    folder : Path
    class_names : tuple of str
        Names of the class folders, in the order of the labels.
    n_per_class : mapping of str to int
        Images in every class folder, under the names of the splits: training first, then test.
    shape : tuple of int
        (3, height, width) of every image.
    cure : str
        What to do where images are missing or damaged, for messages.

    Returns
    -------
    RawImages

    Raises
    ------
    InvalidInputError
        If folders or images are missing, too many, damaged or of another shape.
    ArtifactError
        If the decoded images cannot be written.
    """
    splits = [_samples(folder / name, class_names, n, cure) for name, n in n_per_class.items()]
    samples = [sample for split in splits for sample in split]
    listing = _listing(folder, samples)
    path = folder / DECODED
    tensors = _read(path, listing)
    if tensors is None:
        with locked(path, variable=DATA_VARIABLE):
            tensors = _read(path, listing)  # another process may have made it meanwhile
            if tensors is None:
                with tqdm(total=len(samples), desc=f"decoding {folder.name}", unit="image") as bar:
                    (x_train, y_train), (x_test, y_test) = (
                        _decode(split, shape, bar, cure) for split in splits
                    )
                tensors = {
                    "x_train": x_train,
                    "y_train": y_train,
                    "x_test": x_test,
                    "y_test": y_test,
                }
                metadata = {"listing": listing, "fingerprint": fingerprint(*tensors.values())}
                write_atomically(
                    path,
                    lambda part: save_file(tensors, part, metadata=metadata),
                    variable=DATA_VARIABLE,
                )
    suffixes = sorted({Path(name).suffix.lower() for name, _ in samples})
    return RawImages(
        x_train=tensors["x_train"],
        y_train=tensors["y_train"],
        x_test=tensors["x_test"],
        y_test=tensors["y_test"],
        class_names=class_names,
        source=f"image folder ({', '.join(suffixes)})",
    )
