"""Lesions and labels that are refused."""

import numpy as np
import pytest
import torch
from helpers.refusals import IMAGES, LABELS, cases, check_refused, mlp

from localspec.clustering import Partition, draw_counterparts
from localspec.lesions import (
    LesionedAccuracies,
    class_sizes,
    conditional_lesions,
    joint_lesions,
    lesion_accuracies,
    lesion_draws,
    lesion_predictions,
    other_predictions,
)

HALVES = Partition.from_labels({"1": [0, 0, 1, 1, 1, 0]})
DRAWS = draw_counterparts(HALVES, 3)
ELSEWHERE = draw_counterparts(Partition.from_labels({"2": [0, 0, 1, 1]}), 3)


def lesioned(lesion, x=IMAGES, y=LABELS, **settings):
    return lesion_accuracies(mlp(), x, y, [lesion], **settings)


def listed(lesions):
    return lesion_accuracies(mlp(), IMAGES, LABELS, lesions)


def joint(pairs):
    return joint_lesions(mlp(), IMAGES, LABELS, DRAWS, pairs)


def conditional(partition=HALVES, draws=DRAWS, lesioned=0, seed=0):
    return conditional_lesions(mlp(), IMAGES, LABELS, partition, draws, lesioned, seed=seed)


CASES = {
    "labels above n_classes": (
        lambda: lesioned({}, n_classes=2),
        "label 2",
        "2 classes",
        "from 0 to 1",
    ),
    "lesion of half a unit": (lambda: lesioned({"1": [0.5]}), "whole numbers", "float64"),
    "a lesion of another layer": (lambda: lesioned({"7": [0]}), "no layer '7'", "1, 3, 5"),
    "a lesion of a unit too far": (
        lambda: listed([{}, {"1": [6]}]),
        "lesion 1: units of layer '1' must be from 0 to 5, not 6 to 6",
    ),
    "a lesion of a negative unit": (
        lambda: lesioned({"1": [-1, 2]}),
        "lesion 0: units of layer '1' must be from 0 to 5, not -1 to 2",
    ),
    "a lesion that is no list": (
        lambda: listed({"1": [0]}),
        "lesions must be a list of mappings",
        "[{'dense1': [0, 3]}]",
        "put it into a list",
    ),
    "units for a lesion": (
        lambda: lesioned([0, 1]),
        "lesions must be a list of mappings",
        "[[0, 1]]",
    ),
    "a layer for a lesion": (lambda: listed("1"), "list of mappings", "not '1'"),
    "lesions one by one": (
        lambda: listed({"1": [unit]} for unit in range(3)),
        "list of mappings",
        "generator",
    ),
    "no lesions": (lambda: listed(None), "list of mappings", "None"),
    "a lesion by mask": (
        lambda: lesioned({"1": np.array([True] * 6)}),
        "whole numbers",
        "bool",
        "numpy.flatnonzero(mask)",
    ),
    "a lesion of a set": (lambda: lesioned({"1": {0, 1}}), "whole numbers", "{0, 1}"),
    "a lesion of rows of two lengths": (lambda: lesioned({"1": [[0], [1, 2]]}), "whole numbers"),
    "a lesion of a layer by number": (lambda: lesioned({1: [0]}), "no layer 1", "1, 3, 5"),
    "lesions: images in a list": (
        lambda: lesioned({}, x=IMAGES.tolist()),
        "images must be a tensor",
        "not list",
    ),
    "lesions: labels in a list": (
        lambda: lesioned({}, y=LABELS.tolist()),
        "labels must be a tensor",
        "not list",
    ),
    "lesions: other images": (
        lambda: lesioned({}, x=torch.rand(30, 3, 4, 4)),
        "cannot read images of shape (3, 4, 4)",
    ),
    "lesions: a path": (
        lambda: lesion_accuracies("network.pt", IMAGES, LABELS, [{}]),
        "must be a torch.nn.Module",
        "str",
    ),
    "n_classes as text": (lambda: lesioned({}, n_classes="3"), "n_classes", "not '3'"),
    "no classes": (lambda: lesioned({}, n_classes=0), "n_classes", "at least 1", "not 0"),
    "more classes than images have": (
        lambda: lesioned({}, n_classes=5),
        "class 3 has no image, nor has class 4",
        "from 0 to 4",
    ),
    "a class without images": (lambda: lesioned({}, y=2 * (LABELS > 0)), "class 1 has no image"),
    "more classes than memory holds": (
        lambda: lesioned({}, n_classes=10**12),
        "class 3 has no image",
        "class 4, 5, 6, 7, 8, 9, 10, 11, 12, ...",
    ),
    "labels of fewer images": (lambda: lesioned({}, groups=LABELS[:3]), "one label an image"),
    "a group without images": (
        lambda: lesioned({}, n_classes=3, groups=LABELS % 2),
        "class 2 has no image",
    ),
    "more groups than memory holds": (
        lambda: lesioned({}, groups=LABELS * 10**12),
        "class 1 has no image",
    ),
    "replacement": (
        lambda: lesioned({}, replacement="median"),
        "replacement='median'",
        "'zero', 'mean'",
    ),
    "precision": (
        lambda: lesioned({}, precision="half"),
        "precision='half'",
        "'full', 'bfloat16'",
    ),
    "images for means": (
        lambda: lesioned({}, replacement="mean", x_mean=IMAGES.numpy()),
        "x_mean",
        "torch.from_numpy",
    ),
    "other images for means": (
        lambda: lesioned({}, replacement="mean", x_mean=torch.rand(9, 1, 5, 5)),
        "cannot read images of shape (1, 5, 5)",
    ),
    "batch_size": (lambda: lesioned({}, batch_size=0), "batch_size", "at least 1", "not 0"),
    "max_values": (lambda: lesioned({}, max_values=1e6), "max_values", "not 1000000.0"),
    "lesions: progress": (lambda: lesioned({}, progress="no"), "progress", "True or False"),
    "lesions: conventions": (
        lambda: lesioned({}, conventions={"lesion_point": "unit"}),
        "'paper' or 'released'",
    ),
    "predictions without a list": (
        lambda: lesion_predictions(mlp(), IMAGES, {"1": [0]}),
        "put it into a list",
    ),
    "other predictions": (
        lambda: other_predictions(mlp(), IMAGES, [{}], precision="float16"),
        "precision='float16'",
        "'bfloat16'",
    ),
    "draws of a partition": (
        lambda: lesion_draws(mlp(), IMAGES, LABELS, Partition.from_labels({"1": [0, 1]})),
        "draws must be a Draws, not Partition",
        "draw_counterparts(partition, n_draws)",
    ),
    "draws of another network": (
        lambda: lesion_draws(mlp(), IMAGES, LABELS, ELSEWHERE),
        "no layer '2'",
        "1, 3, 5",
    ),
    "draws: one-hot labels": (
        lambda: lesion_draws(mlp(), IMAGES, torch.eye(3)[LABELS], DRAWS),
        "(30, 3)",
        "y.argmax(1)",
    ),
    "a pair, no list": (lambda: joint([0, 1]), "pairs must be a list of two", "[(0, 1)]", "[0, 1]"),
    "a pair of one": (lambda: joint([(0, 0)]), "must hold two different subclusters from 0 to 1"),
    "a pair too far": (lambda: joint([(0, 2)]), "must hold two different subclusters from 0 to 1"),
    "a pair below 0": (lambda: joint([(-1, 1)]), "must hold two different subclusters from 0 to 1"),
    "pairs of three": (lambda: joint([(0, 1, 1)]), "two subclusters each", "(0, 1, 1)"),
    "pairs of two lengths": (lambda: joint([(0, 1), (0,)]), "pairs must be whole numbers"),
    "how many pairs": (lambda: joint(2), "pairs must be a list of two", "not 2"),
    "conditional: no partition": (lambda: conditional(None), "partition must be a Partition"),
    "conditional: no draws": (
        lambda: conditional(draws=HALVES),
        "draws must be a Draws, not Partition",
    ),
    "conditional: draws of another partition": (
        lambda: conditional(Partition.from_labels({"1": [0, 0, 0, 1, 1, 1]})),
        "draws are of another partition",
        "cluster 0 of layer '1'",
        "[0, 1, 5]",
        "[0, 1, 2]",
    ),
    "conditional: draws of another layer": (
        lambda: conditional(Partition.from_labels({"3": [0, 0, 1, 1]})),
        "draws are of another partition",
        "layer '1'",
        "[]",
    ),
    "conditional: on another": (
        lambda: conditional(lesioned=3),
        "lesioned=3 must be one of the subclusters",
    ),
    "conditional: on a name": (lambda: conditional(lesioned="a"), "lesioned", "'a'"),
    "conditional: a negative seed": (lambda: conditional(seed=-1), "seed", "at least 0", "-1"),
    "sizes of no classes": (lambda: class_sizes(LABELS, 0), "n_classes", "not 0"),
    "sizes of a list": (lambda: class_sizes([0, 1], 2), "labels must be a tensor", "not list"),
    "sizes of negative labels": (lambda: class_sizes(LABELS - 1, 3), "not -1"),
    "accuracies without draws": (
        lambda: LesionedAccuracies(np.ones(3), np.ones((4, 3)), np.full(3, 10)),
        "(n_draws + 1, n_subclusters, n_classes)",
        "(4, 3)",
        "lesion_draws",
    ),
    "accuracies in lists": (
        lambda: LesionedAccuracies([1.0], [[[0.5]]], [10]),
        "must be arrays",
    ),
    "accuracies in bytes": (
        lambda: LesionedAccuracies(
            np.ones(2, np.uint8), np.ones((4, 1, 2), np.uint8), np.array([10, 10])
        ),
        "floating point",
        "lesioned of uint8",
    ),
    "accuracies of a class without images": (
        lambda: LesionedAccuracies(np.ones(2), np.ones((4, 1, 2)), np.array([0, 10])),
        "class_sizes whole numbers from 1 upwards",
        "from 0 upwards",
    ),
    "accuracies of other classes": (
        lambda: LesionedAccuracies(np.ones(2), np.ones((4, 1, 3)), np.full(3, 10)),
        "(n_classes,)",
        "(2,), (4, 1, 3) and (3,)",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
