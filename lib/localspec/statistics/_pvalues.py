"""Empirical p-values: rank a subcluster among a fixed number of draws."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from localspec._utils.validation import check_integer, check_option, check_seed, require, shown
from localspec.statistics._ordering import exceedances

RULES = ("mid", "strict", "conservative", "randomised")


def generator(
    rng: np.random.Generator | int | None, name: str = "rng"
) -> np.random.Generator | None:
    """Return the generator of a seed, or the generator or None that is given."""
    if rng is None or isinstance(rng, np.random.Generator):
        return rng
    require(
        isinstance(rng, Integral),
        f"{name} must be a whole number, the seed, or a numpy.random.Generator, not {shown(rng)}",
    )
    return np.random.default_rng(check_seed(rng, name))


def empirical_p(
    value: ArrayLike,
    null: ArrayLike,
    side: str,
    rule: str = "mid",
    rng: np.random.Generator | int | None = None,
    *,
    undefined: str = "least_extreme",
) -> np.ndarray:
    """Rank a subcluster's value among those of its random counterparts.

    Parameters
    ----------
    value : array_like, shape (...)
        Values of the true subclusters; NaN where undefined.
    null : array_like, shape (..., n_draws)
        Values of each subcluster's random counterparts; NaN where undefined.
    side : {"low", "high"}
        Whether low values (accuracy after a lesion, entropy) or high ones (range, score) are the
        extreme ones.
    rule : {"mid", "strict", "conservative", "randomised"}
        How draws tied with the true value count; see Notes.
    rng : numpy.random.Generator or int, optional
        Generator or seed; needed by the rule "randomised" only, one number per value.
    undefined : {"least_extreme", "left_out", "released"}
        An undefined value is the least extreme one and ties with undefined draws; or it has no
        p-value, and defined ones are ranked among their defined draws alone; or comparisons with
        it count nothing, so that it comes out as "significant", as in the released code.

    Returns
    -------
    ndarray, shape (...)
        p-values in (0, 1]; with ``undefined="left_out"`` NaN where the value or all its draws are
        undefined.

    Raises
    ------
    InvalidInputError
        If shapes do not agree, there is no draw, an option is unknown, the rule "randomised" has
        no `rng`, or the rule is "strict" where undefined draws are left out (its shift for
        Fisher's method goes by the number of draws).

    Notes
    -----
    With g draws more extreme and e tied (within a relative tolerance of 1e-9) out of n, and U
    uniform on (0, 1]:

    ============  ========================
    strict        (g + 1) / (n + 1)
    conservative  (g + e + 1) / (n + 1)
    mid           (g + e/2 + 1/2) / (n + 1)
    randomised    (g + U (1 + e)) / (n + 1)
    ============  ========================

    The released code uses "strict" and shifts before Fisher's method (`fisher_shift`). Memory is
    that of a few arrays of the size of `null`.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: p of a subcluster.

    Examples
    --------
    Of 19 draws one is more extreme and two tie: (1 + 2/2 + 1/2) / 20.

    >>> null = [0.5, 0.7, 0.7] + [0.9] * 16
    >>> float(empirical_p(0.7, null, "low"))
    0.125
    """
    check_option("rule", rule, RULES)
    require(
        rule != "randomised" or rng is not None,
        "rule='randomised' needs rng: pass a seed or a numpy.random.Generator",
    )
    rng = generator(rng)
    require(
        rule != "strict" or undefined != "left_out",
        "rule='strict' counts all draws: with undefined='left_out' use rule='mid'",
    )
    g, e = exceedances(value, null, side, undefined=undefined)
    if rule == "strict":
        rank = g + 1.0
    elif rule == "conservative":
        rank = g + e + 1.0
    elif rule == "mid":
        rank = g + e / 2 + 0.5
    else:
        uniform = 1.0 - rng.random(np.shape(g))  # (0, 1]: p is never 0
        rank = g + uniform * (1 + e)
    if undefined != "left_out":
        return rank / (np.shape(null)[-1] + 1)
    n_defined = (~np.isnan(np.asarray(null, dtype=float))).sum(axis=-1)
    missing = np.isnan(np.asarray(value, dtype=float)) | (n_defined == 0)
    return np.where(missing, np.nan, rank / (n_defined + 1))[()]


def fisher_shift(rule: str, n_draws: int) -> float:
    """Return what is to be subtracted from a rule's p-values before Fisher's method.

    Parameters
    ----------
    rule : {"mid", "strict", "conservative", "randomised"}
        The rule that made the p-values.
    n_draws : int
        Number of random counterparts of each subcluster, at least 1.

    Returns
    -------
    float
        ``1 / (2 (n_draws + 1))`` for "strict", 0 for all others.

    Raises
    ------
    InvalidInputError
        If the rule is unknown or there is no draw.

    Notes
    -----
    Strict p-values, shifted, equal mid ones when nothing ties. To shift mid p-values again is an
    error that makes Fisher's method reject most true null hypotheses.

    References
    ----------
    Hod et al. (2021), arXiv:2110.08058: Fisher's method on shifted p-values.

    Examples
    --------
    >>> fisher_shift("strict", 19), fisher_shift("mid", 19)
    (0.025, 0.0)
    """
    check_option("rule", rule, RULES)
    n_draws = check_integer("n_draws", n_draws, 1)
    return 1 / (2 * (n_draws + 1)) if rule == "strict" else 0.0
