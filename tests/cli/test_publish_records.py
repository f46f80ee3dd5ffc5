"""Stamps, tables and refusals of a publication."""

import gzip
import json

import click
import nbformat
import pytest
from safetensors.torch import load_file

from localspec.cli._files import as_json, checksum
from localspec.cli._publish import publish_networks, publish_pages
from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.pipeline import Profile, Replicate

PROFILE = "toy"
HASHES = {"profile_hash": "p", "notebook_hash": "n", "library_hash": "l"}


@pytest.fixture
def run_of(tmp_path, notebook_with, picture):
    """Function that leaves the results of a page as a run does."""

    def make(
        page: str,
        table: str = "a,b\n1,2\n",
        *,
        commit: str = "first",
        name: str = "",
        figures: dict[str, bytes] | None = None,
    ):
        folder = tmp_path / "results" / PROFILE
        (folder / "tables").mkdir(parents=True, exist_ok=True)
        path = folder / "tables" / (name or f"{page}.csv")
        path.write_text(table, encoding="utf-8")
        (folder / "figures").mkdir(exist_ok=True)
        for figure, content in (figures or {}).items():
            (folder / "figures" / figure).write_bytes(content)
        nbformat.write(notebook_with(picture()), folder / f"{page}.ipynb")
        written = dict.fromkeys(figures or {}, "")
        record = {
            "page": page,
            "profile": PROFILE,
            "parameters": {"n_clusters": 6},
            "stages": {"training": {"version": 1, "keys": ["k"]}},
            "tables": {path.name: checksum(path)},
            "information": {"commit": commit, "figures": written, **HASHES},
        }
        (folder / f"{page}.json").write_text(as_json(record), encoding="utf-8")

    return make


@pytest.fixture
def published(tmp_path):
    """Function that publishes pages and returns the folder."""

    def make(*pages: str, chosen: list[str] | None = None, **changed: str):
        present = dict.fromkeys(pages, HASHES | changed)
        publish_pages(PROFILE, present, tmp_path / "results", tmp_path / "runs", chosen)
        return tmp_path / "runs" / PROFILE

    return make


def commits(folder):
    pages = json.loads((folder / "stamps.json").read_text(encoding="utf-8"))["pages"]
    return {page: record["information"]["commit"] for page, record in pages.items()}


def test_pages_tables_and_stamps_are_published(run_of, published):
    run_of("one")
    folder = published("one")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert names == ["one.ipynb", "stamps.json", "tables/one.csv"]
    assert (
        (folder / "stamps.json").read_text(encoding="utf-8").startswith('{\n "pages": {\n  "one"')
    )


def figures_of(folder):
    """Return the published files of figures, and the checksums that the stamps have of them."""
    pages = json.loads((folder / "stamps.json").read_text(encoding="utf-8"))["pages"]
    stamped = {}
    for record in pages.values():
        stamped |= record["information"]["figures"]
    files = {path.name: path.read_bytes() for path in (folder / "figures").glob("*")}
    assert stamped == {name: checksum(folder / "figures" / name) for name in files}
    return files


def test_figures_are_published_without_pdf_and_long_data_compressed(run_of, published):
    long = b"x,y\n" + b"1,2\n" * 30_000
    figures = {"a.svg": b"<svg/>", "a.pdf": b"%PDF", "a.csv": b"x,y\n", "b.csv": long}
    run_of("one", figures=figures)
    files = figures_of(published("one"))
    assert files.keys() == {"a.svg", "a.csv", "b.csv.gz"}
    assert (files["a.svg"], files["a.csv"]) == (b"<svg/>", b"x,y\n")
    assert gzip.decompress(files["b.csv.gz"]) == long


def test_figures_of_a_page_that_did_not_change_stay(run_of, published, tmp_path):
    run_of("one", figures={"a.svg": b"first", "b.svg": b"first"})
    run_of("two", figures={"c.svg": b"first"})
    folder = published("one", "two")
    run_of("one", figures={"a.svg": b"second", "d.svg": b"second"})
    run_of("two", figures={"c.svg": b"second"})
    page = tmp_path / "results" / PROFILE / "two.ipynb"
    page.write_text(page.read_text(encoding="utf-8").replace("plot()", "plot(2)"))
    published("one", "two")
    assert figures_of(folder) == {"a.svg": b"first", "c.svg": b"second", "d.svg": b"second"}


def test_two_pages_cannot_write_one_figure(run_of, published):
    run_of("one", figures={"a.svg": b""})
    run_of("two", figures={"a.svg": b""})
    with pytest.raises(click.ClickException, match=r"two and one both write the figure a\.svg"):
        published("one", "two")


def test_information_stays_where_nothing_else_changed(run_of, published):
    run_of("one")
    run_of("two")
    folder = published("one", "two")
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    run_of("one", commit="second")
    run_of("two", commit="second")
    published("one", "two")
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    run_of("two", "a,b\n1,3\n", commit="third")
    assert commits(published("one", "two")) == {"one": "first", "two": "third"}


def test_a_page_that_looks_different_says_which_run_made_it(run_of, published, tmp_path):
    run_of("one")
    published("one")
    run_of("one", commit="second")
    page = tmp_path / "results" / PROFILE / "one.ipynb"
    page.write_text(page.read_text(encoding="utf-8").replace("plot()", "plot(2)"))
    assert commits(published("one")) == {"one": "second"}


def test_what_no_longer_exists_is_removed_and_networks_stay(run_of, published):
    run_of("one")
    run_of("two")
    network = published("one", "two") / "networks" / "mlp.safetensors"
    network.parent.mkdir()
    network.touch()
    folder = published("one")
    assert not (folder / "two.ipynb").exists()
    assert not (folder / "tables" / "two.csv").exists()
    assert list(commits(folder)) == ["one"]
    assert network.exists()


def test_chosen_pages_leave_the_others_as_they_were(run_of, published, tmp_path):
    run_of("one")
    run_of("two")
    folder = published("one", "two")
    for page in ("one", "two"):
        run_of(page, "a,b\n3,4\n", commit="second")
    published("one", "two", "never", chosen=["two"])
    assert commits(folder) == {"one": "first", "two": "second"}
    assert (folder / "tables" / "one.csv").read_text() == "a,b\n1,2\n"
    assert (folder / "tables" / "two.csv").read_text() == "a,b\n3,4\n"
    assert sorted(path.stem for path in folder.glob("*.ipynb")) == ["one", "two"]


@pytest.mark.parametrize("stamps", [None, "<<<<<<< HEAD"])
def test_without_stamps_no_page_is_chosen(run_of, published, stamps):
    run_of("one")
    run_of("two")
    folder = published("one", "two")
    if stamps is None:
        (folder / "stamps.json").unlink()
    else:
        (folder / "stamps.json").write_text(stamps)
    with pytest.raises(click.ClickException, match="no record of one"):
        published("one", "two", chosen=["two"])
    assert (folder / "one.ipynb").exists()
    assert (folder / "tables" / "one.csv").exists()


def test_a_chosen_page_must_not_write_the_table_of_another(run_of, published):
    run_of("one")
    folder = published("one", "two", chosen=["one"])
    run_of("two", name="one.csv")
    with pytest.raises(click.ClickException, match=r"(one and two|two and one) both write"):
        published("one", "two", chosen=["two"])
    assert not (folder / "two.ipynb").exists()


def test_a_page_without_a_marker_is_refused(run_of, published, tmp_path):
    run_of("one")
    (tmp_path / "results" / PROFILE / "one.json").unlink()
    with pytest.raises(click.ClickException, match="one has not been run"):
        published("one")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", ["a,b\n1,3\n", None])
def test_a_table_that_is_not_the_runs_is_refused(run_of, published, tmp_path, content):
    run_of("one")
    table = tmp_path / "results" / PROFILE / "tables" / "one.csv"
    table.write_text(content) if content else table.unlink()
    with pytest.raises(click.ClickException, match=r"^one: table one\.csv .*make run.*$"):
        published("one")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"profile_hash": "q"}, "the profile's entry changed after the run"),
        ({"notebook_hash": "m"}, "the notebook changed after the run"),
        (
            {"library_hash": "k", "notebook_hash": "m"},
            "the notebook and the library changed after the run",
        ),
    ],
)
def test_a_page_of_another_profile_notebook_or_library_is_refused(
    run_of, published, tmp_path, changed, words
):
    run_of("one")
    with pytest.raises(click.ClickException, match=f"^one: {words}; run .*make run PROFILE=toy"):
        published("one", **changed)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"information": 3}', "{}"])
def test_a_record_that_is_none_is_refused(run_of, published, tmp_path, content):
    run_of("one")
    (tmp_path / "results" / PROFILE / "one.json").write_text(content)
    with pytest.raises(click.ClickException, match=r"^one: .*make run"):
        published("one")


@pytest.mark.parametrize("folder", ["results", "runs"])
def test_nothing_is_published_through_a_link_to_elsewhere(run_of, published, tmp_path, folder):
    run_of("one")
    other = tmp_path / "other"
    (tmp_path / "runs").mkdir()
    if folder == "results":
        (tmp_path / folder / PROFILE).rename(other)
    else:
        other.mkdir()
        (other / "mine.ipynb").touch()
    before = sorted(other.rglob("*"))
    (tmp_path / folder / PROFILE).symlink_to(other)
    with pytest.raises(InvalidInputError, match="lies outside of"):
        published("one")
    assert sorted(other.rglob("*")) == before


def test_a_table_is_published_among_tables(run_of, published, tmp_path):
    run_of("one")
    marker = tmp_path / "results" / PROFILE / "one.json"
    outside = tmp_path / "results" / "evil.csv"
    outside.write_text("1\n")
    record = json.loads(marker.read_text())
    record["tables"] = {"../../evil.csv": checksum(outside)}
    marker.write_text(as_json(record))
    with pytest.raises(InvalidInputError, match="lies outside of"):
        published("one")
    assert not (tmp_path / "runs" / "evil.csv").exists()


def test_two_pages_with_one_table_are_refused(run_of, published):
    run_of("one", name="same.csv")
    run_of("two", name="same.csv")
    with pytest.raises(click.ClickException, match=r"both write the table same\.csv"):
        published("one", "two")


def test_networks_are_published_under_their_names(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    network = {"dataset": "digits", "hidden": [4], "n_epochs": 1}
    profile = Profile(
        name="toy",
        dtype="float64",
        device="cpu",
        seeds=[0, 1],
        networks={"shown": network, "other": {**network, "hidden": [5]}},
        method={"n_clusters": 2},
        published_networks=["shown"],
    )
    first = Replicate(profile, "shown", 0, progress=False)
    weight = first.trained.module[1].weight
    _ = Replicate(profile, "other", 0, progress=False).trained
    folder = tmp_path / "runs" / "toy" / "networks"
    folder.mkdir(parents=True)
    (folder / "gone.safetensors").touch()
    # seed 1 is not trained, the other network is not named, and what was there before goes
    (path,) = publish_networks(profile, tmp_path / "runs")
    assert path.name == "shown-seed0.safetensors"
    stored = load_file(path)
    assert (stored["weights.dense1.weight"] == weight).all()
    content = bytearray(first.stored_path.read_bytes())
    content[-1] ^= 1
    first.stored_path.write_bytes(content)
    with pytest.raises(ArtifactError, match="is damaged"):
        publish_networks(profile, tmp_path / "runs")
    assert path.read_bytes() != content
    second = profile.model_copy(update={"published_seeds": [1]})
    assert publish_networks(second, tmp_path / "runs") == []
    nothing = profile.model_copy(update={"published_networks": []})
    assert publish_networks(nothing, tmp_path / "runs") == []
