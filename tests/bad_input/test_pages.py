"""A wrong parameter ends a page in its first cells, and a wrong profile a run before any page."""

import subprocess
import sys
from pathlib import Path

import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("page", "parameters", "words"),
    [
        ("02_clustering", {"n_clusters": 193}, ["n_clusters = 193", "'mlp' has 192 units"]),
        ("your_network", {"network_file": "mine.py"}, ["there is no file", "mine.py"]),
    ],
)
def test_the_page_fails_where_its_parameters_are_read(tmp_path, page, parameters, words):
    with pytest.raises(PapermillExecutionError) as caught:
        papermill.execute_notebook(
            ROOT / "notebooks" / f"{page}.ipynb",
            tmp_path / "page.ipynb",
            parameters=parameters,
            cwd=ROOT,
            progress_bar=False,
        )
    error = caught.value
    assert error.ename == "InvalidInputError"
    assert [word for word in words if word not in error.evalue] == [], error.evalue
    assert error.exec_count <= 4  # imports, parameters, injected parameters, their use


@pytest.mark.parametrize(
    ("tool", "profile", "words"),
    [
        ("run.py", "digit", ["profile='digit' is not known", "'digits'"]),
        ("run.py", "my/own.yml", ["'my/own.yml' is not a profile's name", "notebooks/profiles"]),
        ("run_page.py", "digit", ["cannot read the profile", "digit.yml", "No such file"]),
    ],
)
def test_a_run_of_no_profile_says_so_in_one_line(tool, profile, words):
    page = ["02_clustering"] if tool == "run_page.py" else []
    done = subprocess.run(
        [sys.executable, f"tools/{tool}", profile, *page], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert [word for word in words if word not in done.stderr] == [], done.stderr


def test_a_page_that_is_not_there():
    command = [sys.executable, "tools/run_page.py", "digits", "09_more"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "page='09_more' is not known; choose one of '01_training'" in done.stderr
