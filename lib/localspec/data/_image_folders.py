"""Image folders: decode the images of every class once, and store them as one file of tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.ExifTags import Base
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm.auto import tqdm

from localspec._utils.artifacts import fingerprint
from localspec._utils.files import check_is_file, locked, write_atomically
from localspec.data._files import DATA_VARIABLE, RawImages
from localspec.exceptions import InvalidInputError

DECODED = "decoded.safetensors"
TENSORS = ("x_train", "y_train", "x_test", "y_test")
Tensors = dict[str, torch.Tensor]
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")  # Pillow's; others may run programs
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")  # of 8 bits a channel, and no other colours
LARGEST = 10_000_000  # bytes of a file


def _samples(
    folder: Path, class_names: tuple[str, ...], n_per_class: int, cure: str
) -> list[tuple[Path, int]]:
    """Return the files of one split and their classes, sorted by class and name."""
    try:
        classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        files = {name: sorted((folder / name).iterdir()) for name in classes}
    except OSError as error:
        raise InvalidInputError(f"cannot read the classes of {folder}: {error}; {cure}") from error
    if set(classes) != set(class_names):
        missing = sorted(set(class_names) - set(classes))
        extra = sorted(set(classes) - set(class_names))
        raise InvalidInputError(
            f"the class folders of {folder} are not those expected: missing {missing}, not "
            f"expected {extra}; {cure}"
        )
    samples = [
        (path, class_names.index(name))
        for name in classes
        for path in files[name]
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]
    for label, name in enumerate(class_names):
        n_files = sum(of_class == label for _, of_class in samples)
        if n_files != n_per_class:
            raise InvalidInputError(
                f"{folder / name} holds {n_files:,} images, not {n_per_class:,} (unpacked "
                f"only in part?); {cure}"
            )
    return samples


def listing_of(folder: Path, samples: list[tuple[Path, int]], cure: str) -> str:
    """Return a sum over names, sizes and times of change of all files, in order."""
    digest = hashlib.sha256()
    for path, label in samples:
        try:
            check_is_file(path)
            status = path.stat()
        except OSError as error:
            raise InvalidInputError(f"cannot read {path}: {error}; {cure}") from error
        if status.st_size > LARGEST:
            raise InvalidInputError(
                f"{path} has {status.st_size:,} bytes, not at most {LARGEST:,}; {cure}"
            )
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {label} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _problem(image: Image.Image, shape: tuple[int, int, int]) -> str:
    """Say why an image cannot be used as it is; nothing if it can. Its size is looked at first."""
    if (3, image.height, image.width) != shape:
        return (
            f"has the shape {(3, image.height, image.width)}, not {shape} (channels, height, width)"
        )
    if image.mode not in MODES:
        return f"has pixels of Pillow's mode {image.mode!r}, not grey or RGB of 8 bits a channel"
    if getattr(image, "n_frames", 1) > 1:
        return f"holds {image.n_frames} images, not one"
    if image.getexif().get(Base.Orientation, 1) != 1:
        return "is to be turned before it is shown (orientation in its EXIF data): save it upright"
    has_alpha = image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info
    if has_alpha and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        return "is transparent in part: save it without an alpha channel"
    return ""


def _pixels(path: Path, shape: tuple[int, int, int], cure: str) -> torch.Tensor:
    """Return an image as a tensor of uint8, shape `shape`."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            image.verify()  # check sums, where the format has them
        with Image.open(path, formats=FORMATS) as image:
            problem = _problem(image, shape)
            pixels = None if problem else np.array(image.convert("RGB"))
    except Exception as error:  # Pillow raises many types where a file is damaged
        raise InvalidInputError(f"{path} is no whole image: {error}; {cure}") from error
    if pixels is None:
        raise InvalidInputError(f"{path} {problem}; {cure}")
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _decode(
    samples: list[tuple[Path, int]], shape: tuple[int, int, int], bar: tqdm, cure: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images (n_images, *shape) and labels (n_images,)."""
    images = torch.empty((len(samples), *shape), dtype=torch.uint8, device="cpu")
    for index, (path, _) in enumerate(samples):
        images[index] = _pixels(path, shape, cure)
        bar.update()
    labels = [label for _, label in samples]
    return images, torch.tensor(labels, dtype=torch.int64, device="cpu")


def _read_decoded(path: Path, listing: str, names: tuple[str, ...]) -> Tensors | None:
    """Return decoded tensors by name, or None if the file is missing, damaged or of other images.

    `listing` says of which images they must be.
    """
    try:
        check_is_file(path)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("listing") != listing or set(file.keys()) != set(names):
                return None
            tensors = {name: file.get_tensor(name) for name in names}
    except (FileNotFoundError, SafetensorError):
        return None
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error}; delete it") from error
    return tensors if fingerprint(*tensors.values()) == metadata.get("fingerprint") else None


def decoded(
    path: Path, listing: str, names: tuple[str, ...], decode: Callable[[], Tensors]
) -> Tensors:
    """Return decoded tensors by name from a file, which is written first if need be."""
    tensors = _read_decoded(path, listing, names)
    if tensors is not None:
        return tensors
    with locked(path, variable=DATA_VARIABLE):
        tensors = _read_decoded(path, listing, names)  # another process may have made it meanwhile
        if tensors is None:
            tensors = decode()
            metadata = {"listing": listing, "fingerprint": fingerprint(*tensors.values())}
            write_atomically(
                path,
                lambda part: save_file(tensors, part, metadata=metadata),
                variable=DATA_VARIABLE,
            )
    return tensors


def load_image_folders(
    folder: Path,
    class_names: tuple[str, ...],
    n_per_class: Mapping[str, int],
    shape: tuple[int, int, int],
    *,
    cure: str,
) -> RawImages:
    """Load images from ``<folder>/<split>/<class>/<any name>.jpg`` (or .png and others).

    Other files beside them, and hidden ones, are left out. Grey and palette images become RGB.
    Decoded images are kept beside the folders of the splits, as ``decoded.safetensors``; they are
    decoded again when the name, size or time of a file changed, or that file is damaged.

    Class names are those of the folders, in the order of the labels; `n_per_class` has the images
    in each by split, training first. Images of another `shape`, (3, height, width), are refused,
    and such as are not plainly grey or RGB: transparent, animated, to be turned, or of 16 bits.
    `cure` says what to do where images are missing or damaged.
    """
    splits = [_samples(folder / name, class_names, n, cure) for name, n in n_per_class.items()]
    samples = [sample for split in splits for sample in split]

    def decode() -> Tensors:
        with tqdm(total=len(samples), desc=f"decoding {folder.name}", unit="image") as bar:
            parts = [part for split in splits for part in _decode(split, shape, bar, cure)]
        return dict(zip(TENSORS, parts, strict=True))

    listing = listing_of(folder, samples, cure)
    suffixes = sorted({path.suffix.lower() for path, _ in samples})
    return RawImages(
        **decoded(folder / DECODED, listing, TENSORS, decode),
        class_names=class_names,
        source=f"image folder ({', '.join(suffixes)})",
    )
