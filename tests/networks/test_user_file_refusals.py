"""Files of one's own network that are refused."""

import pytest
from helpers.refusals import check_refused

from localspec.exceptions import InvalidInputError
from localspec.networks import open_network_file

pytestmark = pytest.mark.usefixtures("no_long_work")

GOOD = """
import torch
def network():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
def data():
    return {"x": torch.rand(6, 1, 2, 2), "y": torch.arange(6) % 2}
"""
FILES = {
    "not Python": ("mine.txt", GOOD, "not a Python file", ".py"),
    "a syntax error": ("mine.py", "def network(:", "cannot be imported", "SyntaxError"),
    "an error of its own": ("mine.py", "import nothing_like_it", "ModuleNotFoundError"),
    "no data()": ("mine.py", GOOD.replace("def data", "def datum"), "must define data()"),
    "network() fails": ("mine.py", GOOD.replace("(4, 3)", "()"), "network()", "TypeError"),
    "network() returns a list": (
        "mine.py",
        GOOD.replace("return torch.nn.Sequential", "return list"),
        "network()",
        "failed with TypeError",
    ),
    "network() returns nothing": (
        "mine.py",
        GOOD.replace("return torch.nn", "torch.nn"),
        "must return a torch.nn.Module",
        "not NoneType",
    ),
    "data() returns a pair": (
        "mine.py",
        GOOD.replace('{"x":', "(").replace('"y": ', "").replace("% 2}", "% 2)"),
        "must return a dict with 'x', 'y'",
        "not tuple",
    ),
    "data() lacks labels": (
        "mine.py",
        GOOD.replace('"y"', '"labels"'),
        "must return a dict with 'x', 'y'",
        "not 'x', 'labels'",
    ),
}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [pytest.param(n, c, words, id=name) for name, (n, c, *words) in FILES.items()],
)
def test_files_of_ones_own_network(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    check_refused(lambda: open_network_file(path), [str(path), *words])


def test_a_file_that_is_right_or_not_there(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD, encoding="utf-8")
    network, data = open_network_file(tmp_path / "mine.py")
    assert not network.training
    assert sorted(data) == ["x", "y"]
    with pytest.raises(InvalidInputError, match=r"there is no file .*network\(\) and data\(\)"):
        open_network_file(tmp_path / "missing.py")
