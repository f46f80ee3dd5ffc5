"""The ImageNet sample: folder or archive, preprocessing, groups, and what is refused."""

import io
import tarfile
from collections import Counter

import numpy as np
import pytest
import torch
from helpers.data import TEST_DATA, needs_test_data
from PIL import Image

from localspec.data import load_dataset
from localspec.data._imagenet import cropped, imagenet_classes, load_imagenet_sample
from localspec.exceptions import InvalidInputError

CLASSES = [
    {"wnid": "n1", "name": "tench", "group": "fish"},
    {"wnid": "n2", "name": "hen", "group": "bird"},
    {"wnid": "n3", "name": "carp", "group": "fish"},
]


def jpeg(grey: int, size: tuple[int, int] = (256, 300)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(file, "JPEG", quality=100)
    return file.getvalue()


def folder_of(root, contents):
    for wnid, content in contents.items():
        path = root / "imagenet-sample" / "val" / wnid / f"{wnid}_x.JPEG"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return root


def archive_of(root, contents):
    with tarfile.open(root / "imagenet-sample.tar", "w") as archive:
        for wnid, content in contents.items():
            member = tarfile.TarInfo(f"val/{wnid}/{wnid}_x.JPEG")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return root


CONTENTS = {"n3": jpeg(30), "n1": jpeg(10), "n2": jpeg(20)}


@pytest.mark.parametrize("make", [folder_of, archive_of])
def test_folder_and_archive_hold_the_same(tmp_path, make):
    data = load_imagenet_sample(make(tmp_path, CONTENTS), torch.float64, classes=CLASSES)
    assert data.x_test.shape == (3, 3, 224, 224)
    assert torch.allclose(data.x_test[:, 0, 100, 100] * 255, torch.tensor([10.0, 20, 30]).double())
    assert data.y_test.tolist() == [0, 1, 2]
    assert data.class_names == ("tench", "hen", "carp")
    assert data.group_names == ("fish", "bird")
    for dtype in (torch.int64, torch.uint8, torch.int16):  # of which bytes would be a mask
        assert data.group_labels(torch.tensor([2, 1, 0], dtype=dtype)).tolist() == [0, 1, 0]
    assert data.x_train is data.x_test


def test_images_are_decoded_again_when_they_changed(tmp_path):
    folder_of(tmp_path, CONTENTS)
    first = load_imagenet_sample(tmp_path, torch.float32, classes=CLASSES)
    (tmp_path / "imagenet-sample/val/n2/n2_x.JPEG").write_bytes(jpeg(200))
    second = load_imagenet_sample(tmp_path, torch.float32, classes=CLASSES)
    assert round(float(second.x_test[1].mean() * 255)) == 200
    assert first.fingerprint != second.fingerprint


def test_images_are_on_the_cpu_whatever_the_default_device(tmp_path):
    folder_of(tmp_path, CONTENTS)
    with torch.device("meta"):
        data = load_imagenet_sample(tmp_path, torch.float32, classes=CLASSES)
    assert data.x_test.device.type == data.y_test.device.type == "cpu"


def test_the_middle_is_taken():
    pixels = np.zeros((256, 300, 3), np.uint8)
    pixels[16:240, 38:262] = 255  # the middle 224 x 224
    assert (cropped(Image.fromarray(pixels)) == 255).all()


def test_other_sizes_are_resized():
    wide = Image.new("L", (600, 300), 7)
    assert cropped(wide).shape == (3, 224, 224)
    assert (cropped(wide) == 7).all()


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InvalidInputError, match=r"neither imagenet-sample/val nor .*_DATA"):
        load_dataset("imagenet-sample", root=tmp_path)
    folder_of(tmp_path, {"n1": jpeg(1)})
    with pytest.raises(InvalidInputError, match="no image of 2 of 3 classes, such as n2"):
        load_imagenet_sample(tmp_path, torch.float32, classes=CLASSES)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"n9": jpeg(1)}, "is of no class of ImageNet"),
        ({"n1": jpeg(1)[:300]}, "is no whole image"),
        ({"n1": b"GIF89a"}, "is no whole image"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, contents, message):
    archive_of(tmp_path, contents)
    with pytest.raises(InvalidInputError, match=message):
        load_imagenet_sample(tmp_path, torch.float32, classes=CLASSES)


def test_a_damaged_archive(tmp_path):
    (tmp_path / "imagenet-sample.tar").write_bytes(b"no archive")
    with pytest.raises(InvalidInputError, match=r"cannot read .*imagenet-sample\.tar"):
        load_imagenet_sample(tmp_path, torch.float32, classes=CLASSES)


def test_classes_are_in_the_order_of_outputs():
    classes = imagenet_classes()
    wnids = [row["wnid"] for row in classes]
    assert len(set(wnids)) == 1000
    assert wnids == sorted(wnids)
    assert (classes[0]["name"], classes[999]["name"]) == ("tench", "toilet tissue")


def test_groups_are_large_enough():
    sizes = Counter(row["group"] for row in imagenet_classes())
    rest = sizes.pop("entity")  # what is left over at the root
    assert min(sizes.values()) >= 40
    assert rest + sum(sizes.values()) == 1000
    by_name = {row["name"]: row["group"] for row in imagenet_classes()}
    assert by_name["Afghan hound"] == "hunting dog"
    assert by_name["ostrich"] == "bird"


@needs_test_data
def test_the_sample(tmp_path):
    (tmp_path / "imagenet-sample.tar").symlink_to(f"{TEST_DATA}/imagenet-sample.tar")
    data = load_dataset("imagenet-sample", root=tmp_path)
    assert data.x_test.shape == (1000, 3, 224, 224)
    assert data.n_outputs == 1000
    assert len(data.group_names) == 17
