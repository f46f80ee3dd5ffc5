"""The command that trains a profile's networks: its jobs, its report, kills."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import train
import yaml
from project import ROOT

from localspec.profiles import load_profile

MLP = {"dataset": "digits", "hidden": [10, 8], "n_epochs": 2, "n_threads": 1}
CNN = {**MLP, "architecture": "cnn", "channels": [3, "pool", 4], "n_threads": 2}
PROFILE = {
    "device": "cpu",
    "networks": {
        "cnn": CNN,
        "mlp-pruned": {**MLP, "n_pruning_epochs": 3},
        "mlp": MLP,
        "mlp-l1": {**MLP, "l1": 1e-4},
    },
    "seeds": [4, 7],
    "method": {"n_clusters": 3},
}


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "tiny.yml"
    found.write_text(yaml.safe_dump(PROFILE))
    return found


def interruptible():
    """Let Ctrl+C reach the process: background jobs of a shell are started without it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(path, *options):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tools" / "train.py"), str(path), *options],
        env={**os.environ, "LOCALSPEC_RESULTS": str(path.parent / "results")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )


def run(path, *options):
    process = start(path, *options)
    out, err = process.communicate(timeout=180)
    return process.returncode, out, err


def test_a_network_and_its_pruned_form_are_one_job_and_few_threads_come_first(path):
    profile = load_profile(path)
    pending = [("cnn", 4), ("mlp-pruned", 4), ("mlp", 4), ("mlp-l1", 4), ("mlp", 7)]
    assert train.jobs_of(profile, pending, cores=2) == [
        train.Job(("mlp", "mlp-pruned"), 4, 1),
        train.Job(("mlp-l1",), 4, 1),
        train.Job(("mlp",), 7, 1),
        train.Job(("cnn",), 4, 2),
    ]
    assert train.jobs_of(profile, pending[:1], cores=1) == [train.Job(("cnn",), 4, 1)]


def test_the_time_left(path):
    profile = load_profile(path)
    clock = train.Clock(profile, cores=2)
    job = train.Job(("mlp", "mlp-pruned"), 4, 1)
    assert clock.left([(job, ["mlp"])]) is None
    clock.add("mlp", 20)  # 10 s an epoch
    assert clock.left([(job, ["mlp", "mlp-pruned"]), (job, ["mlp"])]) == pytest.approx(
        (20 + 30 + 20) / 2
    )
    assert clock.left([(train.Job(("cnn",), 4, 2), ["cnn"])]) is None


@pytest.mark.integration
def test_everything_is_trained_once(path):
    options = ("--networks", "mlp", "mlp-pruned", "--seeds", "7")
    code, out, err = run(path, *options)
    assert code == 0, err
    first, *lines = out.splitlines()
    assert first == "2 of 2 networks are not stored yet"
    assert "1/2  mlp, seed 7: " in lines[0]
    assert "2/2  mlp-pruned, seed 7: " in lines[1]
    assert "accuracy" in lines[0]
    assert "about 0 s left" in lines[1]
    code, out, err = run(path, "--list")
    assert code == 0, err
    first, *lines = out.splitlines()
    assert first == "6 of 8 networks are not stored yet"
    assert len(lines) == 6
    assert "mlp, seed 7" not in lines


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--networks", "mpl"], "network='mpl' is not known; choose one of 'cnn'"),
        (["--seeds", "5"], "seed=5 is not known; choose one of 4, 7"),
        (["--cores", "0"], "--cores 0: give at least 1"),
    ],
)
def test_bad_options(path, options, said):
    code, out, err = run(path, *options)
    assert (code in (1, 2), out) == (True, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.integration
def test_a_job_that_fails_is_named_and_the_others_are_trained(path):
    content = json.loads(json.dumps(PROFILE))
    content["networks"] = {"bad": {**MLP, "learning_rate": 1e200}, "mlp": MLP}
    content["dtype"] = "float64"
    path.write_text(yaml.safe_dump(content))
    code, out, err = run(path, "--seeds", "4")
    assert code == 1
    assert "bad, seed 4: failed" in out
    assert "mlp, seed 4: " in out
    assert "training diverged" in err
    assert "1 jobs failed" in err


def trains(child) -> bool:
    """Return whether a process is a job; others look for what is stored, and end."""
    try:
        return child.cmdline()[-1:] == ["train"]
    except psutil.NoSuchProcess:  # a zombie is one
        return False


@pytest.mark.integration
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_no_process(path, how):
    content = json.loads(json.dumps(PROFILE))
    content["networks"] = {"mlp": {**MLP, "n_epochs": 100000}}
    path.write_text(yaml.safe_dump(content))
    process = start(path)
    try:
        begin, children = time.monotonic(), []
        while time.monotonic() - begin < 120 and len(children) < 2:
            time.sleep(0.05)
            children = [child for child in psutil.Process(process.pid).children() if trains(child)]
        assert len(children) == 2
        process.send_signal(how)
        _, err = process.communicate(timeout=120)
        assert psutil.wait_procs(children, timeout=60)[1] == []
    finally:
        process.kill()  # its children end with it
    if how == signal.SIGINT:
        assert "the same command goes on" in err
        assert "Traceback" not in err
