"""Weights graphs of torchvision's networks: time and memory to build one and to cluster it.

Usage: python benchmarks/weight_graphs.py [ResNet-50] [Inception-v3] [DenseNet-121]
    puts their rows into benchmarks/tables/weight_graphs.csv

Random weights, 32 clusters of the whole graph. Each network has a process of its own, on one
thread. Processor seconds, since other programs disturb them less than the clock; memory is the peak
of the process beyond its peak with the network, before the graph.
"""

import sys
import time

from growth import in_own_process, peak_mb
from ratios import write

from localspec.clustering import cluster, ncut, weight_graph
from localspec.data._torchvision import import_torchvision

NETWORKS = {
    "ResNet-50": "resnet50",
    "Inception-v3": "inception_v3",
    "DenseNet-121": "densenet121",
}
OPTIONS = {"Inception-v3": {"aux_logits": False, "init_weights": False}}
N_CLUSTERS = 32


def measured(name: str) -> dict:
    """Return the row of one network."""
    build = getattr(import_torchvision().models, NETWORKS[name])
    network = build(weights=None, **OPTIONS.get(name, {})).eval().requires_grad_(False)
    before, start = peak_mb(), time.process_time()
    graph = weight_graph(network)
    built = time.process_time()
    partition = cluster(graph, N_CLUSTERS)
    done = time.process_time()
    return {
        "network": name,
        "n_units": graph.n_units,
        "n_edges": graph.adjacency.nnz // 2,
        "n_clusters": N_CLUSTERS,
        "seconds_to_build": built - start,
        "seconds_to_cluster": done - built,
        "peak_MB": peak_mb() - before,
        "ncut": ncut(graph.adjacency, partition.labels),
    }


def main() -> None:
    for name in sys.argv[1:] or NETWORKS:
        write("weight_graphs", [in_own_process(measured, name)])


if __name__ == "__main__":
    main()
