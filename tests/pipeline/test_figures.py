"""Figures on disk: which files, the numbers in them, and the same bytes again."""

import hashlib
import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from localspec.exceptions import ArtifactError
from localspec.pipeline import annotated_heatmap, drawn_data, write_figure

ENDS = ("-narrow.svg", ".csv", ".pdf", ".svg")


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def figure():
    figure, axis = plt.subplots()
    axis.plot([0, 1], [2, 3.5], label="ours")
    yield figure
    plt.close(figure)


def rows(figure, kind):
    data = drawn_data(figure)
    return data.loc[data["kind"] == kind, ["label", "x", "y", "value"]].values.tolist()


def test_a_figure_is_written_with_its_data_and_recorded(results, figure, monkeypatch):
    record = results / "record"
    monkeypatch.setenv("LOCALSPEC_RECORD", str(record))
    write_figure(figure, "curves", profile="some/where/tiny.yml")
    folder = results / "tiny" / "figures"
    assert sorted(path.name for path in folder.iterdir()) == [f"curves{end}" for end in ENDS]
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert {line["figure"]: line["sha256"] for line in lines} == sums
    assert (folder / "curves.svg").read_text().startswith("<?xml")
    assert (folder / "curves.pdf").read_bytes().startswith(b"%PDF")
    table = pd.read_csv(folder / "curves.csv")
    drawn = table[["kind", "label", "x", "y"]].values.tolist()
    assert drawn == [["line", "ours", 0, 2], ["line", "ours", 1, 3.5]]


def test_a_job_of_a_single_network_writes_and_shows_no_figure(results, figure, monkeypatch):
    record = results / "record"
    monkeypatch.setenv("LOCALSPEC_RECORD", str(record))
    monkeypatch.setenv("LOCALSPEC_PAGES", str(results / "job"))
    write_figure(figure, "curves", profile="tiny")
    assert not plt.fignum_exists(figure.number)  # which a notebook would draw below its cell
    assert not record.exists()
    assert not list(results.iterdir())


def test_the_same_figure_gives_the_same_bytes(results, figure):
    contents = []
    for _ in range(2):
        write_figure(figure, "curves", profile="tiny")
        folder = results / "tiny" / "figures"
        contents.append([(folder / f"curves{end}").read_bytes() for end in ENDS])
    assert contents[0] == contents[1]


def test_a_folder_that_cannot_be_written_is_named(results, figure):
    (results / "tiny").write_text("a file")
    with pytest.raises(ArtifactError, match="tiny"):
        write_figure(figure, "curves", profile="tiny")


def test_points_bars_segments_and_named_ticks_are_data():
    figure, axis = plt.subplots()
    axis.scatter([1, 2], [3, 4], c=[0.5, 0.25], label="draws")
    axis.barh([0], [2.0], left=1.0)
    axis.hlines([7], [0], [2])
    axis.set_yticks([0, 1], ["conv1", "conv2"])
    nan = np.nan
    expected = {
        "points": [["draws", 1, 3, 0.5], ["draws", 2, 4, 0.25]],
        "bar": [["", 3, 0.4, nan]],
        "segments": [["", 0, 7, nan], ["", 2, 7, nan]],
        "y tick": [["conv1", nan, 0, nan], ["conv2", nan, 1, nan]],
    }
    for kind, values in expected.items():
        np.testing.assert_equal(rows(figure, kind), values)
    assert rows(figure, "x tick") == []  # numbers, which the positions are
    plt.close(figure)


def test_shared_axes_name_their_ticks_in_every_panel():
    figure, axes = plt.subplots(1, 2, sharey=True)
    for axis in axes:
        axis.barh([0, 1], [1, 2])
        axis.set_yticks([0, 1], ["a", "b"])
    assert [label for label, *_ in rows(figure, "y tick")] == ["a", "b"] * 2
    plt.close(figure)


def test_cells_of_a_heat_map_are_data_unless_they_are_too_many():
    figure, (left, right) = plt.subplots(1, 2)
    annotated_heatmap(left, [[1.0, np.nan]], [["a", ""]], limit=2)
    right.imshow(np.zeros((200, 200)))
    np.testing.assert_equal(rows(figure, "cell"), [["", 0, 0, 1], ["", 1, 0, np.nan]])
    plt.close(figure)
