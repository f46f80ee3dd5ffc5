"""Artifacts under several processes, and under one that is killed."""

import signal
import time

import pytest
from helpers.processes import started

from localspec._utils.artifacts import cached

SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from localspec._utils import artifacts, files

root, what = Path(sys.argv[1]), sys.argv[2]

def compute():
    with open(root / "calls", "a") as file:
        file.write("called\\n")
    if what == "slow":
        time.sleep(1)
    return {"values": np.arange(3.0)}, {"by": "child"}

def killed(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

if what == "killed before the rename":
    files.os.replace = killed
if what == "killed while computing":
    compute = killed
print(artifacts.cached("draws", 1, {"n": 1}, compute, root=root).arrays["values"].sum())
"""


def test_two_processes_compute_once(tmp_path):
    running = [started("-c", SCRIPT, tmp_path, "slow") for _ in range(2)]
    answers = [process.communicate(timeout=60) for process in running]
    assert [answer[0].strip() for answer in answers] == ["3.0", "3.0"], answers
    assert (tmp_path / "calls").read_text() == "called\n"


@pytest.mark.parametrize("what", ["killed before the rename", "killed while computing"])
def test_a_killed_process_leaves_no_half_file_and_no_lock(tmp_path, what):
    process = started("-c", SCRIPT, tmp_path, what)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not list(tmp_path.rglob("*.safetensors"))
    begin = time.monotonic()
    artifact = cached("draws", 1, {"n": 1}, lambda: ({}, {"by": "parent"}), root=tmp_path)
    assert artifact.description["by"] == "parent"
    assert time.monotonic() - begin < 10
