"""notebooks/*.ipynb are the twins of notebooks/*.md, without outputs."""

import nbformat
import notebooks
import pytest
from nbformat.v4 import new_output
from project import NOTEBOOKS

SOURCE = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Title

```{code-cell} ipython3
:tags: [parameters]

n: int = 6  # clusters
```

```{code-cell} ipython3
n + 1
```
"""


@pytest.fixture
def pair(tmp_path):
    """A notebook and its synced twin."""
    source, target = tmp_path / "page.md", tmp_path / "page.ipynb"
    source.write_text(SOURCE, encoding="utf-8")
    target.write_text(notebooks.twin(source), encoding="utf-8")
    (tmp_path / "README.md").write_text("# No notebook\n", encoding="utf-8")
    return source, target


def test_the_projects_notebooks_are_in_sync_and_without_outputs():
    assert notebooks.problems(NOTEBOOKS) == []


def test_a_synced_pair_has_no_problem_and_keeps_its_tag(pair):
    source, target = pair
    assert notebooks.problems(source.parent) == []
    assert nbformat.read(target, as_version=4).cells[1].metadata.tags == ["parameters"]


def test_an_edited_source_differs_until_synced_and_other_cells_keep_their_ids(pair):
    source, target = pair
    before = [cell.id for cell in nbformat.read(target, as_version=4).cells]
    source.write_text(SOURCE.replace("n + 1", "n + 2"), encoding="utf-8")
    assert notebooks.problems(source.parent) == [f"{target} differs from page.md"]
    target.write_text(notebooks.twin(source), encoding="utf-8")
    assert notebooks.problems(source.parent) == []
    after = [cell.id for cell in nbformat.read(target, as_version=4).cells]
    assert after[:2] == before[:2]


def test_outputs_and_notebooks_without_a_twin_are_found(pair):
    source, target = pair
    notebook = nbformat.read(target, as_version=4)
    notebook.cells[2].execution_count = 1
    notebook.cells[2].outputs = [
        new_output("execute_result", data={"text/plain": "7"}, execution_count=1)
    ]
    nbformat.write(notebook, target)
    nbformat.write(notebook, source.with_name("alone.ipynb"))
    alone = source.with_name("alone.ipynb")
    assert notebooks.problems(source.parent) == [
        f"{target} has outputs",
        f"{alone} has no .md twin",
    ]
    assert '"7"' not in notebooks.twin(source)
