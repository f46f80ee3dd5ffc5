"""Training for real: the digits profile's network learns its digits."""

import pytest

from localspec.data import load_dataset
from localspec.networks import train
from localspec.pipeline import load_profile

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("network", "train_accuracy"), [("mlp", 0.98), ("cnn", 0.95)])
def test_the_digits_networks_reach_their_accuracy(network, train_accuracy):
    profile = load_profile("digits")
    settings = profile.networks[network]
    data = load_dataset("digits", dtype=profile.dtype)
    trained = train(settings, data, seed=0, dtype=profile.dtype, device="cpu")
    assert trained.history["test_accuracy"][-1] > 0.93
    assert trained.history["train_accuracy"][-1] > train_accuracy
    # what the history says is what the network does
    accuracy = (trained.module(data.x_test).argmax(dim=1) == data.y_test).double().mean()
    assert trained.history["test_accuracy"][-1] == pytest.approx(accuracy.item())
