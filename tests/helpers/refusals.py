"""Refusals: tables of bad input, and guards that an error comes before long work.

A table has one case a line: what is wrong -> (call, words of the message). A message names the
value that was given, what is allowed and, where it is not plain from that, what to do.
"""

import errno
import os

import pytest
import torch
from sklearn.cluster import KMeans
from torch import nn
from tqdm.auto import tqdm

from localspec._utils.files import results_root
from localspec.exceptions import InvalidInputError

IMAGES = torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(30) % 3
NO_FILES = {  # what may stand where a file should, and how it is made
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}
MOST_TRIED = 8  # images, or lesions of two of them, that a layer reads together to try them


def mlp(*extra: nn.Module, n_inputs: int = 16) -> nn.Sequential:
    """Return a network of 6 + 4 hidden units and 3 logits; layers 1, 3 and 5."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = (nn.Linear(n_inputs, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    return nn.Sequential(nn.Flatten(), *layers, *extra).eval()


def cases(table: dict[str, tuple]) -> list:
    """Return the parameters (call, words) of a table of cases, for ``parametrize``."""
    return [pytest.param(call, words, id=name) for name, (call, *words) in table.items()]


def check_refused(call, words, error=InvalidInputError) -> str:
    """Check that a call ends in an error whose message holds all words; return the message."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
    assert len(message) < 700, "a message is read by a person"
    return message


def disk_full(*arguments, **options):
    """Fail as a full disk does; takes the place of a function that writes."""
    raise OSError(errno.ENOSPC, "No space left on device")


def _forbidden(*arguments, **options):
    pytest.fail("long work began before the error")


def _tries(forward):
    def tried(layer, value):
        if len(value) > MOST_TRIED:
            _forbidden()
        return forward(layer, value)

    return tried


@pytest.fixture
def no_long_work(monkeypatch):
    """Fail where long work begins.

    That is a progress bar, which every long computation has, a k-means, or a layer of a network
    that reads more images than it takes to try them.
    """
    monkeypatch.setattr(tqdm, "__init__", _forbidden)
    monkeypatch.setattr(KMeans, "fit", _forbidden)
    for kind in (nn.Linear, nn.Conv2d):
        monkeypatch.setattr(kind, "forward", _tries(kind.forward))


@pytest.fixture
def no_cuda(monkeypatch):
    """Let there be no CUDA device, whatever this machine has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def own_results(tmp_path, monkeypatch):
    """Let results go to a folder of this test, and leave no record."""
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("LOCALSPEC_RECORD", raising=False)


@pytest.fixture
def untouched_results(own_results):
    """Fail where anything is added to stored results, changed or taken away from them."""
    stored = results_root() / "artifacts" / "training" / "earlier.safetensors"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"weights")
    yield
    left = [path for path in results_root().rglob("*") if path.is_file()]
    assert left == [stored]
    assert stored.read_bytes() == b"weights"
