"""The Makefile: installing, notebooks and what stands in its variables."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make on the path")
INSTALLED = ("Makefile", "requirements.lock", "requirements-torch.txt", "pyproject.toml")
TARGETS = (
    "book",
    "site",
    "links",
    "test",
    "run",
    "report",
    "train",
    "publish",
    "serve",
    "lab",
    "bench",
    "lint",
    "sync",
    "lock",
    "clean",
    "help",
)
# a Python that notes what it is asked for, makes a copy of itself, and fails where FAILS says
PYTHON = """\
#!/bin/sh
echo "$@" >> "$LOG"
case "$*" in
    *"$FAILS"*) exit 1 ;;
    *venv*) rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
esac
"""


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    outside = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    environment = {name: text for name, text in os.environ.items() if name not in outside}
    return subprocess.run(
        ["make", "--silent", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def clone(tmp_path):
    """A clone with a Python that installs nothing."""
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in INSTALLED:
        shutil.copy2(ROOT / name, clone / name)
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return clone


def asked(clone: Path, *arguments: str, fails: str = "nothing") -> tuple[int, list[str], str]:
    """Return how make ended, what it asked of Python, and what it printed."""
    log = clone.parent / "log"
    log.write_text("")
    python = f"PYTHON={clone.parent / 'python'}"
    done = make(clone, python, *arguments, LOG=str(log), FAILS=fails)
    return done.returncode, log.read_text().splitlines(), done.stdout + done.stderr


VENV = "-m venv --clear .venv"
LOCKED = "-m pip install --quiet --no-deps --require-hashes -r requirements.lock"
PYTORCH = "-m pip install --quiet -r requirements-torch.txt"
PROJECT = "-m pip install --quiet --no-deps --no-build-isolation -e ."
TESTS = "-m pytest -n 3 --dist loadfile"


def test_an_interrupted_installation_is_started_anew(clone):
    installed = [VENV, LOCKED, PYTORCH, PROJECT]
    for n_steps, fails in enumerate(installed[1:], start=2):
        code, commands, _ = asked(clone, "test", fails=fails)
        assert (code, commands) == (2, installed[:n_steps])
    code, commands, said = asked(clone, "test")
    assert (code, commands) == (0, [*installed, TESTS])
    assert "several GB" in said
    assert "PIP_EXTRA_INDEX_URL" in said
    assert asked(clone, "test") == (0, [TESTS], "")


def test_a_new_lock_is_installed(clone):
    asked(clone, "test")
    os.utime(clone / ".venv" / ".installed", (1, 1))
    assert asked(clone, "test")[1] == [VENV, LOCKED, PYTORCH, PROJECT, TESTS]


def test_without_python_one_line_says_what_to_do(clone):
    done = make(clone, "test", "PYTHON=")
    assert done.returncode == 2
    assert done.stderr.startswith("Python 3.11 or newer is needed: install it, or name it with")


def test_the_shell_runs_nothing_that_stands_in_a_variable(clone):
    asked(clone, "test")
    evil = '"; touch evil; $(touch evil) `touch evil`'
    words = [("run", "PROFILE"), ("run", "JOBS"), ("run", "WORKFLOW"), ("report", "PROFILE")]
    words += [("train", "CORES"), ("publish", "PAGES"), ("serve", "PORT")]
    for target, variable in words:
        code, (command,), _ = asked(clone, target, f"{variable}={evil.replace('$', '$$')}")
        assert code == 0
        assert evil in command
    asked(clone, "test", f"CORES={evil.replace('$', '$$')}")
    os.utime(clone / ".venv" / ".installed", (1, 1))
    assert make(clone, "test", f"PYTHON={evil.replace('$', '$$')}").returncode == 2
    assert not (clone / "evil").exists()


@pytest.mark.parametrize("cores", ["0", "-1", "two", "2; touch x", "", "02", "1.5"])
def test_cores_that_are_no_number_are_refused_in_one_line(clone, cores):
    asked(clone, "test")
    code, commands, said = asked(clone, "test", f"CORES={cores}")
    assert (code, commands) == (2, [])
    first = said.splitlines()[0]
    assert first == f"CORES={cores!r} is not allowed: give a whole number from 1 on"
    assert not (clone / "x").exists()


def test_what_looks_like_an_option_is_none(clone):
    asked(clone, "test")
    for target in ("run", "train", "publish"):
        (command,) = asked(clone, target, "PROFILE=--help")[1]
        assert command.endswith(" -- --help")


def test_lint_without_git_says_so(clone):
    asked(clone, "test")
    code, commands, said = asked(clone, "lint", "GIT_DIR=/nowhere")
    assert code == 2
    assert not any("ruff" in command for command in commands)
    assert "lint compares the notebooks with git's index: run it in a clone" in said


def test_pages_are_words(clone):
    asked(clone, "test")
    (command,) = asked(clone, "publish", "PAGES=01_training 02_clustering *")[1]
    assert command == "-m localspec.cli publish -- digits 01_training 02_clustering *"


def test_make_without_a_target_lists_the_targets():
    done = make(ROOT)
    for target in TARGETS:
        assert f"make {target} " in done.stdout


def test_the_continuous_integration_script_is_sound():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.fixture
def synced(tmp_path):
    """Function that runs `make sync` in a copy of the notebooks; returns the copy's folder."""
    for name in (*INSTALLED, "jupytext.toml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")

    def sync() -> Path:
        done = make(tmp_path, "--old-file=.venv/.installed", "sync")
        assert done.returncode == 0, done.stdout + done.stderr
        return tmp_path / "notebooks"

    return sync


def test_every_notebook_has_a_source():
    sources = {path.stem for path in NOTEBOOKS.glob("*.md")}
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == sources


def test_the_notebooks_are_what_sync_writes(synced):
    folder = synced()
    for path in NOTEBOOKS.glob("*.ipynb"):
        assert (folder / path.name).read_bytes() == path.read_bytes(), f"{path.name}: make sync"


def test_an_edited_source_keeps_ids_and_tags_and_outputs_are_stripped(synced, tmp_path):
    folder = tmp_path / "notebooks"
    source, target = folder / "01_training.md", folder / "01_training.ipynb"
    before = nbformat.read(target, as_version=4)
    edited, *_, last = (cell for cell in before.cells if cell.cell_type == "code")
    content = source.read_text(encoding="utf-8")
    source.write_text(content.replace(edited.source, edited.source + "\n1 + 1"), encoding="utf-8")
    last.execution_count = 3
    last.outputs = [new_output("execute_result", data={"text/plain": "7"}, execution_count=3)]
    nbformat.write(before, target)
    synced()
    after = nbformat.read(target, as_version=4)
    changed = [cell.source.endswith("\n1 + 1") for cell in after.cells]
    assert sum(changed) == 1
    for old, new, is_changed in zip(before.cells, after.cells, changed, strict=True):
        assert old.id == new.id or is_changed
        assert old.metadata == new.metadata
        assert not new.get("outputs")
        assert not new.get("execution_count")
    assert ["parameters"] in [cell.metadata.get("tags") for cell in after.cells]
