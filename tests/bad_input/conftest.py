"""Guards: nothing here may begin long work, and nothing may write outside its own folder."""

import pkgutil

import pytest

import localspec
from localspec import spectral


def _forbidden(*arguments, **options):
    pytest.fail("long work began before the error")


@pytest.fixture(autouse=True)
def _no_long_work(monkeypatch):
    """Fail where a progress bar, which every long computation has, or a k-means begins."""
    for found in pkgutil.iter_modules(localspec.__path__):
        module = __import__(f"localspec.{found.name}", fromlist=["tqdm"])
        if hasattr(module, "tqdm"):
            monkeypatch.setattr(module, "tqdm", _forbidden)
    monkeypatch.setattr(spectral, "KMeans", _forbidden)


@pytest.fixture(autouse=True)
def _own_results(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("LOCALSPEC_RECORD", raising=False)
