"""Data and settings that training refuses."""

from dataclasses import replace

import pytest
from helpers.refusals import IMAGES, LABELS, cases, check_refused

from localspec.data import Dataset
from localspec.exceptions import InvalidInputError
from localspec.networks import NetworkSettings, train

SETTINGS = NetworkSettings(dataset="made", hidden=(6, 4), n_epochs=1)
MADE = Dataset("made", IMAGES, LABELS, IMAGES, LABELS, ("a", "b", "c"))
NUMBERS = {"x_train": IMAGES.flatten(1)[:, :4], "x_test": IMAGES.flatten(1)[:, :4]}
DOUBLE = {"x_train": IMAGES.double(), "x_test": IMAGES.double()}


def trained(settings=SETTINGS, seed=0, device="cpu", dtype="float32", **changes):
    return train(settings, replace(MADE, **changes), seed=seed, device=device, dtype=dtype)


def changed(**changes):
    return NetworkSettings(**{**SETTINGS.model_dump(), **changes})


CASES = {
    "training labels out of range": (
        lambda: trained(y_train=LABELS + 1),
        "label 3",
        "'made'",
        "from 0 to 2",
    ),
    "training with one class": (
        lambda: trained(class_names=("a",), y_train=LABELS * 0, y_test=LABELS * 0),
        "'made' has 1 class(es)",
        "at least two",
    ),
    "regression on labels": (
        lambda: trained(class_names=()),
        "targets",
        "shape (30, n_targets)",
        "not (30,)",
    ),
    "a CNN of numbers": (
        lambda: trained(changed(architecture="cnn", channels=(2,)), **NUMBERS),
        "shape (4,)",
        "no images",
        "use architecture 'mlp'",
    ),
    "numbers to rotate": (
        lambda: trained(changed(max_rotation=15.0), **NUMBERS),
        "shape (4,)",
        "no images",
        "leave max_rotation",
    ),
    "bfloat16 on float64": (
        lambda: trained(changed(precision="bfloat16"), dtype="float64", **DOUBLE),
        "'bfloat16'",
        "no effect on float64",
        "precision 'full'",
    ),
    "more outputs than modules": (
        lambda: trained(changed(module_distance=0.6), class_names=tuple("abcdefghijkl")),
        "10 modules",
        "12 outputs",
        "leave module_distance out",
    ),
    "training on NaN": (
        lambda: trained(x_train=IMAGES / 0 * 0),
        "NaN or infinite",
        "clean the data",
    ),
    "training on no device": (lambda: trained(device="cuda"), "'cuda' is not there", "'cpu'"),
    "negative seed": (lambda: trained(seed=-1), "seed", "at least 0", "not -1"),
}


@pytest.mark.usefixtures("no_long_work", "no_cuda")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)


def test_training_that_diverges():
    # no settings that are allowed diverge in so few steps
    diverging = SETTINGS.model_copy(update={"n_epochs": 2, "learning_rate": 1e200})
    with pytest.raises(InvalidInputError, match=r"diverged in epoch \d .*learning_rate of 1e\+200"):
        trained(diverging, dtype="float64", **DOUBLE)
