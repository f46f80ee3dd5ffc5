"""Further training: what is added to the loss, when, and going on from a checkpoint."""

import numpy as np
import pytest
import torch

from localspec._utils.checkpoints import Checkpoint
from localspec.data import Dataset
from localspec.networks import NetworkSettings, TrainedNetwork, build_network, train_further

SETTINGS = NetworkSettings(dataset="made up", hidden=(4,), batch_size=8, learning_rate=0.01)


X = torch.rand(20, 1, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.arange(20) % 3
DATASET = Dataset("made up", X, Y, X, Y, ("a", "b", "c"))
MODULE = build_network(SETTINGS, (1, 2, 3), 3, seed=1, dtype="float64")
START = TrainedNetwork(MODULE.eval().requires_grad_(False), {})


def further(**options):
    shared = {"n_epochs": 2, "seed": 3, "device": "cpu"}
    return train_further(START, SETTINGS, DATASET, **{**shared, **options})


def test_what_is_added_to_the_loss_moves_kernels_alone():
    before = {name: value.clone() for name, value in MODULE.state_dict().items()}
    plain = further(n_epochs=1).module.state_dict()
    added = further(
        n_epochs=1,
        extra_loss=lambda kernels, step: 1e6 * sum(kernel.sum() for kernel in kernels),
    ).module.state_dict()
    for name, value in MODULE.state_dict().items():
        assert torch.equal(value, before[name])
        if name.endswith("weight"):  # three steps of Adam at the rate, all in one direction
            torch.testing.assert_close(added[name], value - 3 * 0.01, rtol=0, atol=1e-6)
            assert not torch.equal(plain[name], added[name])


def test_steps_are_counted_from_the_start_of_each_epoch():
    steps = []

    def nothing(kernels, step):
        steps.append((step, [tuple(kernel.shape) for kernel in kernels]))
        return torch.zeros(())

    with_nothing = further(extra_loss=nothing)
    assert [step for step, _ in steps] == [0, 1, 2, 0, 1, 2]
    assert steps[0][1] == [(4, 6), (3, 4)]
    plain = further()
    for name, value in plain.module.state_dict().items():
        assert torch.equal(value, with_nothing.module.state_dict()[name])
    assert len(plain.history["test_accuracy"]) == 2


def test_it_goes_on_from_a_checkpoint(tmp_path):
    def squares(kernels, step):
        return (1 + step) * sum(kernel.square().sum() for kernel in kernels)

    class KilledError(Exception):
        pass

    n_calls = 0

    def killed(kernels, step):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 5:  # in the second epoch
            raise KilledError
        return squares(kernels, step)

    checkpoint = Checkpoint("penalty", "0" * 32, root=tmp_path, interval_s=0)
    with pytest.raises(KilledError):
        further(extra_loss=killed, checkpoint=checkpoint)
    resumed = further(extra_loss=squares, checkpoint=checkpoint)
    whole = further(extra_loss=squares)
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name])
    np.testing.assert_array_equal(whole.history["train_loss"], resumed.history["train_loss"])
