"""Training: Keras's Adam, penalties, what the history means, and what the seed decides."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.networks import conv, dense, stack
from torch import nn
from torch.nn import functional as F

from localspec._utils.checkpoints import Checkpoint
from localspec.conventions import Conventions
from localspec.data import Dataset
from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.networks import (
    HISTORY,
    NetworkSettings,
    TrainedNetwork,
    build_network,
    prune,
    train,
    train_further,
)
from localspec.networks._optimiser import KerasAdam, kernels, penalty

SETTINGS = NetworkSettings(dataset="toy", hidden=(5, 4), n_epochs=3, batch_size=8)
STILL = 1e-30  # a rate at which nothing is learned


def toy(n_train=20, seed=0):
    rng = np.random.default_rng(seed)
    y = [torch.from_numpy(rng.integers(0, 3, n)) for n in (n_train, 12)]
    x = [torch.from_numpy(rng.random((len(part), 1, 2, 3))) for part in y]
    x = [images + labels[:, None, None, None] / 3 for images, labels in zip(x, y, strict=True)]
    return Dataset("toy", x[0], y[0], x[1], y[1], ("a", "b", "c"))


def fit(dataset=None, seed=0, conventions="paper", **changes):
    settings = NetworkSettings(**{**SETTINGS.model_dump(), **changes})
    options = {"dtype": "float64", "device": "cpu", "conventions": conventions}
    return train(settings, dataset or toy(), seed=seed, **options)


def built(settings=SETTINGS, seed=0, dtype="float64"):
    return build_network(settings, (1, 2, 3), 3, seed=seed, dtype=dtype)


def evaluate(module, part):
    """Return loss and accuracy of a network on the toy's images for training or testing."""
    data = toy()
    x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
    logits = module(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).double().mean().item()


# --- Adam ---


def test_adam_with_epsilon_hat():
    # gradients so small that the epsilon of 1e-7 decides
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(6, 4)) * 10.0 ** rng.integers(-9, 0, (6, 4))
    parameter = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = KerasAdam([parameter], lr=1e-3)
    weights, m, v = np.zeros(4), np.zeros(4), np.zeros(4)
    for t, gradient in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        rate = 1e-3 * math.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weights = weights - rate * m / (np.sqrt(v) + 1e-7)
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        assert parameter.detach().numpy() == pytest.approx(weights, rel=1e-9, abs=1e-18)


def test_adam_differs_from_pytorchs():
    # one step of a gradient of 1e-8: Keras moves by rate x 1e-8 sqrt(0.001) 10 x 0.1 /
    # (1e-8 sqrt(0.001) + 1e-7) with sqrt(0.001) = 0.03162: 3.162e-10 / 1.003162e-7
    parameter = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    parameter.grad = torch.full((1,), 1e-8, dtype=torch.float64)
    KerasAdam([parameter], lr=1.0).step()
    assert parameter.item() == pytest.approx(-3.162278e-10 / 1.003162e-7, rel=1e-5)


# --- penalties ---

WEIGHTS = stack(
    conv([[[[1.0, -2.0]]]], [9.0]),
    nn.ReLU(),
    nn.Flatten(),
    dense([[0.5, 0.0], [-1.0, 3.0]], [9.0, 9.0]),
    nn.ReLU(),
    dense([[2.0, -1.0]], [9.0]),
)


@pytest.mark.parametrize(
    ("l1", "l2", "reading", "expected"),
    [
        (0, 0, "l2", 0),
        (0.1, 0, "l2", 0.1 * (3 + 4.5 + 3)),  # sums of |w|: biases do not count
        (0.1, 0, "l1", 0.1 * (3 + 4.5 + 3)),
        (0, 0.1, "l2", 0.1 * (5 + 10.25 + 5)),  # sums of squares, without a half
        (0, 0.1, "l1", 0.1 * (3 + 10.25 + 5)),  # the first kernel by |w|
        (0.1, 0.01, "l2", 0.1 * 10.5 + 0.01 * 20.25),
    ],
)
def test_penalty(l1, l2, reading, expected):
    conventions = Conventions(l2_first_layer=reading)
    with torch.no_grad():
        value = float(penalty(WEIGHTS, l1=l1, l2=l2, conventions=conventions))
    assert value == pytest.approx(expected)


def test_kernels_are_all_weights_but_no_biases_in_order():
    assert [tuple(weight.shape) for weight in kernels(WEIGHTS)] == [(1, 1, 1, 2), (2, 2), (1, 2)]


# --- history ---


def test_history_has_a_value_for_every_epoch():
    trained = fit(n_epochs=4)
    assert isinstance(trained, TrainedNetwork)
    assert set(trained.history) == set(HISTORY)
    assert all(values.shape == (4,) for values in trained.history.values())


def test_training_values_are_running_averages_over_images():
    # nothing is learned, so every batch counts what the first network gives: batches of 8, 8
    # and 4 images, weighted by their size
    trained = fit(learning_rate=STILL, n_epochs=2)
    for part in ("train", "test"):
        loss, accuracy = evaluate(built(), part)
        assert trained.history[f"{part}_loss"] == pytest.approx([loss, loss])
        assert trained.history[f"{part}_accuracy"] == pytest.approx([accuracy, accuracy])


@pytest.mark.parametrize(("n_train", "batch_size"), [(20, 19), (21, 5), (20, 1)])
def test_a_batch_of_one_cannot_be_normalized(n_train, batch_size):
    message = f"batch_size = {batch_size} leaves a batch of one of the {n_train} training images"
    with pytest.raises(InvalidInputError, match=message):
        fit(toy(n_train), batch_size=batch_size, batch_norm="after")
    assert fit(toy(n_train), batch_size=batch_size, n_epochs=1).history["test_loss"].size == 1


def test_training_values_are_taken_before_and_test_values_after_the_steps():
    # one batch an epoch: the third epoch trains on the network as the second left it
    two, three = fit(n_epochs=2, batch_size=20), fit(n_epochs=3, batch_size=20)
    for part, trained in (("train", two), ("test", three)):
        loss, accuracy = evaluate(trained.module, part)
        assert three.history[f"{part}_loss"][2] == pytest.approx(loss)
        assert three.history[f"{part}_accuracy"][2] == pytest.approx(accuracy)
    assert three.history["test_loss"][:2] == pytest.approx(two.history["test_loss"])


def test_training_values_are_taken_with_dropout_on():
    still = fit(learning_rate=STILL, dropout=0.8)
    loss, _ = evaluate(still.module, "train")
    assert abs(still.history["train_loss"][0] - loss) > 1e-3
    loss, _ = evaluate(still.module, "test")
    assert still.history["test_loss"][0] == pytest.approx(loss)


@pytest.mark.parametrize(("reading", "first_is_l1"), [("l2", False), ("l1", True)])
def test_penalties_are_part_of_the_training_loss(reading, first_is_l1):
    conventions = Conventions(l2_first_layer=reading)
    plain = fit(learning_rate=STILL)
    fined = fit(learning_rate=STILL, l2=0.1, conventions=conventions)
    first, *others = (w.detach() for w in kernels(plain.module))
    expected = sum((w**2).sum() for w in others)
    expected += first.abs().sum() if first_is_l1 else (first**2).sum()
    differences = fined.history["train_loss"] - plain.history["train_loss"]
    assert differences == pytest.approx([0.1 * float(expected)] * 3)


def test_penalties_shrink_weights():
    sizes = [
        sum(float(w.abs().sum()) for w in kernels(fit(n_epochs=40, **options).module))
        for options in ({}, {"l1": 0.05}, {"l2": 0.05})
    ]
    assert sizes[1] < 0.8 * sizes[0]
    assert sizes[2] < 0.9 * sizes[0]


# --- training ---


def test_one_epoch_by_hand():
    # a single batch, plain numpy: logits = W2 relu(W1 x), cross-entropy, one step of Adam
    data = toy()
    options = {"hidden": (5,), "n_epochs": 1, "batch_size": 20}
    trained = fit(data, **options)
    start = built(NetworkSettings(**{**SETTINGS.model_dump(), **options}))
    w1, w2 = (w.detach().numpy() for w in kernels(start))
    x, y = data.x_train.flatten(1).numpy(), np.eye(3)[data.y_train.numpy()]
    hidden = np.maximum(x @ w1.T, 0)
    logits = hidden @ w2.T
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    back = (p - y) / len(x)
    gradients = [(back @ w2 * (hidden > 0)).T @ x, back.T @ hidden]
    for before, after, gradient in zip((w1, w2), kernels(trained.module), gradients, strict=True):
        # first step: m = 0.1 g, v = 0.001 g^2, rate 1e-3 sqrt(0.001) / 0.1
        step = 1e-3 * math.sqrt(0.001) * gradient / (math.sqrt(0.001) * np.abs(gradient) + 1e-7)
        assert after.numpy() == pytest.approx(before - step, rel=1e-9, abs=1e-12)


def test_the_trained_network_is_in_inference_mode_and_without_gradients():
    module = fit(dropout=0.5).module
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_seed_alone_decides():
    torch.manual_seed(1)
    first = fit(seed=3, dropout=0.3)
    torch.manual_seed(2)
    again, other = fit(seed=3, dropout=0.3), fit(seed=4, dropout=0.3)
    assert torch.equal(first.module[1].weight, again.module[1].weight)
    assert first.history["train_loss"].tolist() == again.history["train_loss"].tolist()
    assert first.history["train_loss"].tolist() != other.history["train_loss"].tolist()


def test_training_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    fit(dropout=0.3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_training_leaves_the_generators_of_other_devices_alone(monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("seeded"))
    fit(dropout=0.3)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_mode_without_gradients_changes_nothing(mode):
    plain = fit()
    settings = SETTINGS.model_copy(update={"n_pruning_epochs": 1})
    with mode():
        data = toy()
        trained = fit(data)
        further = train_further(trained, settings, data, n_epochs=1, seed=0, device="cpu")
        pruned = prune(trained, settings, data, seed=0, device="cpu")
    assert torch.equal(trained.module[1].weight, plain.module[1].weight)
    for other in (further, pruned):
        assert not torch.equal(other.module[1].weight, plain.module[1].weight)


def test_autocast_does_not_choose_the_precision():
    # it would decide on the history, which is taken without the setting precision
    with (
        torch.autocast("cpu", dtype=torch.bfloat16),
        pytest.raises(InvalidInputError, match=r"torch.autocast is on for cpu"),
    ):
        fit()


def test_images_get_no_gradients():
    data = toy()
    images = data.x_train.clone().requires_grad_(True)
    trained = fit(replace(data, x_train=images))
    assert images.grad is None
    assert torch.equal(trained.module[1].weight, fit().module[1].weight)


def test_storing_and_loading():
    trained = fit()
    loaded = TrainedNetwork.from_arrays(built(seed=9), trained.to_arrays())
    x = toy().x_test
    assert torch.equal(loaded.module(x), trained.module(x))
    np.testing.assert_equal(loaded.history, trained.history)
    assert not loaded.module.training


def without(arrays, name):
    return {key: value for key, value in arrays.items() if key != name}


NAME = "weights.dense1.weight"
MISFITS = {
    "a tensor less": (lambda a: without(a, NAME), "missing ['dense1.weight'], not expected []"),
    "no tensor": (lambda a: {}, "missing ['dense1.bias', 'dense1.weight'"),
    "a tensor more": (lambda a: {**a, "weights.9.bias": a[NAME]}, "not expected ['9.bias']"),
    "half precision": (
        lambda a: {**a, NAME: a[NAME].astype("f2")},
        "weight is torch.float16",
    ),
    "single precision": (lambda a: {**a, NAME: a[NAME].astype("f4")}, "not torch.float64 of"),
    "whole numbers": (lambda a: {**a, NAME: a[NAME].astype("i8")}, "weight is torch.int64"),
    "complex": (lambda a: {**a, NAME: a[NAME].astype("c16")}, "weight is torch.complex128"),
    "transposed": (
        lambda a: {**a, NAME: a[NAME].T.copy()},
        "weight is torch.float64 of shape",
    ),
    "one number": (lambda a: {**a, NAME: a[NAME][:1, 0]}, "of shape (1,), not"),
    "NaN": (lambda a: {**a, NAME: a[NAME] * np.nan}, "dense1.weight holds NaN or infinite values"),
    "infinite": (
        lambda a: {**a, NAME: a[NAME] + np.inf},
        "dense1.weight holds NaN or infinite values",
    ),
    "something else": (lambda a: {**a, "labels": a[NAME]}, "['weights', 'history', 'labels']"),
}


def test_stored_weights_that_are_not_the_networks():
    arrays = fit().to_arrays()
    empty = built(seed=9)
    initial = {name: value.clone() for name, value in empty.state_dict().items()}
    for change, words in MISFITS.values():
        with pytest.raises(ArtifactError) as caught:
            TrainedNetwork.from_arrays(empty, change(arrays))
        assert words in str(caught.value)
    for name, value in empty.state_dict().items():
        assert torch.equal(value, initial[name])


def test_weights_of_double_precision_are_rounded():
    arrays = fit().to_arrays()
    weight = TrainedNetwork.from_arrays(built(dtype="float32"), arrays).module[1].weight
    assert torch.equal(weight, torch.from_numpy(arrays[NAME]).float())


def test_weights_in_any_order_in_memory():
    trained = fit()
    flipped = {name: array[::-1].copy()[::-1] for name, array in trained.to_arrays().items()}
    for array in flipped.values():
        array.flags.writeable = False
    loaded = TrainedNetwork.from_arrays(built(seed=9), flipped)
    assert torch.equal(loaded.module[1].weight, trained.module[1].weight)


class Kept(dict, Checkpoint):
    """A checkpoint in memory."""

    path = "kept.checkpoint"

    def load(self):
        return dict(self) or None

    def save_if_due(self, state):
        self.update({name: value.clone() for name, value in state.items()})


def resumed(kept, n_epochs=3):
    settings = SETTINGS.model_copy(update={"n_epochs": n_epochs})
    options = {"seed": 0, "dtype": "float64", "device": "cpu", "checkpoint": kept}
    return train(settings, toy(), **options)


def test_states_that_are_not_this_trainings():
    kept = Kept()
    resumed(kept, n_epochs=2)
    again = resumed(Kept(kept))
    assert np.array_equal(again.history["test_loss"], fit().history["test_loss"])
    changes = {
        "n_steps": torch.tensor([1, 2]),
        "weights.dense1.weight": torch.zeros(3),
        "generator.torch": torch.zeros(3, dtype=torch.uint8),
        "history": torch.tensor(0.0),
    }
    names = ("n_steps", "weights.dense1.weight", "adam.0.exp_avg", "generator.torch")
    less = [without(kept, name) for name in names]
    wrong = [{**kept, name: value} for name, value in changes.items()]
    for states in less + wrong:
        with pytest.raises(ArtifactError, match=r"kept.checkpoint does not hold .*: delete it"):
            resumed(Kept(states))
