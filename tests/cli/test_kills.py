"""Runs that are killed and two runs at once, by the script that people run by hand on digits."""

import shutil
import time
from pathlib import Path

import pytest
from cli.kills import Bench, check_quiet, compare, kill_runs

TINY = Path(__file__).with_name("tiny.yml")


@pytest.mark.notebook
@pytest.mark.skipif(shutil.which("make") is None, reason="kills `make run`: install make")
def test_three_kills_lose_nothing_and_leave_nothing_running(tmp_path):
    problems = kill_runs(str(TINY), 3, seed=3, folder=tmp_path / "kills")
    assert problems == [], (tmp_path / "kills" / "log.txt").read_text(encoding="utf-8")


def test_a_difference_is_seen(tmp_path):
    bench = Bench(tmp_path, "tiny")
    tables = bench.results / "tiny" / "tables"
    tables.mkdir(parents=True)
    (tables / "a.csv").write_text("n\n1\n")
    expected = bench.outcome()
    compare(bench, expected, "unchanged")
    assert bench.problems == []
    (tables / "a.csv").write_text("n\n2\n")
    (tables / "b.csv").write_text("n\n")
    compare(bench, expected, "changed")
    assert bench.problems == ["changed: a.csv differs", "changed: b.csv differs"]


def test_a_process_that_lives_on_and_a_file_that_changes_are_seen(tmp_path):
    bench = Bench(tmp_path, "tiny")
    bench.results.mkdir()
    (tmp_path / "tree").mkdir()
    # a "run" whose child does not notice that it was killed
    (tmp_path / "tree" / "Makefile").write_text(
        "run:\n\t@(while sleep 0.1; do date +%N > $$LOCALSPEC_RESULTS/a; done) & wait\n"
    )
    run = bench.start()
    while not list(bench.results.iterdir()):
        time.sleep(0.05)
    run.kill("make")
    check_quiet(bench, run, gone_within_s=1.0, quiet_s=1.0)
    run.stop()
    assert len(bench.problems) == 2
    assert "still alive" in bench.problems[0]
    assert bench.problems[1] == f"changed after the kill: {bench.results / 'a'}"
    assert run.seconds_until_gone(60) <= 60
