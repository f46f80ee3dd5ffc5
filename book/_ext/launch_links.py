"""Open the notebook of a page on Binder and Colab, once the repository's address is known.

The address stands in `_config.yml` under `repository`; without one there are no buttons. Binder
installs by `.binder`, Colab by the first cell of the notebooks in `notebooks/colab`, which
`make colab` writes.
"""

from pathlib import Path

from docutils import nodes
from run_stamps import PAGE
from sphinx.application import Sphinx

GITHUB = "https://github.com/"


def links(root: Path, page: str, url: str, branch: str) -> list[tuple[str, str]]:
    """Return the names and addresses of the services that can open a page's notebook.

    `root` is the project's folder, `url` its repository's address: empty where it is not known.
    """
    if not url.startswith(GITHUB):
        return []
    found = []
    repository = url.removeprefix(GITHUB).rstrip("/")
    notebook, on_colab = f"notebooks/{page}.ipynb", f"notebooks/colab/{page}.ipynb"
    if (root / notebook).is_file():
        where = f"{repository}/{branch}?urlpath=lab/tree/{notebook}"
        found.append(("Binder", f"https://mybinder.org/v2/gh/{where}"))
    if (root / on_colab).is_file():
        where = f"{repository}/blob/{branch}/{on_colab}"
        found.append(("Colab", f"https://colab.research.google.com/github/{where}"))
    return found


def add_buttons(
    app: Sphinx, pagename: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    match, options = PAGE.fullmatch(pagename), app.config.html_theme_options
    if not match or app.builder.format != "html":
        return
    url, branch = options.get("repository_url", ""), options.get("repository_branch", "")
    buttons = [
        {
            "type": "link",
            "text": name,
            "tooltip": f"Run this notebook on {name}",
            "icon": f"_static/images/logo_{name.lower()}.{'svg' if name == 'Binder' else 'png'}",
            "url": address,
        }
        for name, address in links(Path(app.srcdir), match["page"], url, branch)
    ]
    if buttons:
        group = {"type": "group", "icon": "fas fa-rocket", "label": "launch-buttons"}
        context["header_buttons"].append({**group, "tooltip": "Run online", "buttons": buttons})


def setup(app: Sphinx) -> dict:
    app.connect(
        "html-page-context", add_buttons, priority=501
    )  # once the theme's buttons are there
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
