"""Values and options that the statistics refuse."""

import numpy as np
import pytest
from helpers.refusals import cases, check_refused

from localspec.statistics import (
    MeanInterval,
    at_most,
    bates_cdf,
    benjamini_hochberg,
    benjamini_yekutieli,
    beyond_one,
    clustered_rate,
    combine_replicates,
    crossed_interval,
    effect_size,
    empirical_p,
    equivalence_p,
    exceedances,
    extremeness,
    fisher,
    fisher_shift,
    judgement,
    p_floor,
    paired_difference,
    permutation_fisher,
    rank_chi2,
    rank_correlation,
    relative_compare,
    sequential_p_values,
    summarize_effects,
    t_interval,
    verdict,
)

NULL = np.linspace(0, 1, 19)
EFFECT = effect_size([3, 1], [[1, 1], [1, 1]], "score")


def paired(a=(1.0, 2.0), b=(1.0, 2.0), margin=0.1, seed=0, **options):
    return paired_difference(a, b, margin, seed=seed, **options)


def no_more(number, chosen, n):
    pytest.fail("draws were asked for before the input was checked")


def sequential(values=((5.0,),), first=(((7.0,),),), further=no_more, sides=("high",), **options):
    return sequential_p_values(values, first, further, sides, **options)


def judged(favourable="above", equivalence=0.5, n_significant=1, n_tests=2, **options):
    interval = MeanInterval(1.2, 1.1, 1.3, 4, 5)
    counts = {"n_significant": n_significant, "n_tests": n_tests}
    return verdict(interval, equivalence, favourable, **counts, **options)


CASES = {
    "networks in two rows": (lambda: t_interval([[1.0, 2.0]]), "(n_networks,)", "(1, 2)"),
    "networks in one row": (lambda: crossed_interval([1.0, 2.0]), "(n_networks, n_partitionings)"),
    "an infinite ratio": (lambda: t_interval([1.0, np.inf]), "finite", "NaN"),
    "no margin of equivalence": (lambda: equivalence_p([1.0, 1.1], 1, 0), "margin", "not 0"),
    "confidence of a percent": (lambda: t_interval([1.0, 2.0], confidence=95), "confidence", "95"),
    "no centre of equivalence": (lambda: equivalence_p([1.0, 1.1], "one", 0.1), "centre", "'one'"),
    "a rate of text": (lambda: clustered_rate("p", 0.05), "p_values must be numbers", "'p'"),
    "a rate of rows of two lengths": (
        lambda: clustered_rate([[0.1], [0.1, 0.2]], 0.05),
        "p_values must be numbers, in rows of the same length",
    ),
    "a rate of one number": (lambda: clustered_rate(0.1, 0.05), "a row for each cluster", "()"),
    "a rate of nothing": (lambda: clustered_rate([], 0.05), "a row for each cluster", "(0,)"),
    "a rate of what is no p-value": (lambda: clustered_rate([0.5, -1], 0.05), "[0, 1]", "-1.0"),
    "a rate at a level of percent": (lambda: clustered_rate([0.5], 5), "level", "not 5"),
    "pairs of two lengths": (lambda: rank_correlation([1, 2], [1, 2, 3]), "(2,) and (3,)"),
    "ranks of text": (lambda: rank_correlation(["a"], [1]), "first must be numbers", "'a'"),
    "ranks of rows of two lengths": (
        lambda: rank_chi2([[1], [1, 2]], [[1], [2]], "low"),
        "value must be numbers, in rows of the same length",
    ),
    "a side of a ratio": (lambda: judged("left"), "favourable='left'", "'above', 'below'"),
    "more significant than tests": (lambda: judged(n_significant=3), "n_significant", "2"),
    "a claim without tests": (lambda: judged(n_tests=0), "n_tests", "at least 1"),
    "a share of draws in percent": (
        lambda: judged(undefined=97),
        "undefined=97 must be a share between 0 and 1",
    ),
    "a claim without an interval": (
        lambda: verdict((1.1, 1.3), 0.5, "above", n_significant=1, n_tests=2),
        "interval must be a MeanInterval, not tuple: t_interval(...)",
    ),
    "equivalence below 0": (lambda: judged(equivalence=-3), "equivalence=-3", "p-value between 0"),
    "equivalence above 1": (lambda: judged(equivalence=3.0), "equivalence=3.0", "or NaN"),
    "equivalence of text": (lambda: judged(equivalence="p"), "equivalence must be numbers", "'p'"),
    "a share of text": (lambda: judged(undefined="all"), "undefined must be numbers", "'all'"),
    "a check of NaN": (
        lambda: judged(checks=[np.nan]),
        "checks must be a list of True (passed), False (failed) and None",
        "[nan]",
    ),
    "no list of checks": (lambda: judged(checks=None), "checks must be a list", "not None"),
    "a judgement of text": (lambda: judgement("a", 0.1, 0.05), "low must be numbers", "'a'"),
    "a judgement in percent": (lambda: judgement(1, 3, 5), "level", "between 0 and 1", "not 5"),
    "a side of text": (lambda: beyond_one("a", 1, "above"), "low must be numbers", "'a'"),
    "masked p-values": (
        lambda: benjamini_hochberg(np.ma.array([0.01, 0.5], mask=[True, False])),
        "masked values are not left out",
        "values.filled(numpy.nan)",
    ),
    "p rule": (lambda: empirical_p(0.5, NULL, "low", "middle"), "'middle'", "'mid', 'strict'"),
    "side": (lambda: empirical_p(0.5, NULL, "left"), "side='left'", "'low', 'high'"),
    "a p-value of 0": (lambda: fisher([0.0, 0.5]), "(0, 1]"),
    "p of no draws": (lambda: p_floor(0), "n_draws", "at least 1", "not 0"),
    "values of text": (lambda: empirical_p("high", NULL, "low"), "value must be numbers", "'high'"),
    "draws of text": (lambda: empirical_p(0.5, ["a", "b"], "low"), "null must be numbers", "'a'"),
    "draws in rows of two lengths": (
        lambda: empirical_p([1, 2], [[1, 2], [1]], "low"),
        "null must be numbers, in rows of the same length",
    ),
    "complex values": (lambda: empirical_p(1j, NULL, "low"), "value must be numbers", "1j"),
    "draws of another shape": (
        lambda: empirical_p([1, 2, 3], [[1, 2], [3, 4]], "low"),
        "null of shape (2, 2) does not fit value of shape (3,)",
        "last axis",
    ),
    "no draws": (lambda: empirical_p(1, [], "low"), "no draws", "at least one"),
    "chance without a seed": (
        lambda: empirical_p(1, NULL, "low", "randomised"),
        "needs rng: pass a seed or a numpy.random.Generator",
    ),
    "chance by text": (
        lambda: empirical_p(1, NULL, "low", "randomised", "seed"),
        "rng must be a whole number, the seed, or a numpy.random.Generator",
        "'seed'",
    ),
    "chance by a negative seed": (
        lambda: empirical_p(1, NULL, "low", "randomised", -1),
        "rng must be a whole number of at least 0, not -1",
    ),
    "undefined values": (
        lambda: empirical_p(1, NULL, "low", undefined="nan"),
        "undefined='nan'",
        "'left_out'",
    ),
    "strict, left out": (
        lambda: empirical_p(1, NULL, "low", "strict", undefined="left_out"),
        "use rule='mid'",
    ),
    "shift of half a draw": (lambda: fisher_shift("strict", 0.5), "n_draws", "not 0.5"),
    "shift of another rule": (lambda: fisher_shift("exact", 19), "rule='exact'", "'mid'"),
    "fisher: text": (lambda: fisher(["0.5", "0.1"]), "p_values must be numbers", "'0.5'"),
    "fisher: one number": (lambda: fisher(0.5), "axis of subclusters", "0.5"),
    "fisher: per cent": (lambda: fisher([5.0, 0.5]), "(0, 1]", "5.0"),
    "fisher: NaN": (lambda: fisher([np.nan, 0.5]), "(0, 1]", "nan"),
    "fisher: rule": (lambda: fisher([0.5], rule="exact"), "rule='exact'", "'mid', 'strict'"),
    "fisher: strict without draws": (lambda: fisher([0.5], rule="strict"), "needs n_draws"),
    "fisher: draws as text": (lambda: fisher([0.5], n_draws="19"), "n_draws", "not '19'"),
    "fisher: shifted twice": (
        lambda: fisher([0.01], rule="strict", n_draws=19),
        "cannot lie below 1/20",
        "the shift is applied here",
    ),
    "permutation: one row": (
        lambda: permutation_fisher([[1, 2]], "low"),
        "(1, 2) must have a row for the true partition",
    ),
    "permutation: text": (lambda: permutation_fisher([["a"], ["b"]], "low"), "must be numbers"),
    "permutation: side": (
        lambda: permutation_fisher([[1], [2]], "top"),
        "side='top' is not known; choose one of 'low', 'high'",
    ),
    "permutation: seed": (
        lambda: permutation_fisher([[1], [2]], "low", rule="randomised", rng=0.5),
        "rng must be a whole number",
        "0.5",
    ),
    "no replicates": (lambda: p_floor(19, 0), "n_replicates", "at least 1", "not 0"),
    "mean of none": (lambda: bates_cdf(0.5, 0), "n must be", "at least 1", "not 0"),
    "mean of text": (lambda: bates_cdf("0.5", 2), "mean must be numbers", "'0.5'"),
    "replicates: per cent": (lambda: combine_replicates([5.0]), "[0, 1]", "5.0"),
    "replicates: table": (lambda: combine_replicates([[0.5]]), "(1, 1)", "one-dimensional"),
    "replicates: text": (lambda: combine_replicates(["a"]), "p_values must be numbers"),
    "correction: per cent": (lambda: benjamini_hochberg([5.0, 0.1]), "[0, 1]", "5.0"),
    "correction: alpha": (
        lambda: benjamini_hochberg([0.1], alpha="0.05"),
        "alpha must be a number between 0 and 1, not '0.05'",
    ),
    "correction: alpha NaN": (lambda: benjamini_yekutieli([0.1], alpha=np.nan), "alpha", "nan"),
    "correction: text": (lambda: benjamini_yekutieli(["p"]), "p_values must be numbers", "'p'"),
    "correction: negative": (lambda: benjamini_yekutieli([-0.1]), "[0, 1]", "-0.1"),
    "rank counts by chance": (lambda: rank_chi2([1], [[1]], "low", ties="random"), "ties='random'"),
    "rank counts of one number": (lambda: rank_chi2(1, [1], "low"), "shape (n_subclusters,)"),
    "effects: kind": (lambda: effect_size(1, [1], "ratio"), "kind='ratio'"),
    "effects: no draws": (lambda: effect_size(1, [], "score"), "no draws"),
    "effects: draws of another shape": (lambda: effect_size([1, 2], [1, 2], "score"), "last axis"),
    "effects: negative": (lambda: effect_size(-1, [1], "score"), "cannot be negative", "'drop'"),
    "effects: negative draws": (lambda: effect_size(1, [-1], "range"), "cannot be negative"),
    "effects: infinite": (lambda: effect_size(np.inf, [1], "range"), "must be finite"),
    "effects: infinite draws": (lambda: effect_size(-1, [-np.inf], "drop"), "must be finite"),
    "effects: undefined": (
        lambda: effect_size(1, [1], "range", undefined="nan"),
        "undefined='nan'",
    ),
    "effects: text": (lambda: effect_size("a", [1], "score"), "value must be numbers", "'a'"),
    "summary of one": (lambda: summarize_effects(EFFECT), "a list of EffectSize", "EffectSize("),
    "summary of a number": (
        lambda: summarize_effects([effect_size(1, [1], "score")]),
        "shape (n_subclusters,)",
    ),
    "summary of none": (lambda: summarize_effects([]), "effects is empty", "at least one"),
    "summary of numbers": (lambda: summarize_effects([1.25]), "a list of EffectSize", "[1.25]"),
    "summary of two kinds": (
        lambda: summarize_effects([EFFECT, effect_size([1], [[1]], "range")]),
        "mixes the kinds range, score; pass one at a time",
    ),
    "pairs of other networks": (lambda: paired(a=(1.0,)), "must pair up", "(1,), (2,)"),
    "pairs of text": (lambda: paired(a=("a", "b")), "a must be numbers"),
    "infinite pairs": (lambda: paired(b=(np.inf, 1.0)), "must be finite"),
    "no margin": (lambda: paired(margin=0), "margin", "above 0", "not 0"),
    "no samples": (lambda: paired(n_boot=0), "n_boot", "at least 1", "not 0"),
    "endless samples": (lambda: paired(n_boot=10**12), "n_boot must be from 1 to 10000000"),
    "confidence in per cent": (
        lambda: paired(confidence=90),
        "confidence must be a number between 0 and 1, not 90",
    ),
    "pairs by text": (lambda: paired(seed="0"), "seed must be a whole number", "'0'"),
    "comparing text": (lambda: relative_compare("a", 1), "a must be numbers", "'a'"),
    "comparing other shapes": (
        lambda: relative_compare([1, 2], [1, 2, 3]),
        "shapes (2,) and (3,)",
        "broadcast",
    ),
    "tolerance": (lambda: relative_compare(1, 1, rtol=-1), "rtol", "at least 0", "not -1"),
    "level of text": (lambda: at_most([0.1], "0.05"), "level must be numbers", "'0.05'"),
    "extreme side": (lambda: extremeness(1, 2, "up"), "side='up'", "'low', 'high'"),
    "exceedances without draws": (lambda: exceedances(1, [], "low"), "no draws"),
    "sequential: no sides": (lambda: sequential(sides=None), "one side for each", "None"),
    "sequential: draws as text": (lambda: sequential(max_draws="999"), "max_draws", "'999'"),
    "sequential: no function": (
        lambda: sequential(further=[1, 2]),
        "further must be a function that draws, not [1, 2]",
    ),
    "sequential: values in a row": (lambda: sequential([5], [[1]]), "not fit values of shape"),
    "sequential: draws for another": (
        lambda: sequential([[5]], [[[1, 2]]]),
        "first of shape (1, 1, 2) does not fit values of shape (1, 1)",
    ),
    "sequential: no first draw": (
        lambda: sequential([[5]], np.empty((1, 0, 1))),
        "at least one draw",
    ),
    "sequential: two sides": (lambda: sequential(sides=["high", "low"]), "of the 1 statistics"),
    "sequential: side": (lambda: sequential(sides=["up"]), "side='up'"),
    "sequential: undefined": (lambda: sequential(undefined="zero"), "undefined='zero'"),
    "sequential: left out": (
        lambda: sequential(undefined="left_out"),
        "'left_out' has no stopping rule",
    ),
    "sequential: no exceedance": (
        lambda: sequential(max_exceedances=0),
        "max_exceedances must be a whole number of at least 1, not 0",
    ),
    "sequential: fewer than none": (lambda: sequential(max_draws=-1), "max_draws", "not -1"),
    "sequential: further draws of another shape": (
        lambda: sequential([[5, 5]], [[[1, 1]]], lambda *_: np.zeros((1, 1))),
        "shape (1, 1), not (1, 1, 2)",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
