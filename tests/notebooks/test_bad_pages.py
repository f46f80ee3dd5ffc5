"""A wrong parameter ends a page in its first cells."""

from pathlib import Path

import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.notebook
@pytest.mark.parametrize(
    ("page", "parameters", "words"),
    [
        ("02_clustering", {"n_clusters": 193}, ["n_clusters = 193", "'mlp' has 192 units"]),
        ("03_importance", {"n_cluster": 4}, ["no parameter 'n_cluster'; it has", "'n_clusters'"]),
        ("your_network", {"network_file": "mine.py"}, ["there is no file", "mine.py"]),
    ],
)
def test_the_page_fails_where_its_parameters_are_read(tmp_path, page, parameters, words):
    with pytest.raises(PapermillExecutionError) as caught:
        papermill.execute_notebook(
            ROOT / "notebooks" / f"{page}.ipynb",
            tmp_path / "page.ipynb",
            parameters=parameters,
            cwd=ROOT,
            progress_bar=False,
        )
    error = caught.value
    assert error.ename == "InvalidInputError"
    assert [word for word in words if word not in error.evalue] == [], error.evalue
    assert error.exec_count <= 4  # imports, parameters, injected parameters, their use
