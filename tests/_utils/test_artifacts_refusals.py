"""Results that cannot be read or written: one clear error, and what is there already stays."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.refusals import disk_full
from safetensors.numpy import save_file

from localspec._utils import artifacts, files
from localspec._utils.artifacts import cached
from localspec.exceptions import ArtifactError, ArtifactWarning

pytestmark = pytest.mark.usefixtures("own_results")


def compute():
    return {"labels": np.arange(3)}, {"n": 3}


def never():
    pytest.fail("long work began before the error")


def load(folder: Path, compute=never, mode: str = "auto"):
    return cached("clustering", 1, {"n": 3}, compute, root=folder, mode=mode)


@pytest.fixture
def stored(tmp_path):
    """Path of a stored result."""
    load(tmp_path, compute)
    (path,) = tmp_path.glob("artifacts/clustering/*.safetensors")
    return path


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten(path: Path) -> None:
    path.write_bytes(b"\x89PNG" * 40)


def foreign(path: Path) -> None:
    save_file({"labels": np.arange(4)}, path)


def renamed(path: Path) -> None:
    save_file({"labels": np.arange(3)}, path, {"localspec_key": "another", "description": "{}"})


def undescribed(path: Path) -> None:
    save_file({"labels": np.arange(3)}, path, {"localspec_key": path.stem})


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def redescribed(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'\\"n\\": 3', b'\\"n\\": 4'))


def undigested(path: Path) -> None:
    save_file({"labels": np.arange(3)}, path, {"localspec_key": path.stem, "description": "{}"})


DAMAGES = {
    truncated: "is damaged",
    emptied: "is damaged",
    overwritten: "is damaged",
    foreign: "not written under this name, but key None",
    renamed: "not written under this name, but key 'another'",
    undescribed: "holds no digest",
    undigested: "holds no digest",
    flipped: "its content is not what its digest says",
    redescribed: "its content is not what its digest says",
}


@pytest.mark.parametrize(("damage", "words"), list(DAMAGES.items()))
def test_damaged_and_foreign_files(stored, tmp_path, damage, words):
    before = stored.read_bytes()
    damage(stored)
    assert stored.read_bytes() != before
    with pytest.raises(ArtifactError) as caught:
        load(tmp_path, mode="never")
    message = str(caught.value)
    expected = [str(stored), words, "compute it again with compute='auto'"]
    assert [word for word in expected if word not in message] == [], message
    with pytest.warns(ArtifactWarning, match="computed again") as warned:
        artifact = load(tmp_path, compute)
    assert str(stored) in str(warned[0].message)
    assert artifact.arrays["labels"].tolist() == [0, 1, 2]
    assert artifact.description == {"n": 3}
    assert load(tmp_path, mode="never").arrays["labels"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("damage", [a_folder, a_pipe])
def test_what_is_no_file_stays(stored, tmp_path, damage):
    damage(stored)
    with pytest.raises(ArtifactError, match=r"cannot read .*it is no file; move it away"):
        load(tmp_path)
    assert stored.exists()


@pytest.mark.parametrize(
    ("owner", "name"), [(os, "replace"), (os, "fsync"), (artifacts, "save_file")]
)
def test_a_full_disk_leaves_the_older_result(stored, tmp_path, monkeypatch, owner, name):
    before = stored.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, disk_full)
        with pytest.raises(ArtifactError, match=r"No space left.*free some space.*LOCALSPEC_RES"):
            load(tmp_path, compute, mode="always")
    assert stored.read_bytes() == before
    assert [path.name for path in stored.parent.iterdir() if path.suffix == ".part"] == []
    assert load(tmp_path).arrays["labels"].tolist() == [0, 1, 2]


def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path):
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match=r"cannot write to .*LOCALSPEC_RESULTS"):
        load(tmp_path / "results")


def test_a_full_disk_is_found_before_the_work_where_nothing_can_be_created(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", disk_full)
    with pytest.raises(ArtifactError, match=r"cannot write to .*No space left"):
        load(tmp_path)


def test_a_record_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv(files.RECORD_VARIABLE, str(tmp_path / "missing" / "record"))
    with pytest.raises(ArtifactError, match=r"cannot write the page's record .*LOCALSPEC_RECORD"):
        load(tmp_path)


def test_results_outside_of_a_project(tmp_path, monkeypatch):
    monkeypatch.delenv(files.RESULTS_VARIABLE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"no project found.*set LOCALSPEC_RESULTS"):
        files.results_root()
