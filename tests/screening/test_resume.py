"""A screening that is killed goes on from what it kept."""

import copy
import importlib
import os
import signal

import pandas as pd
import pytest
import torch
from helpers.processes import python
from helpers.refusals import check_refused, disk_full, no_long_work  # noqa: F401
from helpers.screening import IMAGES, SETTINGS

import localspec.screening._run as run
from localspec.exceptions import ArtifactError
from localspec.screening import screen
from localspec.units import hook_units, trace_units

TWO = ["activations/global", "activations/local"]
# dies in the visualizations of the second partitioning
KILLED = """
import os, signal, sys, torch
import localspec.screening._run as run
from localspec.screening import screen
plain, calls = run.visualize_traced, []

def dies(*arguments, **options):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(*arguments, **options)

run.visualize_traced = dies
network, x, y, settings, folder = torch.load(sys.argv[1], weights_only=False)
screen(network, (x, y), folder=folder, **settings)
"""


def test_a_killed_screening_goes_on(network, labels, report, tmp_path, monkeypatch):
    folder, settings = tmp_path / "kept", {**SETTINGS, "partitionings": TWO}
    torch.save((network, IMAGES, labels, settings, folder), tmp_path / "task.pt")
    ended = python("-c", KILLED, tmp_path / "task.pt", env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    steps = sorted(path.parent.name for path in kept)
    assert steps.count("screen-partition") == 2
    assert steps.count("screen-lesions") == 2
    assert steps.count("screen-pictures") == 1

    visualized, plain = [], run.visualize_traced

    def counted(unit_map, sets, *arguments, **options):
        visualized.append(len(sets))
        return plain(unit_map, sets, *arguments, **options)

    monkeypatch.setattr(run, "visualize_traced", counted)
    again = screen(network, (IMAGES, labels), folder=folder, **settings)
    for found, whole in ((again.table, report.table), (again.tests, report.tests)):
        whole = whole[whole["partitioning"].isin(TWO)].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, whole)
    assert len(visualized) == 1  # those of the other partitioning
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    visualized.clear()
    screen(network, (IMAGES, labels), folder=folder, **settings)
    assert not visualized


def test_what_was_kept_of_something_else_is_not_taken(network, labels, tmp_path):
    one = {"partitionings": ["activations/local"], "measures": ["importance"]}
    settings = {**SETTINGS, **one, "folder": tmp_path}

    def n_kept(network, x, **changes):
        screen(network, (x, labels), **(settings | changes))
        return len([*tmp_path.rglob("screen-lesions/*.safetensors")])

    assert n_kept(network, IMAGES) == n_kept(copy.deepcopy(network), IMAGES.clone()) == 1
    other = copy.deepcopy(network)
    other[1].weight.data[0, 0] += 1e-3
    assert n_kept(other, IMAGES) == 2
    other_images = IMAGES.clone()
    other_images[0, 0, 0, 0] += 1e-3
    assert n_kept(network, other_images) == 3
    assert n_kept(network, IMAGES, n_draws=5) == 4
    assert n_kept(network, IMAGES, level=0.01) == 4  # what is computed is the same


def test_a_network_whose_code_changes_is_another_one(tmp_path, monkeypatch):
    code = (
        "import torch\n\n\nclass Steps(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.first, self.last = torch.nn.LSTM(4, 4), torch.nn.Linear(4, 2)\n\n"
        "    def forward(self, x):\n"
        "        return self.last(self.first(x.flatten(1, 2).transpose(0, 1))[0][-1])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def key(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        torch.manual_seed(0)
        network = importlib.import_module(name).Steps().eval()
        return run.network_key(hook_units(network, IMAGES[:2].float()))

    before = key("steps_before", code)
    assert key("steps_same", code) == before
    assert key("steps_after", code.replace("[0][-1]", "[0][0]")) != before


@pytest.mark.usefixtures("no_long_work")
def test_a_folder_that_cannot_be_written_is_refused(network, labels, tmp_path, monkeypatch):
    monkeypatch.setattr("localspec.screening._settings.TemporaryFile", disk_full)
    words = ["cannot be written", "No space left", "name another one"]
    check_refused(lambda: screen(network, (IMAGES, labels), folder=tmp_path, **SETTINGS), words)


def test_a_disk_that_fills_up_is_that_of_the_folder(network, labels, tmp_path, monkeypatch):
    monkeypatch.setattr("localspec._utils.artifacts.save_file", disk_full)
    with pytest.raises(ArtifactError, match="choose another folder with folder"):
        screen(network, (IMAGES, labels), folder=tmp_path, **SETTINGS)


class Constant(torch.nn.Module):
    """A network with a number that is no weight, behind what can or cannot be traced."""

    def __init__(self, number, norm, buffer=False):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Linear(16, 6), torch.nn.Linear(6, 3)
        self.norm = norm
        if buffer:
            self.register_buffer("number", number, persistent=False)
        else:
            self.number = number

    def forward(self, x):
        return self.last(self.norm(self.first(x.flatten(1))).relu() * self.number)


@pytest.mark.parametrize("way", ["traced", "hooked"])
@pytest.mark.parametrize("kind", ["number", "tensor", "buffer"])
def test_a_network_of_another_constant_is_another_one(way, kind):
    def key(number):
        number = number if kind == "number" else torch.tensor(number)
        norm = torch.nn.Identity() if way == "traced" else torch.nn.LayerNorm(6)
        network = Constant(number, norm, kind == "buffer").eval()
        units = trace_units if way == "traced" else lambda network: hook_units(network, IMAGES)
        return run.network_key(units(network))

    assert key(1.5) == key(1.5)
    assert key(1.5) != key(2.5)
