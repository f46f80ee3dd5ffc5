"""Measures, conventions and standardized networks: values and options that are refused."""

import numpy as np
import pandas as pd
import pytest
from helpers.refusals import cases, check_refused, mlp

from localspec.conventions import Conventions, resolve
from localspec.lesions import LesionedAccuracies
from localspec.measures import (
    Measure,
    assess,
    class_ranges,
    coherence,
    conditioned_ranges,
    importance,
    logit_coherence,
    measure_named,
)
from localspec.networks import TrainedNetwork
from localspec.screening import Report, standardized
from localspec.visualization import Visualizations

ACCURACIES = LesionedAccuracies(np.ones(2), np.full((4, 1, 2), 0.5), np.array([10, 10]))
FLAT = Visualizations(np.zeros((4, 1, 2, 2)), np.ones(4), np.ones(4))  # not arranged by draws
MEASURE = importance(ACCURACIES)
ONE = np.ones((1, 3))


def measure(values, effect_values=None, side="low"):
    effect_values = values if effect_values is None else effect_values
    return Measure("importance", side, values, "drop", effect_values)


def conditioned(layers):
    return conditioned_ranges(ACCURACIES, layers)


TABLE = pd.DataFrame({"partitioning": ["mine"], "layer": ["1"], "cluster": [0]})
REPORT = Report(TABLE, TABLE, {}, {}, {}, 1.0)
CASES = {
    "importance of an array": (
        lambda: importance(np.ones((4, 2))),
        "accuracies must be a LesionedAccuracies, not ndarray",
        "lesion_draws(...)",
    ),
    "importance of images": (lambda: importance(FLAT), "LesionedAccuracies, not Visualizations"),
    "ranges of an array": (lambda: class_ranges(np.ones((4, 2))), "not ndarray"),
    "ranges under no convention": (
        lambda: class_ranges(ACCURACIES, conventions=None),
        "'paper' or 'released'",
        "not None",
    ),
    "coherence of no kind": (
        lambda: coherence(ACCURACIES, "outputs"),
        "kind='outputs'",
        "'class', 'input', 'output'",
    ),
    "input coherence of accuracies": (
        lambda: coherence(ACCURACIES, "input"),
        "needs Visualizations, not LesionedAccuracies",
        "visualize(...).arranged(draws)",
    ),
    "class coherence of images": (
        lambda: coherence(FLAT, "class"),
        "needs LesionedAccuracies, not Visualizations",
        "lesion_draws(...)",
    ),
    "no form of output coherence": (
        lambda: logit_coherence(np.ones((4, 1, 3)), "entropy"),
        "form='entropy'",
        "'log-entropy', 'logit margin'",
    ),
    "logits of one class": (
        lambda: logit_coherence(np.ones((4, 1, 1)), "logit margin"),
        "two classes",
        "(4, 1, 1)",
    ),
    "logits that are infinite": (
        lambda: logit_coherence(np.array([[[1.0, -np.inf]]]), "log-entropy"),
        "finite",
        "infinite",
    ),
    "logits that are not numbers": (
        lambda: logit_coherence(np.full((4, 1, 2), np.nan), "log-entropy"),
        "must be numbers",
    ),
    "images that are not arranged": (
        lambda: coherence(FLAT, "input"),
        "(n_draws + 1, n_subclusters)",
        "(4,)",
        "visualizations.arranged(draws)",
    ),
    "entropies that are not arranged": (
        lambda: coherence(FLAT, "output"),
        "visualizations.arranged(draws)",
    ),
    "coherence under no convention": (
        lambda: coherence(ACCURACIES, "class", conventions="plain"),
        "'plain'",
        "'paper', 'released'",
    ),
    "a measure by another name": (
        lambda: measure_named("damage", ACCURACIES),
        "measure='damage'",
        "'importance', 'class_coherence'",
    ),
    "a measure of one row of numbers": (
        lambda: measure(np.ones(3)),
        "(n_draws + 1, n_subclusters)",
        "(3,)",
    ),
    "effects of another shape": (lambda: measure(ONE, ONE.T), "(1, 3)", "(3, 1)"),
    "a measure of lists": (
        lambda: measure([[1.0], [2.0]]),
        "must be an array of shape (n_draws + 1, n_subclusters)",
    ),
    "a measure of no side": (
        lambda: assess(measure(ONE.T, side="up")),
        "side='up'",
        "'low', 'high'",
    ),
    "assessing an array": (
        lambda: assess(np.ones((4, 2))),
        "measure must be a Measure, not ndarray",
        "importance(...)",
    ),
    "assessing without draws": (
        lambda: assess(measure(ONE)),
        "one random counterpart or more",
        "(1, 3)",
    ),
    "assessing many partitions": (
        lambda: assess(measure(ONE[None])),
        "values of one partition",
        "(1, 1, 3)",
    ),
    "assessing by a seed of text": (lambda: assess(MEASURE, seed="0"), "seed", "not '0'"),
    "assessing by a large seed": (lambda: assess(MEASURE, seed=2**40), "seed", "4294967295"),
    "assessing under no convention": (
        lambda: assess(MEASURE, conventions=["paper"]),
        "'paper' or 'released'",
    ),
    "layers of other subclusters": (
        lambda: conditioned(["1", "3"]),
        "each of the 1 subclusters",
        "['1', '3']",
    ),
    "no layers": (lambda: conditioned(None), "each of the 1", "not None"),
    "layers in rows": (lambda: conditioned([["1"]]), "each of the 1", "[['1']]"),
    "equal damage of many partitions": (
        lambda: conditioned_ranges(
            LesionedAccuracies(np.ones(2), np.full((2, 4, 1, 2), 0.5), np.array([10, 10])), ["1"]
        ),
        "those of one partition",
        "(2, 4, 1, 2)",
    ),
    "a layer, no list": (lambda: conditioned("1"), "each of the 1", "'1'"),
    "equal damage of an array": (lambda: conditioned_ranges(np.ones(3), ["1"]), "not ndarray"),
    "an unknown preset": (
        lambda: Conventions.preset("plain"),
        "'plain'",
        "'paper', 'released'",
    ),
    "an unknown option": (
        lambda: Conventions(kernelnorm="l1"),
        "kernelnorm is not a setting of Conventions",
    ),
    "an unknown reading": (
        lambda: Conventions(kernel_norm="l2"),
        "kernel_norm = 'l2'",
        "'l1' or 'induced'",
    ),
    "readings that exclude each other": (
        lambda: Conventions(p_rule="strict", undefined_ranges="left_out"),
        "use p_rule='mid'",
    ),
    "a part by another name": (
        lambda: Conventions().subset("kernelnorm"),
        "option='kernelnorm'",
        "'kernel_norm'",
    ),
    "conventions of a number": (lambda: resolve(1), "'paper' or 'released'", "not 1"),
    "standardizing a path": (
        lambda: standardized("network.pt", [0.5], [0.25]),
        "network must be a Module, not str",
    ),
    "standardizing what was trained": (
        lambda: standardized(TrainedNetwork(mlp(), {}), [0.5], [0.25]),
        "network must be a Module, not TrainedNetwork",
        "pass the module",
    ),
    "a mean, no list": (
        lambda: standardized(mlp(), 0.5, 0.25),
        "a finite number for each channel",
        "0.5 and 0.25",
    ),
    "a mean of text": (lambda: standardized(mlp(), ["a"], [1]), "mean must be numbers", "'a'"),
    "no mean": (lambda: standardized(mlp(), None, [1.0]), "for each channel", "None"),
    "row beyond the table": (lambda: REPORT.units(1), "row must be from 0 to 0", "not 1"),
    "row from the end": (lambda: REPORT.units(-1), "row", "at least 0", "not -1"),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
