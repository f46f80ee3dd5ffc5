"""Checkpoints: what is stored and loaded, and what is never trusted."""

import pytest
import torch
from helpers.refusals import NO_FILES
from safetensors.torch import save_file

from localspec._utils.checkpoints import Checkpoint
from localspec.exceptions import ArtifactError, CheckpointWarning

STATE = {
    "weights.a": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
    "generator.order": torch.Generator().manual_seed(3).get_state(),
    "pruner.mask0": torch.tensor([True, False]),
    "n_steps": torch.tensor(12),
    "history": torch.tensor([[0.5, 0.25, 1.5, 0.75]], dtype=torch.float64),
}


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint("training", "0" * 32, root=tmp_path, interval_s=0)


def test_what_is_stored_is_loaded(checkpoint):
    assert checkpoint.load() is None
    checkpoint.save_if_due(STATE)
    loaded = checkpoint.load()
    assert loaded.keys() == STATE.keys()
    for name, value in STATE.items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)


def test_it_lies_beside_the_artifact(checkpoint, tmp_path):
    checkpoint.save_if_due(STATE)
    expected = tmp_path / "artifacts" / "training" / f"{'0' * 32}.checkpoint"
    assert list((tmp_path / "artifacts").rglob("*")) == [expected.parent, expected]
    checkpoint.remove()
    assert not expected.exists()
    checkpoint.remove()  # nothing to do


def test_a_short_training_stores_nothing(tmp_path):
    checkpoint = Checkpoint("training", "0" * 32, root=tmp_path)
    checkpoint.save_if_due(STATE)
    assert not (tmp_path / "artifacts").exists()


def flip_a_bit(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[: len(content) // 2], "cannot be read"),
        (lambda content: content[:-1], "cannot be read"),
        (lambda content: b"", "cannot be read"),
        (lambda content: b"not safetensors at all", "cannot be read"),
        (flip_a_bit, "check sum is wrong"),
    ],
    ids=["half", "a byte less", "empty", "text", "a bit"],
)
def test_damaged_files_are_ignored(checkpoint, damage, said):
    checkpoint.save_if_due(STATE)
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    with pytest.warns(CheckpointWarning, match=f"{said}.*training begins anew"):
        assert checkpoint.load() is None


@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_is_ignored(checkpoint, make):
    checkpoint.path.parent.mkdir(parents=True)
    make(checkpoint.path)
    with pytest.warns(CheckpointWarning, match=r"cannot be read .*it is no file"):
        assert checkpoint.load() is None


def test_another_type_of_numbers_is_ignored(checkpoint):
    checkpoint.path.parent.mkdir(parents=True)
    save_file({"a": torch.zeros(2, dtype=torch.bfloat16)}, checkpoint.path)
    with pytest.warns(CheckpointWarning, match="cannot be read"):
        assert checkpoint.load() is None


def test_another_trainings_file_is_ignored(checkpoint, tmp_path):
    other = Checkpoint("training", "1" * 32, root=tmp_path, interval_s=0)
    other.save_if_due(STATE)
    other.path.rename(checkpoint.path)
    with pytest.warns(CheckpointWarning, match="another training's"):
        assert checkpoint.load() is None


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match="cannot write"):
        Checkpoint("training", "0" * 32, root=tmp_path, interval_s=0).save_if_due(STATE)
