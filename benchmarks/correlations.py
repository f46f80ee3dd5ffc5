"""Spearman's correlations of 1,024 units over 5,000 images with ties, against scipy's.

Usage: python benchmarks/correlations.py    writes benchmarks/tables/correlations.csv

`scipy.stats.spearmanr` returns p-values too; the smallest time of several rounds counts. Memory is
the peak of what numpy allocates beside the values, measured apart.
"""

import tracemalloc
from collections.abc import Callable

import numpy as np
from ratios import measure, write
from scipy import stats

from localspec.clustering._activation_graph import correlation_matrix

N_IMAGES, N_UNITS, N_ROUNDS = 5000, 1024, 5


def values() -> np.ndarray:
    """Return values of units on images, with ties in every other unit."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_IMAGES, N_UNITS))
    x[:, ::2] = x[:, ::2].round(1)
    return x


def peak(way: Callable[[], object]) -> float:
    """Return the largest amount of memory in MB that numpy holds meanwhile."""
    tracemalloc.start()
    way()
    _, largest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return largest / 1e6


def compare() -> list[dict]:
    """Return a row for each way."""
    x = values()
    ways = {"localspec": lambda: correlation_matrix(x), "scipy": lambda: stats.spearmanr(x)}
    seconds = measure(ways, n_rounds=N_ROUNDS)
    expected = stats.spearmanr(x).statistic ** 2
    np.fill_diagonal(expected, 0.0)
    difference = float(np.abs(correlation_matrix(x) - expected).max())
    return [
        {
            "way": way,
            "seconds": time,
            "times_ours": time / seconds["localspec"],
            "peak_MB": peak(ways[way]),
            "largest_difference": difference,
        }
        for way, time in seconds.items()
    ]


def main() -> None:
    write("correlations", compare())


if __name__ == "__main__":
    main()
