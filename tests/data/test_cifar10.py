"""CIFAR-10: tiny batches in the original format, and folders of image files."""

import re
import tarfile
from pathlib import Path

import pytest
import torch
from helpers.data import (
    PICKLED,
    TEST_DATA,
    cifar10_archive,
    contents,
    image_folders,
    md5,
    needs_test_data,
    served,
    write,
)
from helpers.refusals import check_refused
from PIL import Image

from localspec.data._cifar10 import CLASS_NAMES, load_cifar10
from localspec.data._torchvision import import_torchvision
from localspec.exceptions import InvalidInputError

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """The archive of two training images and one test image, with torchvision told its sums."""
    made = cifar10_archive(tmp_path, PICKLED)
    original = import_torchvision().datasets.CIFAR10
    sums = {name: md5(content) for name, content in PICKLED.items()}
    monkeypatch.setattr(original, "tgz_md5", md5(made.read_bytes()))
    monkeypatch.setattr(
        original, "train_list", [[f"data_batch_{n}", sums[f"data_batch_{n}"]] for n in (1, 2)]
    )
    monkeypatch.setattr(original, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(original, "meta", {**original.meta, "md5": sums["batches.meta"]})
    return made


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def check(images):
    assert images.x_train.shape == (2, 3, 32, 32)
    assert images.x_train.flatten(1).unique(dim=1).tolist() == [[1], [2]]
    assert images.x_test[0, :, 5, 6].tolist() == [7, 8, 9]  # red, green, blue
    assert images.x_test.dtype == torch.uint8
    assert images.x_test.is_contiguous()
    assert images.y_train.tolist() == [1, 2]
    assert images.y_test.tolist() == [3]
    assert images.class_names == CLASS_NAMES
    assert images.source == "original files"


def test_original_batches(root, archive):
    write(root / FOLDER, PICKLED)
    check(load_cifar10(root, download=False))
    assert contents(root) == {f"{FOLDER}/{name}" for name in PICKLED}
    with torch.device("meta"):
        images = load_cifar10(root, download=False)
    check(images)


def test_the_archive_is_unpacked_once_and_counts_before_image_files(root, archive):
    archive.rename(root / ARCHIVE)
    (root / "CIFAR10").mkdir()
    check(load_cifar10(root, download=False))
    assert contents(root) == {ARCHIVE, *(f"{FOLDER}/{name}" for name in PICKLED)}
    (root / ARCHIVE).unlink()
    check(load_cifar10(root, download=False))


def test_torchvision_downloads(root, archive, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with served(archive.parent) as address:
        monkeypatch.setattr(import_torchvision().datasets.CIFAR10, "url", address + ARCHIVE)
        check(load_cifar10(root))
    assert contents(root) == {f"{FOLDER}/{name}" for name in PICKLED}


def test_a_download_that_is_cut_off_leaves_nothing(root, archive, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    archive.write_bytes(archive.read_bytes()[:-20])
    with served(archive.parent) as address:
        monkeypatch.setattr(import_torchvision().datasets.CIFAR10, "url", address + ARCHIVE)
        with pytest.raises(InvalidInputError, match=r"CIFAR-10 cannot be put into .*corrupted"):
            load_cifar10(root)
    assert contents(root) == set()


def test_an_archive_that_is_cut_off(root, archive):
    (root / ARCHIVE).write_bytes(archive.read_bytes()[:-20])
    words = [str(root / ARCHIVE), "CIFAR-10's archive", "MD5", "delete it, then load with"]
    check_refused(lambda: load_cifar10(root), words)
    assert contents(root) == {ARCHIVE}


@pytest.mark.parametrize("name", PICKLED)
def test_batches_unpacked_only_in_part(root, archive, name):
    write(root / FOLDER, {key: value for key, value in PICKLED.items() if key != name})
    message = rf"cannot read .*{re.escape(FOLDER)}/{name}, {name} of CIFAR-10.*delete .*, then load"
    with pytest.raises(InvalidInputError, match=message):
        load_cifar10(root)
    write(root / FOLDER, {name: PICKLED[name][:-1]})
    with pytest.raises(InvalidInputError, match=f"{name} is not {name} of CIFAR-10: its MD5 sum"):
        load_cifar10(root)


def test_nothing_there(root):
    words = [str(root), FOLDER, ARCHIVE, "CIFAR10/train/<class>/<name>.jpg", "LOCALSPEC_DATA"]
    check_refused(lambda: load_cifar10(root, download=False), words)


def test_image_files(root):
    image_folders(root / "CIFAR10", CLASS_NAMES, 2, size=32)
    images = load_cifar10(root, download=False, n_per_class={"train": 2, "test": 2})
    assert images.x_train.shape == (20, 3, 32, 32)
    assert images.y_train.tolist() == [label for label in range(10) for _ in range(2)]
    assert images.x_train[:, 0, 0, 0].tolist() == [10 * c + i for c in range(10) for i in range(2)]
    assert images.source == "image folder (.png)"


def test_image_files_unpacked_only_in_part(root):
    image_folders(root / "CIFAR10", CLASS_NAMES, 1, size=32)
    words = ["CIFAR10/train/airplane holds 1 images, not 5,000", "delete", "download=True"]
    check_refused(lambda: load_cifar10(root), words)


@needs_test_data
def test_jpeg_copies(root):
    packed = Path(TEST_DATA, "cifar10-jpeg", "test.tar.gz")
    wanted = {f"CIFAR10/test/{name}/000{i}.jpg" for name in CLASS_NAMES for i in (0, 1)}
    with tarfile.open(packed) as tar:
        members = [member for member in tar if member.name.removeprefix("./") in wanted]
        tar.extractall(root, members, filter="data")
    assert len(members) == 20
    (root / "CIFAR10" / "train").symlink_to("test")
    images = load_cifar10(root, download=False, n_per_class={"train": 2, "test": 2})
    assert images.x_test.shape == (20, 3, 32, 32)
    assert images.y_test.tolist() == [label for label in range(10) for _ in range(2)]
    assert images.source == "image folder (.jpg)"
    # as Pillow alone decodes it
    with Image.open(root / "CIFAR10" / "test" / "truck" / "0001.jpg") as picture:
        assert images.x_test[19, :, 3, 4].tolist() == list(picture.getpixel((4, 3)))
