"""Buttons for Binder and Colab: there once the repository's address is known, and only then."""

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import launch_links
import nbformat
import pytest
import yaml
from helpers.html import Reader
from helpers.processes import python

pytestmark = pytest.mark.book
ROOT = Path(__file__).resolve().parents[2]
URL = "https://github.com/someone/localspec"
PAGE = "book/runs/digits/05_synthesis"


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """Function that makes a book of one page of results, with an address; returns its folder."""

    @cache  # whatever is looked at of it
    def make(url: str) -> Path:
        folder = tmp_path_factory.mktemp("book")
        for name in ("book/_ext", "book/_static", "book/notes", "notebooks"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("colab"))
        (folder / PAGE).parent.mkdir(parents=True)
        for name in ("tables", "figures"):
            if (ROOT / PAGE).with_name(name).is_dir():
                shutil.copytree((ROOT / PAGE).with_name(name), (folder / PAGE).with_name(name))
        for name in ("05_synthesis.ipynb", "stamps.json"):
            shutil.copy((ROOT / PAGE).with_name(name), (folder / PAGE).with_name(name))
        for path in (ROOT / "book").glob("*.*"):
            if path.suffix in (".yml", ".bib", ".py") or path.name in ("intro.md", "glossary.md"):
                shutil.copy(path, folder / "book")
        (folder / "book" / "intro.md").write_text("# A book\n", encoding="utf-8")
        config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
        config["repository"]["url"] = url
        (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        chapters = [{"file": "book/glossary"}, {"file": PAGE}]
        toc = {"format": "jb-book", "root": "book/intro", "chapters": chapters}
        (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
        subprocess.run([sys.executable, folder / "book" / "colab.py"], check=True)
        return folder

    return make


def targets(book: Path) -> set[str]:
    """Build a book; return where its page of results leads outside."""
    command = "from jupyter_book.cli.main import main; main()"
    done = python("-c", command, "build", book)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    page = book / "_build" / "html" / f"{PAGE}.html"
    links = {link.get("href") or "" for link in Reader(page.read_text(encoding="utf-8")).all("a")}
    return {link for link in links if "mybinder" in link or "colab" in link}


def test_with_an_address_there_are_buttons(small_book):
    assert targets(small_book(URL)) == {
        "https://mybinder.org/v2/gh/someone/localspec/main"
        "?urlpath=lab/tree/notebooks/05_synthesis.ipynb",
        "https://colab.research.google.com/github/someone/localspec/blob/main"
        "/notebooks/colab/05_synthesis.ipynb",
    }


def test_without_an_address_there_are_none(html):
    page = (html / f"{PAGE}.html").read_text(encoding="utf-8")
    assert "mybinder" not in page
    assert "colab.research" not in page
    assert launch_links.links(ROOT, "05_synthesis", "", "main") == []


def test_a_notebook_for_colab_begins_with_the_installation(small_book):
    book = small_book(URL)
    names = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert sorted(path.name for path in (book / "notebooks" / "colab").iterdir()) == names
    for name in names:
        notebook = nbformat.read(book / "notebooks" / "colab" / name, as_version=4)
        nbformat.validate(notebook)
        first, *others = notebook.cells
        assert first.metadata.tags == ["colab"]
        assert URL in first.source
        source = json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))
        assert [cell.id for cell in others] == [cell["id"] for cell in source["cells"]]


def test_without_an_address_nothing_is_written_for_colab(small_book):
    assert not (small_book("") / "notebooks" / "colab").exists()


def test_notebooks_for_colab_are_those_of_now(small_book):
    url = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]

    def contents(root: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in root.glob("notebooks/colab/*.ipynb")}

    assert contents(ROOT) == contents(small_book(url)), "run `make colab` and commit the folder"


def test_binder_installs_what_make_installs():
    binder = (ROOT / ".binder" / "postBuild").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("$(INSTALLED): requirements.lock")[2].partition("\n\n")[0]

    def installed(text: str) -> list[str]:
        lines = [line for line in text.splitlines() if "pip install" in line]
        return [line.partition("pip install")[2].replace(" --no-cache-dir", "") for line in lines]

    assert installed(binder) == installed(recipe)
    assert (ROOT / ".binder" / "runtime.txt").read_text(encoding="utf-8") == "python-3.11\n"
