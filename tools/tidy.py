"""Reduce an executed notebook to what the run says: two equal runs then give equal files."""

from copy import deepcopy

from nbformat import NotebookNode

NOTEBOOK_METADATA = ("kernelspec", "language_info")
CELL_METADATA = ("mystnb", "tags")
INJECTED = "injected-parameters"
PROMPT = "Show the parameters of this run"
WIDGETS = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")


def tidy_outputs(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Drop what is no result (stderr, widgets), join what buffering split, order the types."""
    kept: list[NotebookNode] = []
    for output in map(deepcopy, outputs):
        if output.output_type == "stream":
            if output.name == "stderr":
                continue
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
                continue
        elif "data" in output:
            if any(kind in output.data for kind in WIDGETS):
                continue
            output.data = NotebookNode(sorted(output.data.items()))
        kept.append(output)
    return kept


def _metadata(cell: NotebookNode) -> NotebookNode:
    kept = {key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata}
    metadata = NotebookNode(kept)
    if INJECTED in metadata.get("tags", []):
        metadata.tags = [INJECTED, "hide-input"]
        metadata.mystnb = NotebookNode(code_prompt_show=PROMPT)
    if not metadata.get("tags", True):  # papermill gives every cell an empty list
        del metadata["tags"]
    return metadata


def tidy(executed: NotebookNode, source: NotebookNode) -> NotebookNode:
    """Return a tidied copy of an executed notebook.

    Cells keep the ids they have in `source`; the cell with the injected parameters, which is not
    there, is given a fixed one. Versions of Python are left to the page's stamp.
    """
    known = {cell.get("id") for cell in source.cells}
    notebook = deepcopy(executed)
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the first format with ids
    notebook.metadata = NotebookNode(
        {key: notebook.metadata[key] for key in NOTEBOOK_METADATA if key in notebook.metadata}
    )
    notebook.metadata.get("language_info", {}).pop("version", None)
    for position, cell in enumerate(notebook.cells):
        cell.metadata = _metadata(cell)
        if INJECTED in cell.metadata.get("tags", []):
            cell.id = INJECTED
        elif cell.get("id") not in known:
            cell.id = f"cell-{position}"
        if cell.cell_type == "code":
            cell.outputs = tidy_outputs(cell.outputs)
    return notebook
