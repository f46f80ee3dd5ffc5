"""Injected parameters: refuse those that a notebook does not have.

papermill writes the parameters that it was given into a cell of its own, behind the cell in which
the notebook declares them. Where it does not know a name it only warns, and the page would show
what the default gives.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence

from localspec._utils.validation import require

INJECTED = "# Parameters\n"  # how papermill's cell begins


def cells_run() -> list[str]:
    """Return the code of the cells that ran before in this notebook; none outside of one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return list(shell.user_ns.get("In", ())) if shell else []


def _statements(cell: str) -> list[ast.stmt]:
    try:
        return ast.parse(cell).body
    except SyntaxError:  # a magic of IPython's
        return []


def check_injected(cells: Sequence[str]) -> None:
    r"""Refuse parameters from outside that the notebook does not declare.

    Cells are given in the order in which they ran. Parameters are declared in one that holds
    nothing but ``name: type = value``.

    Examples
    --------
    >>> check_injected(["seed: int = 0", "# Parameters\nsed = 1"])
    Traceback (most recent call last):
    ...
    localspec.exceptions.InvalidInputError: this notebook has no parameter 'sed'; it has 'seed'
    """
    injected = [index for index, cell in enumerate(cells) if cell.startswith(INJECTED)]
    if not injected or injected[-1] == 0:
        return
    before, own = (_statements(cells[injected[-1] + step]) for step in (-1, 0))
    if not all(isinstance(statement, ast.AnnAssign) for statement in before):
        return  # somebody's own cells, run by hand
    declared = [ast.unparse(statement.target) for statement in before]
    given = [
        ast.unparse(target)
        for statement in own
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    ]
    unknown = [name for name in given if name not in declared]
    require(
        not (declared and unknown),
        f"this notebook has no parameter {', '.join(map(repr, unknown))}; it has "
        f"{', '.join(map(repr, declared))}",
    )
