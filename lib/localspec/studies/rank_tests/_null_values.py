"""Tests of partitions in which there is nothing to find: permuted ones, and simulated values."""

from __future__ import annotations

import numpy as np

from localspec.measures import Measure
from localspec.pipeline import PARTITIONINGS, NullEvidence, Replicate
from localspec.statistics import empirical_p, fisher, permutation_fisher, rank_chi2

CHI2, CHI2_SPREAD = "chi-squared", "chi-squared, ties spread"
CHI2_OWN = "chi-squared, own draws"
PLAIN, PERMUTATION = "plain Fisher", "permutation Fisher"


def chi2_p_values(values: np.ndarray, side: str, ties: str) -> np.ndarray:
    """Return the chi-squared p of many partitions, (n_partitions,).

    `values` has shape (n_partitions, n_draws + 1, n_subclusters), row 0 of each true.
    """
    return np.array([rank_chi2(part[0], part[1:].T, side, ties=ties) for part in values])


def p_values_of(measure: Measure) -> dict[str, np.ndarray]:
    """Return p of every test of many partitions, each (n_partitions,).

    The measure's values have shape (n_partitions, n_draws + 1, n_subclusters).
    """
    values, side, undefined = measure.values, measure.side, measure.undefined_ranges
    null = np.swapaxes(values[:, 1:], 1, 2)
    p_values = empirical_p(values[:, 0], null, side, undefined=undefined)
    return {
        CHI2: chi2_p_values(values, side, "strict"),
        CHI2_SPREAD: chi2_p_values(values, side, "spread"),
        PLAIN: np.asarray(fisher(p_values).pvalue),
        PERMUTATION: np.asarray(permutation_fisher(values, side, undefined=undefined).pvalue),
    }


def null_tests(evidence: NullEvidence, name: str) -> dict[str, np.ndarray]:
    """Return p of every test of the null partitions of a network, each (n_partitions,).

    With "chi-squared, own draws", of counterparts drawn for each subcluster alone, where there are
    enough null partitions to take them from.
    """
    measure = evidence.measure(name)
    p_values = p_values_of(measure)
    if evidence.n_partitions > len(evidence.n_units):
        own = evidence.independent().measure(name)
        p_values[CHI2_OWN] = chi2_p_values(own.values, own.side, "strict")
    return p_values


def simulated_measure(replicate: Replicate, partitioning: str, n_simulated: int) -> Measure:
    """Give every unit a normal number, many times; a set's value is the sum over its units.

    Subclusters and their counterparts are those of the replicate, so that sizes, numbers and the
    dependence of joint draws are real, and nothing else is.
    """
    rng = np.random.default_rng((replicate.seed, PARTITIONINGS.index(partitioning)))
    draws = replicate.draws(partitioning)
    of_units = {
        layer.name: rng.standard_normal((n_simulated, layer.n_units))
        for layer in replicate.partition(partitioning).tested
    }
    values = np.empty((n_simulated, draws.n_draws + 1, len(draws.subclusters)))
    for column, (part, rows) in enumerate(zip(draws.subclusters, draws.units, strict=True)):
        sets = np.concatenate([part.units[np.newaxis], rows])
        values[:, :, column] = of_units[part.layer][:, sets].sum(axis=-1)
    return Measure("random_values", "high", values, "score", values)
