"""MNIST and Fashion-MNIST: read the four files that each is published in."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from localspec._utils.files import check_is_file
from localspec.data._files import DATA_VARIABLE, ORIGINAL, RawImages, check_md5, fetch_missing
from localspec.data._torchvision import import_torchvision
from localspec.exceptions import InvalidInputError

# MD5 sums of the uncompressed files: torchvision has those of the compressed files only, and
# Debian compressed them anew
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
LARGEST = 47_040_016  # bytes of the largest of these files
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")


def load_mnist(root: Path, *, download: bool = True) -> RawImages:
    """Load MNIST, see :func:`load_idx`."""
    return load_idx(import_torchvision().datasets.MNIST, MNIST_MD5, root, download=download)


def load_fashion_mnist(root: Path, *, download: bool = True) -> RawImages:
    """Load Fashion-MNIST, which Debian packages too, see :func:`load_idx`."""
    return load_idx(
        import_torchvision().datasets.FashionMNIST,
        FASHION_MNIST_MD5,
        root,
        download=download,
        debian_folder=DEBIAN_FOLDER,
    )


def load_idx(
    torchvision_class: type,
    md5: Mapping[str, str],
    root: Path,
    *,
    download: bool = True,
    debian_folder: Path | None = None,
) -> RawImages:
    """Load a data set in MNIST's format.

    The torchvision class names the folder in `root`, laid out as torchvision does; `md5` has the
    sums of the uncompressed files. Uncompressed files are read as they are and need no right to
    write; compressed ones, there or in `debian_folder`, where a package of Debian puts them, are
    decompressed into it first. torchvision may download what is in neither place.
    """
    name = torchvision_class.__name__
    folder = root / name / "raw"
    package = f", install Debian's dataset-{debian_folder.name}" if debian_folder else ""
    cure = (
        f"load with download=True{package}, or put the file or its .gz into the folder {name}/raw "
        f"of the folder for data sets ({DATA_VARIABLE})"
    )

    def check(path: Path, *, shown: Path | None = None) -> None:
        what, again = f"{path.name} of {name}", f"delete it, then {cure}"
        check_md5(path, md5[path.name], what=what, cure=again, shown=shown)

    places = [debian_folder, folder] if debian_folder else [folder]  # the later counts
    packed = {path.stem: path for place in places for path in place.glob("*.gz")}
    missing = [file for file in md5 if not (folder / file).exists()]
    absent = [file for file in missing if file not in packed]

    def fetch(temporary: Path) -> None:
        if absent:
            torchvision_class(temporary, download=True)
            return
        target = temporary / name / "raw"
        target.mkdir(parents=True)
        for file in missing:
            _decompress(packed[file], target / file, cure=cure)
            check(target / file, shown=packed[file])

    if absent and not download:
        raise InvalidInputError(f"{name} is not in {folder}: {', '.join(absent)} not found; {cure}")
    if missing:
        fetch_missing(name, [Path(name, "raw", file) for file in missing], fetch, root=root)
    for file in md5:
        check(folder / file)
    reader = import_torchvision().datasets.mnist
    return RawImages(
        x_train=reader.read_image_file(folder / "train-images-idx3-ubyte")[:, None],
        y_train=reader.read_label_file(folder / "train-labels-idx1-ubyte"),
        x_test=reader.read_image_file(folder / "t10k-images-idx3-ubyte")[:, None],
        y_test=reader.read_label_file(folder / "t10k-labels-idx1-ubyte"),
        class_names=tuple(label.split(" - ")[0] for label in torchvision_class.classes),
        source=ORIGINAL,
    )


def _decompress(packed: Path, target: Path, *, cure: str) -> None:
    with open(target, "wb") as file:
        for part in _unpacked(packed, cure):
            file.write(part)


def _unpacked(packed: Path, cure: str) -> Iterator[bytes]:
    """Yield the content of a compressed file in parts, and no more than there can be."""
    n_bytes = 0
    try:
        check_is_file(packed)
        with gzip.open(packed) as file:
            while part := file.read(2**20):
                n_bytes += len(part)
                if n_bytes > LARGEST:
                    raise InvalidInputError(
                        f"{packed} holds more than {LARGEST:,} bytes, the size of the largest of "
                        f"these files; delete it, then {cure}"
                    )
                yield part
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInputError(
            f"{packed} cannot be read, is damaged or cut off ({error}); delete it, then {cure}"
        ) from error
