"""Training for real: the digits profile's network learns its digits."""

import pytest

from localspec.data import load_dataset
from localspec.profiles import load_profile
from localspec.training import train

pytestmark = pytest.mark.integration


def test_the_digits_network_reaches_its_accuracy():
    profile = load_profile("digits")
    (settings,) = profile.networks.values()
    data = load_dataset("digits", dtype=profile.dtype)
    trained = train(settings, data, seed=0, dtype=profile.dtype, device="cpu")
    assert trained.history["test_accuracy"][-1] > 0.93
    assert trained.history["train_accuracy"][-1] > 0.98
    # what the history says is what the network does
    accuracy = (trained.module(data.x_test).argmax(dim=1) == data.y_test).double().mean()
    assert trained.history["test_accuracy"][-1] == pytest.approx(accuracy.item())
