"""List what a module of the library makes public, functions first: ``{library-names} MODULE``.

Attributes that share an entry of a docstring are documented one by one.
"""

import re
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


def separate(lines: list[str]) -> list[str]:
    """Return the lines of a docstring with an entry for each attribute.

    Of several names in one entry Sphinx takes the first ones for a type.
    """
    separated = []
    for line in lines:
        entry = re.fullmatch(r":(ivar|vartype) ([\w, ]+, )(\w+):(.*)", line)
        if entry is None:
            separated.append(line)
            continue
        field, others, last, text = entry.groups()
        shared = text if field == "vartype" else ""
        separated += [f":{field} {name}:{shared}" for name in others.split(", ")[:-1]]
        separated.append(f":{field} {last}:{text}")
    return separated


def separate_attributes(app, what, name, documented, options, lines: list[str]) -> None:
    """Change what was made of a docstring, in place."""
    lines[:] = separate(lines)


def setup(app: Sphinx) -> dict:
    """Add the directive, and what is done after docstrings were read."""
    app.connect("autodoc-process-docstring", separate_attributes, priority=600)
    app.setup_extension("sphinx.ext.autosummary")
    app.add_directive("library-names", LibraryNames)
    return {"version": "1", "parallel_read_safe": True}
