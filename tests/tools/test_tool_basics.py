"""What the tools share, the server, the lock of a run, and the report of a reproduction."""

import os
import subprocess
import sys
import time

import project
import pytest
import reproduce
import run
import serve
from project import ROOT, as_json, checksum


def test_a_file_is_written_as_a_whole_and_left_alone_when_equal(tmp_path):
    path = tmp_path / "folder" / "file"
    project.write(path, "one")
    os.utime(path, (1, 1))
    project.write(path, b"one")
    assert path.stat().st_mtime == 1
    project.write(path, "two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_results_are_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.delenv("LOCALSPEC_RESULTS", raising=False)
    assert project.results_root() == ROOT / "results"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCALSPEC_RESULTS", "here")
    assert project.results_root() == tmp_path / "here"


def test_a_process_ends_soon_after_its_parent(tmp_path):
    child = (
        "import os, project, time\n"
        "project.die_with_parent(os.getppid(), 0.05); print('up', flush=True); time.sleep(60)\n"
    )
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=env
    ) as process:
        pid = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def test_a_page_does_not_start_after_the_end_of_what_started_it(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    page = subprocess.run(
        [sys.executable, "tools/run_page.py", "--parent", str(gone.pid), "digits", "01_training"],
        cwd=ROOT,
        env={**os.environ, "LOCALSPEC_RESULTS": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert page.returncode == 1
    assert page.stderr == f"process {gone.pid}, which this one was started for, has ended\n"
    assert list(tmp_path.iterdir()) == []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def test_one_run_at_a_time(tmp_path, capsys):
    first = run.lock(tmp_path)
    with pytest.raises(SystemExit):
        run.lock(tmp_path)
    assert "another run" in capsys.readouterr().err
    os.close(first)
    os.close(run.lock(tmp_path))


def test_pages_whose_tables_are_not_the_runs_are_run_again(tmp_path):
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "t.csv"
    table.write_text("1\n")
    records = {"good": {"t.csv": checksum(table)}, "bad": {"t.csv": "0"}, "gone": {"u.csv": "0"}}
    for page, tables in records.items():
        (tmp_path / f"{page}.json").write_text(as_json({"tables": tables}))
    (tmp_path / "damaged.json").write_text("{")
    run.drop_stale_markers(tmp_path)
    assert [path.name for path in tmp_path.glob("*.json")] == ["good.json"]


def test_the_server_listens_on_the_loopback_address_and_avoids_a_taken_port():
    with serve.make_server(0) as first, serve.make_server(first.server_port) as second:
        assert first.server_address[0] == second.server_address[0] == "127.0.0.1"
        assert first.server_port != second.server_port


def test_passed_and_failed_cells_are_counted(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="7" failures="1" errors="1" skipped="2"/></testsuites>'
    )
    assert reproduce.count(report) == (3, 2)
    assert not reproduce.Outcome(3, 2, 1.0).good
    assert not reproduce.Outcome(0, 0, 1.0).good
    assert reproduce.Outcome(3, 0, 1.0).good
