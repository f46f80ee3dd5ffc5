"""MNIST's format: tiny files of known bytes, and every way in which they can be wrong."""

import gzip
import struct
from pathlib import Path

import pytest
import torch
from helpers.data import (
    PACKED,
    RAW,
    TEST,
    TEST_DATA,
    TINY_MD5,
    TRAIN,
    TinyMNIST,
    contents,
    needs_test_data,
    served,
    write,
)
from helpers.refusals import check_refused

from localspec.data import load_dataset
from localspec.data._mnist import DEBIAN_FOLDER, load_idx
from localspec.exceptions import ArtifactError, InvalidInputError

IMAGES = "train-images-idx3-ubyte"
LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "TinyMNIST" / "raw"


def load(root, **options):
    return load_idx(TinyMNIST, TINY_MD5, root, **options)


def check(images):
    assert images.x_train.shape == (3, 1, 2, 2)
    assert images.x_train.dtype == images.x_test.dtype == torch.uint8
    assert images.x_train.flatten(1).tolist() == TRAIN
    assert images.x_test.flatten(1).tolist() == TEST
    assert images.y_train.tolist() == [4, 2, 9]
    assert images.y_test.tolist() == [0, 1]
    assert images.y_train.dtype == torch.int64
    assert images.class_names == tuple("0123456789")
    assert images.source == "original files"


def test_uncompressed_files_are_read_and_nothing_is_written(tmp_path, raw):
    write(raw, RAW)
    check(load(tmp_path, download=False))
    assert contents(raw) == set(RAW)
    assert not (tmp_path / "TinyMNIST.lock").exists()


@pytest.mark.parametrize("download", [True, False])
def test_compressed_files_are_decompressed_without_the_network(tmp_path, raw, download):
    write(raw, PACKED)
    check(load(tmp_path, download=download))
    assert contents(raw) == {*RAW, *PACKED}
    for name in PACKED:
        (raw / name).unlink()
    check(load(tmp_path, download=download))


def test_debian_has_compressed_files(tmp_path, raw):
    debian = write(tmp_path / "debian", PACKED)
    write(raw, {IMAGES: RAW[IMAGES]})
    check(load(tmp_path, download=False, debian_folder=debian))
    assert contents(raw) == set(RAW)


def test_a_file_beside_counts_before_debians(tmp_path, raw):
    write(raw, {f"{IMAGES}.gz": b"nothing packed"})
    debian = write(tmp_path / "debian", PACKED)
    with pytest.raises(InvalidInputError, match=rf"raw/{IMAGES}.gz cannot be read"):
        load(tmp_path, download=False, debian_folder=debian)


HEADER = RAW[IMAGES][:16]
WRONG = {  # what is wrong -> file, its content
    "cut off": (IMAGES, RAW[IMAGES][:-3]),
    "too long": (LABELS, RAW[LABELS] + b"\0"),
    "empty": (LABELS, b""),
    "cut off in the header": (IMAGES, HEADER[:7]),
    "the magic number": (IMAGES, struct.pack(">I", 0xD03) + RAW[IMAGES][4:]),
    "one image less": (IMAGES, struct.pack(">4I", 0x803, 2, 2, 2) + RAW[IMAGES][16:24]),
    "larger images": (IMAGES, struct.pack(">4I", 0x803, 3, 3, 3) + bytes(27)),
    "labels for images": (IMAGES, RAW["train-labels-idx1-ubyte"]),
    "another label": (LABELS, RAW[LABELS][:-1] + b"\7"),
    "a web page": (IMAGES, b"<!DOCTYPE html><html></html>"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize(("name", "content"), WRONG.values(), ids=WRONG)
def test_files_that_are_not_the_published_ones(tmp_path, raw, name, content, packed):
    path = f"{name}.gz" if packed else name
    files = {key: value for key, value in RAW.items() if key != name}
    files[path] = gzip.compress(content) if packed else content
    write(raw, files)
    words = [
        f"{raw / path} is not {name} of TinyMNIST: its MD5 sum is",
        f"({len(content)} bytes)",
        f"not {TINY_MD5[name]}",
        "delete it, then load with download=True",
    ]
    assert ".part" not in check_refused(lambda: load(tmp_path, download=False), words)
    assert contents(tmp_path) == {f"TinyMNIST/raw/{file}" for file in files}


@pytest.mark.parametrize("content", [PACKED[f"{IMAGES}.gz"][:-9], b"", b"PK", b"\x1f\x8b\x08"])
def test_compressed_files_that_are_cut_off(tmp_path, raw, content):
    write(raw, {**PACKED, f"{IMAGES}.gz": content})
    check_refused(lambda: load(tmp_path, download=False), [IMAGES])
    assert contents(tmp_path) == {f"TinyMNIST/raw/{name}" for name in PACKED}


def test_nothing_there(tmp_path, raw):
    write(raw, {name: RAW[name] for name in RAW if name != LABELS})
    words = [*RAW, "download=True", "TinyMNIST/raw", "LOCALSPEC_DATA"]
    check_refused(lambda: load(tmp_path / "empty", download=False), words)
    assert not (tmp_path / "empty").exists()
    with pytest.raises(InvalidInputError, match=f": {LABELS} not found"):
        load(tmp_path, download=False)
    with pytest.raises(InvalidInputError, match="install Debian's dataset-tiny"):
        load(tmp_path, download=False, debian_folder=tmp_path / "tiny")


def test_a_folder_that_cannot_be_written(tmp_path):
    debian = write(tmp_path / "debian", PACKED)
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"cannot write to .*choose another.*LOCALSPEC_DATA"):
        load(tmp_path / "file" / "below", download=False, debian_folder=debian)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """The folder of a mirror on this machine, from which TinyMNIST is downloaded."""
    folder = write(tmp_path / "mirror", PACKED)
    monkeypatch.setenv("no_proxy", "*")
    with served(folder) as address:
        monkeypatch.setattr(TinyMNIST, "mirrors", [address])
        yield folder


def test_torchvision_downloads(tmp_path, mirror):
    root = tmp_path / "root"
    check(load(root))
    assert contents(root) == {f"TinyMNIST/raw/{name}" for name in RAW}


def test_files_that_are_there_are_not_downloaded(tmp_path, mirror):
    root = tmp_path / "root"
    folder = write(root / "TinyMNIST" / "raw", {IMAGES: RAW[IMAGES]})
    before = (folder / IMAGES).stat()
    check(load(root))
    assert contents(folder) == set(RAW)
    assert (folder / IMAGES).stat().st_ino == before.st_ino


def test_what_a_killed_download_left_is_removed(tmp_path, mirror):
    root = tmp_path / "root"
    write(root / ".TinyMNIST.part" / "TinyMNIST" / "raw", {IMAGES: b"half", LABELS: RAW[LABELS]})
    check(load(root))
    assert contents(root) == {f"TinyMNIST/raw/{name}" for name in RAW}


@pytest.mark.parametrize("content", [None, PACKED[f"{LABELS}.gz"][:-5]], ids=["missing", "cut off"])
def test_a_download_that_fails_leaves_nothing(tmp_path, mirror, content):
    root = tmp_path / "root"
    (mirror / f"{LABELS}.gz").unlink()
    if content is not None:
        write(mirror, {f"{LABELS}.gz": content})
    with pytest.raises(InvalidInputError, match=r"TinyMNIST cannot be put into .*the network"):
        load(root)
    assert contents(root) == set()
    write(mirror, PACKED)
    check(load(root))


@needs_test_data
def test_mnist(tmp_path):
    packed = {path.name: path.read_bytes() for path in Path(TEST_DATA, "MNIST", "raw").glob("*.gz")}
    write(tmp_path / "MNIST" / "raw", packed)
    data = load_dataset("mnist", root=tmp_path, download=False)
    assert data.x_train.shape == (60_000, 1, 28, 28)
    assert data.x_test.shape == (10_000, 1, 28, 28)
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    sizes = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert torch.bincount(data.y_train).tolist() == sizes
    # mean and standard deviation as everybody normalizes with them
    assert float(data.x_train.mean()) == pytest.approx(0.1307, abs=5e-5)
    assert float(data.x_train.std()) == pytest.approx(0.3081, abs=5e-5)
    assert data.source == "original files"
    (tmp_path / "MNIST").rename(tmp_path / "FashionMNIST")
    with pytest.raises(InvalidInputError, match="FashionMNIST: its MD5 sum is 6bbc9ace"):
        load_dataset("fashion-mnist", root=tmp_path, download=False)


@pytest.mark.skipif(
    not DEBIAN_FOLDER.is_dir(), reason="install Debian's package dataset-fashion-mnist"
)
def test_fashion_mnist_from_debian(tmp_path):
    data = load_dataset("fashion-mnist", root=tmp_path, download=False, dtype="float64")
    assert data.x_train.shape == (60_000, 1, 28, 28)
    assert torch.bincount(data.y_train).tolist() == [6_000] * 10
    assert torch.bincount(data.y_test).tolist() == [1_000] * 10
    assert data.y_train[:5].tolist() == [9, 0, 0, 3, 0]
    assert float(data.x_train.mean()) == pytest.approx(0.2860, abs=5e-5)
    assert float(data.x_train.std()) == pytest.approx(0.3530, abs=5e-5)
    assert (data.x_train * 255).round().div(255).equal(data.x_train)
    assert data.class_names[9] == "Ankle boot"
    assert data.class_names[0] == "T-shirt/top"
