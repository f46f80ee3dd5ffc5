"""Sequential p-values: draw until a p-value is decided, then stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from localspec._utils.validation import as_floats, check_integer, check_option, require, shown
from localspec.statistics._ordering import UNDEFINED, draw_order

MAX_EXCEEDANCES = 10
MAX_DRAWS = 999
Further = Callable[[int, np.ndarray, int], ArrayLike]


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


def _decided(
    value: float,
    draws: np.ndarray,
    side: str,
    max_exceedances: int,
    max_draws: int,
    undefined: str,
) -> SequentialResult:
    """Return the p-value of one value, of as many of its draws as decide it."""
    exceeding = np.cumsum(draw_order(value, draws, side, undefined=undefined) >= 0)
    last = int(np.searchsorted(exceeding, max_exceedances))
    if last < len(draws):
        p = max_exceedances / (last + 1)
        return SequentialResult(p, last + 1, max_exceedances, draws[: last + 1])
    n_exceedances = int(exceeding[-1])
    p = (n_exceedances + 1) / (max_draws + 1)
    return SequentialResult(p, len(draws), n_exceedances, draws)


def sequential_p_values(
    values: ArrayLike,
    first: ArrayLike,
    further: Further,
    sides: Sequence[str],
    *,
    max_exceedances: int = MAX_EXCEEDANCES,
    max_draws: int = MAX_DRAWS,
    undefined: str = "least_extreme",
) -> tuple[tuple[SequentialResult, ...], ...]:
    """Draw in rounds, only for subclusters of which some statistic is not decided yet.

    Parameters
    ----------
    values : array_like, shape (n_statistics, n_subclusters)
        Values of the true subclusters; NaN where undefined. A draw gives all statistics of a
        subcluster at once.
    first : array_like, shape (n_statistics, n_first_draws, n_subclusters)
        Values of the first draws, of every subcluster.
    further : callable
        Called with the number of the round (from 1), the subclusters to draw for (ndarray of int,
        ascending) and the number of draws n; returns their values as an array of shape
        (n_statistics, n, number of those subclusters).
    sides : sequence of {"low", "high"}, length n_statistics
        Whether low or high values are the extreme ones.
    max_exceedances : int, default 10
        Stop at this many draws at least as extreme as the true value.
    max_draws : int, default 999
        Stop after this many draws in any case.
    undefined : {"least_extreme", "released"}
        What an undefined value counts as; see `empirical_p`.

    Returns
    -------
    tuple of tuple of SequentialResult
        For each statistic, for each subcluster, with p = ``max_exceedances / l`` if the last
        exceedance needed came at draw l, else ``(exceedances + 1) / (max_draws + 1)``.

    Raises
    ------
    InvalidInputError
        If shapes do not agree, a limit is below 1, or an option is unknown.

    Notes
    -----
    Every round doubles the number of draws, up to `max_draws`. What a round draws beyond the stop
    of a statistic is ignored there: p is that of the same draws one at a time. It is valid for
    each subcluster on its own, whether subclusters share draws or have independent ones.

    Ties count as exceedances (within a relative tolerance of 1e-9): there is no mid rule here, no
    shift, and only plain Fisher can combine these p-values.

    Memory: n_statistics x `max_draws` x n_subclusters numbers.

    References
    ----------
    Besag and Clifford (1991), Sequential Monte Carlo p-values, Biometrika 78(2), 301-304.
    Hod et al., arXiv:2110.08058, "p of a subcluster".

    Examples
    --------
    The first subcluster is decided by the first two draws; the second is drawn for once more.

    >>> def further(number, chosen, n):
    ...     print("round", number, "subclusters", chosen.tolist(), "draws", n)
    ...     return [[[3.0], [9.0]]]
    >>> ((a, b),) = sequential_p_values(
    ...     [[5, 5]], [[[7, 1], [8, 6]]], further, ["high"], max_exceedances=2, max_draws=99
    ... )
    round 1 subclusters [1] draws 2
    >>> a.pvalue, b.pvalue
    (1.0, 0.5)
    """
    max_exceedances = check_integer("max_exceedances", max_exceedances, 1)
    max_draws = check_integer("max_draws", max_draws, 1)
    check_option("undefined", undefined, UNDEFINED)
    require(
        undefined != "left_out",
        "undefined='left_out' has no stopping rule, since undefined draws would count as none: use "
        "'least_extreme'",
    )
    values, first = as_floats("values", values), as_floats("first", first)
    require(callable(further), f"further must be a function that draws, not {further!r}")
    fits = values.ndim == 2 and first.ndim == 3 and first.shape[1] > 0
    require(
        fits and first[:, 0].shape == values.shape,
        f"first of shape {first.shape} does not fit values of shape {values.shape}: its shape must "
        "be (n_statistics, n_first_draws, n_subclusters) with at least one draw",
    )
    n_statistics, n_subclusters = values.shape
    require(
        isinstance(sides, list | tuple) and len(sides) == n_statistics,
        f"sides must name one side for each of the {n_statistics} statistics, not {shown(sides)}",
    )

    def exceedances(draws: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        counts = np.zeros((n_statistics, len(chosen)), dtype=np.int64)
        for row, side in enumerate(sides):
            order = draw_order(values[row, chosen], draws[row].T, side, undefined=undefined)
            counts[row] = (order >= 0).sum(axis=-1)
        return counts

    everyone = np.arange(n_subclusters)
    rounds, drawn_for = [first[:, :max_draws]], [everyone]
    counts = exceedances(rounds[0], everyone)
    n_draws = rounds[0].shape[1]
    while n_draws < max_draws:
        waiting = np.flatnonzero((counts < max_exceedances).any(axis=0))
        if not len(waiting):
            break
        n = min(n_draws, max_draws - n_draws)
        batch = as_floats("further draws", further(len(rounds), waiting, n))
        expected = (n_statistics, n, len(waiting))
        require(
            batch.shape == expected,
            f"further draws have the shape {batch.shape}, not {expected}: (n_statistics, number "
            "of draws, number of subclusters)",
        )
        counts[:, waiting] += exceedances(batch, waiting)
        rounds.append(batch)
        drawn_for.append(waiting)
        n_draws += n

    def decided(row: int, column: int) -> SequentialResult:
        parts = zip(rounds, drawn_for, strict=True)
        own = [draws[row][:, chosen == column].ravel() for draws, chosen in parts]
        return _decided(
            values[row, column],
            np.concatenate(own),
            sides[row],
            max_exceedances,
            max_draws,
            undefined,
        )

    return tuple(
        tuple(decided(row, column) for column in range(n_subclusters))
        for row in range(n_statistics)
    )
