"""Image folders: decoded once, and never a damaged or an outdated copy."""

import os
import shutil

import pytest
import torch
from helpers.data import contents, image_folders
from helpers.refusals import cases, check_refused
from PIL import Image

from localspec.data._image_folders import DECODED, load_image_folders

NAMES = ("cat", "ant")  # the labels follow this order, not the alphabet


@pytest.fixture
def folder(tmp_path):
    return image_folders(tmp_path / "pets", NAMES, 3)


def load(folder, n=3, names=NAMES, shape=(3, 4, 4)):
    return load_image_folders(folder, names, {"train": n, "test": n}, shape, cure="unpack again")


def written(folder):
    """The decoded copy as it was written: another number and time whenever it is made again."""
    status = (folder / DECODED).stat()
    return status.st_ino, status.st_mtime_ns


def check(images):
    assert images.x_train.shape == images.x_test.shape == (6, 3, 4, 4)
    assert images.x_train.dtype == torch.uint8
    # ant is the second class of `names` and the first folder
    assert images.y_train.tolist() == images.y_test.tolist() == [1, 1, 1, 0, 0, 0]
    assert images.x_train[:, 0, 1, 2].tolist() == [10, 11, 12, 0, 1, 2]
    assert not images.x_train[:, 1:].any()
    assert images.class_names == NAMES
    assert images.source == "image folder (.png)"


def test_images_are_decoded_once(folder):
    check(load(folder))
    first = written(folder)
    check(load(folder))
    assert written(folder) == first


def test_images_are_on_the_cpu_whatever_the_default_device(folder):
    with torch.device("meta"):
        images = load(folder)
    check(images)


@pytest.mark.parametrize("keep", [0, 5, 100, -1], ids=lambda keep: f"{keep} bytes")
def test_a_copy_that_is_cut_off_is_made_again(folder, keep):
    load(folder)
    path = folder / DECODED
    path.write_bytes(path.read_bytes()[:keep])
    damaged = written(folder)
    check(load(folder))
    repaired = written(folder)
    assert repaired != damaged
    check(load(folder))
    assert written(folder) == repaired


def test_a_copy_with_another_pixel_is_made_again(folder):
    load(folder)
    path = folder / DECODED
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    damaged = written(folder)
    check(load(folder))
    assert written(folder) != damaged


def test_images_that_changed_are_decoded_again(folder):
    load(folder)
    changed = folder / "test" / "cat" / "0002.png"
    Image.new("RGB", (4, 4), (99, 0, 0)).save(changed)
    assert load(folder).x_test[5, 0, 0, 0] == 99
    copies = [written(folder)]
    os.utime(changed, ns=(0, 0))
    load(folder)
    copies.append(written(folder))
    changed.rename(changed.with_name("0009.png"))
    load(folder)
    copies.append(written(folder))
    assert len(set(copies)) == 3
    images = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert contents(folder) == {DECODED, *images}


def test_a_write_that_was_cut_off_is_no_copy(folder, monkeypatch):
    monkeypatch.setattr("localspec._utils.files.os.replace", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load(folder)
    assert not [name for name in contents(folder) if "safetensors" in name]
    monkeypatch.undo()
    check(load(folder))


def test_a_copy_needs_no_right_to_write(folder):
    load(folder)
    lock = folder / f"{DECODED}.lock"
    lock.unlink()
    check(load(folder))
    assert not lock.exists()


IMAGE = "train/ant/0001.png"
SPOILT = {  # what is done to a folder, words of the message
    "missing": (lambda at: (at / IMAGE).unlink(), "train/ant holds 2 images, not 3"),
    "no class": (
        lambda at: shutil.rmtree(at / "train" / "ant"),
        "class folders of",
        "missing ['ant'], not expected []",
    ),
    "another class": (
        lambda at: (at / "test" / "dog").mkdir(),
        "test are not those",
        "missing [], not expected ['dog']",
    ),
    "no split": (lambda at: shutil.rmtree(at / "test"), "cannot read the classes of", "test"),
    "cut off": (lambda at: os.truncate(at / IMAGE, 40), f"{IMAGE} is no whole image"),
}


@pytest.mark.parametrize(("spoil", "words"), cases(SPOILT))
def test_folders_that_are_refused(folder, spoil, words):
    spoil(folder)
    check_refused(lambda: load(folder), [*words, "unpack again"])
    assert not (folder / DECODED).exists()
