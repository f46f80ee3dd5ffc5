"""Training of a profile's networks: what is trained, in which order, and kills."""

import json
import re
import signal
import time

import psutil
import pytest
from click.testing import CliRunner
from helpers.processes import command_line, send

from localspec.cli import main
from localspec.cli._train import describe

MLP = {"dataset": "digits", "hidden": [10, 8], "n_epochs": 2, "n_threads": 1}
PROFILE = {
    "device": "cpu",
    "dtype": "float64",
    "networks": {"mlp-pruned": {**MLP, "n_pruning_epochs": 3}, "mlp": MLP},
    "seeds": [4, 7],
    "method": {"n_clusters": 3},
}


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    path = tmp_path / "tiny.yml"
    path.write_text(json.dumps(PROFILE, sort_keys=True))
    return path


def replace_networks(path, networks):
    path.write_text(json.dumps(PROFILE | {"networks": networks}, sort_keys=True))


def run(path, *options):
    process = command_line("train", path, *options)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def test_a_line_tells_accuracies_or_losses():
    history = {"test_accuracy": [0.1, 0.9], "train_accuracy": [0.2, 0.8], "test_loss": [2.0, 1.0]}
    assert describe("mlp, seed 7", history, 12.4).endswith(
        "  mlp, seed 7: 12 s, accuracy 0.8000 in training, 0.9000 in test"
    )
    history = {"test_accuracy": [float("nan")], "train_loss": [1.5], "test_loss": [2.5]}
    assert describe("mlp, seed 7", history, 3600).endswith(
        "  mlp, seed 7: 3600 s, loss 1.5000 in training, 2.5000 in test"
    )


@pytest.mark.integration
def test_everything_is_trained_once_and_a_pruned_network_after_its_unpruned_form(path):
    code, out, err = run(path, "--seed", "7")
    assert code == 0, err
    first, estimate, *lines = out.splitlines()
    assert first == "2 of 2 networks are not stored yet"
    assert estimate.startswith("tiny: 2 jobs (2 train): ")
    names = [re.search("  (.*):", line)[1] for line in lines]
    assert names == ["mlp, seed 7", "mlp-pruned, seed 7"]
    code, out, err = run(path, "--list")
    assert code == 0, err
    first, *names = out.splitlines()
    assert first == "2 of 4 networks are not stored yet"
    assert names == ["mlp, seed 4", "mlp-pruned, seed 4"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--network", "mpl"], "network='mpl' is not known; choose one of 'mlp', 'mlp-pruned'"),
        (["--seed", "5"], "seed=5 is not known; choose one of 4, 7"),
        (["--cores", "0"], "cores='0' is not allowed: give a whole number from 1 on (CORES of"),
        (["--cores", "2; touch x"], "cores='2; touch x' is not allowed"),
    ],
)
def test_bad_options(path, options, words):
    done = CliRunner().invoke(main, ["train", str(path), *options])
    assert done.exit_code in (1, 2)
    assert done.stdout == ""
    assert words in done.stderr


@pytest.mark.integration
def test_a_network_that_fails_is_named_and_the_others_are_trained(path):
    channels = [2, "pool"] * 4  # of 8 x 8 pixels none is left
    bad = {**MLP, "architecture": "cnn", "channels": channels}
    replace_networks(path, {"bad": bad, "mlp": MLP})
    code, out, err = run(path, "--seed", "4")
    assert code == 1
    assert "mlp, seed 4: " in out
    assert "Error: the run stopped. The same command goes on where this one was" in err
    assert "\ntraining of bad, seed 4: InvalidInputError: " in err
    assert "pooling" in err
    assert "Traceback" not in err


def trains(process) -> bool:
    try:
        return any(word.startswith("train/") for word in process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one
        return False


@pytest.mark.integration
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_leaves_no_process(path, how):
    replace_networks(path, {"mlp": {**MLP, "n_epochs": 100000}})
    process = command_line("train", path)
    try:
        begin, training = time.monotonic(), path.parent / "results" / "artifacts" / "training"
        while time.monotonic() - begin < 120 and len(list(training.glob("*.lock"))) < 2:
            time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        workers = [child for child in children if trains(child)]
        assert len(workers) == 2
        send(process, how)
        _, err = process.communicate(timeout=120)
        assert psutil.wait_procs(workers, timeout=60)[1] == []
    finally:
        process.kill()  # its children end with it
    if how != signal.SIGKILL:
        assert process.returncode == 128 + how
        assert err == f"Stopped by {how.name}. The same command goes on where this one was\n"
