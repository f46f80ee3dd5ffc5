"""Graphs, partitions and settings that clustering refuses."""

import numpy as np
import pytest
import torch
from helpers.graphs import unit_graph
from helpers.networks import dense, stack
from helpers.refusals import IMAGES, cases, check_refused, mlp
from scipy import sparse
from torch import nn

from localspec.clustering import (
    Partition,
    UnitGraph,
    activation_graph,
    cluster,
    clusterability,
    downstream_graph,
    draw_counterparts,
    draw_matched,
    eigengaps,
    inside_to_outside,
    label_agreement,
    layer_agreement,
    layer_correlations,
    live_units,
    match_units,
    mean_correlation,
    ncut,
    partition_agreement,
    permuted_labels,
    quantile_strata,
    shuffled,
    spectral_labels,
    subclusters,
    weight_graph,
)
from localspec.clustering._unit_graph import layer_ranges

PAIR = np.array([[0.0, 1.0], [1.0, 0.0]])
MASKED = np.ma.array(PAIR, mask=PAIR == 1)
LAYERS = layer_ranges([("1", 2, True)])
INFINITE = np.where(np.eye(4), 0, np.inf)
DIRECTED = np.triu(np.ones((4, 4)), 1)
# two units whose edges sum to 0
BALANCED = np.array([[0, -1, 1], [-1, 0, 1], [1, 1, 0]])
# units 3, 4 and 5 have no edge
PATH = np.diag([1.0, 1, 0, 0, 0], 1) + np.diag([1.0, 1, 0, 0, 0], -1)
SMALL = stack(dense([[1.0], [2.0]]), nn.ReLU(), dense([[1.0, 2.0], [2.0, 1.0]]))
SILENT = stack(dense([[1.0], [2.0]]), nn.ReLU(), dense([[0.0, 0.0], [0.0, 0.0]]))
ONES = torch.ones(4, 1, dtype=torch.float64)
SINGLE = [("1", 1, True), ("3", 1, True)]
LIVE = np.zeros(2, dtype=bool)
RNG = np.random.default_rng(0)


def made(adjacency=PAIR, layers=LAYERS, kind="activations", inactive=LIVE, links=None):
    return UnitGraph(adjacency, layers, kind, inactive, links)


def labelled(labels, **settings):
    return Partition.from_labels({"1": labels}, **settings)


PARTITION = labelled(np.array([0, 0, 1, 1, 1, 0]))
UNITS = unit_graph(np.ones((6, 6)) - np.eye(6))
WEIGHTS = weight_graph(mlp())
OTHER = labelled([0, 1, 1])
DRAWS = draw_counterparts(PARTITION, 3)


def matched(correlations, n_draws=3, **settings):
    return draw_matched(PARTITION, {"1": correlations}, n_draws, **settings)


def activations(x=IMAGES, **settings):
    return activation_graph(mlp(), x, **settings)


def clustered(adjacency, kind="activations"):
    adjacency = sparse.csr_array(adjacency) if kind == "weights" else adjacency
    return cluster(unit_graph(adjacency, kind=kind), 2)


def labels(n_clusters=2, seed=0, **settings):
    return spectral_labels(UNITS, n_clusters, seed=seed, **settings)


def assessed(**settings):
    return clusterability(WEIGHTS, 2, **settings)


def of_pair(labels, layers=LAYERS):
    return Partition(labels, layers, 2)


def drawn(n_draws=3, **settings):
    return draw_counterparts(PARTITION, n_draws, **settings)


CASES = {
    "other images to correlate": (
        lambda: activations(torch.rand(9, 3, 5, 5)),
        "cannot read images of shape (3, 5, 5)",
        "trained on",
    ),
    "too few images": (lambda: activations(IMAGES[:2]), "at least 3 images", "not 2"),
    "too few derivatives": (
        lambda: downstream_graph(SMALL, ONES[:1]),
        "at least 3 derivatives",
        "not 2",
    ),
    "no effects": (lambda: downstream_graph(SILENT, ONES), "no unit's effect on the logits"),
    "effects by an unknown correlation": (
        lambda: downstream_graph(SMALL, ONES, correlation="cosine"),
        "correlation",
        "cosine",
        "spearman",
    ),
    "effects on other images": (
        lambda: downstream_graph(SMALL, torch.ones(4, 3)),
        "cannot read images",
    ),
    "one matrix for all layers": (
        lambda: draw_matched(PARTITION, np.ones((6, 6)), 3),
        "must map every layer to a matrix",
    ),
    "no correlations to match": (
        lambda: draw_matched(PARTITION, {}, 3),
        "correlations of layer '1'",
        "(6, 6)",
        "layer_correlations(graph)",
    ),
    "correlations of another layer": (lambda: matched(np.ones((5, 5))), "not (5, 5)"),
    "correlations in rows of two lengths": (
        lambda: matched([[1.0], [1.0, 0.0]]),
        "correlations of layer '1' must be numbers",
    ),
    "correlations of NaN": (
        lambda: matched(np.full((6, 6), np.nan)),
        "correlations of layer '1' must be finite",
    ),
    "correlations of units with themselves": (
        lambda: matched(np.ones((6, 6))),
        "correlations of layer '1' must be symmetric, with a zero diagonal",
        "layer_correlations(graph)",
    ),
    "correlations of one direction": (lambda: matched(np.triu(np.ones((6, 6)), 1)), "symmetric"),
    "correlations with their signs": (
        lambda: matched(np.eye(6) - 1),
        "must be magnitudes from 0 to 1, not from -1.0 to 0.0",
    ),
    "the mean over the pairs of one unit": (
        lambda: mean_correlation(PAIR, [0]),
        "at least two, each named once, not [0]",
    ),
    "the mean over a pair of one and the same": (
        lambda: mean_correlation(PAIR, [1, 1]),
        "each named once, not [1, 1]",
    ),
    "the mean over units that are not there": (
        lambda: mean_correlation(PAIR, [0, 2]),
        "from 0 to 1, not [0, 2]",
    ),
    "the mean with units themselves": (
        lambda: mean_correlation(np.ones((2, 2)), [0, 1]),
        "zero diagonal",
    ),
    "a masked adjacency": (lambda: ncut(MASKED, [0, 1]), "masked"),
    "a graph of a masked adjacency": (
        lambda: made(MASKED),
        "adjacency must not be masked",
        "adjacency.filled(0)",
    ),
    "masked labels": (
        lambda: labelled(np.ma.array([0, 1, 1], mask=[True, False, False])),
        "masked values",
    ),
    "a partition of masked labels": (
        lambda: of_pair(np.ma.array([0, 1], mask=[True, False])),
        "labels must not be masked",
        "labels.filled(-1)",
    ),
    "n-cut of labels below -1": (
        lambda: ncut(PAIR, [0, -2]),
        "labels must be -1 or more",
        "not -2",
    ),
    "agreement of labels below -1": (
        lambda: label_agreement([0, 0, -1], [0, 1, -3]),
        "second must be -1 or more",
        "not -3",
    ),
    "a tolerance above 1": (lambda: matched(np.ones((6, 6)), tolerance=2.0), "tolerance", "2.0"),
    "no draws that match": (lambda: matched(np.ones((6, 6)), n_draws=0), "n_draws", "not 0"),
    "correlations of weights": (
        lambda: layer_correlations(WEIGHTS),
        "activations graph",
        "activation_graph",
    ),
    "k = 1": (lambda: cluster(UNITS, 1), "n_clusters", "at least 2", "not 1"),
    "k above the units": (lambda: cluster(UNITS, 7), "from 1 to", "live units (6)", "not 7"),
    "k above the live units": (lambda: cluster(unit_graph(PATH), 4), "live units (3), not 4"),
    "clustering: negative seed": (lambda: cluster(UNITS, 2, seed=-4), "seed", "not -4"),
    "scope": (lambda: cluster(UNITS, 2, scope="locale"), "'locale'", "'global', 'local'"),
    "correlation": (
        lambda: activations(correlation="cosine"),
        "'cosine'",
        "'spearman', 'pearson', 'kendall'",
    ),
    "no shuffles": (lambda: assessed(n_shuffles=0), "n_shuffles", "not 0"),
    "null model": (lambda: assessed(null="swap"), "'swap'", "'permute'"),
    "null of correlations": (
        lambda: clusterability(UNITS, 2, null="resample_nonzero"),
        "null of activations='resample_nonzero'",
        "'permute', 'permute_all'",
    ),
    "a graph without edges": (lambda: clustered(np.zeros((4, 4))), "nothing to cluster"),
    "NaN edges": (lambda: clustered(np.full((4, 4), np.nan)), "finite edges"),
    "NaN edges of weights": (lambda: clustered(np.full((4, 4), np.nan), "weights"), "finite edges"),
    "edges that cancel": (lambda: clustered(BALANCED), "edges of 2 unit(s) sum to 0 or less"),
    "edges of weights that cancel": (
        lambda: clustered(BALANCED, "weights"),
        "edges of 2 unit(s) sum to 0 or less",
    ),
    "negative edges": (
        lambda: clustered(np.eye(4) - 1),
        "edges of 4 unit(s) sum to 0 or less",
        "batch_norm_edges='absolute'",
    ),
    "negative draws": (lambda: drawn(-1), "n_draws", "at least 1", "not -1"),
    "draws: negative seed": (lambda: drawn(seed=(0, -1)), "seed", "not -1"),
    "no labels": (lambda: Partition.from_labels({}), "at least one layer"),
    "labels of halves": (lambda: labelled([0.5, 1.5]), "layer '1'", "vector of integers"),
    "activations of a list": (
        lambda: activations(IMAGES.tolist()),
        "images must be a tensor",
        "not list",
    ),
    "activations of integers": (lambda: activations(IMAGES.byte()), "uint8", "x.float() / 255"),
    "activations of one and the same image": (
        lambda: activations(IMAGES[:1].repeat(5, 1, 1, 1)),
        "no unit varies",
        "all the same",
    ),
    "activations under no convention": (
        lambda: activations(conventions=7),
        "'paper' or 'released'",
        "not 7",
    ),
    "weights of a path": (lambda: weight_graph("network.pt"), "must be a torch.nn.Module", "str"),
    "weights in training": (lambda: weight_graph(mlp().train()), "training mode", "eval()"),
    "weights under no convention": (
        lambda: weight_graph(mlp(), conventions="plain"),
        "'plain'",
        "'paper', 'released'",
    ),
    "clusters of a matrix": (
        lambda: cluster(PAIR, 2),
        "graph must be a UnitGraph, not ndarray",
        "weight_graph or activation_graph",
    ),
    "k as text": (lambda: cluster(UNITS, "2"), "n_clusters", "whole number", "not '2'"),
    "clustering: no convention": (
        lambda: cluster(UNITS, 2, conventions=["paper"]),
        "'paper' or 'released'",
        "['paper']",
    ),
    "an edge in one direction": (
        lambda: clustered(DIRECTED),
        "must be symmetric",
        "(adjacency + adjacency.T) / 2",
    ),
    "directed edges of weights": (lambda: clustered(DIRECTED, "weights"), "must be symmetric"),
    "an edge from a unit to itself": (
        lambda: clustered(np.ones((4, 4))),
        "zero diagonal",
        "set it to 0",
    ),
    "infinite edges": (lambda: clustered(INFINITE), "finite edges", "infinite"),
    "infinite edges of weights": (lambda: clustered(INFINITE, "weights"), "finite edges"),
    "a graph that is not square": (lambda: made(np.ones((2, 3))), "square", "(2, 3)"),
    "a graph in a list": (
        lambda: made(PAIR.tolist()),
        "numpy.ndarray or scipy.sparse",
        "not list",
    ),
    "a graph of text": (lambda: made(PAIR.astype(str)), "must hold numbers"),
    "a graph of true and false": (
        lambda: ncut(PAIR > 0, [0, 1]),
        "must hold numbers, not bool",
        "adjacency.astype(float)",
    ),
    "a graph of another kind": (
        lambda: made(kind="weight"),
        "kind='weight'",
        "'weights', 'activations'",
    ),
    "a dense graph of weights": (lambda: made(kind="weights"), "must be sparse", "csr_array"),
    "layers of more units": (
        lambda: made(np.zeros((3, 3)), inactive=np.zeros(3, bool)),
        "layers have 2 units",
        "there are 3",
    ),
    "inactive units by index": (
        lambda: made(inactive=np.array([0])),
        "inactive must be 2 values, true or false",
        "int64 of shape (1,)",
    ),
    "live units of a matrix": (lambda: live_units(PAIR), "UnitGraph, not ndarray"),
    "labels of no cluster": (lambda: labels(0), "n_clusters", "at least 1", "not 0"),
    "no start": (lambda: labels(n_starts=0), "n_starts", "not 0"),
    "labels from a large seed": (
        lambda: labels(seed=2**32),
        "from 0 to 4294967295",
        "not 4294967296",
    ),
    "gaps of all units": (lambda: eigengaps(UNITS, 6), "k_max must be from 2 to 5", "not 6"),
    "gaps of one": (lambda: eigengaps(UNITS, 1), "k_max", "at least 2", "not 1"),
    "gaps of a pair": (
        lambda: eigengaps(unit_graph(PAIR), 2),
        "at least 3 units",
        "not 2",
    ),
    "n-cut of text": (
        lambda: ncut("graph", [0, 1]),
        "adjacency must be a square",
        "not of shape ()",
    ),
    "n-cut of nothing": (lambda: ncut(None, [0, 1]), "adjacency must be a square"),
    "n-cut of rows of two lengths": (
        lambda: ncut([[0.0, 1.0], [1.0]], [0, 1]),
        "adjacency must be a square",
    ),
    "n-cut of too few labels": (
        lambda: ncut(PAIR, [0]),
        "labels must be 2 whole numbers",
        "(1,)",
    ),
    "n-cut of halves": (lambda: ncut(PAIR, [0.5, 1.0]), "whole numbers", "float64"),
    "n-cut of directed edges": (lambda: ncut(np.triu(PAIR), [0, 1]), "must be symmetric"),
    "n-cut of NaN": (lambda: ncut(PAIR * np.nan, [0, 1]), "finite edges", "NaN"),
    "share of no cluster": (lambda: inside_to_outside(0.5, 0), "n_clusters", "not 0"),
    "share of an undefined n-cut": (
        lambda: inside_to_outside(float("nan"), 2),
        "ncut",
        "at least 0",
        "not nan",
    ),
    "clusterability of a matrix": (lambda: clusterability(PAIR, 2), "UnitGraph, not ndarray"),
    "clusterability: k = 1": (lambda: clusterability(WEIGHTS, 1), "n_clusters", "not 1"),
    "clusterability: large k": (
        lambda: clusterability(WEIGHTS, 100),
        "from 1 to the number of live units (29)",
        "not 100",
    ),
    "endless shuffles": (
        lambda: assessed(n_shuffles=10**12),
        "n_shuffles must be from 1 to 1000000",
    ),
    "no jobs": (lambda: assessed(n_jobs=0), "n_jobs", "at least 1", "not 0"),
    "endless jobs": (lambda: assessed(n_jobs=10**9), "n_jobs", "1 to 1024"),
    "endless starts": (lambda: labels(n_starts=10**12), "n_starts must be from 1 to 1000000"),
    "clusterability: seed": (lambda: assessed(seed=0.5), "seed", "not 0.5"),
    "clusterability: progress": (lambda: assessed(progress="yes"), "progress", "True or False"),
    "a null of activations for weights": (
        lambda: assessed(n_shuffles=2, null="permute_all"),
        "null of weights='permute_all'",
    ),
    "shuffling by no null": (
        lambda: shuffled(WEIGHTS, RNG, null="bootstrap"),
        "choose one of 'permute', 'permute_nonzero'",
    ),
    "shuffling correlations by a null of weights": (
        lambda: shuffled(UNITS, RNG, null="permute_nonzero"),
        "choose one of 'permute', 'permute_all'",
    ),
    "shuffling by a seed": (
        lambda: shuffled(WEIGHTS, 0),
        "rng must be a Generator, not int",
        "numpy.random.default_rng",
    ),
    "shuffling a matrix": (lambda: shuffled(PAIR, RNG), "UnitGraph, not ndarray"),
    "labels in a list": (
        lambda: Partition.from_labels([0, 0, 1]),
        "map at least one layer",
        "{'dense1': [0, 0, 1]}",
        "[0, 0, 1]",
    ),
    "layers by number": (
        lambda: Partition.from_labels({1: [0, 0, 1]}),
        "named by text",
        "not by 1",
    ),
    "no labels of a layer": (lambda: labelled([]), "layer '1'", "vector of integers", "not []"),
    "labels in a table": (
        lambda: labelled([[0, 1], [1, 0]]),
        "vector of integers",
        "[[0, 1], [1, 0]]",
    ),
    "labels in rows of two lengths": (lambda: labelled([[0], [1, 0]]), "vector of integers"),
    "labels by name": (lambda: labelled(["a", "b"]), "vector of integers"),
    "labels below -1": (lambda: labelled([0, -2]), "must be -1 or more", "from -2 to 0"),
    "scope of a partition": (
        lambda: labelled([0, 1], scope="both"),
        "scope='both'",
        "'global', 'local'",
    ),
    "labels of other layers": (
        lambda: of_pair(np.array([0, 1, 1])),
        "layers have 2 units",
        "there are 3",
    ),
    "labels of halves, of a graph": (
        lambda: of_pair(np.array([0.0, 1.0])),
        "array of whole numbers",
        "Partition.from_labels",
    ),
    "labels in a list, of a graph": (lambda: of_pair([0, 1]), "array of whole numbers", "[0, 1]"),
    "layers by name": (lambda: of_pair(np.array([0, 1]), ("1",)), "tuple of LayerRange", "('1',)"),
    "no layers": (lambda: made(layers=()), "layers have 0 units", "there are 2"),
    "layers in another order": (
        lambda: made(layers=layer_ranges(SINGLE)[::-1]),
        "follow each other from unit 0 on",
    ),
    "links of other layers": (
        lambda: made(sparse.csr_array(PAIR), kind="weights", links=(("1", "3"),)),
        "links must join two of ['1']",
        "('1', '3')",
    ),
    "gaps of negative edges": (
        lambda: eigengaps(unit_graph(np.eye(4) - 1), 2),
        "edges of 4 unit(s) sum to 0 or less",
    ),
    "subclusters of labels": (
        lambda: subclusters([0, 0, 1]),
        "partition must be a Partition, not list",
        "Partition.from_labels(...)",
    ),
    "subclusters under no convention": (
        lambda: subclusters(PARTITION, conventions=3),
        "'paper' or 'released'",
        "not 3",
    ),
    "draws for a dict": (
        lambda: draw_counterparts({"1": [0, 0, 1]}, 3),
        "Partition, not dict",
    ),
    "endless draws": (lambda: drawn(10**18), "from 1 to 1000000"),
    "strata in a list": (lambda: drawn(strata=[0, 1]), "strata must map every layer", "[0, 1]"),
    "strata of another layer": (
        lambda: drawn(strata={"3": [0] * 6}),
        "strata of layer '1' are missing",
        "name every tested layer",
    ),
    "strata of too few units": (
        lambda: drawn(strata={"1": [0, 1]}),
        "vector of 6 values",
        "(2,)",
    ),
    "strata of NaN": (
        lambda: drawn(strata={"1": [np.nan] * 6}),
        "hold NaN",
        "give every unit a stratum",
    ),
    "strata of rows of two lengths": (
        lambda: drawn(strata={"1": [[0], [1, 2]]}),
        "strata of layer '1' must be a vector of 6 values",
    ),
    "strata that have no order": (
        lambda: drawn(strata={"1": ["a", None] * 3}),
        "strata of layer '1' must be numbers or text",
        "None",
    ),
    "strata of independent draws": (
        lambda: drawn(strata={"1": [0] * 6}, conventions="released"),
        'strata need draws="joint"',
    ),
    "permuted by a seed": (
        lambda: permuted_labels(PARTITION, 0),
        "rng must be a Generator, not int",
    ),
    "no strata": (lambda: quantile_strata(np.arange(4.0), 0), "n_strata", "not 0"),
    "strata of NaN values": (lambda: quantile_strata([1.0, np.nan], 2), "without NaN"),
    "values of fewer lesions": (
        lambda: DRAWS.arrange(np.zeros(7)),
        "shape (7,)",
        "each of the 8 sets",
    ),
    "values in rows of two lengths": (
        lambda: DRAWS.arrange([[1.0], [1.0, 2.0]]),
        "each of the 8 sets",
    ),
    "half a position": (lambda: DRAWS.chosen([0.5]), "positions", "whole numbers", "0.5"),
    "a position, no list": (lambda: DRAWS.chosen(0), "positions must be a list", "not 0"),
    "agreement of other units": (
        lambda: label_agreement([0, 1], [0, 1, 1]),
        "shapes (2,) and (3,)",
    ),
    "agreement of halves": (lambda: label_agreement([0.5], [1]), "first", "whole numbers"),
    "agreement of tables": (lambda: label_agreement([[0]], [[1]]), "one a unit"),
    "agreement of all units": (
        lambda: label_agreement([0], [1], units="every"),
        "units='every'",
        "'live', 'all'",
    ),
    "agreement with labels": (
        lambda: partition_agreement(PARTITION, [0, 1]),
        "second must be a Partition, not list",
    ),
    "agreement of other layers": (
        lambda: layer_agreement(PARTITION, OTHER),
        "of the same layers",
        "[6] and [3]",
    ),
    "an order that leaves units out": (
        lambda: layer_agreement(OTHER, OTHER, {"1": [0, 1, 1]}),
        "order of layer '1'",
        "from 0 to 2",
        "match_units",
    ),
    "an order of one number": (
        lambda: layer_agreement(OTHER, OTHER, {"1": 0}),
        "order of layer '1'",
        "from 0 to 2",
    ),
    "an order for all layers": (
        lambda: layer_agreement(OTHER, OTHER, [0, 1, 2]),
        "order must map every layer",
        "[0, 1, 2]",
    ),
    "matching other units": (
        lambda: match_units(np.zeros((3, 2)), np.zeros((3, 4))),
        "shapes (3, 2) and (3, 4)",
    ),
    "matching NaN": (lambda: match_units(PAIR * np.nan, PAIR), "finite", "NaN"),
    "matching text": (lambda: match_units([["a"]], [["b"]]), "first must be numbers"),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)
