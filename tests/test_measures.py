"""The four measures, by hand."""

import math

import mpmath
import numpy as np
import pytest

from localspec.conventions import Conventions
from localspec.lesions import LesionedAccuracies
from localspec.measures import (
    LESIONED,
    MEASURES,
    Measure,
    assess,
    class_ranges,
    coherence,
    importance,
    logit_coherence,
    measure_named,
)
from localspec.visualization import Visualizations

NAN, INF = math.nan, math.inf


def accuracies(baseline, *lesioned, sizes=None):
    """Return accuracies with one subcluster; the first of `lesioned` is the true lesion."""
    rows = np.array(lesioned, dtype=float)[:, np.newaxis]
    sizes = [100] * len(baseline) if sizes is None else sizes
    return LesionedAccuracies(np.array(baseline, dtype=float), rows, np.array(sizes))


def visualizations():
    return Visualizations(
        images=np.zeros((3, 2, 1, 2, 2)),
        scores=np.array([[5.0, 1.0], [4.0, 2.0], [3.0, 3.0]]),
        entropies=np.array([[0.1, 2.0], [0.2, 1.0], [0.3, 0.5]]),
    )


def test_importance_is_the_mean_accuracy_over_classes():
    measure = importance(accuracies([1.0, 0.8], [0.5, 0.7], [1.0, 0.9]))
    assert measure.values.tolist() == [[pytest.approx(0.6)], [pytest.approx(0.95)]]
    # against 0.9: a drop of 0.3, a rise of 0.05
    assert measure.effect_values.ravel() == pytest.approx([-0.3, 0.05])
    assert measure.n_draws == 1


def test_classes_count_alike_whatever_their_size():
    measure = importance(accuracies([1, 1], [0, 1], [1, 0], sizes=[1, 99]))
    assert measure.values.ravel() == pytest.approx([0.5, 0.5])


def test_class_ranges():
    # changes -0.4, -0.1, 0.2: range 0.6 over |mean| 0.1; -0.3 throughout: range 0;
    # a rise of 0.1 and 0.3 in two classes, 0.2 in the third: 0.2 over 0.2
    ranges = class_ranges(
        accuracies([0.5, 0.5, 0.5], [0.1, 0.4, 0.7], [0.2, 0.2, 0.2], [0.6, 0.8, 0.7])
    )
    assert ranges.ravel() == pytest.approx([6, 0, 1])


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_mean_change_of_one_image_per_class_is_defined(sign):
    # 3 classes of 30 images: 3 images in all are a mean change of 1/30, in whichever classes
    base = np.array([0.5, 0.5, 0.5])
    change = sign * np.array([3, 0, 0]) / 30
    below = sign * np.array([3, -1, 0]) / 30  # two images only
    ranges = class_ranges(accuracies(base, base + change, base + below, sizes=[30] * 3))
    assert ranges[0, 0] == pytest.approx(0.1 * 30)
    assert np.isnan(ranges[1, 0])


def test_one_image_per_class_with_classes_of_different_sizes():
    # one image of each class: 1/10 and 1/40, mean 0.0625
    base = np.array([0.5, 0.5])
    ranges = class_ranges(
        accuracies(base, base - [0.125, 0], base - [0.1, 0], base - [0.1, 0.025], sizes=[10, 40])
    )
    # means 0.0625, 0.05, 0.0625; ranges 0.125, -, 0.075
    assert ranges.ravel() == pytest.approx([2, NAN, 1.2], nan_ok=True)


def test_released_ranges_are_what_division_makes_of_them():
    base = np.array([0.5, 0.5])
    evidence = accuracies(base, base, [0.75, 0.25], base - [0.01, 0])
    ranges = class_ranges(evidence, conventions=Conventions(undefined_ranges="released"))
    # 0/0, 0.5/0, and 0.01/0.005 although that is half an image per class
    assert ranges.ravel() == pytest.approx([NAN, INF, 2], nan_ok=True)


@pytest.mark.parametrize(
    ("name", "side", "kind"),
    [
        ("importance", "low", "drop"),
        ("class_coherence", "high", "range"),
        ("input_coherence", "high", "score"),
        ("output_coherence", "low", "entropy"),
    ],
)
def test_sides_and_effects(name, side, kind):
    lesioned = accuracies([1, 1], [0.5, 0.7], [0.6, 0.6])
    by_function = {
        "importance": importance(lesioned),
        "class_coherence": coherence(lesioned, "class"),
        "input_coherence": coherence(visualizations(), "input"),
        "output_coherence": coherence(visualizations(), "output"),
    }
    assert tuple(by_function) == MEASURES
    measure = measure_named(name, lesioned if name in LESIONED else visualizations())
    assert (measure.name, measure.side, measure.effect_kind) == (name, side, kind)
    assert np.array_equal(measure.values, by_function[name].values)


def test_coherence_takes_scores_and_entropies_as_they_are():
    evidence = visualizations()
    assert coherence(evidence, "input").values is evidence.scores
    assert coherence(evidence, "output").values is evidence.entropies


# --- assess ---


def measure(name, side, kind, values, undefined="least_extreme"):
    values = np.array(values, dtype=float)
    return Measure(name, side, values, kind, values, undefined)


def test_assess_ranks_on_the_side_of_the_measure():
    # subcluster 0: 5 is above 4 and 3: (0 + 0 + 1/2) / 3; subcluster 1: 1 is below 2 and 3
    high = assess(coherence(visualizations(), "input"))
    assert high.p_values == pytest.approx([0.5 / 3, 2.5 / 3])
    # entropies 0.1 below 0.2 and 0.3; 2 above 1 and 0.5
    low = assess(coherence(visualizations(), "output"))
    assert low.p_values == pytest.approx([0.5 / 3, 2.5 / 3])
    # mean of 10/9 and 10/8; mean of 0.2/0.3 and 0.2/0.4
    assert high.effects.effect[0] == pytest.approx((10 / 9 + 10 / 8) / 2)
    assert low.effects.effect[0] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert high.fisher.statistic == pytest.approx(-np.log([0.5 / 3, 2.5 / 3]).mean())


def test_assess_makes_effects_of_importance_from_drops_and_p_from_accuracies():
    # accuracies 0.6 against 0.8 and 0.9, of 1: drops 0.4 against 0.15: 0.8 / 0.55
    assessment = assess(importance(accuracies([1, 1], [0.5, 0.7], [0.8, 0.8], [0.9, 0.9])))
    assert assessment.p_values == pytest.approx([0.5 / 3])
    assert assessment.effects.effect == pytest.approx([0.8 / 0.55])


def test_assess_by_permutation():
    # the true partition is first of four in both columns: p = 1/4
    values = [[9, 9], [1, 2], [2, 3], [3, 1]]
    assessment = assess(measure("input_coherence", "high", "score", values))
    assert assessment.permutation.pvalue == pytest.approx(1 / 4)
    assert assessment.permutation.n_draws == 3


@pytest.mark.parametrize(
    ("rule", "p"), [("strict", 1 / 4), ("mid", 1 / 4), ("conservative", 2 / 4)]
)
def test_assess_uses_the_rule(rule, p):
    # one tie among three draws: (0 + 1) / 4, (0 + 1/2 + 1/2) / 4, (0 + 1 + 1) / 4
    assessment = assess(
        measure("input_coherence", "high", "score", [[5], [5], [1], [1]]),
        conventions=Conventions(p_rule=rule),
    )
    assert assessment.p_values == pytest.approx([p])
    assert assessment.fisher.shift == (0.125 if rule == "strict" else 0)


def test_the_randomised_rule_repeats_with_its_seed():
    values = measure("input_coherence", "high", "score", [[5, 5], [5, 5], [1, 1]])
    first, again, other = (
        assess(values, conventions=Conventions(p_rule="randomised"), seed=seed).p_values.tolist()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_undefined_ranges_rank_last_and_have_no_effect():
    # true value undefined: two defined draws are more extreme, one ties: (2 + 1/2 + 1/2) / 4
    assessment = assess(measure("class_coherence", "high", "range", [[NAN], [1], [NAN], [2]]))
    assert assessment.p_values == pytest.approx([3 / 4])
    assert np.isnan(assessment.effects.effect[0])
    assert assessment.effects.n_undefined_draws.tolist() == [1]
    assert assessment.measure.n_undefined == 1
    assert assessment.measure.undefined_draws == 1 / 3


def test_undefined_ranges_left_out_have_no_p_and_do_not_count():
    # 3 is above the only defined draw: (0 + 1/2) / 2; the other subcluster has no range
    values = [[3, NAN], [1, 1], [NAN, 2]]
    assessment = assess(measure("class_coherence", "high", "range", values, "left_out"))
    assert assessment.p_values == pytest.approx([1 / 4, NAN], nan_ok=True)
    assert (assessment.fisher.n, assessment.fisher.statistic) == (1, pytest.approx(np.log(4)))
    assert assessment.effects.effect == pytest.approx([1.5, NAN], nan_ok=True)


def test_released_undefined_ranges_come_out_as_significant():
    evidence = accuracies([0.5, 0.5], [0.5, 0.5], [0.2, 0.4], [0.1, 0.3])
    assessment = assess(
        coherence(evidence, "class", conventions="released"), conventions="released"
    )
    assert assessment.p_values == pytest.approx([1 / 3])  # (0 + 1) / (2 + 1)
    assert assessment.effects.effect.tolist() == [0]
    plain = assess(coherence(evidence, "class"))
    assert plain.p_values == pytest.approx([2.5 / 3])


def test_a_partition_without_subclusters_has_undefined_tests():
    empty = Measure("importance", "low", np.empty((20, 0)), "drop", np.empty((20, 0)))
    assessment = assess(empty)
    assert np.isnan(assessment.fisher.pvalue)
    assert np.isnan(assessment.permutation.pvalue)
    assert assessment.p_values.shape == (0,)


def test_logit_margin_by_hand():
    logits = np.array([[[1.0, 4.0, 3.5], [2.0, 2.0, -7.0]], [[0.0, -1.0, -3.0], [900.0, 0.0, 1.0]]])
    measure = logit_coherence(logits, "logit margin")
    assert measure.values.tolist() == [[0.5, 0.0], [1.0, 899.0]]
    assert (measure.name, measure.side, measure.effect_kind) == (
        "output_coherence",
        "high",
        "score",
    )


def test_log_entropy_by_hand():
    # 0.9 and 0.1: an entropy of 0.325083; of two even classes: ln 2 = 0.693147
    logits = np.array([[[math.log(9), 0.0]], [[1.0, 1.0]]])
    values = logit_coherence(logits, "log-entropy").values.ravel()
    assert values == pytest.approx([math.log10(0.693147 / 0.325083), 0.0], abs=1e-6)


def test_log_entropy_against_arithmetic_of_1000_digits():
    rng = np.random.default_rng(0)
    rows = [scale * rng.normal(size=10) for scale in (0, 1e-3, 0.1, 1, 10, 40, 300, 2000)]
    rows.append(np.array([0.0] * 9 + [39.99]))
    rows.append(np.array([0.0] * 9 + [900.0]))
    values = logit_coherence(np.array(rows)[:, np.newaxis], "log-entropy").values.ravel()
    with mpmath.workdps(1000):
        for row, value in zip(rows, values, strict=True):
            weights = [mpmath.exp(mpmath.mpf(float(logit))) for logit in row]
            shares = [weight / sum(weights) for weight in weights]
            entropy = -sum(share * mpmath.log(share) for share in shares)
            expected = mpmath.log10(mpmath.log(10) / entropy)
            assert value == pytest.approx(float(expected), rel=1e-9, abs=1e-9)
    assert values.max() > 330  # an entropy below the least double


def test_log_entropies_rank_as_entropies():
    logits = 4 * np.random.default_rng(1).normal(size=(20, 30, 10))
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    entropies = -(shares * np.log(shares)).sum(axis=-1)
    paper = Measure("output_coherence", "low", entropies, "entropy", entropies)
    both = [assess(paper), assess(logit_coherence(logits, "log-entropy"))]
    assert both[0].p_values.tolist() == both[1].p_values.tolist()
    assert both[0].permutation.pvalue == both[1].permutation.pvalue
