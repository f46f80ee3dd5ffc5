"""The executed page as it is kept, and its record."""

import os
from pathlib import Path

import click
import nbformat
import pytest
from helpers.processes import python
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import localspec
from localspec.cli._page import in_declared_order, kernel_variables
from localspec.cli._stamp import summarise, tidy

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def source():
    cells = [
        new_markdown_cell("# Title", id="title"),
        new_code_cell("n: int = 6", id="defaults", metadata={"tags": ["parameters"]}),
        new_code_cell("work()", id="work"),
    ]
    return new_notebook(cells=cells, metadata={"kernelspec": dict(KERNEL)})


@pytest.fixture
def executed(source):
    """What papermill makes of `source`, with everything that differs from run to run."""
    cells = [
        new_markdown_cell(
            "# Title", id="title", metadata={"papermill": {"duration": 1}, "tags": []}
        ),
        new_code_cell(
            "n: int = 6", id="defaults", execution_count=1, metadata={"tags": ["parameters"]}
        ),
        new_code_cell("n = 8", id="drawn", execution_count=2),
        new_code_cell("work()", id="work", execution_count=3),
    ]
    cells[2].metadata.tags = ["injected-parameters"]
    cells[3].metadata = {"execution": {"iopub.status.busy": "now"}, "papermill": {}, "tags": []}
    cells[3].outputs = [
        new_output("stream", name="stderr", text="50 %"),
        new_output("stream", name="stdout", text="a\n"),
        new_output("stream", name="stderr", text="100 %"),
        new_output("stream", name="stdout", text="b\n"),
        new_output("display_data", data={WIDGET: {"model_id": "x"}, "text/plain": "bar"}),
        new_output("execute_result", data={"text/plain": "1", "text/html": "1"}, execution_count=3),
    ]
    metadata = {
        "kernelspec": dict(KERNEL),
        "language_info": {"name": "python", "version": "3.11.7"},
        "papermill": {"start_time": "now"},
        "jupytext": {"formats": "ipynb,md:myst"},
        "widgets": {"application/vnd.jupyter.widget-state+json": {}},
    }
    return new_notebook(cells=cells, metadata=metadata)


def test_metadata_that_changes_from_run_to_run_is_dropped(executed, source):
    page = tidy(executed, source)
    assert sorted(page.metadata) == ["kernelspec", "language_info"]
    assert page.metadata.language_info == {"name": "python"}
    assert [dict(page.cells[i].metadata) for i in (0, 3)] == [{}, {}]
    assert page.cells[1].metadata == {"tags": ["parameters"]}
    nbformat.validate(page)


def test_cells_keep_the_ids_of_the_source_and_the_injected_one_has_a_fixed_id(executed, source):
    ids = ["title", "defaults", "injected-parameters", "work"]
    assert [cell.id for cell in tidy(executed, source).cells] == ids


def test_the_injected_cell_is_folded(executed, source):
    assert tidy(executed, source).cells[2].metadata == {
        "tags": ["injected-parameters", "hide-input"],
        "mystnb": {"code_prompt_show": "Show the parameters of this run"},
    }


def test_outputs_are_joined_and_without_stderr_and_widgets(executed, source):
    stream, result = tidy(executed, source).cells[3].outputs
    assert (stream.name, stream.text) == ("stdout", "a\nb\n")
    assert list(result.data) == ["text/html", "text/plain"]


def test_tidying_changes_nothing_the_second_time_and_not_its_input(executed, source):
    before = nbformat.writes(executed)
    page = tidy(executed, source)
    assert nbformat.writes(executed) == before
    assert nbformat.writes(tidy(page, source)) == nbformat.writes(page)


def test_a_record_is_summarised_whatever_the_order_of_its_lines():
    lines = [
        {"stage": "training", "version": 1, "key": "b"},
        {"table": "t.csv", "sha256": "old"},
        {"stage": "training", "version": 1, "key": "a"},
        {"stage": "training", "version": 1, "key": "b"},
        {"table": "t.csv", "sha256": "new"},
        {"figure": "f.svg", "sha256": "s"},
        {"device": "cuda"},
    ]
    assert summarise(lines) == {
        "stages": {"training": {"version": 1, "keys": ["a", "b"]}},
        "tables": {"t.csv": "new"},
        "figures": {"f.svg": "s"},
        "device": "cuda",
    }
    assert summarise([]) == {"stages": {}, "tables": {}, "figures": {}, "device": "cpu"}


def test_parameters_that_the_notebook_lacks_are_refused(source):
    assert in_declared_order(source, {"n": 8}, "page") == {"n": 8}
    with pytest.raises(click.ClickException, match="no parameter typo"):
        in_declared_order(source, {"n": 8, "typo": 1}, "page")
    del source.cells[1]
    with pytest.raises(click.ClickException, match="no cell tagged 'parameters'"):
        in_declared_order(source, {}, "page")


def test_parameters_are_injected_in_the_notebooks_order(source):
    source.cells[1].source = "n: int = 6\nlevel: float = 0.05\nseeds: list = [0]"
    ordered = in_declared_order(source, {"seeds": [1], "n": 8}, "page")
    assert list(ordered.items()) == [("n", 8), ("seeds", [1])]


def test_a_page_runs_the_library_that_is_stamped(monkeypatch, tmp_path):
    other = tmp_path / "other" / "localspec"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    variables = kernel_variables(tmp_path / "results", tmp_path / "record", "auto")
    code = "import localspec; print(localspec.__file__)"
    done = python("-c", code, env=os.environ | variables, check=True)
    assert Path(done.stdout.strip()) == Path(localspec.__file__)
    assert variables["PYTHONPATH"].endswith(str(other.parent))
