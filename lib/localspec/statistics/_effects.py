"""Effect sizes: compare subclusters with their random counterparts, and average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from localspec._utils.validation import check_option, require, shown
from localspec.exceptions import InvalidInputError
from localspec.statistics._ordering import UNDEFINED, relative_compare, sample_with_null

EFFECT_KINDS = {"drop": "low", "range": "high", "score": "high", "entropy": "low"}  # extreme side
# where an effect over its null mean lies if there is specialization
FAVOURABLE = {"drop": "above", "range": "above", "score": "above", "entropy": "below"}
NO_DROP = 1e-9  # an accuracy change this small is rounding: one image of a billion


@dataclass(frozen=True, eq=False)
class EffectSize:
    """Effect sizes of subclusters, with those of their draws.

    Parameters
    ----------
    kind : {"drop", "range", "score", "entropy"}
        The statistic that was compared.
    effect : float or ndarray, shape (...)
        Effect of each true subcluster, in [0, 2]; NaN where undefined.
    null_effects : ndarray, shape (..., n_draws)
        Effect of each draw, taken as the true one against the remaining draws and the true one.
    n_undefined_draws : int or ndarray, shape (...)
        Draws that were left out because their value is undefined.
    """

    kind: str
    effect: float | np.ndarray
    null_effects: np.ndarray
    n_undefined_draws: int | np.ndarray

    @property
    def null_mean(self) -> float | np.ndarray:
        """Mean of the defined null effects, shape (...): what "no effect" comes to."""
        return _mean(self.null_effects)

    @property
    def ratio(self) -> float | np.ndarray:
        """Effect over its null mean, shape (...); NaN where that is 0 or undefined."""
        return _divide(self.effect, self.null_mean)


def effect_size(
    true: ArrayLike, null: ArrayLike, kind: str, *, undefined: str = "least_extreme"
) -> EffectSize:
    """Measure how far subclusters differ from their random counterparts.

    Parameters
    ----------
    true : array_like, shape (...)
        Values t of the true subclusters; NaN where undefined. For "drop" the signed change of
        accuracy by the lesion (a drop is negative), for all others a value >= 0.
    null : array_like, shape (..., n_draws)
        Values r of their random counterparts; NaN where undefined.
    kind : {"drop", "range", "score", "entropy"}
        The statistic; see Notes.
    undefined : {"least_extreme", "left_out", "released"}
        An undefined true value has no effect size; or, as in the released code, one of 0.

    Returns
    -------
    EffectSize
        Above 1: the true value is the larger one (for drops: the deeper one).

    Raises
    ------
    InvalidInputError
        If shapes do not agree, there is no draw, an option is unknown, or (unless
        ``undefined="released"``) a value is infinite or, for kinds other than "drop", negative.

    Notes
    -----
    "drop" and "range": 2 t / (t + mean of r). A drop's effect is 0 if the true change or the
    mean of the random ones is not a drop (not below -1e-9). "score" and "entropy": the mean over
    draws of 2 t / (t + r). Undefined draws are left out of the mean. Two values of 0 differ by
    nothing: their effect is 1. Cost: n_draws times that of the effects themselves.

    Without any true difference the effect is not exactly 1 on average, hence the null effects.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: effect size.

    Examples
    --------
    A drop of 0.3 against drops of 0.1 on average: 0.6 / 0.4.

    >>> round(float(effect_size(-0.3, [-0.2, -0.1, 0.0], "drop").effect), 12)
    1.5
    """
    check_option("kind", kind, EFFECT_KINDS)
    check_option("undefined", undefined, UNDEFINED)
    true, null = sample_with_null(true, null)
    if undefined != "released":
        true, null = _checked(true, kind), _checked(null, kind)
    null_effects = np.empty(null.shape)
    for draw in range(null.shape[-1]):
        others = null.copy()
        others[..., draw] = true
        null_effects[..., draw] = _effect(null[..., draw], others, kind, undefined)
    effect = _effect(true, null, kind, undefined)
    return EffectSize(kind, effect, null_effects, np.isnan(null).sum(axis=-1))


def _checked(values: np.ndarray, kind: str) -> np.ndarray:
    """Refuse values that no effect can be made of; rounding errors below 0 become 0."""
    require(not np.isinf(values).any(), "values must be finite; pass NaN for an undefined one")
    if kind == "drop":
        return values
    require(
        not (values < -NO_DROP).any(),
        f"values of kind {kind!r} cannot be negative; only accuracy changes (kind 'drop') can",
    )
    return np.where(values < 0, 0.0, values)


def _effect(t: np.ndarray, r: np.ndarray, kind: str, undefined: str) -> np.ndarray:
    """Return the effect of values t, shape (...), against draws r, shape (..., n_draws)."""
    if kind in ("score", "entropy"):
        effect = _mean(_relative(t[..., np.newaxis], r, undefined))
    else:
        mean = _mean(r)
        effect = _relative(t, mean, undefined)
        if kind == "drop":
            effect = np.where((t >= -NO_DROP) | (mean >= -NO_DROP), 0.0, effect)[()]
    return np.nan_to_num(effect, nan=0.0) if undefined == "released" else effect


def _relative(t: np.ndarray, r: np.ndarray, undefined: str) -> np.ndarray:
    """Return 2 t / (t + r)."""
    with np.errstate(invalid="ignore", divide="ignore"):  # 0/0 and infinite values
        ratio = 2 * t / (t + r)
    if undefined == "released":
        return ratio
    return np.where((t == 0) & (r == 0), 1.0, ratio)[()]


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the defined values over the last axis, NaN where there are none."""
    defined = ~np.isnan(values)
    return _divide(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def _divide(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Return a / b, NaN where b is 0."""
    b = np.asarray(b, dtype=float)
    return (np.asarray(a, dtype=float) / np.where(b == 0, np.nan, b))[()]


def _standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean, NaN for fewer than two values."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


@dataclass(frozen=True, eq=False)
class EffectSummary:
    """Mean effect over networks, with its null mean and two standard errors.

    Parameters
    ----------
    kind : {"drop", "range", "score", "entropy"}
        The statistic that was compared.
    mean, standard_error : float
        Mean over networks of their mean effects, and its standard error over networks (NaN for
        fewer than two).
    pooled_mean, pooled_standard_error : float
        Mean and standard error over all subclusters, as in the paper.
    null_mean : float
        Mean over networks of `network_null_means`.
    ratio : float
        ``mean / null_mean``.
    network_means : ndarray, shape (n_networks,)
        Mean effect of each network's subclusters; NaN if none has one.
    network_null_means : ndarray, shape (n_networks,)
        The same for each network's permuted partitions, averaged over them.
    n_subclusters : int
        Subclusters with an effect, over all networks.
    n_undefined : int
        Subclusters without one, left out.
    n_undefined_draws : int
        Undefined draws, over all subclusters.
    """

    kind: str
    mean: float
    standard_error: float
    pooled_mean: float
    pooled_standard_error: float
    null_mean: float
    ratio: float
    network_means: np.ndarray
    network_null_means: np.ndarray
    n_subclusters: int
    n_undefined: int
    n_undefined_draws: int

    @property
    def favourable_direction(self) -> str:
        """Where the ratio lies if there is specialization: "above" 1 or "below" it."""
        return FAVOURABLE[self.kind]

    @property
    def favourable(self) -> bool:
        """Whether the mean effect lies on the favourable side of its null mean."""
        sign = 1 if self.favourable_direction == "above" else -1
        comparable = not np.isnan(self.mean) and not np.isnan(self.null_mean)
        return comparable and int(relative_compare(self.mean, self.null_mean)) == sign


def summarize_effects(effects: Sequence[EffectSize]) -> EffectSummary:
    """Average the effect sizes of networks.

    Parameters
    ----------
    effects : sequence of EffectSize
        One for each network, all of one kind, each with `effect` of shape (n_subclusters,).
        Row k of the draws must be the k-th permuted partition for the null mean to be that of
        permuted partitions.

    Returns
    -------
    EffectSummary
        All NaN if no subcluster has an effect.

    Raises
    ------
    InvalidInputError
        If there is no network, kinds are mixed, or an effect is not one-dimensional.

    Notes
    -----
    Subclusters without an effect are left out of their network's mean, networks without any out
    of the mean over networks; permuted partitions are treated in the same way.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: effect size, mean and standard error over subclusters.

    Examples
    --------
    Scores 3 and 1 against draws that all score 1: 2 x 3 / 4 and 2 x 1 / 2.

    >>> network = effect_size([3, 1], [[1, 1], [1, 1]], "score")
    >>> summarize_effects([network]).mean
    1.25
    """
    if not (
        isinstance(effects, Sequence) and all(isinstance(part, EffectSize) for part in effects)
    ):  # not by require: to write out all effects takes longer than to average them
        raise InvalidInputError(
            "effects must be a list of EffectSize, one a network, as effect_size returns them, not "
            f"{shown(effects)}"
        )
    require(len(effects) > 0, "effects is empty; at least one network is needed")
    kinds = sorted({effect.kind for effect in effects})
    require(len(kinds) == 1, f"effects mixes the kinds {', '.join(kinds)}; pass one at a time")
    require(
        all(np.ndim(effect.effect) == 1 for effect in effects),
        "every effect must have shape (n_subclusters,), one entry a subcluster of the network",
    )
    network_means = np.array([_mean(effect.effect) for effect in effects])
    # like the true partition, each permuted one is first averaged over its subclusters
    network_null_means = np.array([_mean(_mean(effect.null_effects.T)) for effect in effects])
    defined_means = network_means[~np.isnan(network_means)]
    pooled = np.concatenate([effect.effect for effect in effects])
    defined = pooled[~np.isnan(pooled)]
    mean, null_mean = float(_mean(network_means)), float(_mean(network_null_means))
    return EffectSummary(
        kind=kinds[0],
        mean=mean,
        standard_error=_standard_error(defined_means),
        pooled_mean=float(_mean(pooled)),
        pooled_standard_error=_standard_error(defined),
        null_mean=null_mean,
        ratio=float(_divide(mean, null_mean)),
        network_means=network_means,
        network_null_means=network_null_means,
        n_subclusters=len(defined),
        n_undefined=len(pooled) - len(defined),
        n_undefined_draws=int(sum(np.sum(effect.n_undefined_draws) for effect in effects)),
    )
