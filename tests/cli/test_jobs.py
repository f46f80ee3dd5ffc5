"""States of jobs, read while jobs write and remove files."""

import shutil
import threading

from localspec.cli._files import shown
from localspec.cli._jobs import kept_state, states


def test_states_are_read_while_jobs_remove_their_folders(tmp_path):
    with kept_state(tmp_path, "train/mlp/0"):
        pass
    ended = threading.Event()

    def come_and_go():
        while not ended.is_set():
            for number in range(20):
                (tmp_path / "page" / f"{number}.files" / "tables").mkdir(parents=True)
            for number in range(20):
                shutil.rmtree(tmp_path / "page" / f"{number}.files")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(300):
            assert states(tmp_path)["train/mlp/0"].status == "done"
    finally:
        ended.set()
        thread.join()


def test_a_path_is_shown_outside_of_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b") == str(tmp_path / "a" / "b")
