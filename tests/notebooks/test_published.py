"""The published digits pages: recomputed from nothing, and sensitive to any change."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.processes import python

pytestmark = pytest.mark.notebook
ROOT = Path(__file__).resolve().parents[2]
COPIED = ("lib", "notebooks", "book/runs/digits", "tests/golden", "pyproject.toml")


def _run(tree: Path, *command: str, **variables: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(tree / "lib"), **variables}
    return python("-m", *command, cwd=tree, env=environment)


def _nbval(tree: Path, page: str, results: Path) -> subprocess.CompletedProcess:
    plugins = ["--nbval", "--nbval-current-env", "-p", "localspec.cli._determinism"]
    command = ["pytest", "-q", *plugins, "-p", "no:cacheprovider"]
    return _run(tree, *command, f"book/runs/digits/{page}.ipynb", LOCALSPEC_RESULTS=str(results))


def _copy(folder: Path) -> Path:
    copy = folder / "tree"
    for name in COPIED:
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        copied = shutil.copytree if source.is_dir() else shutil.copy
        copied(source, target, **({"ignore": ignored} if source.is_dir() else {}))
    return copy


@pytest.fixture
def tree(tmp_path) -> Path:
    return _copy(tmp_path)


@pytest.fixture(scope="module")
def changed_page(tmp_path_factory) -> tuple[subprocess.CompletedProcess, Path]:
    """A new run of the page of training compared with one in which a number is changed; results."""
    tree, results = _copy(tmp_path_factory.mktemp("changed")), tmp_path_factory.mktemp("results")
    page = tree / "book" / "runs" / "digits" / "01_training.ipynb"
    content = page.read_text(encoding="utf-8")
    number = re.search(r"<td>(0\.9\d+)</td>", content).group(1)
    page.write_text(content.replace(number, "0.9001"), encoding="utf-8")
    return _nbval(tree, "01_training", results), results


@pytest.fixture
def results(changed_page, tmp_path) -> Path:
    """A folder for results that holds trained networks."""
    return shutil.copytree(changed_page[1], tmp_path / "results")


def test_pages_are_recomputed_to_the_same_numbers():
    done = python("-m", "localspec.cli", "determinism", "--setting", "together", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_number_changed_in_a_stored_page_fails(changed_page):
    done, _ = changed_page
    assert done.returncode == 1, done.stdout + done.stderr
    assert "0.9001" in done.stdout


def test_a_broken_formula_fails_the_page_and_the_golden_test(tree, results):
    module = tree / "lib" / "localspec" / "clustering" / "_spectral.py"
    content = module.read_text(encoding="utf-8")
    broken = content.replace("cut / (volume + VOLUME_EPSILON)", "cut / (volume + 1)")
    assert broken != content
    module.write_text(broken, encoding="utf-8")
    done = _nbval(tree, "02_clustering", results)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Cell outputs differ" in done.stdout
    assert "clusterability_table" in done.stdout
    golden = _run(tree, "pytest", "-q", "-p", "no:cacheprovider", "tests/golden")
    assert golden.returncode == 1, golden.stdout
    assert "the values of stage 'clusterability' changed" in golden.stdout


def test_a_notebook_runs_alone_with_other_parameters(tree, results):
    command = ("papermill", "notebooks/03_importance.ipynb", "out.ipynb", "-p", "n_clusters", "8")
    done = _run(tree, *command, LOCALSPEC_RESULTS=str(results))
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((tree / "out.ipynb").read_text(encoding="utf-8"))["cells"]
    assert "n_clusters = 8" in "".join(line for cell in cells for line in cell["source"])
    assert (results / "digits" / "tables" / "importance_tests.csv").is_file()
