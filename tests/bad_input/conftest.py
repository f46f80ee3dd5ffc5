"""Guards: nothing here may begin long work, and nothing may write outside its own folder."""

import pytest
from sklearn.cluster import KMeans
from tqdm.auto import tqdm


def _forbidden(*arguments, **options):
    pytest.fail("long work began before the error")


@pytest.fixture(autouse=True)
def _no_long_work(monkeypatch):
    """Fail where a progress bar, which every long computation has, or a k-means begins."""
    monkeypatch.setattr(tqdm, "__init__", _forbidden)
    monkeypatch.setattr(KMeans, "fit", _forbidden)


@pytest.fixture(autouse=True)
def _own_results(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path / "results"))
    monkeypatch.delenv("LOCALSPEC_RECORD", raising=False)
