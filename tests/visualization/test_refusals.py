"""Targets and settings that the feature visualization refuses."""

import pytest
from helpers.refusals import cases, check_refused, mlp

from localspec.visualization import visualize


def shown(target, shape=(1, 4, 4), **settings):
    return visualize(mlp(), [target], shape, **settings)


CASES = {
    "other images to visualize": (
        lambda: shown({"1": [0]}, (1, 5, 5)),
        "cannot read images of shape (1, 5, 5)",
        "trained on",
    ),
    "two-channel images": (lambda: shown({"1": [0]}, (2, 4, 4)), "(1 or 3, height, width)", "(2,"),
    "image of an unknown layer": (lambda: shown({"conv": [0]}), "no layer 'conv'", "1, 3, 5"),
    "image of no unit": (lambda: shown({"1": []}), "one or more from 0 to 5", "not []"),
    "image of half a unit": (lambda: shown({"1": [0.5]}), "from 0 to 5", "[0.5]"),
    "image of two layers": (lambda: shown({"1": [0], "3": [0]}), "one layer", "['1', '3']"),
    "no steps": (lambda: shown({"1": [0]}, n_steps=0), "n_steps", "at least 1", "not 0"),
    "learning rate": (lambda: shown({"1": [0]}, learning_rate=0), "learning_rate", "not 0"),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
