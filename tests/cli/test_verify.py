"""Verification: which parts are drawn, how tables are compared, and what is recorded."""

import json

import click
import pandas as pd
import pytest
from click.testing import CliRunner

from localspec.cli import _verify, main
from localspec.cli._verify import chosen_parts, compare, digits_agreed, parts
from localspec.exceptions import InvalidInputError

TABLE = "network,seed,effect\nmlp,0,1.25\nmlp,1,0.5\ncnn,0,2\n"


@pytest.mark.parametrize(
    ("published", "computed", "digits"),
    [
        ("1.234", "1.234", 4),
        ("1.234", "1.235", 3),
        ("1.234", "1.24", 2),
        ("1.234", "-1.234", 0),
        ("0", "1e-12", 0),
        ("0", "-0", 4),
        ("1e+04", "10000", 4),
        ("1e-05", "1.001e-05", 3),
        ("", "1", 0),
        ("inf", "1", 0),
        ("holds", "differs", 0),
        ("", "", 4),
    ],
)
def test_digits_to_which_two_numbers_agree(published, computed, digits):
    assert digits_agreed(published, computed) == digits


def test_tables_are_compared_cell_by_cell():
    before = pd.DataFrame({"a": ["1", "2"], "b": ["x", "3.001"]})
    assert compare(before, before) == {"cells": 4, "agree": 4, "digits": 4}
    after = before.assign(b=["x", "3.002"])
    assert compare(before, after) == {"cells": 4, "agree": 3, "digits": 3}
    for other in (before.iloc[:1], before[["b", "a"]], before.rename(columns={"a": "c"})):
        assert compare(before, other) == {"cells": 4, "agree": 0, "digits": 0}


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A published page of digits with one table of networks and one of all of them together."""
    folder = tmp_path / "book" / "runs" / "digits"
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "effects.csv").write_text(TABLE)
    (folder / "tables" / "all.csv").write_text("claim,p\nC1,0.5\n")
    record = {"page": "03_importance", "parameters": {"n_draws": 19}, "tables": {}}
    record["tables"] = {"effects.csv": "", "all.csv": ""}
    (folder / "stamps.json").write_text(json.dumps({"pages": {"03_importance": record}}))
    monkeypatch.setattr(_verify, "project_root", lambda: tmp_path)
    return folder


@pytest.fixture
def computed(monkeypatch):
    """Stand in for the run of a page: it notes its parameters and writes these tables."""
    run = {"parameters": [], "effects.csv": TABLE, "all.csv": "claim,p\nC1,0.5\n"}

    def run_page(profile, page, results, state, *, parameters):
        run["parameters"].append(parameters)
        folder = results / profile.name / "tables"
        folder.mkdir(parents=True)
        for name in ("effects.csv", "all.csv"):
            (folder / name).write_text(run[name])

    monkeypatch.setattr(_verify, "run_page", run_page)
    return run


def verify(*arguments):
    return CliRunner().invoke(main, ["verify", "digits", *arguments])


def test_parts_are_the_networks_and_seeds_of_a_page(published):
    record = {"tables": {"effects.csv": "", "all.csv": ""}}
    assert parts(record, published / "tables") == [("mlp", 0), ("mlp", 1), ("cnn", 0)]
    stamps = {"a": record, "b": {"tables": {"all.csv": ""}}}
    drawn = chosen_parts(stamps, published / "tables", 2, 0)
    assert len({*drawn}) == 2
    assert drawn == chosen_parts(stamps, published / "tables", 2, 0)
    assert len(chosen_parts(stamps, published / "tables", 9, 0)) == 3
    with pytest.raises(InvalidInputError, match="use --page"):
        chosen_parts({"b": stamps["b"]}, published / "tables", 2, 0)


def test_a_part_is_compared_with_its_own_rows(published, computed):
    computed["effects.csv"] = "network,seed,effect\nmlp,1,0.5\n"
    seed = next(
        seed
        for seed in range(100)
        if chosen_parts(
            {"03_importance": {"tables": {"effects.csv": ""}}}, published / "tables", 1, seed
        )
        == [("03_importance", ("mlp", 1))]
    )
    done = verify("--parts", "1", "--seed", str(seed))
    assert done.exit_code == 0, done.output
    assert computed["parameters"] == [{"n_draws": 19, "networks": ["mlp"], "seeds": [1]}]
    assert done.output.split()[-7:] == ["03_importance", "mlp", "1", "effects.csv", "3", "3", "4"]


def test_a_whole_page_and_its_record(published, computed):
    done = verify("--page", "03_importance", "--record")
    assert done.exit_code == 0, done.output
    assert computed["parameters"] == [{"n_draws": 19}]
    (path,) = (published / "verified").iterdir()
    record = json.loads(path.read_text())
    assert {"commit", "date", "machine", "packages", "python"} <= {*record}
    compared = [(row["table"], row["cells"], row["agree"]) for row in record["compared"]]
    assert compared == [("all.csv", 2, 2), ("effects.csv", 9, 9)]


def test_another_number_ends_with_status_1(published, computed):
    computed["all.csv"] = "claim,p\nC1,0.5001\n"
    done = verify("--page", "03_importance")
    assert done.exit_code == 1
    assert "all.csv" in done.output


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"pages": []}', '{"pages": {"03_importance": {}}}']
)
def test_damaged_stamps_are_named(published, content):
    (published / "stamps.json").write_text(content)
    done = verify()
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert "stamps.json cannot be read: restore it" in done.stderr


@pytest.mark.parametrize("content", [None, "", "a,b\n1,2,3\n1,2,3,4\n"])
def test_a_damaged_table_is_named(published, computed, content):
    path = published / "tables" / "effects.csv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    for arguments in ((), ("--page", "03_importance")):
        done = verify(*arguments)
        assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert "effects.csv cannot be read" in done.stderr
        assert "restore it with git" in done.stderr
    assert computed["parameters"] == []  # before anything is computed


def test_a_row_of_no_single_network_is_no_part(published):
    (published / "tables" / "effects.csv").write_text(TABLE + "mlp,all,1\n")
    assert len(parts({"tables": {"effects.csv": ""}}, published / "tables")) == 3


def test_a_table_that_is_no_longer_written_agrees_nowhere(published, computed, monkeypatch):
    run_page = _verify.run_page

    def without_one(profile, page, results, state, *, parameters):
        run_page(profile, page, results, state, parameters=parameters)
        (results / profile.name / "tables" / "all.csv").unlink()

    monkeypatch.setattr(_verify, "run_page", without_one)
    done = verify("--page", "03_importance")
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.output.splitlines()[1].split()[-4:] == ["all.csv", "2", "0", "0"]


def test_a_table_that_has_lost_its_columns_agrees_nowhere(published, computed):
    computed["effects.csv"] = "replicate,effect\n0,1\n"
    done = verify("--parts", "1")
    assert (done.exit_code, done.stderr) == (1, "")
    assert done.output.split()[-2:] == ["0", "0"]


def test_a_page_that_fails_names_no_file_that_is_deleted(published, monkeypatch):
    def run_page(profile, page, results, state, *, parameters):
        state.line = "cell [3] failed with NameError: name 'x' is not defined"
        raise click.ClickException(f"{page}: {state.line}\n  the notebook up to there: {results}")

    monkeypatch.setattr(_verify, "run_page", run_page)
    done = verify("--page", "03_importance")
    assert done.exit_code == 1
    words = "Error: 03_importance: cell [3] failed with NameError: name 'x' is not defined\n"
    assert done.stderr == words


def test_a_page_without_tables(published):
    record = {"page": "12_gallery", "parameters": {}, "tables": {}}
    (published / "stamps.json").write_text(json.dumps({"pages": {"12_gallery": record}}))
    done = verify("--page", "12_gallery")
    assert done.exit_code == 1
    assert "12_gallery of digits has no table" in done.stderr
    assert "use --page" not in done.stderr


def test_a_profile_that_was_never_published(published):
    (published / "stamps.json").unlink()
    assert "make run PROFILE=digits, then make publish PROFILE=digits" in verify().stderr
