"""Files of data sets that nobody would make by accident: refused in a moment, or read right."""

import errno
import gzip
import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.data import PACKED, RAW, TINY_MD5, TinyMNIST, contents, image_folders, write
from helpers.refusals import NO_FILES, check_refused
from PIL import Image

from localspec.data import _mnist, load_dataset
from localspec.data._files import LARGEST, data_root
from localspec.data._image_folders import DECODED, _pixels, load_image_folders
from localspec.data._mnist import load_idx
from localspec.exceptions import InvalidInputError

IMAGES = "train-images-idx3-ubyte"
ARRAY = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
ZEROS = zlib.compress(bytes(20_000_000))  # of 20 kB


def encoded(array: np.ndarray, kind: str = "PNG", mode: str | None = None, **options) -> bytes:
    """Return an image as the content of a file."""
    image = Image.fromarray(array)
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, kind, **options)
    return file.getvalue()


def part(name: bytes, content: bytes) -> bytes:
    size, check_sum = len(content), zlib.crc32(name + content)
    return struct.pack(">I", size) + name + content + struct.pack(">I", check_sum)


def png(width: int, height: int, data: bytes = b"", *, depth: int = 8, extra: bytes = b"") -> bytes:
    """Return a PNG whose header says what it is told to."""
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    parts = [part(b"IHDR", header), extra, part(b"IDAT", data), part(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(ARRAY, exif=exif)


TWO = {"save_all": True, "append_images": [Image.new("RGB", (4, 4))]}
HALF = np.dstack([ARRAY, np.full((4, 4), 128, np.uint8)])
GREY = ARRAY[..., 0]
REFUSED = {  # content of the file, words of the message
    "a bomb": (png(60_000, 60_000, ZEROS), "no whole image", "3600000000 pixels"),
    "a small bomb": (png(8_000, 8_000, ZEROS), "has the shape (3, 8000, 8000), not (3, 4, 4)"),
    "more than 2**61 pixels": (png(2**31, 2**31), "no whole image"),
    "no pixels": (png(0, 0), "no whole image"),
    "a bomb of text": (png(4, 4, extra=part(b"zTXt", b"a\0\0" + ZEROS)), "no whole image"),
    "a bomb of colours": (png(4, 4, extra=part(b"iCCP", b"a\0\0" + ZEROS)), "no whole image"),
    "16 bits": (encoded(GREY.astype(np.uint16) * 256), "mode 'I;16'", "8 bits a channel"),
    "16 bits, PGM": (b"P5 4 4 65535\n" + bytes(32), "8 bits a channel"),
    "fractions": (encoded(GREY.astype(np.float32), "TIFF"), "mode 'F'", "8 bits a channel"),
    "other colours": (encoded(ARRAY, "JPEG", "CMYK"), "mode 'CMYK'", "not grey or RGB"),
    "Lab": (encoded(ARRAY, "TIFF", "LAB"), "mode 'LAB'", "not grey or RGB"),
    "half transparent": (encoded(HALF), "transparent in part", "without an alpha channel"),
    "a transparent colour": (
        encoded(ARRAY, transparency=tuple(ARRAY[0, 0].tolist())),
        "transparent in part",
    ),
    "turned": (turned(6), "to be turned", "save it upright"),
    "mirrored": (turned(2), "to be turned", "save it upright"),
    "an animation": (encoded(ARRAY, "PNG", **TWO), "holds 2 images, not one"),
    "two pages": (encoded(ARRAY, "TIFF", **TWO), "holds 2 images, not one"),
    "a program": (encoded(ARRAY, "EPS"), "no whole image", "cannot identify"),
    "another format": (encoded(ARRAY, "GIF"), "no whole image", "cannot identify"),
    "a negative width": (b"P6 -4 4 255\n", "no whole image"),
    "a width of no end": (b"P6 99999999999999 4 255\n", "no whole image"),
    "too large a file": (bytes(10_000_001), "has 10,000,001 bytes, not at most 10,000,000"),
}
RIGHT = {  # content of the file, its pixels
    "RGB": (encoded(ARRAY), ARRAY),
    "opaque": (encoded(ARRAY, mode="RGBA"), ARRAY),
    "upright": (turned(1), ARRAY),
    "a palette": (encoded(ARRAY // 128 * 255, mode="P"), ARRAY // 128 * 255),
    "grey": (encoded(GREY), np.dstack([GREY] * 3)),
    "grey and opaque": (encoded(GREY, mode="LA"), np.dstack([GREY] * 3)),
    "black and white": (encoded(GREY // 128 * 255, mode="1"), np.dstack([GREY // 128 * 255] * 3)),
    "bitmap": (encoded(ARRAY, "BMP"), ARRAY),
    "lossless": (encoded(ARRAY, "WEBP", lossless=True), ARRAY),
    "more data than pixels": (png(4, 4, ZEROS), ARRAY * 0),
}


@pytest.fixture
def folder(tmp_path):
    return image_folders(tmp_path / "pets", ("ant", "cat"), 2)


def load(folder):
    sizes = {"train": 2, "test": 2}
    return load_image_folders(folder, ("ant", "cat"), sizes, (3, 4, 4), cure="unpack again")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("content", "words"),
    [pytest.param(content, words, id=name) for name, (content, *words) in REFUSED.items()],
)
def test_images_that_are_refused(folder, content, words):
    path = folder / "train" / "ant" / "0001.png"
    path.write_bytes(content)
    check_refused(lambda: load(folder), [str(path), "unpack again", *words])
    assert not (folder / DECODED).exists()


@pytest.mark.parametrize(("content", "pixels"), RIGHT.values(), ids=RIGHT)
def test_images_that_are_read_right(folder, content, pixels):
    (folder / "train" / "ant" / "0001.png").write_bytes(content)
    assert np.array_equal(load(folder).x_train[1].permute(1, 2, 0), pixels)


def read(path: Path, content: bytes):
    """Return the pixels of an image, or None if it is refused."""
    path.write_bytes(content)
    try:
        return _pixels(path, (3, 4, 4), "cure").permute(1, 2, 0).numpy()
    except InvalidInputError:
        return None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP"])
def test_images_cut_off_at_every_byte(tmp_path, kind):
    content = encoded(ARRAY, kind)
    whole = read(tmp_path / "image", content)
    cut = [read(tmp_path / "image", content[:n]) for n in range(len(content))]
    assert all(pixels is None or np.array_equal(pixels, whole) for pixels in cut)
    assert sum(pixels is not None for pixels in cut) < 20  # what is behind the pixels


def test_a_png_with_any_bit_flipped(tmp_path):
    content = encoded(ARRAY)
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        pixels = read(tmp_path / "image", bytes(flipped))
        assert pixels is None or np.array_equal(pixels, ARRAY), position


def test_other_files_among_the_images(folder):
    for name in ("Thumbs.db", "._0000.png", ".hidden.jpg", "notes.txt", "0000.png.part"):
        (folder / "train" / "ant" / name).write_bytes(b"no image")
    (folder / "train" / "ant" / "more").mkdir()
    (folder / "train" / "ant" / "loop").symlink_to(".")
    (folder / "train" / "readme.png").write_bytes(b"no image")
    assert load(folder).x_train[:, 0, 0, 0].tolist() == [0, 1, 10, 11]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "it is no file"),
        (os.mkdir, "it is no file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is no file"),
        (lambda path: path.symlink_to(path.name), "symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
    ],
    ids=["a pipe", "a folder", "a device", "a loop", "a link to nothing"],
)
def test_what_is_no_image(folder, make, words):
    path = folder / "train" / "ant" / "0001.png"
    path.unlink()
    make(path)
    check_refused(lambda: load(folder), ["cannot read", str(path), words, "unpack again"])


def test_a_copy_that_is_a_pipe(folder):
    os.mkfifo(folder / DECODED)
    check_refused(lambda: load(folder), ["cannot read", DECODED, "it is no file", "delete it"])


def load_tiny(root):
    return load_idx(TinyMNIST, TINY_MD5, root, download=False)


def test_a_compressed_file_without_end(tmp_path):
    raw = write(tmp_path / "TinyMNIST" / "raw", PACKED)
    (raw / f"{IMAGES}.gz").write_bytes(gzip.compress(bytes(50_000_000), 1))
    words = [f"{IMAGES}.gz holds more than 47,040,016 bytes", "delete it, then load with"]
    check_refused(lambda: load_tiny(tmp_path), words)
    assert contents(tmp_path) == {f"TinyMNIST/raw/{name}" for name in PACKED}


def test_the_largest_file_is_no_bomb():
    assert _mnist.LARGEST == 16 + 60_000 * 28 * 28


@pytest.mark.parametrize("name", [IMAGES, f"{IMAGES}.gz"])
@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_of_mnist(tmp_path, name, make):
    files = PACKED if name in PACKED else RAW
    raw = write(tmp_path / "TinyMNIST" / "raw", files)
    (raw / name).unlink()
    make(raw / name)
    check_refused(lambda: load_tiny(tmp_path), [str(raw / name), "it is no file", "delete it"])


def test_a_file_as_large_as_the_disk(tmp_path):
    raw = write(tmp_path / "TinyMNIST" / "raw", RAW)
    os.truncate(raw / IMAGES, 10**12)
    start = time.monotonic()
    check_refused(
        lambda: load_tiny(tmp_path), [f"{raw / IMAGES} is not", "1,000,000,000,000 bytes, more"]
    )
    assert time.monotonic() - start < 5
    assert LARGEST > 170_498_071  # CIFAR-10's archive


@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_archive_of_cifar10(tmp_path, make):
    path = tmp_path / "cifar-10-python.tar.gz"
    make(path)
    check_refused(
        lambda: load_dataset("cifar10", root=tmp_path, download=False),
        [str(path), "it is no file", "delete it"],
    )


def test_pickles_are_not_opened_before_their_sums_are_right(tmp_path):
    evil = b"cos\nabort\n(tR."  # ends this process
    write(tmp_path / "cifar-10-batches-py", {"data_batch_1": evil})
    check_refused(
        lambda: load_dataset("cifar10", root=tmp_path, download=False),
        ["data_batch_1", "MD5", "delete"],
    )


def test_files_that_must_not_be_looked_at(tmp_path, monkeypatch):
    def forbidden(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "MNIST"))

    monkeypatch.setattr(Path, "is_dir", forbidden)
    check_refused(
        lambda: load_dataset("cifar10", root=tmp_path / "new", download=False),
        ["cannot read the files of cifar10", "Permission denied", "right to read"],
    )


NAMED = {  # what LOCALSPEC_DATA names -> words of the message
    "a file": ("/etc/passwd", "is a file: set it to a folder"),
    "no home": ("~nobody-like-this/data", "Could not determine home", "set it to another"),
    "a long name": ("x" * 300, "File name too long"),
    "a relative folder": ("data", "whole path", "/data'"),
    "a folder above": ("../data", "whole path"),
}


@pytest.mark.parametrize(("named", "words"), [(n, words) for n, *words in NAMED.values()])
def test_folders_that_the_variable_must_not_name(monkeypatch, named, words):
    monkeypatch.setenv("LOCALSPEC_DATA", named)
    check_refused(lambda: load_dataset("mnist"), [f"LOCALSPEC_DATA = {named!r}", *words])
    assert load_dataset("digits").n_classes == 10  # needs no folder


@pytest.mark.parametrize("named", ["~nobody-like-this/data", "x" * 300])
def test_roots_that_are_no_folder(named):
    check_refused(lambda: data_root(named), [f"root = {named!r} can be no folder"])
