"""p-values of single subclusters, from a fixed number of draws or from draws one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import ArrayLike

from localspec.comparison import exceedances, extremeness
from localspec.errors import InvalidInputError, choose, require

RULES = ("mid", "strict", "conservative", "randomised")


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
    undefined : {"least_extreme", "released"}
        An undefined value is the least extreme one and ties with undefined draws; or comparisons
        with it count nothing, so that it comes out as "significant", as in the released code.

    Returns
    -------
    ndarray, shape (...)
        p-values in (0, 1].

    Raises
    ------
    InvalidInputError
        If shapes do not agree, there is no draw, an option is unknown, or the rule "randomised"
        has no `rng`.

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
    choose("rule", rule, RULES)
    require(
        rule != "randomised" or rng is not None,
        "rule='randomised' needs rng: pass a seed or a numpy.random.Generator",
    )
    g, e = exceedances(value, null, side, undefined=undefined)
    if rule == "strict":
        rank = g + 1.0
    elif rule == "conservative":
        rank = g + e + 1.0
    elif rule == "mid":
        rank = g + e / 2 + 0.5
    else:
        uniform = 1.0 - np.random.default_rng(rng).random(np.shape(g))  # (0, 1]: p is never 0
        rank = g + uniform * (1 + e)
    return rank / (np.shape(null)[-1] + 1)


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
    choose("rule", rule, RULES)
    require(n_draws >= 1, f"n_draws={n_draws} must be at least 1")
    return 1 / (2 * (n_draws + 1)) if rule == "strict" else 0.0


@dataclass(frozen=True, eq=False)
class SequentialResult:
    """A sequential p-value and the draws it took.

    Parameters
    ----------
    pvalue : float
    n_draws : int
        Draws that were used.
    n_exceedances : int
        How many of them are at least as extreme as the true value.
    null_distribution : ndarray, shape (n_draws,)
        Their values, in order.
    """

    pvalue: float
    n_draws: int
    n_exceedances: int
    null_distribution: np.ndarray


def sequential_p(
    value: float,
    draws: Iterable[ArrayLike],
    side: str,
    *,
    max_exceedances: int = 10,
    max_draws: int = 999,
) -> SequentialResult:
    """Draw random counterparts only until the p-value is known well enough.

    Parameters
    ----------
    value : float
        Value of the true subcluster; NaN if undefined.
    draws : iterable of float or of array_like, shape (batch,)
        Values of random counterparts, one by one or in batches of any size. It is not consumed
        beyond the batch in which drawing stops; what is left of that batch is ignored.
    side : {"low", "high"}
        Whether low or high values are the extreme ones.
    max_exceedances : int, default 10
        Stop at this many draws at least as extreme as `value`.
    max_draws : int, default 999
        Stop after this many draws in any case.

    Returns
    -------
    SequentialResult
        With p = ``max_exceedances / l`` if the last exceedance needed came at draw l, else
        ``(exceedances + 1) / (max_draws + 1)``.

    Raises
    ------
    InvalidInputError
        If `draws` ends before drawing may stop, a limit is below 1, or `side` is unknown.

    Notes
    -----
    Ties count as exceedances (within a relative tolerance of 1e-9): there is no mid rule here, no
    shift, and only plain Fisher can combine these p-values.

    References
    ----------
    Besag and Clifford (1991), Sequential Monte Carlo p-values, Biometrika 78(2), 301-304.
    Hod et al. (2021), arXiv:2110.08058: p of a subcluster.

    Examples
    --------
    The second draw at least as high as 5 is the fourth in all: 2 / 4.

    >>> sequential_p(5, [1, 7, 2, 5, 9], "high", max_exceedances=2).pvalue
    0.5
    """
    require(max_exceedances >= 1, f"max_exceedances={max_exceedances} must be at least 1")
    require(max_draws >= 1, f"max_draws={max_draws} must be at least 1")
    null, found = [], 0
    for draw in chain.from_iterable(np.atleast_1d(batch) for batch in draws):
        null.append(float(draw))
        found += int(extremeness(draw, value, side) >= 0)
        if found == max_exceedances:
            return SequentialResult(found / len(null), len(null), found, np.array(null))
        if len(null) == max_draws:
            return SequentialResult((found + 1) / (max_draws + 1), max_draws, found, np.array(null))
    raise InvalidInputError(
        f"draws ended after {len(null)} values with {found} exceedances; {max_exceedances} "
        f"exceedances or {max_draws} draws are needed"
    )
