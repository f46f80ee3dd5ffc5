"""Networks and layers that cannot be hooked: one clear error each, before long work."""

import copy

import numpy as np
import pytest
import torch
from helpers.networks import made as joined
from helpers.refusals import cases, check_refused
from helpers.untraced import SHAPE, Recurrent, TwoHeads, VisionTransformer, Windows, images, made
from torch import nn
from torch.nn import functional as F

import localspec as ls
from localspec.units import hook_units, unit_strengths
from localspec.visualization import exciting_images

X, LABELS = images((6, *SHAPE)), torch.arange(6) % 3
VIT = made(VisionTransformer)
UNITS = hook_units(VIT, X)
TWO_HEADS, WINDOWS = made(TwoHeads, (5,)), made(Windows)


def changed(change):
    network = copy.deepcopy(VIT)
    change(network)
    return network


def two_layers(forward):
    """Return a network of two dense layers and a forward pass of them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return joined(forward, inside=nn.Linear(64, 6), head=nn.Linear(6, 3))


def hooked(forward, layers=None, **parts):
    """Hook a network of these parts, and of a head that reads 64 values."""
    return hook_units(joined(forward, **parts, head=nn.Linear(64, 3)), X, layers)


def lesioned(lesion, y=LABELS, **settings):
    return ls.lesion_accuracies(UNITS, X, y, [lesion], **settings)


def plain(m, x):
    return m.head(m.inside(x.flatten(1)).relu())


class Pair(nn.Module):
    def forward(self, x):
        return x, x + 1


class Turned(nn.Module):
    """Windows in turns: the first of every image, then the second of every image."""

    def __init__(self):
        super().__init__()
        self.inside, self.head = nn.Linear(32, 4), nn.Linear(8, 3)

    def forward(self, x):
        windows = torch.cat([x[:, 0, :4].flatten(1), x[:, 0, 4:].flatten(1)])
        return self.head(self.inside(windows).unflatten(0, (2, -1)).transpose(0, 1).flatten(1))


CASES = {
    "training mode": (lambda: hook_units(changed(lambda n: n.train()), X), "call network.eval()"),
    "no network": (lambda: hook_units("vit", X), "must be a torch.nn.Module", "str"),
    "half precision": (lambda: hook_units(changed(lambda n: n.half()), X), "float16"),
    "one image": (lambda: hook_units(VIT, X[:1]), "two or more images", "not 1"),
    "the same image twice": (lambda: hook_units(VIT, X[[0, 0, 0]]), "not all the same"),
    "whole numbers": (lambda: hook_units(VIT, X.long()), "floating point", "x.float() / 255"),
    "other images": (
        lambda: hook_units(VIT, images((3, 3, 8, 8))),
        "cannot read images of shape (3, 8, 8)",
        "trained on",
    ),
    "unknown layer": (
        lambda: hook_units(VIT, X, ["mlp.0", "mlp.9"]),
        "no module 'mlp.9'",
        "'mlp.2'",
    ),
    "the network itself": (lambda: hook_units(VIT, X, [""]), "no module ''"),
    "no layer": (lambda: hook_units(VIT, X, []), "list of the names of modules", "not []"),
    "one name": (lambda: hook_units(VIT, X, "mlp.0"), "list of the names", "not 'mlp.0'"),
    "numbers": (lambda: hook_units(VIT, X, [0]), "list of the names", "not [0]"),
    "a layer twice": (lambda: hook_units(VIT, X, ["mlp.0", "mlp.0"]), "names 'mlp.0' twice"),
    "half an axis": (lambda: hook_units(VIT, X, {"mlp.0": 0.5}), "whole number", "not 0.5"),
    "an axis too far": (
        lambda: hook_units(VIT, X, {"mlp.0": 3}),
        "'mlp.0' returns values of shape (2, 5, 12)",
        "axis 3 cannot hold units",
    ),
    "the axis of images": (lambda: hook_units(VIT, X, {"mlp.0": 0}), "axis 0 cannot hold units"),
    "the logits": (lambda: hook_units(VIT, X, ["head"]), "'head' writes the logits"),
    "no part in the logits": (
        lambda: hook_units(TWO_HEADS, images((3, 5)), ["other"]),
        "'other' has no part in the logits",
    ),
    "not called": (
        lambda: hook_units(TWO_HEADS, images((3, 5)), ["used"]),
        "'used' is not called in a pass",
        "name a module that is",
    ),
    "called twice": (
        lambda: hooked(
            lambda m, x: m.head(m.twice(m.twice(x.flatten(1)).relu())),
            ["twice"],
            twice=nn.Linear(64, 64),
        ),
        "'twice' is called 2 times in a pass",
        "a module of its own",
    ),
    "called for some images": (
        lambda: hook_units(
            joined(
                lambda m, x: m.head(x.flatten(1) if x.sum() > 0 else m.side(x.flatten(1))),
                side=nn.Identity(),
                head=nn.Linear(64, 3),
            ),
            torch.stack([images(SHAPE).abs(), -images(SHAPE).abs()]),
            ["side"],
        ),
        "'side' is called 0 or 1 times in a pass",
    ),
    "no tensor": (
        lambda: hooked(lambda m, x: m.head(m.pair(x.flatten(1))[0]), ["pair"], pair=Pair()),
        "'pair' returns a tuple, not one tensor",
        "inside it or behind it",
    ),
    "axis of units not clear": (
        lambda: hooked(
            lambda m, x: m.head(m.fold(x.flatten(1)).flatten(1)),
            ["fold"],
            fold=nn.Unflatten(1, (8, 8)),
        ),
        "'fold' returns values of shape (2, 8, 8)",
        "layers={'fold': axis}",
    ),
    "a table for all images": (
        lambda: hooked(
            lambda m, x: m.head(x.flatten(1) + m.table(torch.ones(1, 64).double())),
            ["table"],
            table=nn.Linear(64, 64),
        ),
        "'table' returns values of shape (1, 64) for 2 images",
        "without rows for each of them",
    ),
    "rows in turns": (
        lambda: hook_units(Turned().double().eval(), X, ["inside"]),
        "'inside' returns other values for an image where another one stands beside it",
        "in turns",
    ),
    "no layer by default": (
        lambda: hook_units(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double().eval(), X),
        "no dense layer, convolution or recurrent layer",
        "name modules in layers",
    ),
    "normalization by the batch": (
        lambda: hooked(
            lambda m, x: m.head(m.norm(m.inside(x.flatten(1)))),
            inside=nn.Linear(64, 64),
            norm=nn.BatchNorm1d(64, track_running_stats=False),
        ),
        "fails on one image alone",
        "any number of images",
    ),
    "rows that see each other": (
        lambda: hook_units(two_layers(lambda m, x: plain(m, x) - plain(m, x).mean(0)), X),
        "its rows influence each other",
        "every image by itself",
    ),
    "chance": (
        lambda: hook_units(two_layers(lambda m, x: F.dropout(plain(m, x), 0.5, True)), X),
        "chance plays a part",
    ),
    "several outputs": (
        lambda: hook_units(two_layers(lambda m, x: {"out": plain(m, x)}), X),
        "returns a dict",
        "logits alone",
    ),
    "maps for logits": (
        lambda: hook_units(two_layers(lambda m, x: plain(m, x)[:, :, None]), X),
        "shape (2, 3, 1) for 2 image(s)",
    ),
    "logits that are not finite": (
        lambda: hook_units(two_layers(lambda m, x: plain(m, x) / 0), X),
        "NaN or infinite",
    ),
    "weights graph": (lambda: ls.weight_graph(UNITS), "no weights graph", "activation_graph"),
    "tracing units": (lambda: ls.trace_units(UNITS), "no weights graph", "lesion_draws"),
    "norms of weights": (
        lambda: unit_strengths(UNITS, X, "weight norm"),
        "'weight norm'",
        "no weights graph",
    ),
    "released conventions": (
        lambda: ls.activation_graph(UNITS, X, conventions="released"),
        "lesion_readers='one' needs a network that can be traced",
        "'all'",
    ),
    "lesions behind a normalization": (
        lambda: lesioned({}, conventions=ls.Conventions(lesion_point="normalized")),
        "lesion_point='normalized'",
        "name the modules to lesion",
    ),
    "lesion of another layer": (
        lambda: lesioned({"norm1": [0]}),
        "no layer 'norm1'",
        "patches, attention.proj",
    ),
    "lesion of another unit": (lambda: lesioned({"mlp.0": [12]}), "from 0 to 11"),
    "images with more windows": (
        lambda: hook_units(WINDOWS, X, ["inside"]).run(images((1, 1, 12, 8)), stops=["inside"]),
        "'inside' returns values of shape (6, 7) for 1 image(s)",
        "give it images of this shape",
    ),
    "labels": (
        lambda: lesioned({}, y=torch.arange(6)),
        "label 5 does not fit a network of 3 logits",
    ),
    "images of another shape": (
        lambda: ls.visualize(UNITS, [{"mlp.0": [0]}], (3, 8, 8)),
        "cannot read images of shape (3, 8, 8)",
    ),
    "an exciting image of the logits": (
        lambda: exciting_images(UNITS, X, [{"head": [0]}]),
        "no layer 'head'",
    ),
    "images for probabilities": (
        lambda: ls.visualize(
            hook_units(two_layers(lambda m, x: plain(m, x).softmax(1)), X),
            [{"inside": [0]}],
            SHAPE,
        ),
        "pass a softmax",
        "the logits",
    ),
}


@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error(call, words, no_long_work):
    check_refused(call, words)


def test_hooks_are_taken_away_after_an_error():
    network = made(Recurrent)
    with pytest.raises(ls.InvalidInputError):
        hook_units(network, X, ["head"])
    units = hook_units(network, X)

    def fails(values):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        units.run(X, edits={"layer": fails})
    assert not any(part._forward_hooks for part in network.modules())
    assert torch.backends.mha.get_fastpath_enabled()
    assert np.isfinite(network(X).detach().numpy()).all()
