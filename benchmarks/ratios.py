"""Timing for benchmarks: ways take turns, and the table says on what machine and when."""

import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pandas as pd
import torch

from localspec._utils.hardware import machine

TABLES = Path(__file__).parent / "tables"


def measure(ways: Mapping[str, Callable[[], object]], *, n_rounds: int) -> dict[str, float]:
    """Return the smallest time in seconds of each way over `n_rounds`, all ways in each round."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(n_rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def write(name: str, rows: list[dict]) -> None:
    """Write rows to ``benchmarks/tables/<name>.csv``, with machine, torch and date; print them.

    Rows that are there of networks (column ``network``) which were not measured now are kept.
    """
    table = pd.DataFrame(rows).map(lambda x: f"{x:.4g}" if isinstance(x, float) else x)
    table["machine"], table["torch"] = machine(), torch.__version__
    table["date"] = date.today().isoformat()
    print(table.drop(columns=["machine", "torch", "date"]).to_string(index=False))
    path = TABLES / f"{name}.csv"
    if path.exists() and "network" in table:
        old = pd.read_csv(path, dtype=str, keep_default_na=False)
        places = list(dict.fromkeys([*old["network"], *table["network"]]))
        table = pd.concat([old[~old["network"].isin(table["network"])], table])
        table["place"] = table["network"].map(places.index)
        table = table.sort_values("place", kind="stable").drop(columns="place")
    TABLES.mkdir(exist_ok=True)
    table.to_csv(path, index=False)
