"""Networks and images that units are not read from."""

import pytest
import torch
from helpers.refusals import IMAGES, LABELS, cases, check_refused, mlp
from torch import nn

from localspec.units import (
    check_labels,
    in_bfloat16,
    logit_gradients,
    trace_units,
    unit_strengths,
    unit_values,
)


def values(x=IMAGES, **settings):
    return unit_values(mlp(), x, **settings)


CASES = {
    "a path": (lambda: trace_units("network.pt"), "must be a torch.nn.Module", "str"),
    "nothing": (lambda: trace_units(None), "must be a torch.nn.Module", "NoneType"),
    "a class": (lambda: trace_units(nn.Sequential), "must be a torch.nn.Module", "type"),
    "weights": (lambda: trace_units(mlp().state_dict()), "torch.nn.Module", "OrderedDict"),
    "images": (lambda: trace_units(IMAGES), "must be a torch.nn.Module", "Tensor"),
    "in training mode": (lambda: trace_units(mlp().train()), "training mode", "network.eval()"),
    "conventions": (
        lambda: trace_units(mlp(), conventions={"residual_units": "reader"}),
        "'paper' or 'released'",
    ),
    "an unknown preset": (lambda: trace_units(mlp(), conventions="plain"), "'plain'", "'paper'"),
    "half precision of a path": (lambda: in_bfloat16("network.pt"), "torch.nn.Module", "str"),
    "values on a list": (lambda: values(IMAGES.tolist()), "images must be a tensor", "not list"),
    "values on bytes": (lambda: values(IMAGES.byte()), "uint8", "x.float() / 255"),
    "values on other images": (
        lambda: values(torch.rand(9, 3, 4, 4)),
        "cannot read images of shape (3, 4, 4)",
        "trained on",
    ),
    "values in no memory": (lambda: values(max_values=0), "max_values", "at least 1", "not 0"),
    "gradients in no memory": (lambda: logit_gradients(mlp(), IMAGES, max_values=0), "max_values"),
    "gradients in half a value": (
        lambda: logit_gradients(mlp(), IMAGES, max_values=1.5),
        "max_values",
    ),
    "values under no convention": (lambda: values(conventions=1), "'paper' or 'released'", "not 1"),
    "strengths of no kind": (
        lambda: unit_strengths(mlp(), IMAGES, "norm"),
        "strata='norm'",
        "'weight norm', 'mean activation'",
    ),
    "strengths on an array": (
        lambda: unit_strengths(mlp(), IMAGES.numpy(), "mean activation"),
        "torch.from_numpy",
    ),
    "labels of no logit": (
        lambda: check_labels(LABELS + 2, 3),
        "label 4",
        "3 logits",
        "from 0 to 2",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
