"""Files of one's own network that are refused."""

import os
import random
import sys
import warnings

import numpy as np
import pytest
import torch
from helpers.refusals import cases, check_refused

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


def written(folder, content, name="mine.py"):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_a_file_of_another_ending(tmp_path):
    path = written(tmp_path, GOOD, "mine.txt")
    check_refused(lambda: open_network_file(path), [str(path), "not a Python file", ".py"])


def test_a_file_that_is_right_or_not_there(tmp_path):
    network, data = open_network_file(written(tmp_path, GOOD))
    assert not network.training
    assert sorted(data) == ["x", "y"]
    with pytest.raises(InvalidInputError, match=r"there is no file .*network\(\) and data\(\)"):
        open_network_file(tmp_path / "missing.py")


FILES = {  # what the file does -> words of the message
    "a syntax error": ("def network(:", "cannot be imported", "SyntaxError"),
    "an error of its own": ("import nothing_like_it", "ModuleNotFoundError"),
    "no data()": (GOOD.replace("def data", "def datum"), "must define data()"),
    "network() fails": (GOOD.replace("(4, 3)", "()"), "network()", "TypeError"),
    "network() returns a list": (
        GOOD.replace("return torch.nn.Sequential", "return list"),
        "network()",
        "failed (TypeError",
    ),
    "network() returns nothing": (
        GOOD.replace("return torch.nn", "torch.nn"),
        "network() of",
        "must return a torch.nn.Module, not NoneType",
    ),
    "data() returns a pair": (
        GOOD.replace('{"x":', "(").replace('"y": ', "").replace("% 2}", "% 2)"),
        "data() of",
        "must return a dict with 'x', 'y'",
        "not tuple",
    ),
    "data() lacks labels": (
        GOOD.replace('"y"', '"labels"'),
        "data() of",
        "must return a dict with 'x', 'y'",
        "not 'x', 'labels'",
    ),
    "sys.exit()": ("import sys\nsys.exit()", "cannot be imported (SystemExit)", "on its own first"),
    "sys.exit(text)": ("raise SystemExit('usage: mine.py')", "(SystemExit: usage: mine.py)"),
    "exit in network()": (
        GOOD.replace("return", "raise SystemExit(3)\n    return", 1),
        "network()",
    ),
    "a cancelled task": ("import asyncio\nraise asyncio.CancelledError", "(CancelledError)"),
    "no end of calls": ("def f(): f()\nf()", "(RecursionError: maximum recursion"),
    "calls without end in data()": (
        GOOD.replace("torch.rand(6, 1, 2, 2)", "data()"),
        "data()",
        "(Recursion",
    ),
    "a package that is not there": ("import timmm.models", "install 'timmm' into this environment"),
    "a long message": ("raise ValueError('no' * 10**6)", "(ValueError: nono", "characters)"),
    "bytes": ("\0", "cannot be imported (", "null bytes"),
    "a network that will not be tested": (
        GOOD
        + "class Mine(torch.nn.Flatten):\n"
        + "    def train(self, mode=True): raise OSError('never')\n"
        + "def network():\n    return Mine()\n",
        "eval() of the network of",
        "OSError: never",
    ),
    "no network, but its class": (GOOD + "network = torch.nn.Flatten\ndata = 3", "define data()"),
}


@pytest.mark.parametrize(("content", "words"), cases(FILES))
def test_files_of_ones_own_network(tmp_path, content, words):
    path, before = written(tmp_path, content), set(sys.modules)
    check_refused(lambda: open_network_file(path), [str(path), *words])
    left = {name for name in set(sys.modules) - before if "mine" in name}
    assert not left or "()" in words[0] or "define" in words[0]


def test_the_user_may_interrupt(tmp_path):
    path = written(tmp_path, "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        open_network_file(path)


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "loop.py").symlink_to("loop.py")
    for name in ("folder.py", "pipe.py", "loop.py", f"{'x' * 300}.py"):
        check_refused(lambda name=name: open_network_file(tmp_path / name), ["there is no file"])
    for name in ("a\0b.py", "", None):
        check_refused(lambda name=name: open_network_file(name), ["must be the path of a file"])


CHANGES = """
import os, random, sys, warnings
import numpy as np
import torch
os.chdir("/")
sys.path.pop(0)  # its own folder
sys.setrecursionlimit(5000)
sys.stdout = None
random.seed(1), np.random.seed(1), torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
torch.set_num_threads(3)
torch.set_grad_enabled(False)
torch.set_float32_matmul_precision("medium")
torch.set_default_device("meta")
warnings.simplefilter("ignore")
"""


def surroundings():
    """Return what a file could change, and what is drawn next."""
    return (
        os.getcwd(),
        sys.getrecursionlimit(),
        sys.stdout,
        list(warnings.filters),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_float32_matmul_precision(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002 - networks' files use it
        torch.get_rng_state().tolist(),
    )


@pytest.mark.parametrize("ending", ["", "1 / 0"], ids=["right", "wrong"])
def test_a_file_changes_nothing_around_it(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(sys, "path", [*sys.path])
    inside = CHANGES.replace("\n", "\n    ").replace('torch.set_default_device("meta")', "")
    content = f"{CHANGES}{ending}\n{GOOD}".replace("data():", f"data():{inside}")
    path = written(tmp_path, content)
    before = surroundings()
    if ending:
        check_refused(lambda: open_network_file(path), ["ZeroDivisionError"])
    else:
        network, data = open_network_file(path)
        assert (network[1].weight.dtype, data["x"].dtype) == (torch.float32, torch.float64)
    assert surroundings() == before
    torch.zeros(1) + torch.zeros(1)  # no mode of torch's is left
    assert torch.overrides._get_current_function_mode_stack() == []
