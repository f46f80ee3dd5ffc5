"""The order of rooms, and habits of style that ruff has no rule for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path for folder in ("lib", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_literal_is_unpacked_with_a_star(path):
    stars = [
        node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Starred)
    ]
    literal = [node.lineno for node in stars if isinstance(node.value, ast.Tuple | ast.List)]
    assert not literal, f"write out what stands behind the star in lines {literal}"


def test_rooms_import_in_one_direction():
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
