"""Tiny data sets in the published formats, written byte by byte."""

import functools
import gzip
import hashlib
import os
import pickle
import struct
import tarfile
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from localspec.data._torchvision import import_torchvision

TEST_DATA = os.environ.get("LOCALSPEC_TEST_DATA")
needs_test_data = pytest.mark.skipif(
    TEST_DATA is None,
    reason="set LOCALSPEC_TEST_DATA to a folder with MNIST/raw/*.gz and cifar10-jpeg/*.tar.gz",
)

TRAIN = [[0, 10, 20, 30], [1, 11, 21, 31], [255, 0, 0, 255]]  # three images of 2 x 2
TEST = [[9, 8, 7, 6], [5, 4, 3, 2]]
RAW = {
    "train-images-idx3-ubyte": struct.pack(">4I", 0x803, 3, 2, 2) + bytes(np.ravel(TRAIN).tolist()),
    "train-labels-idx1-ubyte": struct.pack(">2I", 0x801, 3) + bytes([4, 2, 9]),
    "t10k-images-idx3-ubyte": struct.pack(">4I", 0x803, 2, 2, 2) + bytes(np.ravel(TEST).tolist()),
    "t10k-labels-idx1-ubyte": struct.pack(">2I", 0x801, 2) + bytes([0, 1]),
}
PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in RAW.items()}


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class TinyMNIST(import_torchvision().datasets.MNIST):
    """MNIST of five images, as torchvision describes a data set."""

    resources = [(name, md5(content)) for name, content in PACKED.items()]  # noqa: RUF012


TINY_MD5 = {name: md5(content) for name, content in RAW.items()}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> set[str]:
    """Return the files below a folder, without locks."""
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.endswith(".lock")}


BATCHES = {  # one image each: red, green and blue plane of 32 x 32
    **{f"data_batch_{n}": {"data": np.full((1, 3072), n, np.uint8), "labels": [n]} for n in (1, 2)},
    "test_batch": {"data": np.repeat([7, 8, 9], 1024)[None].astype(np.uint8), "labels": [3]},
    "batches.meta": {"label_names": ["airplane", "..."]},
}
PICKLED = {name: pickle.dumps(value) for name, value in BATCHES.items()}


def cifar10_archive(folder: Path, pickled: dict[str, bytes]) -> Path:
    """Write the archive that the original CIFAR-10 comes in."""
    batches = write(folder / "made" / "cifar-10-batches-py", pickled)
    archive = folder / "made" / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(batches, arcname=batches.name)
    return archive


def image_folders(folder: Path, class_names: tuple[str, ...], n: int, *, size: int = 4) -> Path:
    """Write n PNG images a class and split; image i of class c is red 10 c + i all over."""
    for split in ("train", "test"):
        for c, name in enumerate(class_names):
            where = folder / split / name
            where.mkdir(parents=True)
            for i in range(n):
                Image.new("RGB", (size, size), (10 * c + i, 0, 0)).save(where / f"{i:04}.png")
    return folder


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextmanager
def served(folder: Path):
    """Serve a folder on this machine; yield its address."""
    handler = functools.partial(_Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
