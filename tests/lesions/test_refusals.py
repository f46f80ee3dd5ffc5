"""Lesions and labels that are refused."""

import pytest
from helpers.refusals import IMAGES, LABELS, cases, check_refused, mlp

from localspec.lesions import lesion_accuracies


def lesioned(lesion, x=IMAGES, y=LABELS, **settings):
    return lesion_accuracies(mlp(), x, y, [lesion], **settings)


CASES = {
    "labels above n_classes": (
        lambda: lesioned({}, n_classes=2),
        "label 2",
        "2 classes",
        "from 0 to 1",
    ),
    "lesion of an unknown layer": (lambda: lesioned({"2": [0]}), "no layer '2'", "1, 3, 5"),
    "lesion of an unknown unit": (lambda: lesioned({"1": [0, 6]}), "from 0 to 5", "0 to 6"),
    "lesion of half a unit": (lambda: lesioned({"1": [0.5]}), "whole numbers", "float64"),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
