"""Matched counterparts: draw sets of units that are as correlated as a subcluster is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from localspec._utils.validation import (
    as_floats,
    as_integers,
    check_integer,
    check_real,
    check_seed,
    require,
    shown,
)
from localspec.clustering._partition import NO_CLUSTER, Partition, check_partition
from localspec.clustering._subclusters import MAX_DRAWS, Draws, subclusters
from localspec.clustering._unit_graph import UnitGraph
from localspec.conventions import Conventions, resolve
from localspec.statistics import RTOL

NEARER = 1e-9  # an exchange that gains less than this is rounding


@dataclass(frozen=True)
class MatchedDraws:
    """Counterparts of subclusters, matched in the mean correlation of their units.

    Attributes
    ----------
    draws : Draws
    correlations : numpy.ndarray, shape (n_draws + 1, n_subclusters)
        Mean magnitude of the correlation over the pairs of units of each set, row 0 true.
    matched : numpy.ndarray of bool, shape (n_draws, n_subclusters)
        Which draws came as near as asked; the others are the nearest sets that the search reached.
    """

    draws: Draws
    correlations: np.ndarray
    matched: np.ndarray


def layer_correlations(graph: UnitGraph) -> dict[str, np.ndarray]:
    """Return the magnitudes of the correlations within each layer of an activations graph.

    Parameters
    ----------
    graph : UnitGraph
        Of the kind "activations", whose edges are squared correlations.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_units, n_units)
        With a zero diagonal; zero, too, for units that do not vary.

    Raises
    ------
    InvalidInputError
        If the graph is of another kind.
    """
    require(
        isinstance(graph, UnitGraph) and graph.kind == "activations",
        f"graph must be an activations graph, as activation_graph returns it, not {shown(graph)}",
    )
    adjacency = graph.adjacency
    adjacency = adjacency.toarray() if sparse.issparse(adjacency) else np.asarray(adjacency)
    return {
        layer.name: np.sqrt(adjacency[layer.start : layer.stop, layer.start : layer.stop])
        for layer in graph.tested
    }


def mean_correlation(correlations: np.ndarray, units: np.ndarray) -> float:
    """Return the mean over all pairs of two or more units.

    Parameters
    ----------
    correlations : numpy.ndarray, shape (n_units, n_units)
        Symmetric, with a zero diagonal.
    units : numpy.ndarray of int
        Indices, each once.

    Raises
    ------
    InvalidInputError
        If there are fewer than two units, one is named twice or is not there, or correlations are
        not symmetric with a zero diagonal.

    Examples
    --------
    >>> correlations = np.array([[0.0, 0.6, 0.2], [0.6, 0.0, 0.1], [0.2, 0.1, 0.0]])
    >>> round(mean_correlation(correlations, np.array([0, 1, 2])), 12)
    0.3
    """
    correlations, units = as_floats("correlations", correlations), as_integers("units", units)
    check_correlations("correlations", correlations, len(correlations) if correlations.ndim else 0)
    require(
        units.ndim == 1 and len(np.unique(units)) == len(units) > 1,
        f"units must be at least two, each named once, not {shown(units.tolist())}",
    )
    require(
        bool(units.min() >= 0 and units.max() < len(correlations)),
        f"units must be from 0 to {len(correlations) - 1}, not {shown(units.tolist())}",
    )
    return _mean_correlation(correlations, units)


def _mean_correlation(correlations: np.ndarray, units: np.ndarray) -> float:
    n_units = len(units)
    return float(correlations[np.ix_(units, units)].sum() / (n_units * (n_units - 1)))


def check_correlations(name: str, values: np.ndarray, n_units: int) -> None:
    """Refuse anything but magnitudes of correlations between so many units, 0 of each with itself.

    Others have no mean over pairs, and a search among them need not end.
    """
    cure = "layer_correlations(graph) returns them"
    require(
        values.shape == (n_units, n_units),
        f"{name} must be of shape ({n_units}, {n_units}), not {values.shape}: {cure}",
    )
    require(
        bool(np.isfinite(values).all()),
        f"{name} must be finite, 0 for units that do not vary: {cure}",
    )
    require(
        bool(((values >= 0) & (values <= 1 + RTOL)).all()),
        f"{name} must be magnitudes from 0 to 1, not from {values.min()} to {values.max()}: {cure}",
    )
    require(
        not values.diagonal().any() and np.allclose(values, values.T, rtol=0.0, atol=RTOL),
        f"{name} must be symmetric, with a zero diagonal: {cure}",
    )


def _search(
    correlations: np.ndarray,
    start: np.ndarray,
    target: float,
    tolerance: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Exchange units of a set until its mean correlation is within the tolerance of a target.

    Each exchange is drawn from all those that come nearer; the search ends early where there is
    none. `correlations` has the units that may be chosen, `start` indices among them.
    """
    inside = np.zeros(len(correlations), dtype=bool)
    inside[start] = True
    n_pairs = len(start) * (len(start) - 1) / 2
    while True:
        with_set = correlations[:, inside].sum(axis=1)
        distance = with_set[inside].sum() / 2 / n_pairs - target
        leaving, entering = np.flatnonzero(inside), np.flatnonzero(~inside)
        if abs(distance) <= tolerance or not len(entering):
            return leaving
        change = with_set[entering] - with_set[leaving][:, np.newaxis]
        change -= correlations[np.ix_(leaving, entering)]
        gains = np.abs(distance) - np.abs(distance + change / n_pairs)
        nearer = np.flatnonzero(gains > NEARER)
        if not len(nearer):
            return leaving
        out, into = np.unravel_index(rng.choice(nearer), gains.shape)
        inside[leaving[out]], inside[entering[into]] = False, True


def draw_matched(
    partition: Partition,
    correlations: Mapping[str, np.ndarray],
    n_draws: int,
    *,
    tolerance: float = 0.01,
    seed: int = 0,
    conventions: Conventions | str = "paper",
) -> MatchedDraws:
    """Draw counterparts whose units are as correlated as those of the subcluster.

    Parameters
    ----------
    partition : Partition
    correlations : mapping of layer name to array, shape (n_units, n_units)
        Magnitudes of correlations, from :func:`layer_correlations`.
    n_draws : int
        From 1 to 1,000,000.
    tolerance : float, optional
        How far the mean correlation of a counterpart may be from that of the subcluster.
    seed : int, optional
    conventions : Conventions or str
        Uses ``min_units``.

    Returns
    -------
    MatchedDraws

    Raises
    ------
    InvalidInputError
        If a layer has no correlations, they are of another shape, not finite, negative, not
        symmetric or without a zero diagonal, or a number is out of range.

    Notes
    -----
    Each counterpart starts as a uniformly random set of live units of the layer. One unit is
    exchanged for another at a time, at random among all exchanges that bring the mean correlation
    nearer to that of the subcluster, until it is within the tolerance or no exchange brings it
    nearer. Every subcluster draws on its own, so that counterparts of one partition can overlap.
    Sets that match are not drawn uniformly: the nearer a random set is, the fewer units it
    exchanges.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Input coherence"; the matching is this project's.

    Examples
    --------
    Units 0 and 1 are one correlated pair, 2 and 3 the other one: each can stand for the other.

    >>> correlations = np.zeros((4, 4))
    >>> correlations[[0, 1, 2, 3], [1, 0, 3, 2]] = 0.9
    >>> partition = Partition.from_labels({"dense1": np.array([0, 0, 1, 1])})
    >>> matched = draw_matched(partition, {"dense1": correlations}, 5)
    >>> bool(matched.matched.all()), sorted({tuple(row) for row in matched.draws.units[0].tolist()})
    (True, [(0, 1), (2, 3)])
    """
    check_partition(partition)
    n_draws = check_integer("n_draws", n_draws, 1, MAX_DRAWS)
    tolerance = check_real("tolerance", tolerance, 0, 1)
    require(
        isinstance(correlations, Mapping),
        f"correlations must map every layer to a matrix, not be {shown(correlations)}: "
        "layer_correlations(graph) returns them",
    )
    rng = np.random.default_rng(check_seed(seed))
    tested = subclusters(partition, conventions=resolve(conventions))
    ranges = {layer.name: layer for layer in partition.tested}
    of_layers = {}
    for part in tested:
        n_units, name = ranges[part.layer].n_units, f"correlations of layer {part.layer!r}"
        of_layers[part.layer] = values = as_floats(name, correlations.get(part.layer))
        check_correlations(name, values, n_units)
    rows, means = [], []
    for part in tested:
        live = np.flatnonzero(partition.of(ranges[part.layer]) != NO_CLUSTER)
        of_layer = of_layers[part.layer]
        of_live = of_layer[np.ix_(live, live)]
        target = _mean_correlation(of_layer, part.units)
        chosen = [
            live[
                _search(
                    of_live,
                    rng.choice(len(live), part.n_units, replace=False),
                    target,
                    tolerance,
                    rng,
                )
            ]
            for _ in range(n_draws)
        ]
        rows.append(np.array(chosen))
        means.append([target] + [_mean_correlation(of_layer, units) for units in chosen])
    means = np.reshape(means, (len(tested), n_draws + 1)).T
    near = np.abs(means[1:] - means[:1]) <= tolerance + NEARER
    return MatchedDraws(Draws(tested, tuple(rows), n_draws), means, near)
