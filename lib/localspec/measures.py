"""Measures: importance and three kinds of coherence of subclusters, each with its null sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from localspec._utils.validation import (
    as_array,
    as_floats,
    check_option,
    check_seed,
    check_type,
    require,
    shown,
)
from localspec.conventions import Conventions, resolve
from localspec.exceptions import InvalidInputError
from localspec.lesions import LesionedAccuracies
from localspec.statistics import (
    EffectSize,
    FisherResult,
    PermutationFisherResult,
    effect_size,
    empirical_p,
    fisher,
    permutation_fisher,
)
from localspec.visualization import Visualizations

__all__ = [
    "LESIONED",
    "LOGIT_FORMS",
    "MEASURES",
    "VISUALIZED",
    "Assessment",
    "Measure",
    "assess",
    "class_ranges",
    "coherence",
    "conditioned_ranges",
    "importance",
    "least_change",
    "logit_coherence",
    "measure_named",
]

MEASURES = ("importance", "class_coherence", "input_coherence", "output_coherence")
LESIONED = ("importance", "class_coherence")  # measures made from accuracies
VISUALIZED = ("input_coherence", "output_coherence")  # measures made from images
LOGIT_FORMS = ("log-entropy", "logit margin")  # of output coherence, beside the entropy
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Measure:
    """One measure of all subclusters of a partition and of their random counterparts.

    Attributes
    ----------
    name : {"importance", "class_coherence", "input_coherence", "output_coherence"}
    side : {"low", "high"}
        The extreme side.
    values : numpy.ndarray, shape (n_draws + 1, n_subclusters)
        Row 0 holds the true subclusters; NaN where undefined.
    effect_kind : {"drop", "range", "score", "entropy"}
    effect_values : numpy.ndarray, shape (n_draws + 1, n_subclusters)
        What effect sizes are made of: for importance the change of accuracy, else `values`.
    undefined_ranges : {"least_extreme", "left_out", "released"}
        What an undefined value counts as.
    """

    name: str
    side: str
    values: np.ndarray
    effect_kind: str
    effect_values: np.ndarray
    undefined_ranges: str = "least_extreme"

    def __post_init__(self) -> None:
        shape = np.shape(self.values)
        require(
            isinstance(self.values, np.ndarray)
            and isinstance(self.effect_values, np.ndarray)
            and len(shape) >= 2  # more axes: of many partitions
            and np.shape(self.effect_values) == shape,
            "values of a measure must be an array of shape (n_draws + 1, n_subclusters), not "
            f"{shape} and, of effects, {np.shape(self.effect_values)}: draws.arrange(values) and "
            "visualizations.arranged(draws) bring them into it",
        )

    @property
    def n_draws(self) -> int:
        """Number of random counterparts of each subcluster."""
        return len(self.values) - 1

    @property
    def n_undefined(self) -> int:
        """Number of true subclusters whose value is undefined."""
        return int(np.isnan(self.values[0]).sum())

    @property
    def undefined_draws(self) -> float:
        """Share of random counterparts whose value is undefined; NaN where there are none."""
        draws = np.isnan(self.values[1:])
        return float(draws.mean()) if draws.size else float("nan")


@dataclass(frozen=True)
class Assessment:
    """What the random counterparts say about one measure of one partition.

    Attributes
    ----------
    measure : Measure
    p_values : numpy.ndarray, shape (n_subclusters,)
        NaN where the measure leaves undefined values out and there is nothing to rank.
    effects : EffectSize
        Of every subcluster.
    fisher : FisherResult
        Plain Fisher over subclusters.
    permutation : PermutationFisherResult
        Fisher calibrated by the permuted partitions.
    """

    measure: Measure
    p_values: np.ndarray
    effects: EffectSize
    fisher: FisherResult
    permutation: PermutationFisherResult


def _check_accuracies(accuracies: LesionedAccuracies) -> None:
    check_type("accuracies", accuracies, LesionedAccuracies, "lesion_draws(...) returns them")


def importance(accuracies: LesionedAccuracies) -> Measure:
    """Measure importance: the test accuracy, averaged over classes, after the lesion.

    Parameters
    ----------
    accuracies : LesionedAccuracies

    Returns
    -------
    Measure
        Low values are extreme.

    Raises
    ------
    InvalidInputError
        If `accuracies` are no LesionedAccuracies.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Importance".
    """
    _check_accuracies(accuracies)
    values = accuracies.lesioned.mean(axis=-1)
    drops = values - accuracies.baseline.mean()
    return Measure("importance", "low", values, "drop", drops)


def mean_changes(accuracies: LesionedAccuracies) -> np.ndarray:
    """Return the mean over classes of the change of accuracy, (n_draws + 1, n_subclusters)."""
    return (accuracies.lesioned - accuracies.baseline).mean(axis=-1)


def range_of_changes(accuracies: LesionedAccuracies) -> np.ndarray:
    """Return the range over classes of the change of accuracy, (n_draws + 1, n_subclusters)."""
    change = accuracies.lesioned - accuracies.baseline
    return change.max(axis=-1, initial=-np.inf) - change.min(axis=-1, initial=np.inf)


def class_ranges(
    accuracies: LesionedAccuracies, *, conventions: Conventions | str = "paper"
) -> np.ndarray:
    """Return the range over classes of the change of accuracy, over its mean's magnitude.

    Parameters
    ----------
    accuracies : LesionedAccuracies
    conventions : Conventions or str
        Uses ``undefined_ranges``.

    Returns
    -------
    numpy.ndarray, shape (n_draws + 1, n_subclusters)
        NaN where the mean change is smaller than one test image per class, whichever its sign
        (``undefined_ranges="released"``: NaN or infinite where it is exactly 0).

    Raises
    ------
    InvalidInputError
        If `accuracies` are no LesionedAccuracies.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Class coherence".

    Examples
    --------
    Two classes of ten images lose 4 and 2 of them: a range of 0.2 over a mean of 0.3.

    >>> accuracies = LesionedAccuracies(
    ...     np.array([1.0, 1.0]), np.array([[[0.6, 0.8]]]), np.array([10, 10])
    ... )
    >>> class_ranges(accuracies).round(4).tolist()
    [[0.6667]]
    """
    _check_accuracies(accuracies)
    return _class_ranges(accuracies, resolve(conventions))


def least_change(class_sizes: np.ndarray) -> float:
    """Return the mean change of accuracy from which class ranges are defined: an image per class.

    Parameters
    ----------
    class_sizes : numpy.ndarray of int, shape (n_classes,)
        Images of each class, one or more.

    Returns
    -------
    float

    Examples
    --------
    >>> least_change(np.array([10, 20, 20, 20]))
    0.0625
    """
    return float((1 / class_sizes).mean())


def _class_ranges(accuracies: LesionedAccuracies, conventions: Conventions) -> np.ndarray:
    mean, spread = mean_changes(accuracies), range_of_changes(accuracies)
    if conventions.undefined_ranges == "released":
        with np.errstate(divide="ignore", invalid="ignore"):
            return spread / np.abs(mean)
    defined = np.abs(mean) >= least_change(accuracies.class_sizes) * (1 - TOLERANCE)
    return np.where(defined, spread / np.where(defined, np.abs(mean), 1.0), np.nan)


def coherence(
    evidence: LesionedAccuracies | Visualizations,
    kind: str,
    *,
    conventions: Conventions | str = "paper",
) -> Measure:
    """Measure coherence with classes, with input features, or of the output.

    Parameters
    ----------
    evidence : LesionedAccuracies or Visualizations
        Lesioned accuracies for ``"class"``; visualizations arranged as (n_draws + 1,
        n_subclusters, ...) for the others.
    kind : {"class", "input", "output"}
        ``class``: range over classes of the damage over its mean, high is extreme. ``input``:
        score reached by feature visualization, high is extreme. ``output``: entropy of the
        network's output on that image, low is extreme.
    conventions : Conventions or str
        Uses ``undefined_ranges``.

    Returns
    -------
    Measure

    Raises
    ------
    InvalidInputError
        If the kind is unknown or the evidence is not of the type it needs.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Class coherence", "Input coherence", "Output coherence".
    """
    check_option("kind", kind, ("class", "input", "output"))
    conventions = resolve(conventions)
    needed = LesionedAccuracies if kind == "class" else Visualizations
    if not isinstance(evidence, needed):
        maker = "lesion_draws(...)" if kind == "class" else "visualize(...).arranged(draws)"
        raise InvalidInputError(
            f"{kind} coherence needs {needed.__name__}, not {type(evidence).__name__}: {maker} "
            "returns them"
        )
    if kind == "class":
        ranges = _class_ranges(evidence, conventions)
        return Measure(
            "class_coherence", "high", ranges, "range", ranges, conventions.undefined_ranges
        )
    if kind == "input":
        scores = evidence.scores
        return Measure("input_coherence", "high", scores, "score", scores)
    entropies = evidence.entropies
    return Measure("output_coherence", "low", entropies, "entropy", entropies)


def logit_coherence(logits: np.ndarray, form: str) -> Measure:
    """Measure output coherence by a number that does not vanish where the output is certain.

    Parameters
    ----------
    logits : numpy.ndarray, shape (n_draws + 1, n_subclusters, n_classes)
        Of the network on each visualization, row 0 true.
    form : {"log-entropy", "logit margin"}
        ``log-entropy``: how many powers of ten the entropy of the softmax lies below that of a
        uniform output. ``logit margin``: the largest logit less the second largest.

    Returns
    -------
    Measure
        High values are extreme, and at least 0.

    Raises
    ------
    InvalidInputError
        If the form is unknown, or `logits` are not finite or not of two classes or more.

    Notes
    -----
    Log-entropies rank as entropies do; only effects are others. They are computed from logits and
    never through an entropy, which is 0 in double precision from a margin of 745 on.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Output coherence"; both forms are this project's.

    Examples
    --------
    >>> logits = np.array([[[5.0, 2.0, 1.0]], [[0.0, 0.0, 0.0]]])
    >>> logit_coherence(logits, "logit margin").values.ravel().tolist()
    [3.0, 0.0]
    """
    check_option("form", form, LOGIT_FORMS)
    logits = as_floats("logits", logits)
    require(
        logits.ndim == 3 and logits.shape[-1] > 1,
        "logits must be numbers of shape (n_draws + 1, n_subclusters, n_classes), with two classes "
        f"or more, not of shape {logits.shape}",
    )
    require(
        bool(np.isfinite(logits).all()),
        "logits must be numbers that are finite: on some image they are NaN or infinite",
    )
    ordered = np.sort(logits, axis=-1)
    if form == "logit margin":
        values = ordered[..., -1] - ordered[..., -2]
    else:
        below = ordered[..., :-1] - ordered[..., -1:]  # of all classes but the largest
        log_rest = logsumexp(below, axis=-1)
        log_total = np.log1p(np.exp(log_rest))
        # entropy = log_total + sum of exp(below) (-below) / total; log1p(x) is x where x is tiny
        log_of_log_total = np.where(log_rest < -40, log_rest, np.log(np.maximum(log_total, 1e-99)))
        log_of_sum = logsumexp(below, b=-below, axis=-1) - log_total
        log_entropy = np.logaddexp(log_of_log_total, log_of_sum)
        values = (np.log(np.log(logits.shape[-1])) - log_entropy) / np.log(10)
        values = np.where(np.abs(values) < TOLERANCE, 0.0, values)  # a uniform output, but rounded
    return Measure("output_coherence", "high", values, "score", values)


def measure_named(
    name: str,
    evidence: LesionedAccuracies | Visualizations,
    *,
    conventions: Conventions | str = "paper",
) -> Measure:
    """Return the measure of a name: the one place that knows which function computes it.

    Parameters
    ----------
    name : str
        One of `MEASURES`.
    evidence : LesionedAccuracies or Visualizations
        Lesioned accuracies for the names in `LESIONED`, visualizations for those in `VISUALIZED`.
    conventions : Conventions or str
        Uses ``undefined_ranges``.

    Returns
    -------
    Measure

    Raises
    ------
    InvalidInputError
        If the name is unknown, or the evidence of a coherence is not of the type it needs.
    """
    check_option("measure", name, MEASURES)
    if name == "importance":
        return importance(evidence)
    return coherence(evidence, name.removesuffix("_coherence"), conventions=conventions)


def assess(
    measure: Measure, *, conventions: Conventions | str = "paper", seed: int = 0
) -> Assessment:
    """Compare a measure of the true subclusters with that of their random counterparts.

    Parameters
    ----------
    measure : Measure
    conventions : Conventions or str
        Uses ``p_rule``.
    seed : int, optional
        For the rule "randomised".

    Returns
    -------
    Assessment

    Raises
    ------
    InvalidInputError
        If the measure is none or has no draws, or a choice is not allowed.
    """
    check_type("measure", measure, Measure, "importance(...) and coherence(...) make one")
    rule = resolve(conventions).p_rule
    check_seed(seed)
    require(
        measure.values.ndim == 2 and measure.n_draws > 0,
        "measure must have the values of one partition and of one random counterpart or more, "
        f"(n_draws + 1, n_subclusters), not of shape {measure.values.shape}",
    )
    undefined = measure.undefined_ranges
    true, null = measure.values[0], measure.values[1:].T
    p_values = empirical_p(true, null, measure.side, rule, seed, undefined=undefined)
    effects = effect_size(
        measure.effect_values[0],
        measure.effect_values[1:].T,
        measure.effect_kind,
        undefined=undefined,
    )
    return Assessment(
        measure=measure,
        p_values=p_values,
        effects=effects,
        fisher=fisher(p_values[~np.isnan(p_values)], rule=rule, n_draws=measure.n_draws),
        permutation=permutation_fisher(
            measure.values, measure.side, rule=rule, rng=seed, undefined=undefined
        ),
    )


def conditioned_ranges(accuracies: LesionedAccuracies, layers: Sequence[str]) -> Measure:
    """Measure class coherence at equal damage.

    Parameters
    ----------
    accuracies : LesionedAccuracies
    layers : sequence of str, length n_subclusters
        Layer of each subcluster.

    Returns
    -------
    Measure
        The range of changes over classes, over the range that a lesion of that layer with as
        much damage would have. NaN where class coherence is undefined, and left out there: such
        a lesion does less damage, not as much.

    Raises
    ------
    InvalidInputError
        If `accuracies` are no LesionedAccuracies of one partition, or not as many layers are named.

    Notes
    -----
    What a lesion would have is a line through log range against log of the mean change's
    magnitude, fitted by least squares to all lesions of the layer. True subclusters take part in
    the fit like their draws, so that under the null hypothesis all rows remain exchangeable.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Class coherence"; the condition is this project's.

    Examples
    --------
    Ranges that are proportional to the damage are as wide as expected: all ratios are 1.

    >>> lesioned = np.array([[[0.8, 0.6]], [[0.6, 0.2]], [[0.9, 0.8]]])
    >>> accuracies = LesionedAccuracies(np.ones(2), lesioned, np.array([50, 50]))
    >>> conditioned_ranges(accuracies, ["a"]).values.round(6).ravel().tolist()
    [1.0, 1.0, 1.0]
    """
    _check_accuracies(accuracies)
    require(
        accuracies.lesioned.ndim == 3,
        "accuracies must be those of one partition, (n_draws + 1, n_subclusters, n_classes), not "
        f"of shape {accuracies.lesioned.shape}",
    )
    n_subclusters, named = accuracies.lesioned.shape[1], as_array(layers)
    require(
        named.ndim == 1 and len(named) == n_subclusters,
        f"layers must name a layer for each of the {n_subclusters} subclusters, not "
        f"{shown(layers)}",
    )
    damage, spread = np.abs(mean_changes(accuracies)), range_of_changes(accuracies)
    defined = damage >= least_change(accuracies.class_sizes) * (1 - TOLERANCE)
    least_range = 1 / accuracies.class_sizes.max()  # the least there is to see
    ratios = np.full(damage.shape, np.nan)
    for layer in dict.fromkeys(named.tolist()):
        chosen = defined & (named == layer)
        if chosen.any():
            x = np.log(damage[chosen])
            y = np.log(np.maximum(spread[chosen], least_range))
            varies = np.ptp(x) > TOLERANCE
            line = np.polynomial.Polynomial.fit(x, y, 1 if varies else 0)
            ratios[chosen] = np.exp(y - line(x))
    return Measure("class_coherence", "high", ratios, "range", ratios, "left_out")
