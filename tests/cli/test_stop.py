"""Runs that are stopped, and runs whose jobs fail: how they end and what they say."""

import signal
import time

import psutil
import pytest
from helpers.processes import command_line, send

SLOW = "import pathlib, time\npathlib.Path('../up').touch()\ntime.sleep(600)"
# code of a page, and what is said of it
FAILURES = {
    "01_training": (
        "raise ValueError('no\\nsuch layer')",
        "01_training: cell [3] failed with ValueError: no such layer",
    ),
    "07_calibration": (
        "raise OSError(28, 'No space left on device')",
        "07_calibration: the disk is full: cell [3] failed with OSError",
    ),
    "08_sensitivity": ("1 + 1", "08_sensitivity: done in"),
    "09_forks": (
        "import os\nos.kill(os.getppid(), 9)",
        "09_forks: it was killed: most likely memory ran out",
    ),
    "12_gallery": (
        "import os\nos.kill(os.getpid(), 9)",
        "12_gallery: the kernel was killed (signal 9): most likely memory ran out",
    ),
}


@pytest.mark.notebook
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_at_once_with_its_jobs(project, tmp_path, number):
    project({"06_controls": SLOW})  # wants no trained network
    process = command_line("run", "small")
    try:
        while process.poll() is None and not (tmp_path / "up").exists():
            time.sleep(0.05)
        assert process.poll() is None, process.stderr.read()
        began = psutil.Process(process.pid).children(recursive=True)
        assert any("ipykernel_launcher" in " ".join(each.cmdline()) for each in began)
        send(process, number)
        sent = time.monotonic()
        out, err = process.communicate(timeout=60)  # its page would take ten minutes
        assert psutil.wait_procs(began, timeout=10)[1] == []
        duration_s = time.monotonic() - sent
    finally:
        process.kill()
    assert duration_s < 10  # one second where nothing else runs
    assert process.returncode == 128 + number
    assert "06_controls: done" not in out
    assert err.count("\n") == 1
    assert err.startswith(f"Stopped by {number.name}. The same command goes on")
    assert list((tmp_path / "results").glob("small/*.json")) == []


@pytest.mark.notebook
def test_every_failed_job_is_named_with_its_reason_and_the_others_are_done(project, tmp_path):
    project({page: code for page, (code, _) in FAILURES.items()})
    process = command_line("run", "small")
    out, err = process.communicate()
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "Error: the run stopped. The same command goes on where this one was" in err
    for page, (_, words) in FAILURES.items():
        assert words in (out if "done" in words else err)
        assert (tmp_path / "results" / "small" / f"{page}.json").exists() == ("done" in words)
    partial = tmp_path / "results" / "small" / "01_training.partial.ipynb"
    assert partial.is_file()
    assert str(partial) in err
    assert str(tmp_path / "results" / "small" / ".jobs" / "09_forks.log") in err
