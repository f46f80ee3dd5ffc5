"""Refusals: tables of bad input, and guards that an error comes before long work.

A table has one case a line: what is wrong -> (call, words of the message). A message names the
value that was given, what is allowed and, where it is not plain from that, what to do.
"""

import errno

import pytest
import torch
from sklearn.cluster import KMeans
from torch import nn
from tqdm.auto import tqdm

from localspec.exceptions import InvalidInputError

IMAGES, LABELS = torch.rand(30, 1, 4, 4), torch.arange(30) % 3


def mlp(*extra: nn.Module, n_inputs: int = 16) -> nn.Sequential:
    """Return a network of 6 + 4 hidden units and 3 logits; layers 1, 3 and 5."""
    layers = (nn.Linear(n_inputs, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    return nn.Sequential(nn.Flatten(), *layers, *extra).eval()


def cases(table: dict[str, tuple]) -> list:
    """Return the parameters (call, words) of a table of cases, for ``parametrize``."""
    return [pytest.param(call, words, id=name) for name, (call, *words) in table.items()]


def check_refused(call, words, error=InvalidInputError) -> None:
    """Check that a call ends in an error whose message holds all words."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message


def disk_full(*arguments, **options):
    """Fail as a full disk does; takes the place of a function that writes."""
    raise OSError(errno.ENOSPC, "No space left on device")


def _forbidden(*arguments, **options):
    pytest.fail("long work began before the error")


@pytest.fixture
def no_long_work(monkeypatch):
    """Fail where a progress bar, which every long computation has, or a k-means begins."""
    monkeypatch.setattr(tqdm, "__init__", _forbidden)
    monkeypatch.setattr(KMeans, "fit", _forbidden)


@pytest.fixture
def no_cuda(monkeypatch):
    """Let there be no CUDA device, whatever this machine has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def own_results(tmp_path, monkeypatch):
    """Let results go to a folder of this test, and leave no record."""
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("LOCALSPEC_RECORD", raising=False)
