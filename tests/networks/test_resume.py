"""A training and a pruning that are killed go on and end in the same bits."""

import os
import shutil
import signal

import numpy as np
import pytest
from helpers.processes import python
from helpers.tiny_profile import tiny, write_profile

from localspec._utils import checkpoints
from localspec.exceptions import CheckpointWarning
from localspec.pipeline import Replicate, load_profile

pytestmark = pytest.mark.integration

SCRIPT = """
import os, signal, sys
from localspec._utils import checkpoints
from localspec.networks import _training_run as training_run
from localspec.pipeline import load_profile
from localspec.pipeline import Replicate

path, stage, n_states = sys.argv[1], sys.argv[2], int(sys.argv[3])
checkpoints.Checkpoint.__init__.__kwdefaults__["interval_s"] = 0
save, step, saved = checkpoints.Checkpoint.save_if_due, training_run.TrainingRun._step, []

def count(self, state):
    save(self, state)
    saved.append(self.path.parent.name)

def killed(self, x, y, epoch_step):
    if saved.count(stage) == n_states and self.optimizer.n_steps % 29 == 5:  # amid an epoch
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, x, y, epoch_step)

checkpoints.Checkpoint.save_if_due, training_run.TrainingRun._step = count, killed
Replicate(load_profile(path), "mlp", 0, progress=False).trained
"""


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    content = tiny(hidden=[40, 30], dropout=0.4, l1=0.0001, n_pruning_epochs=6)
    content["dtype"] = "float32"
    return write_profile(tmp_path_factory.mktemp("profiles"), content, "killed")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Function that makes a folder the one for results."""

    def use(name):
        folder = tmp_path / name
        monkeypatch.setenv("LOCALSPEC_RESULTS", str(folder))
        return folder

    return use


def kill(profile, folder, stage, n_states):
    environment = os.environ | {"LOCALSPEC_RESULTS": str(folder)}
    done = python("-c", SCRIPT, profile, stage, n_states, env=environment, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr


def arrays(profile):
    replicate = Replicate(load_profile(profile), "mlp", 0, progress=False)
    return replicate.trained.to_arrays()


@pytest.fixture(scope="module")
def expected(profile, tmp_path_factory):
    """Weights of a network that was trained and pruned undisturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCALSPEC_RESULTS", str(tmp_path_factory.mktemp("undisturbed")))
        return arrays(profile)


@pytest.fixture(scope="module")
def training_killed(profile, tmp_path_factory):
    """Folder for results in which a training was killed after two epochs, to copy."""
    folder = tmp_path_factory.mktemp("killed")
    kill(profile, folder, "training", 2)
    return folder


@pytest.fixture
def loaded(monkeypatch):
    """Return a list that fills with what checkpoints give when they are loaded."""
    states, load = [], checkpoints.Checkpoint.load

    def noted(self):
        states.append(load(self))
        return states[-1]

    monkeypatch.setattr(checkpoints.Checkpoint, "load", noted)
    return states


def files(folder, ending):
    return sorted(path.parent.name for path in folder.rglob(f"*{ending}"))


@pytest.mark.parametrize("stage", ["training", "pruning"])
def test_killed_and_undisturbed_end_in_the_same_bits(
    profile, root, stage, expected, training_killed, loaded
):
    folder = root("killed")
    if stage == "training":
        shutil.copytree(training_killed, folder)
    else:
        kill(profile, folder, stage, 2)
    kill(profile, folder, stage, 1)  # one more: from the third epoch on
    assert files(folder, ".checkpoint") == [stage]
    (part,) = [folder / "artifacts" / stage / f".{path.stem}.checkpoint.0.part"
               for path in folder.rglob("*.checkpoint")]  # fmt: skip
    part.write_text("half of a killed write")
    stored = arrays(profile)
    assert [len(state["history"]) for state in loaded if state is not None] == [3]
    assert stored.keys() == expected.keys()
    assert [name for name in stored if not np.array_equal(stored[name], expected[name])] == []
    assert files(folder, ".safetensors") == ["pruning", "training"]
    for ending in (".checkpoint", ".part", ".lock"):
        assert files(folder, ending) == []


def test_a_damaged_checkpoint_changes_nothing(profile, root, expected, training_killed):
    folder = shutil.copytree(training_killed, root("killed"))
    (path,) = folder.rglob("*.checkpoint")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(CheckpointWarning, match="begins anew"):
        stored = arrays(profile)
    assert all(np.array_equal(stored[name], expected[name]) for name in expected)
    assert files(folder, ".checkpoint") == []


def test_always_begins_anew(profile, root, training_killed, loaded):
    folder = shutil.copytree(training_killed, root("killed"))
    assert files(folder, ".checkpoint") == ["training"]
    _ = Replicate(load_profile(profile), "mlp", 0, compute="always", progress=False).trained
    assert loaded == [None, None]
