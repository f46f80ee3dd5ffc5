"""MNIST and Fashion-MNIST, from the four files that they are published in."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from localspec.artifacts import locked, write_atomically
from localspec.data_files import DATA_VARIABLE, ORIGINAL, Images, check_md5, fetch_and_move
from localspec.errors import InvalidInputError
from localspec.torchvision_import import import_torchvision

MAGIC = {"images": 0x803, "labels": 0x801}  # unsigned bytes in three dimensions, in one


@dataclass(frozen=True)
class IdxFiles:
    """A data set in MNIST's format.

    Attributes
    ----------
    name : str
    torchvision_class : str
        Of ``torchvision.datasets``; also the folder's name.
    md5 : mapping of str to str
        MD5 sums of the uncompressed files, under their names.
    class_names : tuple of str
    n_images : mapping of str to int
        Number of training (``"train"``) and test images (``"t10k"``).
    image_size : int
        Height and width.
    system_folder : Path, optional
        Where a package of the system puts the compressed files.
    """

    name: str
    torchvision_class: str
    md5: Mapping[str, str]
    class_names: tuple[str, ...]
    n_images: Mapping[str, int]
    image_size: int = 28
    system_folder: Path | None = None

    def header(self, file_name: str) -> bytes:
        """Return the first bytes of a file: magic number and sizes, four bytes each."""
        split, kind = file_name.split("-")[:2]
        sizes = (self.n_images[split], *[self.image_size] * (2 * (kind == "images")))
        return struct.pack(f">{1 + len(sizes)}I", MAGIC[kind], *sizes)

    def n_bytes(self, file_name: str) -> int:
        """Return the size of an uncompressed file."""
        split, kind = file_name.split("-")[:2]
        one = self.image_size**2 if kind == "images" else 1
        return len(self.header(file_name)) + self.n_images[split] * one

    @property
    def cure(self) -> str:
        """How to get the files."""
        packaged = ""
        if self.system_folder is not None:
            packaged = f", install Debian's dataset-{self.system_folder.name}"
        return (
            f"load with download=True{packaged}, or put the file or its .gz into the folder "
            f"{self.torchvision_class}/raw of the folder for data sets ({DATA_VARIABLE})"
        )


N_IMAGES = {"train": 60_000, "t10k": 10_000}
MNIST = IdxFiles(
    "MNIST",
    "MNIST",
    {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    tuple("0123456789"),
    N_IMAGES,
)
FASHION_MNIST = IdxFiles(
    "Fashion-MNIST",
    "FashionMNIST",
    {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    N_IMAGES,
    system_folder=Path("/usr/share/datasets/fashion-mnist"),
)


def check_idx(files: IdxFiles, path: Path, file_name: str, *, shown: Path | None = None) -> None:
    """Refuse an uncompressed file that is not the published one.

    Parameters
    ----------
    files : IdxFiles
    path : Path
    file_name : str
        Which of the files it should be.
    shown : Path, optional
        The file to name in the message, if `path` is a temporary copy of it.

    Raises
    ------
    InvalidInputError
        If its header, size or MD5 sum is wrong, or it cannot be read.
    """
    shown = shown or path
    what = f"{file_name} of {files.name}"
    again = f"delete it, then {files.cure}"
    header, n_bytes = files.header(file_name), files.n_bytes(file_name)
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(len(header))
    except OSError as error:
        raise InvalidInputError(f"cannot read {shown}, {what}: {error}; {again}") from error
    if start != header:
        raise InvalidInputError(
            f"{shown} is not {what}: it begins with {start.hex() or 'nothing'}, not {header.hex()} "
            f"(magic number, number of images, their size); {again}"
        )
    if size != n_bytes:
        raise InvalidInputError(
            f"{shown} is not {what}: it has {size:,} bytes, not {n_bytes:,} (cut off?); {again}"
        )
    check_md5(path, files.md5[file_name], what=what, cure=again, shown=shown)


def _decompress(files: IdxFiles, packed: Path, target: Path) -> None:
    try:
        content = gzip.decompress(packed.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(
            f"{packed} cannot be read, is damaged or cut off ({error}); delete it, then "
            f"{files.cure}"
        ) from error

    def write(part: Path) -> None:
        part.write_bytes(content)
        check_idx(files, part, target.name, shown=packed)

    write_atomically(target, write, variable=DATA_VARIABLE)


def _missing(files: IdxFiles, folder: Path) -> list[str]:
    return [name for name in files.md5 if not (folder / name).exists()]


def _packed(files: IdxFiles, folder: Path, name: str) -> Path | None:
    """Return the compressed copy of a file, beside it or in the system's folder, if any."""
    places = [folder] if files.system_folder is None else [folder, files.system_folder]
    copies = [place / f"{name}.gz" for place in places]
    return next((copy for copy in copies if copy.exists()), None)


def _provide(files: IdxFiles, folder: Path, root: Path) -> None:
    """Get the files that are not there: from their compressed copies, else by download."""
    for name in _missing(files, folder):
        packed = _packed(files, folder, name)
        if packed is not None:
            _decompress(files, packed, folder / name)
    missing = _missing(files, folder)
    if not missing:
        return

    def move(temporary: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in missing:
            path = temporary / folder.relative_to(root) / name
            check_idx(files, path, name)
            os.replace(path, folder / name)

    torchvision_class = getattr(import_torchvision().datasets, files.torchvision_class)
    fetch_and_move(files.name, partial(torchvision_class, download=True), move, root=root)


def load_idx(files: IdxFiles, root: Path, *, download: bool = True) -> Images:
    """Load a data set in MNIST's format.

    Parameters
    ----------
    files : IdxFiles
        :data:`MNIST` or :data:`FASHION_MNIST`.
    root : Path
        Folder for data sets, laid out as torchvision does. Uncompressed files are read as they
        are and need no right to write; compressed ones, there or in the system's folder, are
        decompressed into it first.
    download : bool, optional
        Whether torchvision may download what is in neither place.

    Returns
    -------
    Images

    Raises
    ------
    InvalidInputError
        If a file is missing, or not the published one.
    ArtifactError
        If the folder must be written and cannot.
    """
    folder = root / files.torchvision_class / "raw"
    missing = _missing(files, folder)
    absent = [name for name in missing if _packed(files, folder, name) is None]
    if absent and not download:
        raise InvalidInputError(
            f"{files.name} is not in {folder}: {', '.join(absent)} not found; {files.cure}"
        )
    if missing:
        with locked(root / files.torchvision_class, variable=DATA_VARIABLE):
            _provide(files, folder, root)
    for name in files.md5:
        check_idx(files, folder / name, name)
    reader = import_torchvision().datasets.mnist
    names = [str(folder / split) for split in files.n_images]
    images = [reader.read_image_file(f"{name}-images-idx3-ubyte")[:, None] for name in names]
    labels = [reader.read_label_file(f"{name}-labels-idx1-ubyte") for name in names]
    return Images(
        images[0],
        labels[0],
        images[1],
        labels[1],
        class_names=files.class_names,
        source=ORIGINAL,
    )
