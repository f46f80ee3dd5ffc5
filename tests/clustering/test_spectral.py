"""n-cut and global clustering, against hand-worked graphs, networkx and scikit-learn."""

import itertools

import networkx as nx
import numpy as np
import pytest
from helpers.graphs import chain_graph, unit_graph
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, sparse
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from localspec.clustering import cluster, live_units, ncut, spectral_labels
from localspec.clustering._embedding import spectral_embedding, weak_units
from localspec.exceptions import DegenerateDataWarning

seeds = st.integers(0, 10_000)


def random_adjacency(n, rng, density=1.0):
    upper = np.triu(rng.random((n, n)) * (rng.random((n, n)) < density), 1)
    return upper + upper.T


def planted(sizes, rng, between=0.02):
    """Return a graph of dense blocks that hardly hang together, and its blocks."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    inside = np.equal.outer(labels, labels)
    weights = random_adjacency(len(labels), rng)
    return np.where(inside, 0.5 + weights / 2, between * weights) * (
        1 - np.eye(len(labels))
    ), labels


def joined(*edges, n):
    adjacency = np.zeros((n, n))
    for i, j, weight in edges:
        adjacency[i, j] = adjacency[j, i] = weight
    return adjacency


# --- n-cut ---


@given(seeds, st.integers(2, 5), st.integers(6, 14))
def test_ncut_equals_networkx(seed, n_clusters, n):
    rng = np.random.default_rng(seed)
    adjacency = random_adjacency(n, rng, density=0.7)
    labels = np.concatenate([np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)])
    graph = nx.from_numpy_array(adjacency)
    clusters = [set(np.flatnonzero(labels == label).tolist()) for label in range(n_clusters)]
    volumes = [nx.volume(graph, nodes, weight="weight") for nodes in clusters]
    expected = sum(
        nx.cut_size(graph, nodes, weight="weight") / volume
        for nodes, volume in zip(clusters, volumes, strict=True)
        if volume
    )
    # the epsilon of 1e-8 beside volumes of at least some 1e-2 changes less than 1e-5
    assert ncut(adjacency, labels) == pytest.approx(expected, rel=1e-5)
    assert ncut(sparse.csr_array(adjacency), labels) == pytest.approx(expected, rel=1e-5)
    if n_clusters == 2 and all(volumes):
        size = nx.normalized_cut_size(graph, *clusters, weight="weight")
        assert size == pytest.approx(expected)


def test_ncut_by_hand():
    # path 0 -2- 1 -1- 2 -3- 3 -1- 4, clusters {0, 1}, {2}, {3, 4}
    # volumes 2 + 3 = 5, 1 + 3 = 4, 4 + 1 = 5; cuts 1, 4, 3
    adjacency = joined((0, 1, 2), (1, 2, 1), (2, 3, 3), (3, 4, 1), n=5)
    expected = 1 / 5 + 4 / 4 + 3 / 5
    assert ncut(adjacency, np.array([0, 0, 1, 2, 2])) == pytest.approx(expected)
    assert ncut(adjacency, np.array([7, 7, 3, 90, 90])) == pytest.approx(expected)


def test_ncut_of_everything_in_one_cluster_is_zero():
    adjacency = random_adjacency(5, np.random.default_rng(0))
    assert ncut(adjacency, np.zeros(5, dtype=int)) == pytest.approx(0, abs=1e-12)


def test_ncut_leaves_out_units_that_take_no_part():
    # without unit 3 the path 0 -1- 1 -1- 2 is left: cut 1 over volumes 3 and 1
    adjacency = joined((0, 1, 1), (1, 2, 1), (2, 3, 50), n=4)
    assert ncut(adjacency, np.array([0, 0, 1, -1])) == pytest.approx(1 / 3 + 1)


def test_a_cluster_of_zero_volume_adds_nothing():
    adjacency = joined((0, 1, 1), (1, 2, 1), n=5)  # 3 and 4 are isolated
    assert ncut(adjacency, np.array([0, 0, 1, 2, 2])) == pytest.approx(1 / 3 + 1)
    assert ncut(adjacency, np.full(5, -1)) == 0


def test_the_epsilon_decides_for_near_dead_units():
    # both clusters cut all of their volume of 1e-8: twice 1e-8 / (1e-8 + 1e-8)
    assert ncut(joined((0, 1, 1e-8), n=2), np.array([0, 1])) == pytest.approx(1)


# --- embedding ---


@given(seeds, st.integers(2, 6))
def test_embedding_solves_the_generalised_eigenproblem(seed, k):
    # largest eigenvalues of A v = lambda D v, with v' D v = 1, in descending order
    adjacency = random_adjacency(9, np.random.default_rng(seed)) + joined((0, 8, 1), n=9)
    degrees = np.diag(adjacency.sum(axis=1))
    largest = linalg.eigh(adjacency, degrees, eigvals_only=True)[::-1][:k]
    vectors = spectral_embedding(adjacency, k)
    assert vectors.shape == (9, k)
    assert adjacency @ vectors == pytest.approx(degrees @ vectors * largest, abs=1e-10)
    assert vectors.T @ degrees @ vectors == pytest.approx(np.eye(k), abs=1e-10)
    assert spectral_embedding(sparse.csr_array(adjacency), k) == pytest.approx(vectors)


def test_embedding_keeps_the_trivial_vector_and_fixes_signs():
    adjacency = random_adjacency(12, np.random.default_rng(3))
    vectors = spectral_embedding(adjacency, 5)
    # constant, of length 1 in the metric of degrees
    assert vectors[:, 0] == pytest.approx(np.full(12, 1 / np.sqrt(adjacency.sum())))
    assert (vectors[np.abs(vectors).argmax(axis=0), np.arange(5)] > 0).all()


def test_embedding_of_a_bipartite_graph_leaves_negative_eigenvalues_out():
    # path of four: eigenvalues of the random walk 1, 1/2, -1/2, -1; the second vector falls
    # along the path as 1, 1/2, -1/2, -1, the vector of -1 would alternate
    vectors = spectral_embedding(joined((0, 1, 1), (1, 2, 1), (2, 3, 1), n=4), 2)[:, 1]
    assert np.abs(vectors / vectors[0]) == pytest.approx([1, 0.5, 0.5, 1])
    assert np.sign(vectors / vectors[0]).tolist() == [1, 1, -1, -1]


# --- labels ---


@pytest.mark.parametrize("sizes", [(8, 8), (5, 9, 12), (6, 6, 6, 6)])
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_blocks_are_found_as_scikit_learn_finds_them(sizes, seed):
    adjacency, labels = planted(sizes, np.random.default_rng(seed))
    clusters = cluster(unit_graph(adjacency), len(sizes), seed=seed).labels
    oracle = SpectralClustering(len(sizes), affinity="precomputed", random_state=0)
    assert adjusted_rand_score(clusters, labels) == 1
    assert adjusted_rand_score(clusters, oracle.fit_predict(adjacency)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_permuting_units_permutes_labels(seed):
    rng = np.random.default_rng(seed)
    adjacency, _ = planted((6, 8, 10), rng, between=0.1)
    order = rng.permutation(24)
    straight = cluster(unit_graph(adjacency), 3).labels
    permuted = cluster(unit_graph(adjacency[order][:, order]), 3).labels
    assert adjusted_rand_score(straight[order], permuted) == 1


def test_scaling_the_edges_changes_nothing():
    adjacency, _ = planted((6, 8), np.random.default_rng(0))
    small = cluster(unit_graph(1e-6 * adjacency), 2).labels
    assert adjusted_rand_score(cluster(unit_graph(adjacency), 2).labels, small) == 1


def test_clusters_are_numbered_as_they_appear():
    adjacency, labels = planted((5, 5, 5), np.random.default_rng(0))
    assert cluster(unit_graph(adjacency), 3).labels.tolist() == labels.tolist()


def test_the_seed_fixes_the_labels_and_no_global_generator_is_touched():
    adjacency = random_adjacency(30, np.random.default_rng(0))
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again = (cluster(unit_graph(adjacency), 4, seed=5).labels.tolist() for _ in range(2))
    assert first == again
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


def test_as_many_clusters_as_units():
    adjacency = random_adjacency(6, np.random.default_rng(0))
    assert sorted(cluster(unit_graph(adjacency), 6).labels) == list(range(6))


# --- units that take no part, and pieces ---


def test_isolated_and_inactive_units_take_no_part():
    # 0-1-2 and 3-4-5 hang together weakly; 6 is isolated; 7 is inactive, and 8 only knows 7
    edges = [(0, 1, 1), (1, 2, 1), (0, 2, 1), (3, 4, 1), (4, 5, 1), (3, 5, 1), (2, 3, 0.01)]
    adjacency = joined(*edges, (7, 8, 1), (7, 0, 1), n=9)
    inactive = np.arange(9) == 7
    graph = unit_graph(adjacency, inactive=inactive)
    assert live_units(graph).tolist() == [True] * 6 + [False] * 3
    assert cluster(graph, 2).labels.tolist() == [0, 0, 0, 1, 1, 1, -1, -1, -1]
    weights = unit_graph(sparse.csr_array(adjacency), kind="weights", inactive=inactive)
    assert cluster(weights, 2).labels.tolist() == [0, 0, 0, 1, 1, 1, -1, -1, -1]


def test_as_many_pieces_as_clusters_are_the_clusters():
    adjacency = linalg.block_diag(*[np.ones((n, n)) - np.eye(n) for n in (3, 4, 5)])
    assert cluster(unit_graph(adjacency), 3).labels.tolist() == [0] * 3 + [1] * 4 + [2] * 5
    assert ncut(adjacency, np.repeat([0, 1, 2], (3, 4, 5))) == 0


def test_more_pieces_than_clusters_warn_and_stay_whole():
    adjacency = linalg.block_diag(*[np.ones((n, n)) - np.eye(n) for n in (3, 4, 5, 6)])
    with pytest.warns(DegenerateDataWarning, match="4 components but 2 clusters"):
        labels = cluster(unit_graph(adjacency), 2).labels
    pieces = np.split(labels, [3, 7, 12])
    assert all(len(set(piece.tolist())) == 1 for piece in pieces)
    assert set(labels.tolist()) == {0, 1}


def test_negative_edges_that_others_outweigh():
    # two triangles of weight 2, joined by an edge of weight -1: the cut is -1, volumes are 11
    edges = [(0, 1, 2), (0, 2, 2), (1, 2, 2), (3, 4, 2), (3, 5, 2), (4, 5, 2), (2, 3, -1)]
    graph = unit_graph(joined(*edges, n=6))
    labels = spectral_labels(graph, 2, seed=0)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert ncut(graph.adjacency, labels) == pytest.approx(-2 / 11)


# --- two sides ---


def sided(sizes, seed, keep=1.0):
    """Return the adjacency of a chain of layers and which units are in even ones."""
    rng = np.random.default_rng(seed)
    blocks = [rng.exponential(size=s) * (rng.random(s) < keep) for s in itertools.pairwise(sizes)]
    adjacency = chain_graph(*blocks).adjacency.toarray()
    return adjacency, np.repeat(np.arange(len(sizes)) % 2 == 0, sizes)


@pytest.mark.parametrize("sizes", [(6, 9, 5), (9, 4, 7, 3), (30, 20)])
@pytest.mark.parametrize("sparsely", [True, False])
def test_two_sides_give_the_eigenvectors_of_the_whole(sizes, sparsely):
    adjacency, side = sided(sizes, seed=len(sizes))
    graph = sparse.csr_array(adjacency) if sparsely else adjacency
    vectors = spectral_embedding(graph, 3, side=side)
    assert np.allclose(vectors, spectral_embedding(adjacency, 3), atol=1e-9)
    # of unit length before they are rescaled, as those of the whole
    lengths = (vectors**2 * adjacency.sum(axis=1)[:, None]).sum(axis=0)
    assert np.allclose(lengths, 1)


def test_large_sides_go_through_arpack():
    adjacency, side = sided((700, 1300, 500, 200), seed=0, keep=0.3)
    vectors = spectral_embedding(sparse.csr_array(adjacency), 8, side=side)
    direct = spectral_embedding(adjacency, 8, large_side=10_000)
    assert np.allclose(vectors, direct, atol=1e-8)


@pytest.mark.parametrize("apart", [False, True], ids=["joined", "two components"])
def test_a_large_sparse_graph_without_two_sides_stays_sparse(apart, monkeypatch):
    rng = np.random.default_rng(3)
    adjacency = np.triu(rng.random((300, 300)) * (rng.random((300, 300)) < 0.1), 1)
    adjacency[:100, 100:] *= not apart
    adjacency += adjacency.T
    direct = spectral_embedding(adjacency, 5)  # computed densely
    monkeypatch.setattr(sparse.csr_array, "toarray", None)  # which would make it dense
    vectors = spectral_embedding(sparse.csr_array(adjacency), 5, large_side=60, sparse_size=60)
    if apart:  # two vectors of the eigenvalue 1, of which any mixtures are others
        volumes = [adjacency[:100].sum(), adjacency[100:].sum()]
        expected = np.zeros((300, 2))
        expected[:100, 0], expected[100:, 1] = np.sqrt(1 / np.array(volumes))
        first = expected[:, np.argsort(volumes)[::-1]]
        assert vectors[:, :2] == pytest.approx(first, abs=1e-9)
        direct, vectors = direct[:, 2:], vectors[:, 2:]
    assert vectors == pytest.approx(direct, abs=1e-8)


def test_a_side_of_too_few_directions_is_left_to_the_whole():
    # one unit in the middle: the only positive eigenvalue is 1, the second is 0
    adjacency, side = sided((4, 1, 3), seed=0)
    vectors = spectral_embedding(adjacency, 2, side=side)
    values = adjacency / np.sqrt(np.outer(adjacency.sum(axis=1), adjacency.sum(axis=1)))
    second = vectors[:, 1] * np.sqrt(adjacency.sum(axis=1))
    assert np.allclose(values @ second, 0, atol=1e-12)


@pytest.mark.parametrize("sided_too", [True, False])
@pytest.mark.parametrize("exponent", [-20, -36])
def test_units_with_next_to_no_weight_follow_the_others(sided_too, exponent):
    adjacency, side = sided((12, 10, 9, 4), seed=3)
    dead = np.array([13, 14, 20, 23, 24])  # of two layers: some joined to each other
    scale = np.ones(len(adjacency))
    scale[dead] = 10.0 ** (exponent + np.arange(5) / 2)
    weak = adjacency * scale * scale[:, None]
    vectors = spectral_embedding(weak, 5, side=side if sided_too else None)
    # each row is the mean of its neighbours' over the eigenvalue, which live rows tell
    degrees = weak.sum(axis=1)
    means = weak @ vectors / degrees[:, None]
    live = np.setdiff1d(np.arange(len(weak)), dead)
    values = (means[live] * vectors[live]).sum(axis=0) / (vectors[live] ** 2).sum(axis=0)
    assert np.allclose(means, vectors * values, atol=1e-9)
    assert vectors[:, 0] == pytest.approx(vectors[0, 0])  # of the trivial one all are equal
    assert np.abs(vectors[dead]).max() < 10 * np.abs(vectors[live]).max()


def test_a_weak_part_of_its_own_stays_an_eigenvector():
    # two pairs that nothing joins: the light one is a component like the heavy one
    adjacency = joined((0, 1, 1.0), (2, 3, 1e-30), n=4)
    assert weak_units(adjacency.sum(axis=1)).tolist() == [False, False, True, True]
    vectors = spectral_embedding(adjacency, 2)
    lengths = (vectors**2 * adjacency.sum(axis=1)[:, None]).sum(axis=0)
    assert lengths == pytest.approx([1, 1])
    assert vectors[2] == pytest.approx(vectors[3])
    assert np.abs(vectors[2]).max() > 1e10


def test_weak_units_joined_among_themselves_keep_eigenvectors_of_their_own():
    # three weak units of each of two layers, joined to each other as strongly as to the others
    adjacency, side = sided((8, 7, 5), seed=1)
    rng = np.random.default_rng(0)
    dead = np.array([8, 9, 10, 15, 16, 17])
    weak = adjacency.copy()
    weak[dead], weak[:, dead] = adjacency[dead] * 1e-30, adjacency[:, dead] * 1e-30
    block = 1e-30 * (3 * np.eye(3) + 0.1 * rng.random((3, 3))) * adjacency.mean()
    weak[np.ix_(dead[:3], dead[3:])], weak[np.ix_(dead[3:], dead[:3])] = block, block.T
    vectors = spectral_embedding(weak, 5, side=side)
    degrees = weak.sum(axis=1)
    shares = (vectors[dead] ** 2 * degrees[dead, None]).sum(axis=0)
    assert (shares > 0.99).any()
    assert (shares < 1e-9).any()
    # on the weak units every column satisfies the equation to its own size there
    means = weak @ vectors / degrees[:, None]
    values = (means[dead] * vectors[dead]).sum(axis=0) / (vectors[dead] ** 2).sum(axis=0)
    error = np.abs(means[dead] - vectors[dead] * values).max(axis=0)
    assert (error < 1e-6 * np.abs(vectors[dead]).max(axis=0)).all()


def test_weight_that_is_hardly_a_number_stays_finite():
    adjacency, side = sided((6, 5, 4), seed=2)
    adjacency[7] *= 1e-312
    adjacency[:, 7] *= 1e-312
    assert np.isfinite(spectral_embedding(adjacency, 3, side=side)).all()


# --- repeated eigenvalues, above the size from which ARPACK computes eigenvectors ---


def leading(adjacency, embedding):
    """Return all eigenvalues, and the columns, checked to be eigenvectors to the largest."""
    degrees = adjacency.sum(axis=1)
    normalized = adjacency / np.sqrt(np.outer(degrees, degrees))
    values = linalg.eigvalsh(normalized)[::-1]
    vectors = embedding * np.sqrt(degrees)[:, None]
    n = vectors.shape[1]
    assert vectors.T @ vectors == pytest.approx(np.eye(n), abs=1e-9)
    assert normalized @ vectors == pytest.approx(vectors * values[:n], abs=1e-9)
    return values, vectors


def check_against_dense(adjacency, n, side):
    """Compare ARPACK's way with the dense one, and with itself."""
    graph = sparse.csr_array(adjacency)
    small, direct, again = (
        spectral_embedding(graph, n, side=side, large_side=size) for size in (10, 10_000, 10)
    )
    assert (small == again).all()
    values, vectors = leading(adjacency, small)
    _, dense = leading(adjacency, direct)
    if values[n - 1] - values[n] > 1e-6:  # else several spaces lead
        assert vectors @ vectors.T == pytest.approx(dense @ dense.T, abs=1e-8)


def mixed(adjacency, side, rng):
    """Put the units in another order."""
    order = rng.permutation(len(adjacency))
    return adjacency[order][:, order], side[order]


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("n_parts", [1, 2, 3, 4, 5, 7, 12, 50])
def test_components_are_settled_above_the_threshold(n_parts, equal, sides):
    rng = np.random.default_rng(n_parts)
    size = 90 // n_parts + 2
    sizes = [(size, size + (0 if equal else rng.integers(4))) for _ in range(n_parts)]
    parts = [sided(pair, seed=0 if equal else index) for index, pair in enumerate(sizes)]
    adjacency = linalg.block_diag(*[part for part, _ in parts])
    adjacency, side = mixed(adjacency, np.concatenate([side for _, side in parts]), rng)
    for n in (2, 6):
        check_against_dense(adjacency, n, side if sides == 2 else None)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("between", [1e-20, 1e-9, 1e-3, 0.1])
@pytest.mark.parametrize("n_blocks", [2, 3, 5])
def test_equal_blocks_that_hang_together(n_blocks, between, sides):
    # a start that all blocks share sees none of the vectors that tell them apart
    block, side = sided((20, 20), seed=1)
    joints = np.full((n_blocks, n_blocks), between) + np.eye(n_blocks)
    adjacency, side = np.kron(joints, block), np.tile(side, n_blocks)
    for n in (2, n_blocks):
        check_against_dense(adjacency, n, side if sides == 2 else None)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_equal_weights_above_the_threshold(n, sides):
    complete = np.ones((90, 90)) - np.eye(90)
    check_against_dense(complete, n, None)
    adjacency, side = sided((70, 80), seed=0)
    check_against_dense((adjacency > 0).astype(float), n, side if sides == 2 else None)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("keep", [0.003, 0.01, 0.03])
def test_pruned_weights_above_the_threshold(keep, sides):
    adjacency, side = sided((100, 100, 100), seed=5, keep=keep)
    live = adjacency.any(axis=1)
    adjacency, side = adjacency[live][:, live], side[live]
    for n in (2, 6):
        check_against_dense(adjacency, n, side if sides == 2 else None)


def test_more_components_than_columns_give_one_to_the_heaviest():
    parts = [weight * sided((6, 6), seed=index)[0] for index, weight in enumerate((1, 3, 2, 9))]
    adjacency = linalg.block_diag(*parts)
    vectors = spectral_embedding(sparse.csr_array(adjacency), 1, large_side=10)
    assert np.flatnonzero(vectors[:, 0]).tolist() == list(range(36, 48))
    assert vectors[36:, 0] == pytest.approx(1 / np.sqrt(parts[3].sum()))


def layered(adjacency, sizes):
    return unit_graph(sparse.csr_array(adjacency), *sizes, kind="weights")


def test_two_equal_halves_of_more_than_a_thousand_units_are_the_clusters():
    rng = np.random.default_rng(0)
    half = rng.exponential(size=(510, 510))
    block = linalg.block_diag(half, half)
    adjacency = np.block([[np.zeros((1020, 1020)), block], [block.T, np.zeros((1020, 1020))]])
    graph = layered(adjacency, (1020, 1020))
    labels = spectral_labels(graph, 2, seed=0, n_starts=1)
    assert ncut(graph.adjacency, labels) == 0
    assert labels.tolist() == ([0] * 510 + [1] * 510) * 2


def test_a_pruned_network_of_more_than_a_thousand_units_is_cut_nowhere():
    # 99.9 % of the weights are gone: some hundred components, which have an eigenvalue of 1 each
    sizes = (1500, 1500, 1500)
    graph = layered(sided(sizes, seed=0, keep=0.001)[0], sizes)
    with pytest.warns(DegenerateDataWarning, match="components but 4 clusters"):
        labels = spectral_labels(graph, 4, seed=0, n_starts=1)
    assert ncut(graph.adjacency, labels) == 0
    with pytest.warns(DegenerateDataWarning, match="components but 4 clusters"):
        assert spectral_labels(graph, 4, seed=0, n_starts=1).tolist() == labels.tolist()


def test_a_dense_solver_that_loses_equal_eigenvalues():
    # of 99.9 % pruned weights a hundred pairs are left: LAPACK's bisection finds none of them
    sizes = (300, 300, 300)
    adjacency, _ = sided(sizes, seed=5, keep=0.001)
    graph = layered(adjacency, sizes)
    live = live_units(graph)
    leading(adjacency[live][:, live], spectral_embedding(graph.adjacency[live][:, live], 2))
    with pytest.warns(DegenerateDataWarning, match="components but 4 clusters"):
        assert ncut(graph.adjacency, spectral_labels(graph, 4, seed=0)) == 0


def test_equal_edges_warn():
    complete = np.ones((8, 8)) - np.eye(8)
    chain, _ = sided((4, 5, 3), seed=0)
    for graph in (unit_graph(0.3 * complete), layered((chain > 0) * 0.7, (4, 5, 3))):
        with pytest.warns(DegenerateDataWarning, match="all edges are equal"):
            spectral_labels(graph, 3, seed=0)
    inactive = np.arange(8) == 2  # the others' edges are equal
    weights = np.where(inactive | inactive[:, None], 0.5, 1.0) * complete
    with pytest.warns(DegenerateDataWarning, match="all edges are equal"):
        spectral_labels(unit_graph(weights, inactive=inactive), 3, seed=0)
    spectral_labels(unit_graph(weights), 3, seed=0)
    spectral_labels(unit_graph(complete), 1, seed=0)
    spectral_labels(unit_graph(complete), 8, seed=0)
    pruned = chain > 0
    pruned[0, 4] = pruned[4, 0] = False
    spectral_labels(layered(pruned * 0.7, (4, 5, 3)), 3, seed=0)


def test_the_largest_seed_that_k_means_takes():
    graph = unit_graph(random_adjacency(5, np.random.default_rng(0)))
    assert len(cluster(graph, 2, seed=2**32 - 1).labels) == 5


@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f8", "<f16", "<i1", "<u8"])
def test_edges_of_any_type_of_number(kind):
    whole = np.round(8 * random_adjacency(9, np.random.default_rng(0)))
    labels = np.arange(9) % 3
    given = whole.astype(kind)
    assert ncut(given, labels) == ncut(whole, labels)
    plain, other = unit_graph(whole), unit_graph(given)
    assert other.adjacency.dtype == np.float64
    assert cluster(other, 3).labels.tolist() == cluster(plain, 3).labels.tolist()


@pytest.mark.parametrize("kind", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_sparse_edges_in_any_format(kind):
    dense = random_adjacency(9, np.random.default_rng(0))
    plain, other = (
        unit_graph(matrix, kind="weights")
        for matrix in (sparse.csr_array(dense), sparse.csr_array(dense).asformat(kind))
    )
    assert cluster(other, 3).labels.tolist() == cluster(plain, 3).labels.tolist()
