"""Parameters that papermill was given under a name that the notebook does not have."""

from pathlib import Path

import pytest
from helpers.refusals import check_refused
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from localspec.pipeline import ClusteringSection, YourNetworkSection, _sections
from localspec.pipeline._injected import cells_run, check_injected
from localspec.pipeline._sections import ALL_PAGES, section_of

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
DECLARED = "n_clusters: int = 6  # of the network\nseeds: list = [0, 1]"


def cells(page: str, **parameters) -> list[str]:
    """Return the code of a notebook as papermill lets it run."""
    notebook = load_notebook_node(str(NOTEBOOKS / f"{page}.ipynb"))
    made = parameterize_notebook(notebook, parameters)
    return ["", *(cell.source for cell in made.cells if cell.cell_type == "code")]


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_notebook_run_by_papermill(page):
    check_injected(cells(page))
    known = "n_clusters" in section_of(page).model_fields
    check_injected(cells(page, n_clusters=4) if known else cells(page, seeds=[1]))
    words = ["no parameter 'n_cluster'", *map(repr, section_of(page).model_fields)]
    check_refused(lambda: check_injected(cells(page, n_cluster=4)), words)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (["", DECLARED, "# Parameters\nn_clusters = 4\nsed = 1\nSeeds = [0]"], "'sed', 'Seeds'; "),
        (["import x", DECLARED, "# Parameters\nsed = 1", "section = 1"], "'sed'; it has 'n_cl"),
    ],
)
def test_mistyped(code, words):
    check_refused(lambda: check_injected(code), [words])


@pytest.mark.parametrize(
    "code",
    [
        [],
        [""],
        ["# Parameters\nsed = 1"],  # the notebook has no cell of parameters
        ["import x", "# Parameters\nsed = 1"],
        ["", "%matplotlib inline", "# Parameters\nsed = 1"],
        ["", DECLARED, "seed = 3"],  # a cell of one's own
        ["", DECLARED, "# Parameters\nseeds = [3]\nn_clusters = float('nan')"],
        [
            "",
            DECLARED,
            "# Parameters\nsed = 1",
            "section = 1",
            "# Parameters\nseeds = [1]",
        ],  # mended
    ],
)
def test_nothing_mistyped(code):
    check_injected(code)


@pytest.mark.parametrize("section", [ClusteringSection, YourNetworkSection])
def test_a_section_looks_at_the_cells(monkeypatch, section):
    assert cells_run() == []  # outside of a notebook
    monkeypatch.setattr(_sections, "cells_run", lambda: [DECLARED, "# Parameters\nn_cluster = 4"])
    check_refused(section, [section.__name__, "no parameter 'n_cluster'", "'n_clusters', 'seeds'"])
