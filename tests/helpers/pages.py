"""Build a small Sphinx project with some of the book's extensions."""

from pathlib import Path


def build_project(source: Path, target: Path, **settings: object) -> None:
    """Build the project in `source` as HTML into `target`; a warning is an error."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    with patch_docutils(), docutils_namespace():
        app = Sphinx(
            source,
            None,
            target,
            target.parent / "doctrees",
            "html",
            confoverrides=settings,
            status=None,
            warningiserror=True,
        )
        app.build()
        assert app.statuscode == 0
