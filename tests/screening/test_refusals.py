"""Networks, images, labels and settings that the screen refuses, and some that it does not."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.refusals import IMAGES, LABELS, cases, check_refused, mlp
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from localspec.clustering import Partition
from localspec.data import Dataset
from localspec.screening import screen

MINE = Partition.from_labels({"1": [0, 0, 1, 1, 1, 0]})


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


class Masked(Returns):
    """A network that also wants to know which images count."""

    def forward(self, x, mask):
        return self.body(x * mask)


class Joined(Returns):
    """A network of two images."""

    def forward(self, first, second):
        return self.body(first) + self.body(second)


class Named(Returns):
    """A chain whose logits have a name."""

    def forward(self, x):
        return {"logits": self.body(x)}


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
    return screen(network or mlp(), (x, y), **(few | settings))


CASES = {
    "a function": (lambda: screened(len), "must be a torch.nn.Module", "builtin_function"),
    "in training mode": (lambda: screened(mlp().train()), "training mode", "network.eval()"),
    "a product": (
        lambda: screened(Gated().eval(), partitionings=["weights/global"]),
        "call of mul (node 'mul')",
        "sums of two",
    ),
    "an unknown operation": (
        lambda: screened(mlp(nn.LayerNorm(3)), partitionings=["weights/global"]),
        "LayerNorm",
        "Conv2d",
    ),
    "no hidden layer": (
        lambda: screened(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()),
        "1 layer(s) with weights and so no hidden layer",
    ),
    "infinite weights": (lambda: screened(with_weights(float("inf"))), "layer '3'", "infinite"),
    "returns a tuple": (lambda: screened(Returns().eval()), "returns a tuple", "logits alone"),
    "returns maps": (
        lambda: screened(mlp(nn.Unflatten(1, (1, 3)))),
        "cannot follow units through module Unflatten",
    ),
    "too few logits": (lambda: screened(y=LABELS + 3), "label 5", "3 logits", "from 0 to 2"),
    "other images": (
        lambda: screened(mlp(n_inputs=64)),
        "cannot read images of shape (1, 4, 4)",
        "trained on",
    ),
    "pixels of 0 to 255": (
        lambda: screened(x=(IMAGES * 255).to(torch.uint8)),
        "floating point, not torch.uint8: x.float() / 255",
    ),
    "a numpy array": (lambda: screened(x=IMAGES.numpy()), "tensor", "numpy", "torch.from_numpy"),
    "a list of labels": (lambda: screened(y=LABELS.tolist()), "tensor of shape (30,)", "not list"),
    "no images": (
        lambda: screened(x=IMAGES[:0], y=LABELS[:0]),
        "at least one image, not (0, 1, 4, 4)",
    ),
    "flat images": (lambda: screened(x=IMAGES.flatten(1)), "n_channels, height, width", "(30, 16)"),
    "NaN pixels": (lambda: screened(x=IMAGES / 0 * 0), "NaN or infinite", "clean the data"),
    "NaN pixels in x_train": (
        lambda: screened(x_train=IMAGES / 0 * 0),
        "x_train must be finite, but hold NaN or infinite",
    ),
    "x_train of another shape": (
        lambda: screened(x_train=torch.rand(9, 1, 8, 8)),
        "x and x_train",
        "(30, 1, 4, 4) and (9, 1, 8, 8)",
    ),
    "fewer labels than images": (lambda: screened(y=LABELS[:9]), "shape (30,)", "not (9,)"),
    "float labels": (lambda: screened(y=LABELS.float()), "integers from 0", "float32", "y.long()"),
    "one class": (lambda: screened(y=LABELS * 0), "all labels are 0", "two or more"),
    "constant images": (
        lambda: screened(x=IMAGES * 0 + 0.5),
        "no unit varies over these images: they are all the same",
    ),
    "k = 1": (lambda: screened(n_clusters=1), "n_clusters", "at least 2", "not 1"),
    "k above the units": (
        lambda: screened(n_clusters=11),
        "n_clusters must be from 2 to",
        "(10), not 11",
    ),
    "negative draws": (lambda: screened(n_draws=-3), "n_draws", "at least 1", "not -3"),
    "too few images": (lambda: screened(n_images=2), "n_images", "at least 3", "not 2"),
    "negative seed": (lambda: screened(seed=-1), "seed", "at least 0", "not -1"),
    "level 0": (lambda: screened(level=0), "level", "between 0 and 1", "not 0"),
    "conventions": (
        lambda: screened(conventions="papr"),
        "'papr' is not known; choose one of 'paper', 'released'",
    ),
    "a network that needs a mask": (lambda: screened(Masked().eval()), "'mask'", "images alone"),
    "a network of two inputs": (lambda: screened(Joined().eval()), "'second'", "images alone"),
    "a network that returns a dict": (lambda: screened(Named().eval()), "returns a dict", "logits"),
    "logits behind a sigmoid": (lambda: screened(mlp(nn.Sigmoid())), "sigmoid", "the logits"),
    "logits behind a tanh": (lambda: screened(mlp(nn.Tanh())), "sigmoid or tanh", "the logits"),
    "a Dataset": (
        lambda: screened(x=Dataset("mine", IMAGES, LABELS, IMAGES, LABELS, ("a", "b", "c"))),
        "images must be a tensor",
        "dataset.x_test",
    ),
    "a DataLoader": (
        lambda: screened(x=DataLoader(TensorDataset(IMAGES, LABELS), batch_size=8)),
        "images must be a tensor",
        "DataLoader: torch.cat([batch[0] for batch in loader])",
    ),
    "a torch Dataset": (
        lambda: screened(x=TensorDataset(IMAGES, LABELS)),
        "TensorDataset): torch.stack([pair[0] for pair in it])",
    ),
    "labels in a DataLoader": (
        lambda: screened(y=DataLoader(TensorDataset(IMAGES, LABELS))),
        "labels must be a tensor of shape (30,)",
        "torch.cat([batch[1] for batch in loader])",
    ),
    "labels in a torch Dataset": (
        lambda: screened(y=TensorDataset(IMAGES, LABELS)),
        "torch.tensor([pair[1] for pair in it])",
    ),
    "a list of images": (lambda: screened(x=list(IMAGES)), "a list of tensors: torch.stack(...)"),
    "a list of numbers": (lambda: screened(x=IMAGES.tolist()), "not list", "torch.tensor(...)"),
    "a data frame": (
        lambda: screened(x=pd.DataFrame(IMAGES.flatten(1).numpy())),
        "DataFrame: torch.tensor(frame.to_numpy()",
    ),
    "labels in a series": (lambda: screened(y=pd.Series(LABELS.numpy())), "Series", "to_numpy()"),
    "no images at all": (lambda: screened(x=None), "images must be a tensor", "NoneType"),
    "one image": (
        lambda: screened(x=IMAGES[0, 0, 0]),
        "shape (n_images, ...) with at least one image, not (4,)",
    ),
    "images of no height": (
        lambda: screened(x=torch.rand(30, 1, 0, 4)),
        "at least one pixel, not be of (30, 1, 0, 4)",
    ),
    "images of no channel": (lambda: screened(x=torch.rand(30, 0, 4, 4)), "at least one pixel"),
    "channels last": (
        lambda: screened(mlp(n_inputs=48), x=torch.rand(30, 4, 4, 3)),
        "(30, 4, 4, 3) has its channels last",
        "x.permute(0, 3, 1, 2)",
    ),
    "grey channels last": (
        lambda: screened(x=IMAGES.permute(0, 2, 3, 1)),
        "channels last",
        "x.permute(0, 3, 1, 2)",
    ),
    "two channels": (
        lambda: screened(mlp(n_inputs=32), x=torch.rand(30, 2, 4, 4)),
        "(1 or 3, height, width), not (2, 4, 4)",
    ),
    "films": (lambda: screened(x=torch.rand(30, 1, 1, 4, 4)), "n_channels, height, width"),
    "complex images": (
        lambda: screened(x=IMAGES.to(torch.complex64)),
        "floating point, not torch.complex64: x.abs() or x.real",
    ),
    "whole numbers": (lambda: screened(x=(IMAGES * 255).long()), "int64", "x.float() / 255"),
    "black and white": (lambda: screened(x=IMAGES > 0.5), "torch.bool", "x.float()"),
    "images in eight bits": (
        lambda: screened(x=IMAGES.to(torch.float8_e4m3fn)),
        "float8_e4m3fn: x.float()",
    ),
    "sparse images": (
        lambda: screened(x=IMAGES.to_sparse()),
        "dense tensor, not torch.sparse_coo: .to_dense()",
    ),
    "nested images": (
        lambda: screened(x=torch.nested.nested_tensor(list(IMAGES))),
        "one shape, not be a nested",
    ),
    "quantized images": (
        lambda: screened(x=torch.quantize_per_tensor(IMAGES, 0.01, 0, torch.quint8)),
        "quantized: .dequantize()",
    ),
    "images on no device": (
        lambda: screened(x=IMAGES.to("meta")),
        "device 'meta', without values: load them",
    ),
    "pixels up to 255": (lambda: screened(x=IMAGES * 255), "lie in [0, 1]", "divide by 255"),
    "standardized images": (
        lambda: screened(x=IMAGES - 0.5),
        "lie in [0, 1]",
        "standardized(network, mean, std)",
    ),
    "x_train of 0 to 255": (lambda: screened(x_train=IMAGES * 255), "x_train must lie in [0, 1]"),
    "x_train as a numpy array": (
        lambda: screened(x_train=IMAGES.numpy()),
        "x_train",
        "torch.from_numpy",
    ),
    "x_train of bytes": (lambda: screened(x_train=IMAGES.byte()), "uint8", "x.float() / 255"),
    "two images to correlate": (lambda: screened(x_train=IMAGES[:2]), "at least 3 images, not 2"),
    "one-hot labels": (
        lambda: screened(y=torch.nn.functional.one_hot(LABELS)),
        "(30,), one label an image, not (30, 3): y.argmax(1)",
    ),
    "labels in a column": (lambda: screened(y=LABELS[:, None]), "(30, 1)", "y.flatten()"),
    "labels as a numpy array": (lambda: screened(y=LABELS.numpy()), "torch.from_numpy"),
    "labels of an unsigned type": (
        lambda: screened(y=LABELS.to(torch.uint16)),
        "integers from 0 upwards, not torch.uint16: y.long()",
    ),
    "labels true and false": (lambda: screened(y=LABELS > 0), "integers", "bool", "y.long()"),
    "labels by name": (lambda: screened(y=["a", "b", "c"] * 10), "list of text", "numbers, from 0"),
    "one label": (lambda: screened(y=torch.tensor(1)), "shape (30,)", "not ()"),
    "no labels": (lambda: screened(y=None), "labels must be", "NoneType"),
    "sparse labels": (lambda: screened(y=LABELS.to_sparse()), "labels", ".to_dense()"),
    "labels on no device": (lambda: screened(y=LABELS.to("meta")), "labels", "device 'meta'"),
    "unknown classes as -1": (
        lambda: screened(y=torch.where(LABELS == 2, -1, LABELS)),
        "not -1: leave images without a class out",
    ),
    "k as text": (lambda: screened(n_clusters="6"), "n_clusters", "whole number", "not '6'"),
    "endless draws": (
        lambda: screened(n_draws=10**18),
        "n_draws must be from 1 to 1000000, not 1000000000000000000",
    ),
    "a seed too large": (
        lambda: screened(seed=2**40),
        "seed must be from 0 to 4294967295, not 1099511627776",
    ),
    "level as text": (lambda: screened(level="0.05"), "level", "between 0 and 1", "not '0.05'"),
    "progress": (lambda: screened(progress="yes"), "progress", "True or False", "not 'yes'"),
    "conventions as a dict": (
        lambda: screened(conventions={"p_rule": "mid"}),
        "'paper' or 'released'",
        "Conventions(p_rule='strict'), not {'p_rule': 'mid'}",
    ),
    "partitions in a list": (
        lambda: screened(partitions=[MINE]),
        "map names to partitions, such as {'mine': partition}",
        "list",
    ),
    "one partition": (lambda: screened(partitions=MINE), "map names to partitions", "Partition"),
    "no partitions": (lambda: screened(partitions={}), "at least one", "None for the four"),
    "labels for a partition": (
        lambda: screened(partitions={"mine": [0, 0, 1, 1, 1, 1]}),
        "partition 'mine' must be a Partition, not list",
        "Partition.from_labels",
    ),
    "a partition of another layer": (
        lambda: screened(partitions={"mine": Partition.from_labels({"2": [0, 0, 1, 1]})}),
        "no layer '2'; the network has: 1, 3, 5",
    ),
    "a partition of logits": (
        lambda: screened(partitions={"mine": Partition.from_labels({"5": [0, 0, 1]})}),
        "'5', whose units are the logits: only hidden layers",
    ),
    "a partition of another size": (
        lambda: screened(partitions={"mine": Partition.from_labels({"1": [0, 0, 1]})}),
        "3 labels for layer '1' of 6 units",
        "-1 for those that take no part",
    ),
    "partitions by number": (lambda: screened(partitions={0: MINE}), "named by text, not by 0"),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)


@pytest.fixture(scope="module")
def table():
    """Table of the screen of plain images, labels and settings."""
    return screened(partitions={"mine": MINE}, seed=3).table


WELCOME = {
    "images with gradients": {"x": IMAGES.clone().requires_grad_()},
    "images that a network learned": {"x": nn.Parameter(IMAGES)},
    "images that are a view": {"x": IMAGES.mT.contiguous().mT},
    "images of channels last in memory": {
        "x": IMAGES.contiguous(memory_format=torch.channels_last)
    },
    "images in double precision": {"x": IMAGES.double()},
    "other images in double precision": {"x_train": IMAGES.double()},
    "labels in a byte": {"y": LABELS.byte()},
    "labels in two bytes": {"y": LABELS.short()},
    "numbers of numpy": {
        "n_draws": np.int64(3),
        "n_clusters": np.int8(2),
        "seed": np.uint8(3),
        "level": np.float64(0.05),
        "progress": np.bool_(False),
    },
}


@pytest.mark.parametrize("given", list(WELCOME.values()), ids=list(WELCOME))
@pytest.mark.filterwarnings("ignore:the network's accuracy")
def test_the_same_report(table, given):
    settings = {"partitions": {"mine": MINE}, "seed": 3, **given}
    pd.testing.assert_frame_equal(screened(**settings).table, table)


@pytest.mark.filterwarnings("ignore:the network's accuracy")
def test_the_same_report_where_the_caller_needs_no_gradients(table):
    network = mlp()
    with torch.inference_mode():
        report = screened(network, partitions={"mine": MINE}, seed=3)
    pd.testing.assert_frame_equal(report.table, table)
