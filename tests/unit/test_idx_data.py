"""MNIST's format: tiny files of known bytes, and every way in which they can be wrong."""

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_data import (
    PACKED,
    RAW,
    TEST,
    TEST_DATA,
    TINY,
    TRAIN,
    contents,
    md5,
    needs_test_data,
    served,
    write,
)

from localspec.data import load_dataset
from localspec.errors import ArtifactError, InvalidInputError
from localspec.idx_data import FASHION_MNIST, MNIST, load_idx
from localspec.torchvision_import import import_torchvision

IMAGES = "train-images-idx3-ubyte"
LABELS = "t10k-labels-idx1-ubyte"
FASHION = FASHION_MNIST.system_folder


@pytest.fixture
def raw(tmp_path):
    """The folder for the files."""
    return tmp_path / "MNIST" / "raw"


def check(images):
    assert images.x_train.shape == (3, 1, 2, 2)
    assert images.x_train.dtype == images.x_test.dtype == torch.uint8
    assert images.x_train.flatten(1).tolist() == TRAIN
    assert images.x_test.flatten(1).tolist() == TEST
    assert images.y_train.tolist() == [4, 2, 9]
    assert images.y_test.tolist() == [0, 1]
    assert images.y_train.dtype == torch.int64
    assert images.source == "original files"


def test_uncompressed_files_are_read_and_nothing_is_written(tmp_path, raw):
    write(raw, RAW)
    check(load_idx(TINY, tmp_path, download=False))
    assert contents(raw) == set(RAW)
    assert not (tmp_path / "MNIST.lock").exists()


@pytest.mark.parametrize("download", [True, False])
def test_compressed_files_are_decompressed_without_the_network(tmp_path, raw, download):
    write(raw, PACKED)
    check(load_idx(TINY, tmp_path, download=download))
    assert contents(raw) == {*RAW, *PACKED}
    for name in PACKED:
        (raw / name).unlink()
    check(load_idx(TINY, tmp_path, download=download))


def test_the_system_has_compressed_files(tmp_path, raw):
    system = write(tmp_path / "system", PACKED)
    write(raw, {IMAGES: RAW[IMAGES]})
    check(load_idx(replace(TINY, system_folder=system), tmp_path, download=False))
    assert contents(raw) == set(RAW)


def test_a_file_beside_counts_before_the_systems(tmp_path, raw):
    write(raw, {f"{IMAGES}.gz": b"nothing packed"})
    system = write(tmp_path / "system", PACKED)
    with pytest.raises(InvalidInputError, match=rf"raw/{IMAGES}.gz cannot be read"):
        load_idx(replace(TINY, system_folder=system), tmp_path, download=False)


HEADER = RAW[IMAGES][:16]
WRONG = {  # what is wrong -> file, its content, what the message says
    "cut off": (IMAGES, RAW[IMAGES][:-3], "has 25 bytes, not 28", "cut off?"),
    "too long": (LABELS, RAW[LABELS] + b"\0", "has 11 bytes, not 10"),
    "empty": (LABELS, b"", "begins with nothing, not 0000080100000002"),
    "cut off in the header": (IMAGES, HEADER[:7], "begins with 00000803000000, not 00000803"),
    "the magic number": (
        IMAGES,
        struct.pack(">I", 0xD03) + RAW[IMAGES][4:],
        "begins with 00000d03000000030000000200000002, not 00000803000000030000000200000002",
    ),
    "one image less": (
        IMAGES,
        struct.pack(">4I", 0x803, 2, 2, 2) + RAW[IMAGES][16:24],
        "begins with 0000080300000002",
    ),
    "larger images": (IMAGES, struct.pack(">4I", 0x803, 3, 3, 3) + bytes(27), "0000000300000003"),
    "labels for images": (IMAGES, RAW["train-labels-idx1-ubyte"], "begins with 0000080100000003"),
    "another label": (LABELS, RAW[LABELS][:-1] + b"\7", "MD5 sum is", TINY.md5[LABELS]),
    "a web page": (IMAGES, b"<!DOCTYPE html><html></html>", "begins with 3c21444f43545950"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [pytest.param(n, c, words, id=what) for what, (n, c, *words) in WRONG.items()],
)
def test_files_that_are_not_the_published_ones(tmp_path, raw, name, content, words, packed):
    given = {f"{name}.gz": gzip.compress(content)} if packed else {name: content}
    write(raw, {k: v for k, v in RAW.items() if k != name} | given)
    with pytest.raises(InvalidInputError) as caught:
        load_idx(TINY, tmp_path, download=False)
    message = str(caught.value)
    (path,) = given
    expected = [str(raw / path), f"{name} of tiny MNIST", *words, "delete it, then load with down"]
    assert [word for word in expected if word not in message] == [], message
    assert ".part" not in message
    assert contents(raw) == {*RAW, *given} - ({name} if packed else set())


@pytest.mark.parametrize("content", [PACKED[f"{IMAGES}.gz"][:-9], b"", b"PK", b"\x1f\x8b\x08"])
def test_compressed_files_that_are_cut_off(tmp_path, raw, content):
    write(raw, {**PACKED, f"{IMAGES}.gz": content})
    with pytest.raises(InvalidInputError) as caught:
        load_idx(TINY, tmp_path, download=False)
    assert IMAGES in str(caught.value)
    assert not (raw / IMAGES).exists()
    assert not [name for name in contents(raw) if "part" in name]


def test_nothing_there(tmp_path, raw):
    write(raw, {name: RAW[name] for name in RAW if name != LABELS})
    with pytest.raises(InvalidInputError) as caught:
        load_idx(TINY, tmp_path / "empty", download=False)
    for word in [*RAW, "download=True", "MNIST/raw", "LOCALSPEC_DATA"]:
        assert word in str(caught.value)
    assert not (tmp_path / "empty").exists()
    with pytest.raises(InvalidInputError, match=f": {LABELS} not found"):
        load_idx(TINY, tmp_path, download=False)
    fashion = replace(FASHION_MNIST, system_folder=tmp_path / "fashion-mnist")
    with pytest.raises(InvalidInputError, match="install Debian's dataset-fashion-mnist"):
        load_idx(fashion, tmp_path, download=False)


def test_a_file_that_cannot_be_read(tmp_path, raw):
    write(raw, {name: RAW[name] for name in RAW if name != IMAGES})
    (raw / IMAGES).mkdir()
    with pytest.raises(InvalidInputError, match=f"cannot read .*{IMAGES} of tiny MNIST"):
        load_idx(TINY, tmp_path, download=False)


def test_a_folder_that_cannot_be_written(tmp_path):
    system = write(tmp_path / "system", PACKED)
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"cannot write to .*choose another.*LOCALSPEC_DATA"):
        load_idx(replace(TINY, system_folder=system), tmp_path / "file" / "below", download=False)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror on this machine that torchvision's MNIST downloads from; the folder it serves."""
    folder = write(tmp_path / "mirror", PACKED)
    original = import_torchvision().datasets.MNIST
    sums = [(name, md5(content)) for name, content in PACKED.items()]
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(original, "resources", sums)
    with served(folder) as address:
        monkeypatch.setattr(original, "mirrors", [address])
        yield folder


def test_torchvision_downloads(tmp_path, mirror):
    root = tmp_path / "root"
    check(load_idx(TINY, root))
    assert contents(root) == {f"MNIST/raw/{name}" for name in RAW}


@pytest.mark.parametrize("content", [None, PACKED[f"{LABELS}.gz"][:-5]], ids=["missing", "cut off"])
def test_a_download_that_fails_leaves_nothing(tmp_path, mirror, content):
    root = tmp_path / "root"
    (mirror / f"{LABELS}.gz").unlink()
    if content is not None:
        write(mirror, {f"{LABELS}.gz": content})
    with pytest.raises(InvalidInputError, match=r"tiny MNIST cannot be put into .*the network"):
        load_idx(TINY, root)
    assert contents(root) == set()
    write(mirror, PACKED)
    check(load_idx(TINY, root))


@needs_test_data
def test_mnist(tmp_path):
    packed = {path.name: path.read_bytes() for path in Path(TEST_DATA, "MNIST", "raw").glob("*.gz")}
    write(tmp_path / "MNIST" / "raw", packed)
    data = load_dataset("mnist", root=tmp_path, download=False)
    assert data.x_train.shape == (60_000, 1, 28, 28)
    assert data.x_test.shape == (10_000, 1, 28, 28)
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert torch.bincount(data.y_train).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    # mean and standard deviation as everybody normalizes with them
    assert float(data.x_train.mean()) == pytest.approx(0.1307, abs=5e-5)
    assert float(data.x_train.std()) == pytest.approx(0.3081, abs=5e-5)
    assert data.source == "original files"
    (tmp_path / "MNIST").rename(tmp_path / "FashionMNIST")
    with pytest.raises(InvalidInputError, match="Fashion-MNIST: its MD5 sum is 6bbc9ace"):
        load_dataset("fashion-mnist", root=tmp_path, download=False)


@pytest.mark.skipif(not FASHION.is_dir(), reason="install Debian's package dataset-fashion-mnist")
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


def test_class_names_are_torchvisions():
    datasets = import_torchvision().datasets
    assert list(FASHION_MNIST.class_names) == datasets.FashionMNIST.classes
    assert [name[0] for name in datasets.MNIST.classes] == list(MNIST.class_names)
