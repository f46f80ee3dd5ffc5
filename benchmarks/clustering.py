"""Spectral clustering against scikit-learn's, as ratios measured in the same run.

Usage: python benchmarks/clustering.py    writes benchmarks/tables/clustering.csv

scikit-learn's `SpectralClustering(affinity="precomputed", eigen_solver="arpack", n_init=25)` gets
the thread count at which it is fastest here. Each way runs in turn, several rounds; the smallest
time of each counts, because whatever else runs on the machine can only make it slower.
"""

from itertools import pairwise

import numpy as np
from ratios import measure, write
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.manifold import spectral_embedding as sklearn_embedding
from threadpoolctl import threadpool_limits

from localspec.clustering import UnitGraph, clusterability, ncut
from localspec.clustering._embedding import spectral_embedding
from localspec.clustering._spectral import N_STARTS, graph_sides, renumber
from localspec.clustering._unit_graph import from_blocks, layer_ranges

N_CLUSTERS, N_ROUNDS, N_SEEDS, THREADS = 12, 5, 5, (1, 2)
GRAPHS = {
    "MLP": (784, 256, 256, 256, 256, 10),
    "VGG": (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
}


def random_graph(sizes: tuple[int, ...]) -> UnitGraph:
    """Return a weights graph of layers of these sizes, with normal weights."""
    rng = np.random.default_rng(0)
    blocks = [np.abs(rng.normal(size=shape)) for shape in pairwise(sizes)]
    ranges = layer_ranges([(str(index), size, True) for index, size in enumerate(sizes)])
    return from_blocks(blocks, ranges)


def kmeans_labels(points: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the clusters of points on one thread."""
    with threadpool_limits(1):
        return KMeans(N_CLUSTERS, n_init=N_STARTS, random_state=seed).fit(points).labels_


def ways(graph: UnitGraph) -> dict:
    """Return what is timed: embedding, k-means and both, ours and scikit-learn's."""
    side = graph_sides(graph)

    def embed() -> np.ndarray:
        with threadpool_limits(1):
            return spectral_embedding(graph.adjacency, N_CLUSTERS, side=side)

    points = embed()
    functions = {
        "localspec, embedding": embed,
        "localspec, k-means": lambda: kmeans_labels(points),
        "localspec": lambda: kmeans_labels(embed()),
    }
    for n_threads in THREADS:

        def their_embedding(n_threads=n_threads) -> np.ndarray:
            with threadpool_limits(n_threads):
                return sklearn_embedding(
                    graph.adjacency,
                    n_components=N_CLUSTERS,
                    eigen_solver="arpack",
                    random_state=0,
                    drop_first=False,
                )

        def theirs(n_threads=n_threads) -> np.ndarray:
            with threadpool_limits(n_threads):
                spectral = SpectralClustering(
                    N_CLUSTERS,
                    affinity="precomputed",
                    eigen_solver="arpack",
                    n_init=N_STARTS,
                    random_state=0,
                )
                return spectral.fit(graph.adjacency).labels_

        name = f"scikit-learn, {n_threads} thread(s)"
        functions |= {f"{name}, embedding": their_embedding, name: theirs}
    return functions


def mean_ncut(graph: UnitGraph, points: np.ndarray) -> float:
    """Return the mean n-cut over k-means seeds, the same ones for every embedding."""
    labels = [kmeans_labels(points, seed) for seed in range(N_SEEDS)]
    return float(np.mean([ncut(graph.adjacency, renumber(each)) for each in labels]))


def main() -> None:
    rows = []
    for name, sizes in GRAPHS.items():
        graph = random_graph(sizes)
        functions = ways(graph)
        seconds = measure(functions, n_rounds=N_ROUNDS)
        best = min((f"scikit-learn, {n} thread(s)" for n in THREADS), key=lambda way: seconds[way])
        points = {way: functions[f"{way}, embedding"]() for way in ("localspec", best)}
        cuts = {way: mean_ncut(graph, embedded) for way, embedded in points.items()}
        for way, time in seconds.items():
            rows.append(
                {
                    "graph": name,
                    "n_units": graph.n_units,
                    "way": way,
                    "seconds": time,
                    "times_ours": time / seconds["localspec"],
                    "ncut": cuts.get(way, float("nan")),
                }
            )
    graph = random_graph(GRAPHS["MLP"])
    shuffles = measure(
        {"50 shuffles": lambda: clusterability(graph, N_CLUSTERS, n_shuffles=50)}, n_rounds=2
    )
    rows.append(
        {
            "graph": "MLP",
            "n_units": graph.n_units,
            "way": "localspec, 50 shuffles",
            "seconds": shuffles["50 shuffles"],
        }
    )
    write("clustering", rows)


if __name__ == "__main__":
    main()
