"""Results that cannot be read or written: one clear error, and what is there already stays."""

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.refusals import check_refused, disk_full
from safetensors.numpy import save_file

from localspec._utils import artifacts, files
from localspec._utils.artifacts import cached
from localspec.exceptions import ArtifactError

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


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, ["is damaged", "delete the file"]),
        (emptied, ["is damaged", "delete the file"]),
        (overwritten, ["is damaged", "delete the file"]),
        (foreign, ["was not written under this name", "says key None", "delete the file"]),
        (renamed, ["was not written under this name", "'another'", "delete the file"]),
        (undescribed, ["is damaged", "'description'", "delete the file"]),
        (a_folder, ["cannot read"]),
    ],
)
def test_damaged_and_foreign_files(stored, tmp_path, damage, words):
    damage(stored)
    check_refused(lambda: load(tmp_path), [str(stored), *words], ArtifactError)
    assert stored.exists()  # it is somebody's: only its owner deletes it


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
