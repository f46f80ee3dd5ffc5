"""Damaged folders: one clear sentence each, and no traceback."""

import shutil

import pytest
from click.testing import CliRunner

from localspec.cli import main
from localspec.cli._files import as_json
from localspec.cli._run import one_at_a_time
from localspec.cli._stamp import source_hashes
from localspec.pipeline import load_profile

PAGE = "01_training"


@pytest.fixture
def ran(project, tmp_path):
    """A project whose page was run; its folder for results lies beside it."""
    root = project({PAGE: "1 + 1"})
    folder = tmp_path / "results" / "small"
    folder.mkdir(parents=True)
    shutil.copy(root / "notebooks" / f"{PAGE}.ipynb", folder)
    about = source_hashes(load_profile("small"), [PAGE])[PAGE]
    record = {"page": PAGE, "parameters": {}, "stages": {}, "tables": {}, "information": about}
    (folder / f"{PAGE}.json").write_text(as_json(record))
    return root


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if not line.endswith(": running")]
    return line


def published(root):
    assert CliRunner().invoke(main, ["publish", "small"]).exit_code == 0
    return root / "book" / "runs" / "small"


@pytest.mark.parametrize("command", ["run", "train", "publish"])
def test_results_that_are_a_file(ran, tmp_path, command):
    shutil.rmtree(tmp_path / "results")
    (tmp_path / "results").touch()
    assert "is a file: set it to a folder" in refused(command, "small")


@pytest.mark.parametrize("command", ["run", "train"])
def test_results_that_cannot_be_written(ran, monkeypatch, command):
    monkeypatch.setenv("LOCALSPEC_RESULTS", "/proc/results")
    assert "/proc/results" in refused(command, "small")


def test_a_folder_in_the_place_of_a_record(ran, tmp_path):
    marker = tmp_path / "results" / "small" / f"{PAGE}.json"
    marker.unlink()
    marker.mkdir()
    assert "01_training.json is a folder, where the record of a page stands" in refused(
        "run", "small"
    )
    assert "has not been run" in refused("publish", "small")
    marker.rename(marker.with_suffix(".partial.ipynb"))  # where a page is executed
    assert "move away what is in the way" in refused("page", "small", PAGE)


def test_a_notebook_that_is_damaged(ran):
    (ran / "notebooks" / f"{PAGE}.ipynb").write_text("{")
    line = refused("run", "small")
    assert "notebooks/01_training.ipynb cannot be read as a notebook" in line
    assert line.endswith("make sync")
    assert "make sync" in refused("page", "small", PAGE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("01_training.ipynb", "its notebook is damaged; run the profile first"),
        ("01_training.json", "its record"),
    ],
)
def test_a_page_in_results_that_is_damaged(ran, tmp_path, name, words):
    (tmp_path / "results" / "small" / name).write_text('{"pages": []')
    assert words in refused("publish", "small")


def test_published_files_that_are_damaged(ran):
    folder = published(ran)
    for content in ('{"pages": []}', '{"pages": {"01_training": {}}}', "{"):
        (folder / "stamps.json").write_text(content)
        assert published(ran) == folder  # written anew
    (folder / f"{PAGE}.ipynb").write_text("[]")
    assert "small/01_training.ipynb cannot be read as a notebook" in refused("determinism", "small")
    shutil.rmtree(folder)
    folder.touch()
    assert "book/runs/small" in refused("publish", "small")
    shutil.rmtree(ran / "book")
    assert "no page of small is published" in refused("determinism", "small")
    assert "no book is built" in refused("serve")


def test_a_page_that_another_process_runs(ran, tmp_path):
    folder = tmp_path / "results" / "small"
    before = (folder / f"{PAGE}.json").read_bytes()
    with one_at_a_time(folder / f".{PAGE}"):
        assert "another run is using" in refused("page", "small", PAGE)
    assert (folder / f"{PAGE}.json").read_bytes() == before
