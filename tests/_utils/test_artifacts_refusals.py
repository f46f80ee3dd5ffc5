"""Results that cannot be read or written: one clear error, and what is there already stays."""

import errno
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.refusals import NO_FILES, check_refused, disk_full
from safetensors import SafetensorError
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from localspec._utils import artifacts, files
from localspec._utils.artifacts import cached
from localspec.exceptions import ArtifactError, ArtifactWarning, LocalspecError

pytestmark = pytest.mark.usefixtures("own_results")
NO_SPACE = "I/O error: No space left on device (os error 28)"


def compute():
    return {"labels": np.arange(3)}, {"n": 3}


def never():
    pytest.fail("long work began before the error")


def load(folder: Path | None, compute=never, mode: str = "auto"):
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
    expected = [str(stored), words, "compute it again with compute='auto'"]
    check_refused(lambda: load(tmp_path, mode="never"), expected, ArtifactError)
    with pytest.warns(ArtifactWarning, match="computed again") as warned:
        artifact = load(tmp_path, compute)
    assert str(stored) in str(warned[0].message)
    assert artifact.arrays["labels"].tolist() == [0, 1, 2]
    assert artifact.description == {"n": 3}
    assert load(tmp_path, mode="never").arrays["labels"].tolist() == [0, 1, 2]


def metadata(path: Path, description: str) -> dict[str, str]:
    """Return what lies beside ``labels`` in a file whose key and digest are right."""
    digest = artifacts._digest({"labels": np.arange(3)}, description)
    return {"localspec_key": path.stem, "description": description, "sha256": digest}


def described(path: Path, description: str) -> None:
    save_file({"labels": np.arange(3)}, path, metadata(path, description))


def typed(path: Path, dtype: torch.dtype) -> None:
    save_torch({"labels": torch.zeros(3).to(dtype)}, path, metadata(path, "{}"))


def headed(path: Path, length: int | None = None, **labels) -> None:
    """Write a file of 24 bytes of data with a header that says of them what is not true."""
    array = {"dtype": "I64", "shape": [3], "data_offsets": [0, 24], **labels}
    header = json.dumps({"__metadata__": metadata(path, "{}"), "labels": array}).encode()
    path.write_bytes(struct.pack("<Q", length or len(header)) + header + bytes(24))


FORGED = {  # the digest is right, or is never reached
    "no names": lambda path: described(path, "[1]"),
    "no JSON": lambda path: described(path, "{nope"),
    "lists without end": lambda path: described(path, "[" * 100_000),
    "mappings without end": lambda path: described(path, '{"a":' * 5_000),
    "a number too long": lambda path: described(path, '{"a": ' + "9" * 5_000 + "}"),
    "bfloat16": lambda path: typed(path, torch.bfloat16),
    "float8": lambda path: typed(path, torch.float8_e4m3fn),
    "an unknown type": lambda path: headed(path, dtype="X9"),
    "objects": lambda path: headed(path, dtype="object"),
    "a negative size": lambda path: headed(path, shape=[-3]),
    "a huge size": lambda path: headed(path, shape=[2**62, 2**62]),
    "more than there is": lambda path: headed(path, shape=[2**40], data_offsets=[0, 2**43]),
    "a header of 2**63 bytes": lambda path: headed(path, length=2**63),
    "a header of the whole disk": lambda path: (headed(path, 10**11), os.truncate(path, 10**12)),
    "seven bytes": lambda path: path.write_bytes(b"1234567"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_forged_files(stored, tmp_path, forge):
    forge(stored)
    with pytest.raises(ArtifactError, match=r"is damaged .*compute it again with compute='auto'"):
        load(tmp_path, mode="never")
    with pytest.warns(ArtifactWarning, match="computed again"):
        assert load(tmp_path, compute).description == {"n": 3}
    assert load(tmp_path, mode="never").arrays["labels"].tolist() == [0, 1, 2]


def test_links_that_lead_nowhere(stored, tmp_path):
    for target in ("nowhere", stored.name):
        stored.unlink()
        stored.symlink_to(target)
        with pytest.raises(ArtifactError, match="has not been computed"):
            load(tmp_path, mode="never")
        load(tmp_path, compute)
        assert load(tmp_path, mode="never").arrays["labels"].tolist() == [0, 1, 2]


def test_what_holds_other_names(stored, tmp_path):
    artifact = load(tmp_path)
    assert artifact.rebuild(dict)["n"] == 3
    with pytest.raises(ArtifactError, match=r"artifact \w{32} does not hold what .*'always'"):
        artifact.rebuild(lambda labels: labels)


@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_stays(stored, tmp_path, make):
    stored.unlink()
    make(stored)
    with pytest.raises(ArtifactError, match=r"cannot read .*it is no file; move it away"):
        load(tmp_path)
    assert stored.exists()


@pytest.mark.parametrize(
    ("owner", "name"), [(os, "replace"), (os, "fsync"), (artifacts, "save_file")]
)
def test_a_full_disk_leaves_the_older_result(stored, tmp_path, monkeypatch, owner, name):
    before = stored.read_bytes()
    said = ["the disk is full", "No space left", "stored before is still there", "free some space"]
    said.append("LOCALSPEC_RESULTS")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, disk_full)
        check_refused(lambda: load(tmp_path, compute, mode="always"), said, ArtifactError)
    assert stored.read_bytes() == before
    assert [path.name for path in stored.parent.iterdir() if path.suffix == ".part"] == []
    assert load(tmp_path).arrays["labels"].tolist() == [0, 1, 2]


def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path):
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match=r"cannot write to .*LOCALSPEC_RESULTS"):
        load(tmp_path / "results")


def test_a_full_disk_is_found_before_the_work_where_nothing_can_be_created(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", disk_full)
    with pytest.raises(ArtifactError, match=r"cannot write to .*the disk is full .*No space left"):
        load(tmp_path)


def test_a_record_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv(files.RECORD_VARIABLE, str(tmp_path / "missing" / "record"))
    with pytest.raises(ArtifactError, match=r"cannot write the page's record .*LOCALSPEC_RECORD"):
        load(tmp_path)


@pytest.mark.parametrize("error", [OSError(errno.EDQUOT, "over"), SafetensorError(NO_SPACE)])
def test_other_ways_to_be_full(tmp_path, monkeypatch, error):
    def full(*arguments, **options):
        raise error

    monkeypatch.setattr(artifacts, "save_file", full)
    with pytest.raises(ArtifactError, match=r"cannot write .*the disk is full \("):
        load(tmp_path, compute)


def test_a_folder_that_must_not_be_looked_into(stored, tmp_path, monkeypatch):
    def forbidden(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", forbidden)
    with pytest.raises(ArtifactError, match=r"cannot read .*Permission denied"):
        load(tmp_path)


NAMED = {  # what the variable names -> words of the message
    "a file": ("file", "is a file: set it to a folder"),
    "a device": ("/dev/null", "is a file: set it to a folder"),
    "no home": ("~nobody-like-this/results", "Could not determine home", "set it to another"),
    "a long name": ("x" * 300, "File name too long", "set it to another"),
    "below a file": ("file/results", "cannot write to", "Not a directory", "LOCALSPEC_RESULTS"),
    "no folder of the system's": ("/proc/results", "cannot write to", "LOCALSPEC_RESULTS"),
}


@pytest.mark.parametrize(("named", "words"), [(n, words) for n, *words in NAMED.values()])
def test_folders_that_the_variable_must_not_name(tmp_path, monkeypatch, named, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv(files.RESULTS_VARIABLE, named)
    check_refused(lambda: load(None), [named, *words], LocalspecError)


def test_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(files.RESULTS_VARIABLE, "here")
    load(None, compute)
    assert list(tmp_path.glob("here/artifacts/clustering/*.safetensors"))


def test_a_working_folder_that_is_gone(tmp_path, monkeypatch):
    def gone():
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.delenv(files.RESULTS_VARIABLE)
    monkeypatch.setattr(os, "getcwd", gone)
    with pytest.raises(ArtifactError, match=r"the working folder is gone.*change into another"):
        files.results_root()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_record_that_is_no_file(tmp_path, monkeypatch, make):
    make(tmp_path / "record")
    monkeypatch.setenv(files.RECORD_VARIABLE, str(tmp_path / "record"))
    with pytest.raises(ArtifactError, match=r"cannot write the page's record .*it is no file"):
        load(tmp_path)


def test_results_outside_of_a_project(tmp_path, monkeypatch):
    monkeypatch.delenv(files.RESULTS_VARIABLE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"no project found.*set LOCALSPEC_RESULTS"):
        files.results_root()
