"""Training: regression, precision, memory format, threads, augmentation, progress, resuming."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from localspec._utils.checkpoints import Checkpoint
from localspec.conventions import Conventions
from localspec.data import Dataset, load_dataset
from localspec.networks import NetworkSettings, prune, train
from localspec.networks import _training as training
from localspec.networks._pruning import largest

DENSE = NetworkSettings(dataset="toy", hidden=(8, 6), dropout=0.3, n_epochs=4, batch_size=16)
CNN = NetworkSettings(
    dataset="toy",
    architecture="cnn",
    channels=(4, "pool", 6),
    hidden=(8,),
    n_epochs=4,
    batch_size=16,
    batch_norm="after",
    conv_dropout=0.2,
)


def toy(dtype=torch.float32):
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.integers(0, 3, 90))
    x = torch.from_numpy(rng.random((90, 1, 6, 6))).to(dtype) + y[:, None, None, None] / 3
    return Dataset("toy", x[:60], y[:60], x[60:], y[60:], ("a", "b", "c"))


def fit(settings, dataset=None, **options):
    return train(settings, dataset or toy(), **{"seed": 0, "device": "cpu", **options})


def pruned(trained, settings, **options):
    return prune(trained, settings, toy(), seed=0, device="cpu", **options)


def changed(settings, **changes):
    return NetworkSettings(**{**settings.model_dump(), **changes})


def equal(first, second):
    pairs = zip(first.to_arrays().items(), second.to_arrays().items(), strict=True)
    return all(a[0] == b[0] and np.array_equal(a[1], b[1]) for a, b in pairs)


# --- regression ---


def test_regression_learns_polynomials():
    polynomials = load_dataset("polynomials")
    names = ("x_train", "y_train", "x_test", "y_test")
    data = replace(polynomials, **{name: getattr(polynomials, name)[:2000] for name in names})
    settings = NetworkSettings(dataset="polynomials", hidden=(32, 32), n_epochs=15, batch_size=64)
    trained = fit(settings, data)
    assert trained.module(data.x_test).shape == (2000, 512)
    losses = trained.history["test_loss"]
    assert losses[-1] < 0.5 * losses[0]
    # mean over samples and targets
    error = (trained.module(data.x_test) - data.y_test).numpy().astype(float)
    assert losses[-1] == pytest.approx((error**2).mean(), rel=1e-4)
    assert np.isnan(trained.history["test_accuracy"]).all()
    assert np.isnan(trained.history["train_accuracy"]).all()


# --- precision, memory format, threads ---


@pytest.mark.parametrize("settings", [DENSE, CNN], ids=["mlp", "cnn"])
def test_bfloat16_computes_so_and_keeps_float32_weights(settings, monkeypatch):
    seen = set()
    plain = nn.ReLU.forward

    def spy(self, x):
        if self.training:
            seen.add(x.dtype)
        return plain(self, x)

    monkeypatch.setattr(nn.ReLU, "forward", spy)
    half = fit(changed(settings, precision="bfloat16"))
    assert seen == {torch.bfloat16}
    weights = [p for p in half.module.state_dict().values() if p.is_floating_point()]
    assert {weight.dtype for weight in weights} == {torch.float32}
    full = fit(settings)
    assert not equal(half, full)
    assert half.history["train_loss"] == pytest.approx(full.history["train_loss"], rel=0.05)
    # tested without autocast: what the history says is what the stored network does
    data = toy()
    correct = (half.module(data.x_test).argmax(1) == data.y_test).double().mean().item()
    assert half.history["test_accuracy"][-1] == pytest.approx(correct)


def test_channels_last_changes_no_more_than_rounding():
    data = toy(torch.float64)
    plain, other = (
        # dropout goes through memory in its order
        fit(changed(CNN, memory_format=layout, conv_dropout=0.0), data, dtype="float64")
        for layout in ("contiguous", "channels_last")
    )
    for name, weight in plain.module.state_dict().items():
        torch.testing.assert_close(other.module.state_dict()[name], weight, rtol=1e-9, atol=1e-9)
    assert all(weight.is_contiguous() for weight in other.module.parameters())


def test_the_number_of_threads_is_the_networks_own(monkeypatch):
    seen = []
    monkeypatch.setattr(training, "is_small", lambda *arguments: False)

    def evaluate(run):
        seen.append(torch.get_num_threads())
        return 0.0, 0.0

    monkeypatch.setattr(training.TrainingRun, "evaluate", evaluate)
    before = torch.get_num_threads()
    fit(changed(DENSE, n_threads=before + 1, n_epochs=1))
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


# --- augmentation ---


def test_augmentation_is_seeded_and_for_training_images_only():
    settings = changed(CNN, max_rotation=15.0, max_shift=0.1, flip=True)
    assert equal(fit(settings), fit(settings))
    assert not equal(fit(settings), fit(CNN))
    still = fit(changed(settings, learning_rate=1e-30, batch_norm="none", conv_dropout=0.0))
    data = toy()
    for part, same in (("test", True), ("train", False)):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        loss = nn.functional.cross_entropy(still.module(x), y).item()
        initial_loss = still.history[f"{part}_loss"][0]
        assert (initial_loss == pytest.approx(loss, abs=1e-5)) == same


# --- progress ---


def test_the_bar_shows_batches_and_what_an_epoch_ends_with(capsys):
    settings = changed(DENSE, batch_size=4)
    fit(settings, progress=True)
    said = capsys.readouterr()
    assert "training: 100%" in said.err
    assert "60/60" in said.err  # 15 batches an epoch
    assert "epoch=4" in said.err
    assert "test_accuracy=" in said.err
    assert said.out == ""
    fit(settings)
    assert capsys.readouterr().err == ""


def test_the_bar_of_a_resumed_training_begins_where_it_was(checkpoint, capsys):
    settings = changed(DENSE, batch_size=4)
    interrupted(lambda **more: fit(settings, **more), checkpoint)
    fit(settings, checkpoint=checkpoint, progress=True)
    assert "30/60" in capsys.readouterr().err


# --- resuming; a kill itself is in test_resume.py ---


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint("training", "0" * 32, root=tmp_path, interval_s=0)


class Interrupted(Exception):
    pass


def interrupted(run, checkpoint, after=2):
    """Run until so many states are stored."""
    save, n_saved = checkpoint.save_if_due, []

    def count(state):
        save(state)
        n_saved.append(1)
        if len(n_saved) == after:
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save_if_due", count)
        with pytest.raises(Interrupted):
            run(checkpoint=checkpoint)


@pytest.mark.parametrize(
    "settings",
    [
        DENSE,
        changed(CNN, max_rotation=15.0, flip=True, memory_format="channels_last", l2=1e-3),
        changed(CNN, precision="bfloat16", memory_format="channels_last"),
    ],
    ids=["mlp", "augmented cnn", "bfloat16 cnn"],
)
def test_a_resumed_training_ends_in_the_same_bits(settings, checkpoint):
    interrupted(lambda **more: fit(settings, **more), checkpoint)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)  # of another process
        assert equal(fit(settings, checkpoint=checkpoint), fit(settings))


def test_a_checkpoint_is_written_whatever_the_default_device(checkpoint):
    data = toy()  # before the default is another one
    with torch.device("meta"):
        interrupted(lambda **more: fit(DENSE, data, **more), checkpoint)
    assert equal(fit(DENSE, checkpoint=checkpoint), fit(DENSE))


def test_a_resumed_pruning_ends_in_the_same_bits(checkpoint):
    settings = changed(DENSE, n_pruning_epochs=5)  # 4 batches an epoch: masks are drawn between
    trained = fit(settings)

    def run(**more):
        return pruned(trained, settings, **more)

    interrupted(run, checkpoint, after=3)
    assert any(name.startswith("pruner.mask") for name in checkpoint.load())
    assert equal(run(checkpoint=checkpoint), run())


def test_dropped_weights_stay_zero_or_return():
    # choices after 0, 10 and 20 steps, among weights that L1 holds near zero
    settings = changed(DENSE, n_pruning_epochs=5, learning_rate=0.05, l1=0.05)
    trained = fit(settings)
    first = largest(trained.module.dense1.weight, 0.5)

    def kept(reading):
        conventions = Conventions(dropped_weights=reading)
        return pruned(trained, settings, conventions=conventions).module.dense1.weight != 0

    staying, returning = kept("stay"), kept("return")
    assert not (staying & ~first).any()
    assert (returning & ~first).any()
    assert staying.sum() == returning.sum() == round(0.1 * first.numel())


def test_without_penalties_pruning_is_that_of_a_network_without_any():
    l1 = changed(DENSE, l1=0.01, n_pruning_epochs=2)
    trained = fit(l1)
    without_any = pruned(trained, changed(l1, l1=0.0))
    assert equal(pruned(trained, changed(l1, pruning_penalties=False)), without_any)
    assert not equal(pruned(trained, l1), without_any)
