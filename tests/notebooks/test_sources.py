"""The notebooks' parameters are those of their section's model, and the profile's."""

import re
from pathlib import Path

import nbformat
import papermill
import pytest

from localspec.pipeline import load_profile
from localspec.pipeline._sections import ALL_PAGES, section_of

ROOT = Path(__file__).resolve().parents[2]


def _source(page: str) -> Path:
    return ROOT / "notebooks" / f"{page}.ipynb"


@pytest.mark.parametrize("page", ALL_PAGES)
def test_parameters_equal_the_sections_model(page):
    inferred = papermill.inspect_notebook(_source(page))
    fields = section_of(page).model_fields
    assert list(sorted(inferred)) == sorted(fields)
    for name, field in fields.items():
        assert eval(inferred[name]["default"]) == field.default, name
        assert inferred[name]["inferred_type_name"] == type(field.default).__name__, name
        assert len(inferred[name]["help"]) > 10, f"{name} has no meaning beside it"


@pytest.mark.parametrize("page", ALL_PAGES)
def test_defaults_are_the_digits_profiles(page):
    fields = section_of(page).model_fields
    profile = fields["profile"].default if "profile" in fields else "digits"
    of_profile = load_profile(ROOT / "notebooks" / "profiles" / f"{profile}.yml").parameters(page)
    if "networks" in of_profile and len(fields["networks"].default) == 1:
        of_profile["networks"] = of_profile["networks"][:1]  # so that the defaults run in a minute
    if page in ("10_published", "15_activations"):
        of_profile["untrained"] = "train"  # so that a fresh clone computes what it needs
    if page == "16_l2":
        of_profile |= {"missing": "train", "n_seeds": {}}  # all that a plain run takes
    assert of_profile == {name: field.default for name, field in fields.items()}


@pytest.mark.parametrize("page", ALL_PAGES)
def test_a_notebook_is_short_cells_over_the_library(page):
    notebook = nbformat.read(_source(page), as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    code = "\n".join(cell.source for cell in cells)
    assert not re.search(r"os\.chdir|sys\.path|%pip|warnings\.|^def ", code, re.MULTILINE)
    assert all(len(cell.source.splitlines()) <= 15 for cell in cells)
