"""List what a module of the library makes public, functions first: ``{library-names} MODULE``."""

from importlib import import_module
from inspect import isclass, isfunction

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def documented_names(name: str) -> list[str]:
    """Return the names of a module's functions and classes; of the package, behind their rooms."""
    module = import_module(name)
    members = [getattr(module, each) for each in module.__all__]
    names = []
    for member in [*filter(isfunction, members), *filter(isclass, members)]:
        room = f"{member.__module__.split('.')[1]}." if name == "localspec" else ""
        names.append(f"{room}{member.__name__}")
    return names


class LibraryNames(SphinxDirective):
    """Put a table of names here, each with a link and the first sentence of its docstring."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        (module,) = self.arguments
        names = "".join(f"   ~{name}\n" for name in documented_names(module))
        table = f".. currentmodule:: {module}\n\n.. autosummary::\n   :nosignatures:\n\n{names}"
        return self.parse_text_to_nodes(f"```{{eval-rst}}\n{table}```\n")


def setup(app: Sphinx) -> dict:
    """Add the directive."""
    app.setup_extension("sphinx.ext.autosummary")
    app.add_directive("library-names", LibraryNames)
    return {"version": "1", "parallel_read_safe": True}
