"""Jupyter Book ignores keys it does not know, and YAML lets the last of two equal keys win."""

import json
from pathlib import Path

import pytest
import yaml
from contents import chapters
from jupyter_book.config import PATH_JSON_SCHEMA, get_final_config

from localspec.pipeline._profile import _Loader

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
CONFIG, TOC = ROOT / "_config.yml", ROOT / "_toc.yml"


def load(path: Path):
    # profiles' loader refuses a key that comes twice
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)


def unknown_keys(value: dict, schema: dict, where: str = "") -> list[str]:
    """Return the keys of a mapping that a JSON schema does not name."""
    known = schema.get("properties")
    if known is None or not isinstance(value, dict):
        return []
    found = [f"{where}{key}" for key in value if key not in known]
    for key in value.keys() & known.keys():
        found += unknown_keys(value[key], known[key], f"{where}{key}.")
    return found


@pytest.fixture(scope="module")
def final() -> dict:
    config, _ = get_final_config(
        user_yaml=CONFIG, cli_config={"latex_individualpages": False}, sourcedir=ROOT
    )
    return config


@pytest.mark.parametrize("path", [CONFIG, TOC], ids=lambda path: path.name)
def test_no_key_comes_twice(path):
    assert load(path)


def test_every_key_is_known_to_jupyter_book():
    schema = json.loads(Path(PATH_JSON_SCHEMA).read_text(encoding="utf-8"))
    assert unknown_keys(load(CONFIG), schema) == []
    assert unknown_keys({"titel": 1, "html": {"logo": 2}}, schema) == ["titel", "html.logo"]


def test_every_sphinx_key_is_known_to_sphinx(final, tmp_path):
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    asked = load(CONFIG)["sphinx"]["config"]
    with docutils_namespace():
        app = Sphinx(
            ROOT,
            None,
            tmp_path / "html",
            tmp_path / "doctrees",
            "html",
            confoverrides={**final, "external_toc_path": str(TOC)},
            status=None,
            warning=None,
        )
    assert [key for key in asked if key not in app.config] == []


def test_published_pages_are_never_executed_and_show_no_stderr(final):
    assert final["nb_execution_mode"] == "off"
    assert load(CONFIG)["execute"]["execute_notebooks"] == "off"  # the word, not YAML's false
    assert final["nb_output_stderr"] == "error"


def test_everything_comes_from_the_book_itself(final):
    assert "://" not in final["mathjax_path"]
    assert final["nb_ipywidgets_js"] == {}
    assert {"offline_assets", "run_stamps"} <= set(final["extensions"])
    assert not final["html_theme_options"]["repository_url"]
    assert not final["html_theme_options"]["analytics"].get("google_analytics_id")


def test_one_search_field_and_the_readers_own_colours(final):
    assert final["html_theme_options"]["navbar_persistent"] == []
    assert final["html_context"]["default_mode"] == "auto"


@pytest.mark.parametrize("key", ["html_logo", "html_favicon"])
def test_pictures_of_the_book_exist(final, key):
    assert (ROOT / final[key]).is_file()


def test_only_the_book_is_read(final):
    assert final["include_patterns"] == ["book/**"]
    missing = {"notebooks", "results", "lib", "tests", ".*"} - set(final["exclude_patterns"])
    assert missing == set()


def test_the_table_of_contents_has_every_digits_page():
    from localspec.pipeline._sections import PAGES

    names = [entry["file"] for entry in chapters(TOC)]
    digits = [name for name in names if "/runs/digits/" in name]
    assert digits == [f"book/runs/digits/{page}" for page in PAGES]


def test_the_book_builds_without_a_warning_and_has_every_page(html):
    names = [load(TOC)["root"], *(entry["file"] for entry in chapters(TOC)), "index", "search"]
    pages = [f"{name}.html" for name in names]
    assert [name for name in pages if not (html / name).is_file()] == []
    assert list((html / "_static" / "mathjax").rglob("*.woff"))
