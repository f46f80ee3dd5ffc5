"""Targets and settings that the feature visualization refuses."""

import numpy as np
import pytest
import torch
from helpers.refusals import IMAGES, cases, check_refused, mlp
from torch import nn

from localspec.clustering import Partition, draw_counterparts
from localspec.visualization import Visualizations, exciting_images, visualize

DRAWS = draw_counterparts(Partition.from_labels({"1": [0, 0, 1, 1, 1, 0]}), 3)
MADE = Visualizations(np.zeros((2, 1, 4, 4)), np.zeros(2), np.zeros(2))


def exciting(target, x=IMAGES, **settings):
    return exciting_images(mlp(), x, [target], **settings)


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
    "image of a unit too far": (lambda: shown({"1": [6]}), "from 0 to 5, not [6]"),
    "image of a negative unit": (lambda: shown({"1": [-1]}), "from 0 to 5", "not [-1]"),
    "image of no layer": (
        lambda: visualize(mlp(), [{"1": [0]}, {}], (1, 4, 4)),
        "target 1 must name one layer",
    ),
    "image of two layers": (lambda: shown({"1": [0], "3": [0]}), "one layer", "['1', '3']"),
    "no steps": (lambda: shown({"1": [0]}, n_steps=0), "n_steps", "at least 1", "not 0"),
    "learning rate": (lambda: shown({"1": [0]}, learning_rate=0), "learning_rate", "not 0"),
    "a target that is no list": (
        lambda: visualize(mlp(), {"1": [0]}, (1, 4, 4)),
        "targets must be a list of mappings",
        "[{'dense1': [0, 3]}]",
        "put it into a list",
    ),
    "image of one unit, no list": (
        lambda: shown({"1": 0}),
        "from 0 to 5",
        "not 0",
        "put it into a list",
    ),
    "image of a mask": (lambda: shown({"1": [True] * 6}), "from 0 to 5", "flatnonzero"),
    "image of rows of two lengths": (lambda: shown({"1": [[0], [1, 2]]}), "from 0 to 5"),
    "image of a path": (
        lambda: visualize("network.pt", [{"1": [0]}], (1, 4, 4)),
        "must be a torch.nn.Module",
    ),
    "image of probabilities": (
        lambda: visualize(mlp(nn.Sigmoid()), [{"1": [0]}], (1, 4, 4)),
        "sigmoid",
        "the logits",
    ),
    "one size": (lambda: shown({"1": [0]}, 28), "(1 or 3, height, width)", "not 28"),
    "no size": (lambda: shown({"1": [0]}, None), "(1 or 3, height, width)", "None"),
    "size as text": (lambda: shown({"1": [0]}, "144"), "(1 or 3, height, width)", "'144'"),
    "size in halves": (lambda: shown({"1": [0]}, (1, 4.0, 4)), "(1 or 3, height, width)", "4.0"),
    "size of images": (
        lambda: shown({"1": [0]}, IMAGES.shape),
        "(1 or 3, height, width)",
        "(30, 1, 4, 4)",
    ),
    "channels last": (lambda: shown({"1": [0]}, (4, 4, 1)), "(1 or 3, height, width)"),
    "no width": (lambda: shown({"1": [0]}, (1, 4, 0)), "(1 or 3, height, width)", "(1, 4, 0)"),
    "endless images": (
        lambda: shown({"1": [0]}, (1, 10**6, 10**6)),
        "at most 67108864 values",
        "(1, 1000000, 1000000)",
    ),
    "endless steps": (
        lambda: shown({"1": [0]}, n_steps=10**12),
        "n_steps must be from 1 to 1000000",
    ),
    "a seed too large": (lambda: shown({"1": [0]}, seed=2**70), "seed", "4294967295"),
    "no image at once": (lambda: shown({"1": [0]}, max_images=0), "max_images", "not 0"),
    "no values": (lambda: shown({"1": [0]}, max_values=0), "max_values", "not 0"),
    "small_part": (lambda: shown({"1": [0]}, small_part="all"), "small_part", "'all'"),
    "progress": (lambda: shown({"1": [0]}, progress=None), "progress", "True or False", "None"),
    "arranged by a partition": (
        lambda: MADE.arranged(Partition.from_labels({"1": [0, 1]})),
        "draws must be a Draws, not Partition",
    ),
    "arranged by other draws": (lambda: MADE.arranged(DRAWS), "(2, 1, 4, 4)", "8 sets"),
    "exciting: a list of images": (
        lambda: exciting({"1": [0]}, IMAGES.tolist()),
        "images must be a tensor",
        "not list",
    ),
    "exciting: other images": (
        lambda: exciting({"1": [0]}, torch.rand(30, 1, 5, 5)),
        "cannot read images of shape (1, 5, 5)",
    ),
    "exciting: no image": (
        lambda: exciting({"1": [0]}, n_images=0),
        "n_images must be a whole number of at least 1, not 0",
    ),
    "exciting: too many images": (
        lambda: exciting({"1": [0]}, n_images=31),
        "n_images = 31, but there are 30 images",
    ),
    "exciting: batch_size": (
        lambda: exciting({"1": [0]}, batch_size=0),
        "batch_size must be a whole number of at least 1",
    ),
    "exciting: unknown layer": (
        lambda: exciting({"2": [0]}),
        "there is no layer '2'; the network has: 1, 3",
    ),
    "exciting: a unit too far": (lambda: exciting({"1": [6]}), "from 0 to 5, not [6]"),
    "exciting: a negative unit": (lambda: exciting({"1": [-1]}), "from 0 to 5, not [-1]"),
    "exciting: no unit": (lambda: exciting({"1": np.array([], int)}), "must be one or more"),
    "exciting: half a unit": (lambda: exciting({"1": np.array([0.5])}), "not [0.5]"),
    "exciting: two layers": (
        lambda: exciting({"1": [0], "3": [0]}),
        "target 0 must name one layer, not ['1', '3']",
    ),
    "exciting: no list": (
        lambda: exciting_images(mlp(), IMAGES, {"1": [0]}),
        "put it into a list",
    ),
    "exciting: progress": (
        lambda: exciting({"1": [0]}, progress="bar"),
        "progress",
        "True or False",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
