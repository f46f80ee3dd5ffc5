"""What the n-cuts of networks of ImageNet cost: one clustering of each, with random weights.

Usage: python benchmarks/imagenet.py [ARCHITECTURE ...]
    measures those named, by default all, and puts them into benchmarks/tables/imagenet.csv

Core seconds of one thread. The n-cut of a network beside those of 100 shuffled copies takes 101
clusterings: `hours` is an estimate from the one that was measured.
"""

import sys
import time
from pathlib import Path
from typing import get_args

import pandas as pd

import localspec as ls
from localspec.clustering import spectral_labels
from localspec.networks import TorchvisionSettings, open_torchvision

TABLE = Path(__file__).parent / "tables" / "imagenet.csv"
ARCHITECTURES = get_args(TorchvisionSettings.model_fields["architecture"].annotation)
N_CLUSTERS, N_SHUFFLES = 12, 100  # of the published figures


def measured(architecture: str) -> dict:
    """Return a row of the table."""
    settings = TorchvisionSettings(dataset="imagenet-sample", architecture=architecture)
    network = open_torchvision(settings)
    start = time.process_time()
    graph = ls.weight_graph(network)
    graph_seconds = time.process_time() - start
    start = time.process_time()
    spectral_labels(graph, N_CLUSTERS, seed=0)
    seconds = time.process_time() - start
    return {
        "architecture": architecture,
        "units": graph.n_units,
        "edges": graph.adjacency.nnz // 2,
        "graph_seconds": round(graph_seconds, 2),
        "clustering_seconds": round(seconds, 2),
        "hours": round((graph_seconds + (1 + N_SHUFFLES) * seconds) / 3600, 3),
    }


def main(names: list[str]) -> None:
    for architecture in names or ARCHITECTURES:
        table = pd.DataFrame([measured(architecture)])
        if TABLE.exists():
            old = pd.read_csv(TABLE)
            table = pd.concat([old[old["architecture"] != architecture], table])
        table.to_csv(TABLE, index=False, lineterminator="\n")
        print(table.iloc[-1].to_dict(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
