"""Estimates: what they count, not how fast this machine is."""

import pytest
from helpers.refusals import check_refused
from helpers.screening import IMAGES, SETTINGS
from torch.utils.data import DataLoader, TensorDataset

from localspec.screening import estimate
from localspec.screening._estimate import Estimate


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Time a few sets of units only."""
    monkeypatch.setattr("localspec.screening._estimate.LEAST_SECONDS", 0.0)


def test_an_estimate_counts_steps_and_groups(network, labels, report):
    found = estimate(network, (IMAGES, labels), **SETTINGS)
    assert found.n_groups == len(report.table)  # it clusters on all of so few images
    assert set(found.seconds) == {
        "graph of weights",
        "graph of activations",
        "clusters",
        "lesions",
        "visualizations",
        "exciting images",
    }
    assert found.minutes == found.most_minutes == pytest.approx(sum(found.seconds.values()) / 60)
    assert found.memory > 2**26  # the process itself
    assert "minutes" in str(found)


def test_more_draws_take_as_much_longer(network, labels):
    found = estimate(network, (IMAGES, labels), max_draws=49, measures=["importance"], **SETTINGS)
    lesions = found.seconds["lesions"] / 60
    # five sets of units a group at first, fifty at most
    assert found.most_minutes - found.minutes == pytest.approx(9 * lesions)
    assert "visualizations" not in found.seconds


def test_images_that_are_to_be_read_count(network, labels):
    data = DataLoader(TensorDataset(IMAGES, labels), batch_size=16)
    found = estimate(network, data, max_memory=0, **SETTINGS)
    assert found.seconds["images"] > 0
    assert found.disk == IMAGES.numel() * 4


def test_what_screen_refuses_is_refused(network, labels):
    check_refused(lambda: estimate(network, (IMAGES, labels), level=2), ["level", "not 2"])
    check_refused(lambda: estimate(network, IMAGES), ["(images, labels)"])


def test_long_times_are_said_without_exponents():
    text = str(Estimate(390.3, 1234.5, 2**31, 0, 8, {"lesions": 5794.0, "clusters": 0.0123}))
    assert text.startswith("about 390 minutes (up to 1230 if")
    assert text.endswith("lesions 5790, clusters 0.0123")
