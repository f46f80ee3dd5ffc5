"""False positives: run each test on null partitions, which have nothing to find."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from localspec.conventions import PAPER, RELEASED
from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES, Measure
from localspec.pipeline import NullEvidence
from localspec.statistics import RULES, bates_cdf, empirical_p, fisher, permutation_fisher

SUBCLUSTER, PLAIN, PERMUTATION = "subcluster", "plain Fisher", "permutation Fisher"
RELEASED_CHAIN = "released"  # strict, on the released code's own draws and undefined values
GROUP_SIZES = (3, 5)  # replicates that are combined
PValues = dict[tuple[str, str], np.ndarray]


def _subcluster_p(measure: Measure, rule: str, seed: int) -> np.ndarray:
    true, null = measure.values[:, 0], np.swapaxes(measure.values[:, 1:], 1, 2)
    undefined = measure.undefined_ranges
    return empirical_p(true, null, measure.side, rule, seed, undefined=undefined)


def null_p_values(evidence: NullEvidence, name: str, *, seed: int = 0) -> PValues:
    """Test every null partition of one network in every way.

    By test and rule, shape (n_partitions,); those of ``"subcluster"`` have shape (n_partitions,
    n_subclusters), before any shift. The rule "released" is "strict" with the released code's
    choices: counterparts drawn for each subcluster alone, three units at least, undefined values as
    division leaves them. It is left out where there are too few null partitions to take those
    counterparts from. `seed` is for the rule "randomised".
    """
    measure = evidence.measure(name, conventions=PAPER)
    by_test: PValues = {}
    for rule in RULES:
        by_test[SUBCLUSTER, rule] = _subcluster_p(measure, rule, seed)
    if evidence.n_partitions > len(evidence.n_units):
        released = evidence.independent().measure(name, conventions=RELEASED)
        by_test[SUBCLUSTER, RELEASED_CHAIN] = _subcluster_p(released, "strict", seed)
    for _, rule in list(by_test):
        own = "strict" if rule == RELEASED_CHAIN else rule
        p_values = by_test[SUBCLUSTER, rule]
        n_draws = measure.values.shape[1] - 1
        by_test[PLAIN, rule] = fisher(p_values, rule=own, n_draws=n_draws).pvalue
    by_test[PERMUTATION, "mid"] = permutation_fisher(measure.values, measure.side).pvalue
    return by_test


def combined(p_values: np.ndarray, size: int) -> np.ndarray:
    """Combine network p-values of null partitions as those of replicates are.

    From shape (n_networks, n_partitions) to (n_networks // size, n_partitions): null partition i of
    one group combines the null partitions i of its `size` networks. Networks that do not fill a
    group are left out.

    Examples
    --------
    >>> combined(np.array([[0.1], [0.3], [0.9]]), 2).round(4).tolist()
    [[0.08]]
    """
    n_groups = len(p_values) // size
    grouped = p_values[: n_groups * size].reshape(n_groups, size, -1)
    return bates_cdf(grouped.mean(axis=1), size)


def all_p_values(evidence: Sequence[NullEvidence], seeds: Sequence[int]) -> dict[str, PValues]:
    """Return the p-values of all networks, stacked: measure -> (test, rule) -> array.

    Parameters
    ----------
    evidence : sequence of NullEvidence
        One a network.
    seeds : sequence of int
        One a network, for the rule "randomised".

    Returns
    -------
    dict of str to dict
        Arrays of shape (n_networks, n_partitions); those of ``"subcluster"`` have one axis more,
        as long as the most subclusters of a network, with NaN where another has fewer. The rule
        "released" is there if every network has it.

    Raises
    ------
    InvalidInputError
        If there is no network.
    """
    if not evidence:
        raise InvalidInputError("there is no network to calibrate: name a network and a seed")
    p_values: dict[str, PValues] = {}
    for name in MEASURES:
        networks = [
            null_p_values(of_network, name, seed=seed)
            for of_network, seed in zip(evidence, seeds, strict=True)
        ]
        shared = [key for key in networks[0] if all(key in tests for tests in networks)]
        p_values[name] = {key: _stacked([tests[key] for tests in networks]) for key in shared}
    return p_values


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    if arrays[0].ndim == 1:
        return np.stack(arrays)
    width = max(array.shape[1] for array in arrays)
    stacked = np.full((len(arrays), len(arrays[0]), width), np.nan)
    for network, array in zip(stacked, arrays, strict=True):
        network[:, : array.shape[1]] = array
    return stacked
