"""Serve everything a page needs from the book itself: no request to any foreign host.

MathJax (its bundle and fonts) is copied from the pip package `sphinx-mathjax-offline`, and thebe is
dropped: it would fetch kernels from elsewhere, and declares one constant twice on every page. The
page that redirects from the root to the first page is given an icon, which browsers look for.
"""

from html import escape
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.fileutil import copy_asset

PACKAGE = "sphinx-mathjax-offline"
BUNDLE = "mathjax/tex-chtml.js"


def mathjax_folder() -> Path:
    """Return MathJax's folder in the installed package, whose name Python cannot import."""
    try:
        recorded = files(PACKAGE) or []
    except PackageNotFoundError as error:
        raise ExtensionError(f"{PACKAGE} is not installed: pip install {PACKAGE}") from error
    for file in recorded:
        if file.as_posix().endswith("/static/" + BUNDLE):
            return Path(str(file.locate())).parent
    raise ExtensionError(f"{PACKAGE} is installed without {BUNDLE}")


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir, "_static", "mathjax")
    for part in (Path(BUNDLE).name, "output/chtml/fonts"):
        copy_asset(source / part, (target / part).parent if Path(part).suffix else target / part)


def _is_thebe(asset: object) -> bool:
    body = (getattr(asset, "attributes", None) or {}).get("body") or ""
    return "THEBE_JS_URL" in body or "thebe" in str(getattr(asset, "filename", asset) or "")


def drop_thebe_files(
    app: Sphinx, pagename: str, template: str, context: dict, doctree: nodes.document | None
) -> None:
    for kind in ("script_files", "css_files"):
        if kind in context:
            context[kind][:] = [asset for asset in context[kind] if not _is_thebe(asset)]


def drop_thebe_nodes(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    for node in list(doctree.findall(nodes.raw)):
        text = node.astext()
        if "text/x-thebe-config" in text or text.startswith("<script>kernelName"):
            node.parent.remove(node)


REDIRECT = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="_static/{icon}">
<meta http-equiv="refresh" content="0; url={first}">
</head>
<body><a href="{first}">{title}</a></body>
</html>
"""


def write_redirect(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html" or app.config.root_doc == "index":
        return
    first = escape(app.builder.get_target_uri(app.config.root_doc))
    title, icon = escape(app.config.html_title), escape(Path(app.config.html_favicon).name)
    page = REDIRECT.format(title=title, icon=icon, first=first)
    Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict:
    # late priorities: after the extension that adds what is dropped here
    app.connect("doctree-resolved", drop_thebe_nodes, priority=900)
    app.connect("html-page-context", drop_thebe_files, priority=900)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", write_redirect, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
