"""The command itself, the lock of a run, and the end with the parent process."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import nbformat
import pytest
from click.testing import CliRunner
from helpers.processes import heed_ctrl_c, python, started
from nbformat.v4 import new_notebook
from snakemake.cli import parse_config

from localspec.cli import _start, main
from localspec.cli._determinism import Outcome, count
from localspec.cli._files import as_json, checksum, inside, write_if_changed
from localspec.cli._run import one_at_a_time, stale_pages
from localspec.cli._snakemake import config_arguments
from localspec.cli._stamp import commit, source_hashes
from localspec.exceptions import InvalidInputError
from localspec.pipeline import load_profile

ROOT = Path(__file__).resolve().parents[2]


def test_the_commands():
    shown = CliRunner().invoke(main, ["--help"])
    commands = shown.stdout.partition("Commands:")[2].splitlines()
    names = [line.split()[0] for line in commands if line.strip()]
    expected = ["determinism", "page", "publish", "report", "run", "serve", "train", "verify"]
    assert names == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "digit"], ["profile='digit' is not known", "'digits'"]),
        (["run", "my/own.yml"], ["'my/own.yml' is not a profile's name", "notebooks/profiles"]),
        (["page", "my/own.yml", "01_training"], ["'my/own.yml' is not a profile's name"]),
        (["train", "../digits"], ["'../digits' is not a profile's name"]),
        (["train", "digit"], ["profile='digit' is not known", "'digits'"]),
        (["publish", "digit"], ["profile='digit' is not known", "'digits'"]),
        (["publish", "digits", "09_more"], ["page of digits='09_more' is not known"]),
        (["page", "digit", "02_clustering"], ["profile='digit' is not known", "'digits'"]),
        (["page", "digits", "09_more"], ["page='09_more' is not known", "'01_training'"]),
        (["verify", "digit"], ["profile='digit' is not known", "'digits'"]),
        (["verify", "digits", "--page", "09_more"], ["09_more of digits is not published"]),
        (["determinism", "digit"], ["no page of digit is published"]),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(arguments, words):
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert [word for word in words if word not in done.stderr] == [], done.stderr


@pytest.mark.parametrize(
    "name", ["..", "../digits", "/tmp", "", ".run", "a/../digits", "digits.yml"]
)
@pytest.mark.parametrize("command", ["run", "page", "publish", "verify", "determinism"])
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_touched(
    tmp_path, monkeypatch, command, name
):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    done = CliRunner().invoke(main, [command, name, *["01_training"] * (command == "page")])
    assert done.exit_code == 1
    assert f"{name!r} is not a profile's name: it is made of at most 100 letters" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_lies_inside(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path.parent)
    assert inside(tmp_path, "a", "b") == tmp_path / "a" / "b"
    for names in (("..",), ("a", "..", "..", "b"), ("/etc",), ("link",), ("link", "a"), (".",)):
        with pytest.raises(InvalidInputError, match="lies outside of"):
            inside(tmp_path, *names)


def test_outside_a_clone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["run", "digits"])
    assert done.exit_code == 1
    assert "Error: no project found upwards from" in done.stderr


def test_a_file_that_is_equal_is_left_alone(tmp_path):
    path = tmp_path / "folder" / "file"
    write_if_changed(path, "one")
    os.utime(path, (1, 1))
    write_if_changed(path, b"one")
    assert path.stat().st_mtime == 1
    write_if_changed(path, "two")
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_a_process_ends_soon_after_its_parent():
    child = (
        "import os, time\n"
        "from localspec.cli._start import die_with_parent\n"
        "die_with_parent(os.getppid(), 0.05); print('up', flush=True); time.sleep(60)\n"
    )
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True
    ) as process:
        pid = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def test_the_end_of_the_parent_is_seen_before_anything_is_imported(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    command = ["-X", "importtime", "-P", _start.__file__, str(gone.pid), "page", "digits"]
    environment = os.environ | {"LOCALSPEC_RESULTS": str(tmp_path)}
    done = python(*command, "01_training", env=environment)
    assert done.returncode == 1
    assert f"process {gone.pid}, which this one was started for, has ended" in done.stderr
    assert "torch" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_the_library_is_imported_leaves_no_traceback(tmp_path):
    package = tmp_path / "localspec"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text("import time; print('up', flush=True); time.sleep(60)")
    command = ["-P", _start.__file__, os.getpid(), "run", "digits"]
    options = {"env": os.environ | {"PYTHONPATH": str(tmp_path)}, "preexec_fn": heed_ctrl_c}
    with started(*command, **options) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
    assert process.returncode == -signal.SIGINT


def test_the_commit_is_that_of_the_project(tmp_path, monkeypatch):
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    root = tmp_path / "project"
    (root / "notebooks" / "profiles").mkdir(parents=True)
    (root / "notebooks" / "a.md").touch()
    monkeypatch.chdir(root)
    assert commit() is None
    git("init")
    git("commit", "--allow-empty", "-m", "of a folder around, which knows nothing of the project")
    assert commit() is None
    git("add", ".")
    git("commit", "-m", "with the project")
    assert re.fullmatch(r"[0-9a-f]{40}", commit())
    (root / "notebooks" / "a.md").write_text("changed")
    assert commit().endswith("-dirty")


@pytest.mark.parametrize("name", ["größe", "a b", "a #b", "a: b", "it's", 'a"b', "{a}", "😀", "1"])
def test_a_path_of_any_name_reaches_snakemake(name):
    path = f"/some/{name}/{name}.yml"
    read = parse_config(config_arguments({"profile": path, "pending": [[name, 0]], "cores": 2}))
    assert read == {"profile": [path], "pending": [[name, "0"]], "cores": 2}


def test_one_run_at_a_time(tmp_path):
    with (
        one_at_a_time(tmp_path / ".run"),
        pytest.raises(click.ClickException, match="another run is using"),
        one_at_a_time(tmp_path / ".run"),
    ):
        pass
    with one_at_a_time(tmp_path / ".run"):
        pass


def test_pages_that_are_not_current_are_run_again(tmp_path):
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables" / "t.csv"
    table.write_text("1\n")
    now = {"profile_hash": "p", "notebook_hash": "n", "library_hash": "l"}
    records = {
        "good": {"tables": {"t.csv": checksum(table)}, "information": now},
        "bad": {"tables": {"t.csv": "0"}, "information": now},
        "gone": {"tables": {"u.csv": "0"}, "information": now},
        "old": {"tables": {}, "information": {"library_hash": "l"}},
    }
    records |= {
        name: {"tables": {}, "information": now | {name: "other"}}
        for name in ("profile_hash", "notebook_hash", "library_hash")
    }
    for page, record in records.items():
        (tmp_path / f"{page}.json").write_text(as_json(record))
    (tmp_path / "damaged.json").write_text("{")
    records["torn"] = records["good"]
    (tmp_path / "torn.json").write_text(as_json(records["torn"]))
    for page in records:
        nbformat.write(new_notebook(), tmp_path / f"{page}.ipynb")
    (tmp_path / "torn.ipynb").write_text('{"cells": [')
    pages = [*records, "damaged", "missing"]
    stale = stale_pages(tmp_path, dict.fromkeys(pages, now))
    assert set(stale) == set(pages) - {"good", "missing"}
    assert len(list(tmp_path.glob("*.json"))) == len(pages) - 1  # nothing is removed by looking


@pytest.fixture
def tiny():
    return load_profile(Path(__file__).with_name("tiny.yml"))


def test_hashes_tell_what_a_page_depends_on(tiny):
    pages = ["01_training", "02_clustering", "your_network"]
    before = source_hashes(tiny, pages)
    assert source_hashes(tiny, pages) == before

    def changed(profile):
        after = source_hashes(profile, pages)
        return [
            page for page in pages if after[page]["profile_hash"] != before[page]["profile_hash"]
        ]

    network = tiny.networks["mlp"].model_copy(update={"l2": 0.5})
    assert changed(tiny.model_copy(update={"networks": {"mlp": network}})) == pages[:2]
    assert changed(tiny.model_copy(update={"dtype": "float32"})) == pages
    assert changed(tiny.model_copy(update={"seeds": [1]})) == pages[:2]
    own = {"02_clustering": {"n_shuffles": 4}}
    assert changed(tiny.model_copy(update={"sections": own})) == pages[1:2]
    # what is published beside the pages, and which pages there are, says nothing about a page
    assert changed(tiny.model_copy(update={"published_networks": ["mlp"]})) == []
    assert changed(tiny.model_copy(update={"pages": pages[:1]})) == []


def test_an_edited_notebook_or_example_has_another_hash_whatever_its_date(
    tiny, tmp_path, monkeypatch
):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    pages = ["01_training", "your_network"]

    def notebook_hashes():
        return [hashes["notebook_hash"] for hashes in source_hashes(tiny, pages).values()]

    first, own = notebook_hashes()
    path = tmp_path / "notebooks" / "01_training.ipynb"
    path.write_bytes(path.read_bytes() + b"\n")
    os.utime(path, (1, 1))
    assert notebook_hashes()[0] != first
    assert notebook_hashes()[1] == own
    example = tmp_path / "notebooks" / "examples" / "digits_mlp.py"
    example.write_bytes(example.read_bytes() + b"\n")
    os.utime(example, (1, 1))
    assert notebook_hashes()[1] != own


DRY_RUN = """
import sys
from pathlib import Path
from localspec.cli._snakemake import Manner, snakemake

config, results = {"profile": sys.argv[1]}, Path(sys.argv[2])
assert snakemake("all", config, results, Manner(verbose=True), options=("--dry-run",))
"""


@pytest.mark.integration
def test_pages_without_a_marker_are_run_and_no_date_decides(tmp_path):
    profile, folder = tmp_path / "tiny.yml", tmp_path / "results" / "tiny"
    shutil.copy(Path(__file__).with_name("tiny.yml"), profile)
    folder.mkdir(parents=True)

    def pages_run() -> list[str]:
        done = python("-c", DRY_RUN, profile, folder.parent, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        said = done.stdout + done.stderr
        return sorted(set(re.findall(r"wildcards: page=(\w+)", said)))

    assert pages_run() == ["01_training", "02_clustering"]
    for page in ("01_training", "02_clustering"):
        for ending in ("json", "ipynb"):
            (folder / f"{page}.{ending}").touch()
    os.utime(folder / "02_clustering.json", (1, 1))  # older than the profile and the first page
    assert pages_run() == []
    (folder / "01_training.json").unlink()
    assert pages_run() == ["01_training"]


def test_passed_and_failed_cells_are_counted(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="7" failures="1" errors="1" skipped="2"/></testsuites>'
    )
    assert count(report) == (3, 2)
    assert not Outcome(3, 2, 1.0).good
    assert not Outcome(0, 0, 1.0).good
    assert Outcome(3, 0, 1.0).good
