"""Timing for benchmarks: ways take turns, and the table says on what machine and when."""

import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pandas as pd
import torch

from localspec._utils.hardware import machine

TABLES = Path(__file__).parent / "tables"


def measure(
    ways: Mapping[str, Callable[[], object]],
    *,
    n_rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the smallest time in seconds of each way over `n_rounds`, all ways in each round."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(n_rounds):
        for name, way in ways.items():
            start = clock()
            way()
            seconds[name] = min(seconds[name], clock() - start)
    return seconds


def write(name: str, rows: list[dict], *, by: tuple[str, ...] = ("network",)) -> None:
    """Write rows to ``benchmarks/tables/<name>.csv``, with machine, torch and date; print them.

    Rows that are there of others than were measured now are kept: of networks, or of what the
    columns `by` name.
    """
    table = pd.DataFrame(rows).map(lambda x: f"{x:.4g}" if isinstance(x, float) else x)
    table["machine"], table["torch"] = machine(), torch.__version__
    table["date"] = date.today().isoformat()
    print(table.drop(columns=["machine", "torch", "date"]).to_string(index=False), flush=True)
    path = TABLES / f"{name}.csv"
    if path.exists() and set(by) <= set(table):
        old = pd.read_csv(path, dtype=str, keep_default_na=False)
        kinds = {"old": _kinds(old, by), "new": _kinds(table, by)}
        places = list(dict.fromkeys([*kinds["old"], *kinds["new"]]))
        table = pd.concat([old[~kinds["old"].isin(kinds["new"])], table])
        table["place"] = _kinds(table, by).map(places.index)
        table = table.sort_values("place", kind="stable").drop(columns="place")
    TABLES.mkdir(exist_ok=True)
    table.to_csv(path, index=False)


def _kinds(table: pd.DataFrame, by: tuple[str, ...]) -> pd.Series:
    return table[list(by)].agg("; ".join, axis=1)
