"""What importance goes with: units, weights and activations of subclusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from localspec.pipeline import PARTITIONINGS, Replicate, by_network, check_replicates
from localspec.statistics import rank_correlation, t_interval
from localspec.units import unit_strengths

UNITS, ACTIVATION = "units", "mean activation"
WEIGHTS_IN, WEIGHTS_OUT = "weights in", "weights out"
PROPERTIES = (UNITS, WEIGHTS_IN, WEIGHTS_OUT, ACTIVATION)


def unit_properties(replicate: Replicate) -> dict[str, dict[str, np.ndarray]]:
    """Return weights in and out and the mean activation of every unit, by property and layer.

    Sums of the edges of the weights graph, NaN where it has none on that side; the mean activation
    is that of training images.
    """
    graph = replicate.graph("weights")
    properties = {WEIGHTS_IN: {}, WEIGHTS_OUT: {}}
    for layer in graph.tested:
        for name, others in zip(properties, graph.around(layer), strict=True):
            sums = np.full(layer.n_units, np.nan if not others else 0.0)
            for other in others:
                sums += np.asarray(graph.adjacency[layer.units][:, other.units].sum(axis=1)).ravel()
            properties[name][layer.name] = sums
    strengths = unit_strengths(replicate.trained, replicate.dataset.x_train, ACTIVATION)
    return {**properties, ACTIVATION: strengths}


def set_properties(replicate: Replicate, partitioning: str) -> dict[str, np.ndarray]:
    """Return the properties of true and random sets, (n_draws + 1, n_subclusters), row 0 true.

    Number of units; sum of their absolute weights in and out; mean of their mean activations.
    """
    of_units, draws = unit_properties(replicate), replicate.draws(partitioning)
    values = {name: np.empty((draws.n_draws + 1, len(draws.subclusters))) for name in PROPERTIES}
    for column, (part, rows) in enumerate(zip(draws.subclusters, draws.units, strict=True)):
        sets = np.concatenate([part.units[np.newaxis], rows])
        values[UNITS][:, column] = part.n_units
        for name in (WEIGHTS_IN, WEIGHTS_OUT):
            values[name][:, column] = of_units[name][part.layer][sets].sum(axis=1)
        values[ACTIVATION][:, column] = of_units[ACTIVATION][part.layer][sets].mean(axis=1)
    return values


def beyond_others(values: np.ndarray) -> np.ndarray:
    """Return every row over the mean of all other rows, shape (n_draws + 1, n_subclusters).

    Examples
    --------
    >>> beyond_others(np.array([[2.0], [1.0], [3.0]])).ravel().tolist()
    [1.0, 0.4, 2.0]
    """
    others = (values.sum(axis=0) - values) / (len(values) - 1)
    return values / np.where(others == 0, np.nan, others)


def correlations(replicate: Replicate, partitioning: str) -> dict[str, dict[str, float]]:
    """Return what the damage and the effect of subclusters go with, by property.

    Of each property Spearman's correlations over subclusters: with damage, with the effect, and of
    the property beyond counterparts with the effect. Random ones are means over draws, each in
    turn against all other sets.
    """
    assessment = replicate.assessment("importance", partitioning)
    damage = -assessment.measure.effect_values
    effects = np.vstack([assessment.effects.effect, assessment.effects.null_effects.T])
    by_property = {}
    for name, values in set_properties(replicate, partitioning).items():
        beyond = beyond_others(values)
        row = {}
        for what, first, second in (
            ("damage", damage, values),
            ("effect", effects, values),
            ("beyond", effects, beyond),
        ):
            rho = [rank_correlation(a, b) for a, b in zip(first, second, strict=True)]
            row |= {f"{what}_true": rho[0], f"{what}_random": t_interval(rho[1:]).mean}
        by_property[name] = row | {"property_ratio": t_interval(beyond[0]).mean}
    return by_property


def properties_table(replicates: Sequence[Replicate]) -> pd.DataFrame:
    """Return whether importance goes with simple properties of subclusters.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one or more networks.

    Returns
    -------
    pandas.DataFrame
        One row a network, partitioning and property, means over seeds of Spearman's correlations
        over subclusters. ``damage_true``: of the accuracy that lesions cost with the property;
        ``damage_random``: the same of random counterparts. ``effect_true``: of the effect, which is
        the damage beyond that of counterparts; ``effect_random``: of counterparts, each against
        the others. ``property_ratio``: the property over the mean of its counterparts, a mean over
        subclusters; ``beyond_true``, ``beyond_random``: correlation of that ratio with the effect.
        ``low`` and ``high`` of a column are its 95 % interval over seeds.

    Raises
    ------
    InvalidInputError
        If there is no replicate.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Importance", "Effect size"; the correlations are this project's.
    """
    check_replicates(replicates)
    rows = []
    for group in by_network(replicates):
        for partitioning in PARTITIONINGS:
            of_seeds = [correlations(each, partitioning) for each in group]
            for name in PROPERTIES:
                row = {"network": group[0].network, "partitioning": partitioning, "property": name}
                for column in of_seeds[0][name]:
                    interval = t_interval([each[name][column] for each in of_seeds])
                    row[column] = interval.mean
                    if not column.endswith("random"):
                        row |= {f"{column}_low": interval.low, f"{column}_high": interval.high}
                parts = [len(each.draws(partitioning).subclusters) for each in group]
                rows.append(row | {"n_subclusters": sum(parts), "n_networks": len(group)})
    return pd.DataFrame(rows)
