"""Which networks work: preflight, activations graph, lesions and one step of an image for each.

Usage: python benchmarks/what_works/run.py [WORD ...]
    puts the networks whose source or name holds a word, by default all, into book/networks.csv

Weights are random and images noise: the table says what runs, not what is found. A network works,
or is refused in one sentence; anything else is a fault of the library and ends the script with
exit status 1. Networks of timm and transformers are left out where these are not installed.
"""

import re
import sys
import time
import traceback
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from catalogue import timm_networks, torchvision_networks, transformers_networks
from handmade import HANDMADE

import localspec as ls
from localspec.clustering._activation_graph import correlation_matrix
from localspec.units import Units, unit_values

TABLE = Path(__file__).parents[2] / "book" / "networks.csv"
N_IMAGES = 4
MOST_LAYERS = 4  # of hooked networks: the first and last ones
MOST_UNITS = 2000  # that are correlated


def correlations(units: Units, x: torch.Tensor) -> int:
    """Build the activations graph, of evenly chosen units where there are many."""
    values = np.concatenate([*unit_values(units, x).values()], axis=1)
    assert np.isfinite(values).all()
    n_units = values.shape[1]
    if n_units <= MOST_UNITS:
        assert ls.activation_graph(units, x).n_units == n_units
    else:
        chosen = np.linspace(0, n_units - 1, MOST_UNITS).astype(int)
        assert np.isfinite(correlation_matrix(values[:, chosen])).all()
    return n_units


def lesions(units: Units, x: torch.Tensor) -> None:
    """Lesion a unit of the first layer, and all of the last."""
    first, last = units.tested[0], units.tested[-1]
    y = torch.arange(len(x)) % 2
    chosen = [{}, {first.name: [0]}, {last.name: np.arange(last.n_units)}]
    assert np.isfinite(ls.lesion_accuracies(units, x, y, chosen)).all()


def image(units: Units, shape: tuple[int, ...]) -> None:
    """Take one step of visualization of two layers."""
    targets = [{layer.name: [0]} for layer in (units.tested[0], units.tested[-1])]
    made = ls.visualize(units, targets, shape, n_steps=1)
    assert np.isfinite(made.scores).all()
    assert np.isfinite(made.entropies).all()


def few_layers(network: torch.nn.Module, x: torch.Tensor, names: list[str]) -> Units:
    """Hook the first and the last of some layers."""
    half = MOST_LAYERS // 2
    few = names if len(names) <= MOST_LAYERS else [*names[:half], *names[-half:]]
    return ls.hook_units(network, x, few)


def tried(network: torch.nn.Module, shape: tuple[int, ...]) -> dict:
    """Return a row of the table for one network."""
    x = torch.rand(N_IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    checked = ls.preflight(network, x)
    uses = ("weights graph", "activations graph", "lesions", "visualization")
    row = {"way": checked.way, "layers": 0, "units": 0} | dict.fromkeys(uses, "no")
    sentences = [checked.why, *checked.notes]
    if checked.way == "-":
        return {**row, "remark": one_line(checked.why)}
    usable = [layer for layer in checked.layers if layer.uses]
    if checked.way == "traced":
        units = ls.trace_units(network)
        assert {layer.name for layer in units.tested} == {layer.name for layer in usable}
    else:
        units = few_layers(network, x, [layer.name for layer in usable])
    refused, row["layers"] = "", len(usable)
    row["units"] = sum(layer.n_units for layer in usable)
    for use, work in (
        ("weights graph", lambda: ls.weight_graph(units)),
        ("activations graph", lambda: correlations(units, x)),
        ("lesions", lambda: lesions(units, x)),
        ("visualization", lambda: image(units, shape)),
    ):
        try:
            work()
            row[use] = "yes"
        except ls.InvalidInputError as error:
            refused = str(error)
        if (row[use] == "yes") != (use in checked.uses):
            raise RuntimeError(f"{use}: {row[use]}, but not so by the preflight. {refused}")
    return {**row, "remark": one_line(" ".join(filter(None, sentences)))}


def one_line(text: str) -> str:
    """Return a remark without what all rows of its kind would say."""
    text = " ".join(text.split())
    for advice in (
        r"^The trace was refused: ",
        r"[:;] (allowed are|the forward pass must take images alone).*?: hook_units",
        r"No weights graph: what leads from one named module to the next is not known$",
        r"\. See the torch.fx docs [^)]*",
    ):
        text = re.sub(advice, "." if advice[0] == "[" else "", text)
    return text.strip(" .")


def networks() -> dict[tuple[str, str], tuple]:
    """Return all networks by source and name."""
    sources = {"hand-made": lambda: HANDMADE, "torchvision": torchvision_networks}
    sources |= {"timm": timm_networks} if find_spec("timm") else {}
    sources |= {"transformers": transformers_networks} if find_spec("transformers") else {}
    return {
        (source, name): entry for source, make in sources.items() for name, entry in make().items()
    }


def write(rows: list[dict]) -> None:
    """Write rows into the table; rows of other networks are kept, in the order of networks()."""
    table = pd.DataFrame(rows)
    if TABLE.exists():
        old = pd.read_csv(TABLE, keep_default_na=False)
        new = {*zip(table["source"], table["network"], strict=True)}
        pairs = zip(old["source"], old["network"], strict=True)
        table = pd.concat([old[[pair not in new for pair in pairs]], table])
    order = {"hand-made": 0, "torchvision": 1, "timm": 2, "transformers": 3}
    by = table.assign(place=table["source"].map(order)).sort_values(
        ["place", "network"], kind="stable", key=lambda c: c if c.name == "place" else c.str.lower()
    )
    by.drop(columns="place").to_csv(TABLE, index=False, lineterminator="\n")


def main(words: list[str]) -> int:
    faults, rows = [], []
    warnings.filterwarnings("ignore", module="torch|timm|transformers")
    for (source, name), (make, shape) in networks().items():
        if words and not any(word in f"{source} {name}" for word in words):
            continue
        start = time.perf_counter()
        try:
            torch.manual_seed(0)
            network = make().eval()
            row = tried(network, shape)
        except Exception:
            faults.append(name)
            traceback.print_exc()
            print(f"{source} {name}: FAULT", flush=True)
            continue
        row = {"source": source, "network": name, "input": "x".join(map(str, shape)), **row}
        rows.append(row)
        write(rows)
        seconds = time.perf_counter() - start
        print(f"{source} {name}: {row['way']}, {seconds:.1f} s. {row['remark'][:150]}", flush=True)
    print(f"{len(rows)} networks, {len(faults)} faults: {', '.join(faults)}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
