"""The stamps: a page that belies its own fails the build, an old one says so."""

import copy
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import run_stamps
from docutils import nodes
from helpers.pages import build_project

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = {"training": 1, "clustering": 4}
TABLE = "clusterability.csv"
CONTENT = b"network,n_cut\nmlp,4.25\n"
PARAMETERS = {"n_clusters": 6, "level": 0.05, "seeds": [0, 1], "compute": "auto", "flag": True}


def record(profile: str) -> dict:
    return {
        "page": "page",
        "profile": profile,
        "parameters": copy.deepcopy(PARAMETERS),
        "stages": {stage: {"version": v, "keys": ["ab"]} for stage, v in VERSIONS.items()},
        "tables": {TABLE: hashlib.sha256(CONTENT).hexdigest()},
        "information": {
            "commit": "c0ffee",
            "library_hash": "facade",
            "python": "3.11.7",
            "packages": {"torch": "2.13.0"},
            "platform": "Linux",
            "device": "cpu",
            "duration_s": 12.345,
        },
    }


def code(source: str, tags: list[str]) -> dict:
    return {
        "cell_type": "code",
        "id": tags[0],
        "metadata": {"tags": tags},
        "execution_count": 1,
        "outputs": [],
        "source": source,
    }


def notebook() -> dict:
    injected = "# Parameters\n" + "".join(f"{k} = {v!r}\n" for k, v in PARAMETERS.items())
    title = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# A page\n\nText."}
    cells = [title, code("n_clusters: int = 4", ["parameters"])]
    cells.append(code(injected, ["injected-parameters"]))
    metadata = {"kernelspec": {"name": "python3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


class Project:
    """A Sphinx project with one published page."""

    def __init__(self, folder: Path, profile: str) -> None:
        self.source, self.target = folder / "source", folder / "html"
        self.run = self.source / "book" / "runs" / profile
        (self.run / "tables").mkdir(parents=True)
        (self.run / "tables" / TABLE).write_bytes(CONTENT)
        index = "# Index\n\n```{toctree}\nbook/runs/" + profile + "/page\n```\n"
        (self.source / "index.md").write_text(index)
        self.notebook, self.record = notebook(), record(profile)

    def build(self) -> str:
        """Build the project and return the page."""
        (self.run / "page.ipynb").write_text(json.dumps(self.notebook))
        stamps = {"profile": self.run.name, "pages": {"page": self.record}}
        (self.run / "stamps.json").write_text(json.dumps(stamps))
        extensions = ["myst_nb", "run_stamps"]
        build_project(self.source, self.target, extensions=extensions, nb_execution_mode="off")
        return (self.target / "book" / "runs" / self.run.name / "page.html").read_text()


@pytest.fixture(autouse=True)
def versions(monkeypatch):
    """Stage versions of the library that do not move with it."""
    current = dict(VERSIONS)
    monkeypatch.setattr(run_stamps, "stage_versions", lambda: current)
    return current


@pytest.fixture
def digits(tmp_path):
    return Project(tmp_path, "digits")


@pytest.fixture
def other(tmp_path):
    return Project(tmp_path, "mnist")


def test_the_box_tells_how_the_page_was_computed(digits):
    page = digits.build()
    box = page[page.index('<details class="run-stamp">') :]
    told = ["c0ffee", "facade", "3.11.7", "2.13.0", "Linux", "cpu", "12.3 s", "digits"]
    told += ["clustering <code>version 4</code>", "n_clusters <code>6</code>", f"tables/{TABLE}"]
    assert [text for text in told if text not in box] == []
    assert "run-notice" not in page


def test_the_tables_are_beside_the_page(digits):
    digits.build()
    copied = digits.target / "book" / "runs" / "digits" / "tables" / TABLE
    assert copied.read_bytes() == CONTENT


def test_a_changed_number_in_a_table_fails_the_build(digits):
    (digits.run / "tables" / TABLE).write_bytes(CONTENT.replace(b"4.25", b"4.26"))
    with pytest.raises(run_stamps.StampError, match=f"`{TABLE}` was changed after the run"):
        digits.build()


def test_a_missing_table_fails_the_build(other):
    (other.run / "tables" / TABLE).unlink()
    with pytest.raises(run_stamps.StampError, match="not in tables/"):
        other.build()


@pytest.mark.parametrize(
    ("old", "new"), [("n_clusters = 6", "n_clusters = 8"), ("flag = True", "flag = 1")]
)
def test_a_changed_parameter_on_the_page_fails_the_build(digits, old, new):
    cell = digits.notebook["cells"][-1]
    assert old in cell["source"]
    cell["source"] = cell["source"].replace(old, new)
    with pytest.raises(run_stamps.StampError, match="on the page and"):
        digits.build()


def test_a_changed_parameter_in_the_stamp_fails_the_build(other):
    other.record["parameters"]["level"] = 0.01
    with pytest.raises(run_stamps.StampError, match=r"`level` is 0.05 on the page and 0.01"):
        other.build()


def test_a_parameter_that_only_the_stamp_has_fails_the_build(other):
    other.record["parameters"]["more"] = 1
    with pytest.raises(run_stamps.StampError, match="`more` is 'nothing' on the page"):
        other.build()


def test_a_digits_page_by_an_earlier_stage_fails_the_build(digits, versions):
    digits.record["stages"]["clustering"]["version"] = 3
    with pytest.raises(run_stamps.StampError, match="clustering version 3; the library now has 4"):
        digits.build()


def test_another_profiles_page_by_an_earlier_stage_says_so(other):
    other.record["stages"]["clustering"]["version"] = 3
    page = other.build()
    assert "computed with clustering version 3; the library now has 4" in page
    assert page.index("run-notice") < page.index("Text.")


def test_a_stage_that_no_longer_exists_is_told(other, versions):
    del versions["training"]
    assert "training version 1; the library no longer has it" in other.build()


def test_a_rebuild_notices_a_new_stage_version(other, versions):
    assert "run-notice" not in other.build()
    versions["clustering"] = 5
    assert "the library now has 5" in other.build()


def test_all_problems_are_told_at_once(digits):
    (digits.run / "tables" / TABLE).write_bytes(b"")
    digits.record["parameters"]["n_clusters"] = 7
    with pytest.raises(run_stamps.StampError) as caught:
        digits.build()
    assert TABLE in str(caught.value)
    assert "n_clusters" in str(caught.value)


def test_a_page_without_a_record_fails_the_build(digits):
    (digits.run / "second.ipynb").write_text(json.dumps(digits.notebook))
    with pytest.raises(run_stamps.StampError, match=r"second.ipynb: not in stamps.json"):
        digits.build()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "stamps.json is missing: publish the profile `digits` again"),
        ("{", "cannot be read as stamps"),
        ('{"pages": []}', "cannot be read as stamps"),
        ('{"pages": {"page": {"page": "page"}}}', "incomplete records: page"),
    ],
)
def test_stamps_that_are_missing_or_broken(tmp_path, content, message):
    folder = tmp_path / "digits"
    folder.mkdir()
    if content is not None:
        (folder / "stamps.json").write_text(content)
    with pytest.raises(run_stamps.StampError, match=message):
        run_stamps.read_stamps(folder)


def test_values_in_the_box_are_escaped():
    evil = record("digits")
    evil["information"]["platform"] = "<script>"
    evil["parameters"] = {"<b>": "</code>"}
    page = run_stamps.box(evil)
    assert "<script>" not in page
    assert "&lt;b&gt; <code>&quot;&lt;/code&gt;&quot;</code>" in page


def test_a_page_without_parameters_has_none_injected():
    assert run_stamps.injected_parameters({"cells": []}) == {}


def test_a_notice_reads_as_one_sentence():
    notice = run_stamps._notice(["computed with a version 1; the library now has 2"])
    paragraph = next(iter(notice.findall(nodes.paragraph))).astext()
    assert paragraph == "This page was computed with a version 1; the library now has 2."


@pytest.fixture
def sources(tmp_path) -> Path:
    """A copy of the whole book's sources, as they are in the tree."""
    copied = tmp_path / "copy"
    copied.mkdir()
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, copied)
    shutil.copytree(ROOT / "book", copied / "book")
    return copied


def test_a_changed_table_fails_the_build_of_the_book(build, sources, tmp_path):
    table = min((sources / "book" / "runs" / "digits" / "tables").glob("*.csv"))
    table.write_bytes(table.read_bytes() + b"9\n")
    done = build(sources, tmp_path / "out")
    assert done.returncode != 0
    assert f"table `{table.name}` was changed after the run" in done.stdout + done.stderr


def test_the_status_of_every_page(tmp_path):
    first, second = tmp_path / "digits", tmp_path / "paper"
    for folder in (first, second):
        (folder / "verified").mkdir(parents=True)
        stamps = {"pages": {"page": record(folder.name), "other": record(folder.name)}}
        (folder / "stamps.json").write_text(json.dumps(stamps))
    compared = [
        {"page": "page", "cells": 1200, "agree": 1199},
        {"page": "page", "cells": 34, "agree": 34},
    ]
    seen = {"date": "2026-01-02", "machine": "<M>, 2 cores", "compared": compared}
    (first / "verified" / "a.json").write_text(json.dumps(seen))
    titles = {"book/runs/digits/page": "A <title>"}
    table = run_stamps.status_table(tmp_path, VERSIONS, titles)
    rows = table.partition("<tbody>")[2].split("</tr>")[:-1]
    assert len(rows) == 4
    link = f'<a href="{tmp_path.name}/digits/page.html">A &lt;title&gt;</a>'
    assert f"{link} <code>digits/page</code>" in rows[0]
    assert f'<a href="{tmp_path.name}/paper/other.html">other</a>' in rows[3]
    assert "<td>current</td>" in rows[0]
    assert "2026-01-02, &lt;M&gt;, 2 cores: 1,233 of 1,234 values" in rows[0]
    assert [row for row in rows[1:] if "1,234" in row] == []
    assert "<td>(not recorded)</td><td>Linux (not recorded)</td>" in rows[0]
    older = run_stamps.status_table(tmp_path, VERSIONS | {"training": 2}, titles)
    assert "computed with training version 1; the library now has 2" in older


def test_a_commit_is_short_and_says_if_something_was_changed():
    assert run_stamps.short_commit("58b2f41f2b207520") == "58b2f41f"
    assert run_stamps.short_commit("58b2f41f2b207520-dirty") == "58b2f41f-dirty"
