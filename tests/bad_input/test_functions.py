"""What the library says to bad input: one case a line, with words that its message holds.

A message names the value that was given, what is allowed and, where it is not plain from that,
what to do. The guards of conftest.py see to it that an error comes before any long work.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from localspec._utils.hardware import resolve_device
from localspec.clustering import (
    Partition,
    UnitGraph,
    activation_graph,
    cluster,
    clusterability,
    draw_counterparts,
    weight_graph,
)
from localspec.clustering._unit_graph import layer_ranges
from localspec.conventions import Conventions
from localspec.data import Dataset, check_dataset, load_dataset
from localspec.exceptions import InvalidInputError
from localspec.lesions import lesion_accuracies
from localspec.measures import coherence
from localspec.networks import NetworkSettings, train
from localspec.screening import screen
from localspec.statistics import empirical_p, fisher, p_floor
from localspec.units import trace_units
from localspec.visualization import visualize

X, Y = torch.rand(30, 1, 4, 4), torch.arange(30) % 3
SETTINGS = NetworkSettings(dataset="made", hidden=(6, 4), n_epochs=1)
MADE = Dataset("made", X, Y, X, Y, ("a", "b", "c"))
NUMBERS = {"x_train": X.flatten(1)[:, :4], "x_test": X.flatten(1)[:, :4]}
DOUBLE = {"x_train": X.double(), "x_test": X.double()}
PARTITION = Partition.from_labels({"1": np.array([0, 0, 1, 1, 1, 0])})
NULL = np.linspace(0, 1, 19)


def mlp(*extra: nn.Module, n_inputs: int = 16) -> nn.Sequential:
    """Return a network of 6 + 4 hidden units and 3 logits; layers 1, 3 and 5."""
    layers = (nn.Linear(n_inputs, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    return nn.Sequential(nn.Flatten(), *layers, *extra).eval()


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


def screened(network=None, x=X, y=Y, **settings):
    return screen(network or mlp(), x, y, **{"n_clusters": 2, "n_draws": 3, **settings})


def lesioned(lesion, x=X, y=Y, **settings):
    return lesion_accuracies(mlp(), x, y, [lesion], **settings)


def shown(target, shape=(1, 4, 4), **settings):
    return visualize(mlp(), [target], shape, **settings)


def trained(settings=SETTINGS, seed=0, device="cpu", dtype="float32", **changes):
    return train(settings, replace(MADE, **changes), seed=seed, device=device, dtype=dtype)


def changed(**changes):
    return NetworkSettings(**{**SETTINGS.model_dump(), **changes})


def graph(adjacency, kind="activations"):
    adjacency = np.asarray(adjacency, dtype=float)
    layers = layer_ranges([("1", len(adjacency), True)])
    if kind == "weights":
        adjacency = sparse.csr_array(adjacency)
    return UnitGraph(adjacency, layers, kind, np.zeros(adjacency.shape[0], dtype=bool))


UNITS = graph(np.ones((6, 6)) - np.eye(6))
WEIGHTS = weight_graph(mlp())
NETWORKS = {  # what is wrong with the network -> what the message says
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
    "too few logits": (lambda: screened(y=Y + 3), "label 5", "3 logits", "from 0 to 2"),
    "other images": (
        lambda: screened(mlp(n_inputs=64)),
        "cannot read images of shape (1, 4, 4)",
        "trained on",
    ),
    "other images to visualize": (
        lambda: shown({"1": [0]}, (1, 5, 5)),
        "cannot read images of shape (1, 5, 5)",
        "trained on",
    ),
    "other images to correlate": (
        lambda: activation_graph(mlp(), torch.rand(9, 3, 5, 5)),
        "cannot read images of shape (3, 5, 5)",
        "trained on",
    ),
}
DATA = {
    "pixels of 0 to 255": (
        lambda: screened(x=(X * 255).to(torch.uint8)),
        "floating point",
        "uint8",
        "x.float() / 255",
    ),
    "a numpy array": (lambda: screened(x=X.numpy()), "tensor", "numpy", "torch.from_numpy"),
    "a list of labels": (lambda: screened(y=Y.tolist()), "tensor of shape (30,)", "not list"),
    "no images": (lambda: screened(x=X[:0], y=Y[:0]), "at least one image", "(0, 1, 4, 4)"),
    "flat images": (lambda: screened(x=X.flatten(1)), "n_channels, height, width", "(30, 16)"),
    "NaN pixels": (lambda: screened(x=X / 0 * 0), "NaN or infinite", "clean the data"),
    "NaN pixels in x_train": (lambda: screened(x_train=X / 0 * 0), "NaN or infinite"),
    "x_train of another shape": (
        lambda: screened(x_train=torch.rand(9, 1, 8, 8)),
        "x and x_train",
        "(30, 1, 4, 4) and (9, 1, 8, 8)",
    ),
    "fewer labels than images": (lambda: screened(y=Y[:9]), "shape (30,)", "not (9,)"),
    "float labels": (lambda: screened(y=Y.float()), "integers from 0", "float32", "y.long()"),
    "a negative label": (lambda: screened(y=Y - 1), "integers from 0 upwards", "not -1"),
    "one class": (lambda: screened(y=Y * 0), "all labels are 0", "two or more"),
    "an empty class": (lambda: screened(y=Y // 2 * 2), "class 1 has no image", "at least one"),
    "constant images": (
        lambda: screened(x=X * 0 + 0.5),
        "no unit varies over these images: they are all the same",
    ),
    "too few images": (lambda: activation_graph(mlp(), X[:2]), "at least 3 images", "not 2"),
    "two-channel images": (lambda: shown({"1": [0]}, (2, 4, 4)), "(1 or 3, height, width)", "(2,"),
    "labels above n_classes": (
        lambda: lesioned({}, n_classes=2),
        "label 2",
        "2 classes",
        "from 0 to 1",
    ),
    "training labels out of range": (
        lambda: trained(y_train=Y + 1),
        "label 3",
        "'made'",
        "from 0 to 2",
    ),
    "training with one class": (
        lambda: trained(class_names=("a",), y_train=Y * 0, y_test=Y * 0),
        "'made' has 1 class(es)",
        "at least two",
    ),
    "a classifier of targets": (
        lambda: check_dataset(replace(MADE, class_names=(), y_train=torch.rand(30, 5))),
        "'made' has no classes",
        "for regression",
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
    "labels for regression": (
        lambda: check_dataset(MADE, task="regression"),
        "targets",
        "shape (30, n_targets)",
        "not (30,)",
    ),
    "training on NaN": (lambda: trained(x_train=X / 0 * 0), "NaN or infinite", "clean the data"),
}
SETTINGS_GIVEN = {
    "screen: k = 1": (lambda: screened(n_clusters=1), "n_clusters", "at least 2", "not 1"),
    "screen: k above the units": (
        lambda: screened(n_clusters=11),
        "n_clusters",
        "from 2 to",
        "(10)",
        "not 11",
    ),
    "screen: negative draws": (lambda: screened(n_draws=-3), "n_draws", "at least 1", "not -3"),
    "screen: no draws": (lambda: screened(n_draws=0), "n_draws", "at least 1", "not 0"),
    "screen: half a draw": (lambda: screened(n_draws=2.5), "whole number", "not 2.5"),
    "screen: too few images": (lambda: screened(n_images=2), "n_images", "at least 3", "not 2"),
    "screen: negative seed": (lambda: screened(seed=-1), "seed", "at least 0", "not -1"),
    "screen: level 0": (lambda: screened(level=0), "level", "between 0 and 1", "not 0"),
    "screen: level 1": (lambda: screened(level=1.0), "level", "between 0 and 1", "not 1"),
    "screen: conventions": (
        lambda: screened(conventions="papr"),
        "'papr' is not known",
        "'paper', 'released'",
    ),
    "a fork's value": (lambda: Conventions(kernel_norm="l2"), "kernel_norm", "'l1' or 'induced'"),
    "a fork's name": (lambda: Conventions(kernelnorm="l1"), "kernelnorm"),
    "data set": (lambda: load_dataset("mnits"), "data set='mnits' is not known", "'mnist'"),
    "task": (lambda: check_dataset(MADE, task="ranking"), "'ranking'", "'regression'"),
    "dtype": (lambda: load_dataset("digits", dtype="half"), "'half'", "'float32', 'float64'"),
    "device": (lambda: resolve_device("gpu"), "device='gpu'", "'auto', 'cpu', 'cuda'"),
    "no CUDA device": (lambda: resolve_device("cuda"), "'cuda' is not there", "'cpu' or 'auto'"),
    "training on no device": (lambda: trained(device="cuda"), "'cuda' is not there", "'cpu'"),
    "training: negative seed": (lambda: trained(seed=-1), "seed", "at least 0", "not -1"),
    "k = 1": (lambda: cluster(UNITS, 1), "n_clusters", "at least 2", "not 1"),
    "k = true": (lambda: cluster(UNITS, True), "n_clusters", "whole number", "not True"),
    "k above the live units": (lambda: cluster(UNITS, 7), "from 1 to", "live units (6)", "not 7"),
    "clustering: negative seed": (lambda: cluster(UNITS, 2, seed=-4), "seed", "not -4"),
    "scope": (lambda: cluster(UNITS, 2, scope="locale"), "'locale'", "'global', 'local'"),
    "correlation": (
        lambda: activation_graph(mlp(), X, correlation="cosine"),
        "'cosine'",
        "'spearman', 'pearson', 'kendall'",
    ),
    "no shuffles": (lambda: clusterability(WEIGHTS, 2, n_shuffles=0), "n_shuffles", "not 0"),
    "null model": (lambda: clusterability(WEIGHTS, 2, null="swap"), "'swap'", "'permute'"),
    "shuffling correlations": (lambda: clusterability(UNITS, 2), "only a weights graph"),
    "a graph without edges": (lambda: cluster(graph(np.zeros((4, 4))), 2), "nothing to cluster"),
    "NaN edges": (lambda: cluster(graph(np.full((4, 4), np.nan)), 2), "finite edges"),
    "negative edges": (
        lambda: cluster(graph(np.eye(4) - 1), 2),
        "edges of 4 unit(s) sum to 0 or less",
        "batch_norm_edges='absolute'",
    ),
    "negative draws": (lambda: draw_counterparts(PARTITION, -1), "n_draws", "at least 1", "not -1"),
    "draws: negative seed": (
        lambda: draw_counterparts(PARTITION, 3, seed=(0, -1)),
        "seed",
        "not -1",
    ),
    "no labels": (lambda: Partition.from_labels({}), "at least one layer"),
    "labels of halves": (
        lambda: Partition.from_labels({"1": [0.5, 1.5]}),
        "layer '1'",
        "vector of integers",
    ),
    "lesion of an unknown layer": (lambda: lesioned({"2": [0]}), "no layer '2'", "1, 3, 5"),
    "lesion of an unknown unit": (lambda: lesioned({"1": [0, 6]}), "from 0 to 5", "0 to 6"),
    "lesion of half a unit": (lambda: lesioned({"1": [0.5]}), "whole numbers", "float64"),
    "image of an unknown layer": (lambda: shown({"conv": [0]}), "no layer 'conv'", "1, 3, 5"),
    "image of no unit": (lambda: shown({"1": []}), "one or more from 0 to 5", "not []"),
    "image of half a unit": (lambda: shown({"1": [0.5]}), "from 0 to 5", "[0.5]"),
    "image of two layers": (lambda: shown({"1": [0], "3": [0]}), "one layer", "['1', '3']"),
    "no steps": (lambda: shown({"1": [0]}, n_steps=0), "n_steps", "at least 1", "not 0"),
    "learning rate": (lambda: shown({"1": [0]}, learning_rate=0), "learning_rate", "not 0"),
    "kind of coherence": (lambda: coherence(None, "colour"), "'colour'", "'class', 'input'"),
    "evidence": (lambda: coherence(None, "input"), "Visualizations", "not NoneType"),
    "p rule": (lambda: empirical_p(0.5, NULL, "low", "middle"), "'middle'", "'mid', 'strict'"),
    "side": (lambda: empirical_p(0.5, NULL, "left"), "side='left'", "'low', 'high'"),
    "a p-value of 0": (lambda: fisher([0.0, 0.5]), "(0, 1]"),
    "p of no draws": (lambda: p_floor(0), "n_draws=0", "at least 1"),
    "unknown layer": (lambda: trace_units(mlp()).layer("fc1"), "no layer 'fc1'", "1, 3, 5"),
}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param(call, words, id=name)
        for table in (NETWORKS, DATA, SETTINGS_GIVEN)
        for name, (call, *words) in table.items()
    ],
)
def test_one_clear_error_before_any_work(call, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidInputError) as caught:
        call()
    message = str(caught.value)
    assert [word for word in words if word not in message] == [], message
