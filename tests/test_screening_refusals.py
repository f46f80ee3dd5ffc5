"""Networks, images, labels and settings that the screen refuses."""

import pytest
import torch
from helpers.refusals import IMAGES, LABELS, cases, check_refused, mlp
from torch import nn

from localspec.screening import screen


def with_weights(value: float) -> nn.Module:
    network = mlp()
    network[3].weight.data[0, 0] = value
    return network


class Returns(nn.Module):
    """A chain whose logits are wrapped in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x):
        return (self.body(x),)


class Gated(nn.Module):
    """A network that multiplies two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.first, self.second, self.out = nn.Linear(16, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(self.flatten(x)).relu()
        return self.out(x * self.second(x).relu())


def screened(network=None, x=IMAGES, y=LABELS, **settings):
    few = {"n_clusters": 2, "n_draws": 3}
    return screen(network or mlp(), x, y, **(few | settings))


CASES = {
    "a function": (lambda: screened(len), "must be a torch.nn.Module", "builtin_function"),
    "in training mode": (lambda: screened(mlp().train()), "training mode", "network.eval()"),
    "a product": (lambda: screened(Gated().eval()), "call of mul (node 'mul')", "sums of two"),
    "an unknown operation": (lambda: screened(mlp(nn.LayerNorm(3))), "LayerNorm", "Conv2d"),
    "no hidden layer": (
        lambda: screened(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()),
        "1 layer(s)",
        "no hidden layer",
    ),
    "NaN weights": (lambda: screened(with_weights(float("nan"))), "layer '3'", "NaN", "damaged"),
    "infinite weights": (lambda: screened(with_weights(float("inf"))), "layer '3'", "infinite"),
    "returns a tuple": (lambda: screened(Returns().eval()), "returns a tuple", "logits alone"),
    "returns maps": (
        lambda: screened(mlp(nn.Unflatten(1, (1, 3)))),
        "cannot follow units",
        "Unflatten",
    ),
    "too few logits": (lambda: screened(y=LABELS + 3), "label 5", "3 logits", "from 0 to 2"),
    "other images": (
        lambda: screened(mlp(n_inputs=64)),
        "cannot read images of shape (1, 4, 4)",
        "trained on",
    ),
    "pixels of 0 to 255": (
        lambda: screened(x=(IMAGES * 255).to(torch.uint8)),
        "floating point",
        "uint8",
        "x.float() / 255",
    ),
    "a numpy array": (lambda: screened(x=IMAGES.numpy()), "tensor", "numpy", "torch.from_numpy"),
    "a list of labels": (lambda: screened(y=LABELS.tolist()), "tensor of shape (30,)", "not list"),
    "no images": (
        lambda: screened(x=IMAGES[:0], y=LABELS[:0]),
        "at least one image",
        "(0, 1, 4, 4)",
    ),
    "flat images": (lambda: screened(x=IMAGES.flatten(1)), "n_channels, height, width", "(30, 16)"),
    "NaN pixels": (lambda: screened(x=IMAGES / 0 * 0), "NaN or infinite", "clean the data"),
    "NaN pixels in x_train": (lambda: screened(x_train=IMAGES / 0 * 0), "NaN or infinite"),
    "x_train of another shape": (
        lambda: screened(x_train=torch.rand(9, 1, 8, 8)),
        "x and x_train",
        "(30, 1, 4, 4) and (9, 1, 8, 8)",
    ),
    "fewer labels than images": (lambda: screened(y=LABELS[:9]), "shape (30,)", "not (9,)"),
    "float labels": (lambda: screened(y=LABELS.float()), "integers from 0", "float32", "y.long()"),
    "a negative label": (lambda: screened(y=LABELS - 1), "integers from 0 upwards", "not -1"),
    "one class": (lambda: screened(y=LABELS * 0), "all labels are 0", "two or more"),
    "an empty class": (lambda: screened(y=LABELS // 2 * 2), "class 1 has no image", "at least one"),
    "constant images": (
        lambda: screened(x=IMAGES * 0 + 0.5),
        "no unit varies over these images: they are all the same",
    ),
    "k = 1": (lambda: screened(n_clusters=1), "n_clusters", "at least 2", "not 1"),
    "k above the units": (
        lambda: screened(n_clusters=11),
        "n_clusters",
        "from 2 to",
        "(10)",
        "not 11",
    ),
    "negative draws": (lambda: screened(n_draws=-3), "n_draws", "at least 1", "not -3"),
    "no draws": (lambda: screened(n_draws=0), "n_draws", "at least 1", "not 0"),
    "half a draw": (lambda: screened(n_draws=2.5), "whole number", "not 2.5"),
    "too few images": (lambda: screened(n_images=2), "n_images", "at least 3", "not 2"),
    "negative seed": (lambda: screened(seed=-1), "seed", "at least 0", "not -1"),
    "level 0": (lambda: screened(level=0), "level", "between 0 and 1", "not 0"),
    "level 1": (lambda: screened(level=1.0), "level", "between 0 and 1", "not 1"),
    "conventions": (
        lambda: screened(conventions="papr"),
        "'papr' is not known",
        "'paper', 'released'",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
