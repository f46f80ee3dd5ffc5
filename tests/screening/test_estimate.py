"""Estimates: what they count, not how fast this machine is."""

import pytest
import torch
from helpers.refusals import check_refused
from helpers.screening import IMAGES, SETTINGS
from torch.utils.data import DataLoader, TensorDataset

from localspec.screening import estimate, screen
from localspec.screening._estimate import Estimate


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Time a few sets of units only."""
    monkeypatch.setattr("localspec.screening._estimate.LEAST_SECONDS", 0.0)


def test_an_estimate_counts_steps_and_groups(network, labels, report):
    found = estimate(network, (IMAGES, labels), **SETTINGS)
    assert found.n_groups == len(report.table)  # it clusters on all of so few images
    first = {"graph of weights", "graph of activations", "clusters"}
    assert set(found.seconds) == first | {"lesions", "visualizations", "exciting images"}
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
    check_refused(lambda: estimate(network, (IMAGES, labels[:9])), ["shape (60,)", "not (9,)"])
    check_refused(lambda: estimate(network, (IMAGES, labels.to_sparse())), [".to_dense()"])
    check_refused(lambda: estimate(network, (IMAGES.to_sparse(), labels)), [".to_dense()"])


@pytest.mark.parametrize(
    ("x_train", "words"),
    [
        (5, ["x_train", "not int"]),
        (IMAGES.numpy(), ["x_train", "torch.from_numpy"]),
        (IMAGES * 255, ["x_train must lie in [0, 1]"]),
        (IMAGES / 0 * 0, ["x_train", "NaN or infinite"]),
        (IMAGES[:2], ["at least 3 images", "not 2"]),
        (IMAGES[:, :, :2], ["x and x_train", "(60, 1, 4, 4) and (60, 1, 2, 4)"]),
        (TensorDataset(IMAGES[:0], IMAGES[:0]), ["x_train holds no image"]),
    ],
)
def test_images_for_correlations_are_refused_as_screen_refuses_them(
    x_train, words, network, labels
):
    for function in (estimate, screen):
        check_refused(lambda f=function: f(network, (IMAGES, labels), x_train=x_train), words)


def test_images_for_correlations_count(network, labels):
    options = {"partitionings": ["activations/local"], "measures": ["importance"], **SETTINGS}
    for x_train in (IMAGES, (IMAGES, labels), DataLoader(TensorDataset(IMAGES, labels), 7)):
        found = estimate(network, (IMAGES, labels), x_train=x_train, **options)
        assert found.seconds["graph of activations"] > 0


def test_long_times_are_said_without_exponents():
    text = str(Estimate(390.3, 1234.5, 2**31, 0, 8, {"lesions": 5794.0, "clusters": 0.0123}))
    assert text.startswith("about 390 minutes (up to 1230 if")
    assert text.endswith("lesions 5790, clusters 0.0123")


@pytest.fixture
def few(monkeypatch):
    """Try four images only."""
    monkeypatch.setattr("localspec.screening._estimate.LEAST_TRIED", 4)
    monkeypatch.setattr("localspec.screening._estimate.TRIED_VALUES", 1)


def test_images_that_are_tried_may_have_one_label(few, network):
    rare = (torch.arange(60) == 5).long()  # the images that are tried are 0, 20, 39 and 59
    for data in (
        (IMAGES, rare),
        TensorDataset(IMAGES, rare),
        DataLoader(TensorDataset(IMAGES, rare), 7),
    ):
        found = estimate(network, data, **SETTINGS)
        assert found.n_groups > 0
    zeros = torch.zeros(60).long()
    check_refused(lambda: estimate(network, (IMAGES, zeros), **SETTINGS), ["all labels are 0"])
    check_refused(lambda: estimate(network, (IMAGES, 3 * rare), **SETTINGS), ["label 3 does not"])
    every = TensorDataset(IMAGES[:4], zeros[:4])
    check_refused(lambda: estimate(network, every, **SETTINGS), ["all labels are 0"])
