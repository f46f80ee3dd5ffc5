"""Sequential p-values: draw until a p-value is decided, then stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from localspec._utils.validation import as_floats, check_integer, check_option, require, shown
from localspec.exceptions import InvalidInputError
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


def sequential_p(
    value: float,
    draws: Iterable[ArrayLike],
    side: str,
    *,
    max_exceedances: int = MAX_EXCEEDANCES,
    max_draws: int = MAX_DRAWS,
    undefined: str = "least_extreme",
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
    undefined : {"least_extreme", "released"}
        What an undefined value counts as; see `empirical_p`.

    Returns
    -------
    SequentialResult
        With p = ``max_exceedances / l`` if the last exceedance needed came at draw l, else
        ``(exceedances + 1) / (max_draws + 1)``.

    Raises
    ------
    InvalidInputError
        If `draws` ends before drawing may stop, a limit is below 1, or an option is unknown.

    Notes
    -----
    Ties count as exceedances (within a relative tolerance of 1e-9): there is no mid rule here, no
    shift, and only plain Fisher can combine these p-values.

    References
    ----------
    Besag and Clifford (1991), Sequential Monte Carlo p-values, Biometrika 78(2), 301-304.
    Hod et al., arXiv:2110.08058, "p of a subcluster".

    Examples
    --------
    The second draw at least as high as 5 is the fourth in all: 2 / 4.

    >>> sequential_p(5, [1, 7, 2, 5, 9], "high", max_exceedances=2).pvalue
    0.5
    """
    max_exceedances, max_draws = _checked_limits(max_exceedances, max_draws, undefined)
    null, n_draws, n_exceedances = [], 0, 0
    for values in draws:
        batch = np.atleast_1d(as_floats("draws", values))[: max_draws - n_draws]
        if not len(batch):
            continue
        exceeding = n_exceedances + np.cumsum(
            draw_order(value, batch, side, undefined=undefined) >= 0
        )
        last = int(np.searchsorted(exceeding, max_exceedances))
        null.append(batch[: last + 1])
        if last < len(batch):
            n_draws += last + 1
            p = max_exceedances / n_draws
            return SequentialResult(p, n_draws, max_exceedances, np.concatenate(null))
        n_draws, n_exceedances = n_draws + len(batch), int(exceeding[-1])
        if n_draws == max_draws:
            p = (n_exceedances + 1) / (max_draws + 1)
            return SequentialResult(p, n_draws, n_exceedances, np.concatenate(null))
    raise InvalidInputError(
        f"draws ended after {n_draws} values with {n_exceedances} exceedances; {max_exceedances} "
        f"exceedances or {max_draws} draws are needed"
    )


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
    max_exceedances, max_draws, undefined
        As in `sequential_p`.

    Returns
    -------
    tuple of tuple of SequentialResult
        For each statistic, for each subcluster.

    Raises
    ------
    InvalidInputError
        If shapes do not agree, a limit is below 1, or an option is unknown.

    Notes
    -----
    Every round doubles the number of draws, up to `max_draws`. What a round draws beyond the stop
    of a statistic is ignored there: p is that of the same draws one at a time. It is valid for
    each subcluster on its own, whether subclusters share draws or have independent ones.

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
    max_exceedances, max_draws = _checked_limits(max_exceedances, max_draws, undefined)
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
        return _exceedances(values[:, chosen], draws, sides, undefined)

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
    return tuple(
        tuple(
            sequential_p(
                values[row, column],
                _of(rounds, drawn_for, row, column),
                side,
                max_exceedances=max_exceedances,
                max_draws=max_draws,
                undefined=undefined,
            )
            for column in range(n_subclusters)
        )
        for row, side in enumerate(sides)
    )


def _exceedances(values, draws, sides, undefined: str) -> np.ndarray:
    """Count the draws at least as extreme as the true values, shape (n_statistics, n_chosen)."""
    counts = np.zeros(values.shape, dtype=np.int64)
    for row, side in enumerate(sides):
        order = draw_order(values[row], draws[row].T, side, undefined=undefined)
        counts[row] = (order >= 0).sum(axis=-1)
    return counts


def _of(rounds: list[np.ndarray], drawn_for: list[np.ndarray], row: int, column: int):
    """Yield one subcluster's draws of one statistic, round by round."""
    for round_draws, chosen in zip(rounds, drawn_for, strict=True):
        yield from (round_draws[row, :, position] for position in np.flatnonzero(chosen == column))


def _checked_limits(max_exceedances: int, max_draws: int, undefined: str) -> tuple[int, int]:
    limits = (
        check_integer("max_exceedances", max_exceedances, 1),
        check_integer("max_draws", max_draws, 1),
    )
    check_option("undefined", undefined, UNDEFINED)
    require(
        undefined != "left_out",
        "undefined='left_out' has no stopping rule, since undefined draws would count as none: use "
        "'least_extreme'",
    )
    return limits
