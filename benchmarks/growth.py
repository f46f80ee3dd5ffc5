"""How time and memory grow with images, units, draws, partitionings, seeds and networks.

Usage: python benchmarks/growth.py [NAME ...]
    measures these networks or steps (by default all) and puts their rows into growth.csv

Then writes exponents.csv (slopes of straight lines through logarithms) and the figure of both,
book/growth.svg, from all rows. `benchmarks/full_grid.py` adds the paper's grid.

Each measurement is a process of its own, on one thread. Time is processor time, which other
programs disturb less than the clock; where it is short, the smallest of several rounds counts.
Memory is the peak of the process, images and networks included, less its peak after the imports and
a tiny run of the same step, in which libraries load what they need once. Networks are untrained and
images random, since neither changes the cost. What does not vary has the value in BASE.
"""

import json
import math
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ratios import TABLES, write
from scipy import stats

from localspec._utils.hardware import limited_threads
from localspec.clustering import Partition, activation_graph, cluster, draw_counterparts
from localspec.clustering import weight_graph as graph_of_weights
from localspec.data import Dataset
from localspec.lesions import lesion_draws
from localspec.networks import NetworkSettings, build_network, train
from localspec.pipeline import BLUE, GREEN, ORANGE, PINK, SKY, Replicate, load_profile, use_style
from localspec.units import trace_units
from localspec.visualization import visualize

FIGURE = Path(__file__).parents[1] / "book" / "growth.svg"
SHAPE, N_CLASSES = (1, 28, 28), 10
SHORT, N_ROUNDS = 1.0, 3  # seconds below which a measurement is repeated, and how often in all
FLOOR_MB = 1.0  # memory below it counts as that much: the allocator's own steps
SCOPES = ("global", "local")
# what does not vary; "sets" are a true subcluster and its draws
BASE = {
    "MLP": {"units": 256, "clusters": 16, "sets": 5, "steps": 16},
    "CNN": {"units": 32, "clusters": 8, "sets": 5, "steps": 16},
    "digits profile": {"networks": 1, "seeds": 1, "partitionings": 1, "steps": 16, "draws": 19},
}
TINY = {  # of the same step, run first
    "MLP": {"units": 32, "clusters": 4, "sets": 2, "steps": 1, "images": 64},
    "CNN": {"units": 8, "clusters": 4, "sets": 2, "steps": 1, "images": 64},
    "digits profile": {"networks": 1, "seeds": 1, "partitionings": 1, "steps": 1, "draws": 1},
}
IMAGES = {
    ("MLP", "training epoch"): 4096,
    ("MLP", "activations graph"): 2496,
    ("MLP", "lesions"): 500,
    ("CNN", "training epoch"): 256,
    ("CNN", "activations graph"): 512,
    ("CNN", "lesions"): 32,
}
SETS = (5, 10, 20, 40)
MLP_UNITS, CNN_UNITS = (64, 128, 256, 512), (16, 32, 64, 128)
SERIES = (
    ("MLP", "training epoch", "images", (2048, 4096, 8192, 16384)),
    ("MLP", "training epoch", "units", MLP_UNITS),
    ("MLP", "weights graph", "units", MLP_UNITS),
    ("MLP", "activations graph", "images", (624, 1248, 2496, 4992)),
    ("MLP", "activations graph", "units", MLP_UNITS),
    ("MLP", "lesions", "images", (500, 1000, 2000, 4000)),
    ("MLP", "lesions", "units", MLP_UNITS),
    ("MLP", "lesions", "sets", SETS),
    ("MLP", "visualization", "units", MLP_UNITS),
    ("MLP", "visualization", "sets", SETS),
    ("CNN", "training epoch", "images", (128, 256, 512, 1024)),
    ("CNN", "training epoch", "units", CNN_UNITS),
    ("CNN", "weights graph", "units", CNN_UNITS),
    ("CNN", "activations graph", "images", (512, 1024, 2048, 4096)),
    ("CNN", "activations graph", "units", CNN_UNITS),
    ("CNN", "lesions", "images", (32, 64, 128, 256)),
    ("CNN", "lesions", "units", CNN_UNITS),
    ("CNN", "lesions", "sets", SETS),
    ("CNN", "visualization", "units", CNN_UNITS),
    ("CNN", "visualization", "sets", SETS),
    ("digits profile", "everything", "partitionings", (1, 2, 4)),
    ("digits profile", "everything", "seeds", (1, 2, 4, 8)),
    ("digits profile", "everything", "networks", (1, 2, 4, 8)),
)
COLOURS = {
    "training epoch": BLUE,
    "weights graph": GREEN,
    "activations graph": SKY,
    "lesions": ORANGE,
    "visualization": PINK,
    "everything": "black",
}
MARKERS = {"MLP": "o", "CNN": "s", "digits profile": "^"}
AXES = {
    "images": "images",
    "units": "units in each layer",
    "sets": "draws and the true subcluster",
    "partitionings": "partitionings",
    "seeds": "seeds",
    "networks": "networks",
}


def settings_of(name: str, units: int) -> NetworkSettings:
    """Return the settings of the paper's MLP or CNN, with so many units in each layer."""
    shared = {"dataset": "random", "n_epochs": 1}
    if name == "MLP":
        return NetworkSettings(hidden=(units,) * 4, batch_size=128, **shared)
    channels = (units, units, "pool", units, "pool")
    dense = (2 * units,)
    return NetworkSettings(
        architecture="cnn", channels=channels, hidden=dense, batch_size=64, **shared
    )


def random_dataset(n_images: int, n_test: int, shape: tuple[int, ...]) -> Dataset:
    """Return random images, of ten classes in turn."""
    x = torch.rand(n_images + n_test, *shape, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n_images + n_test) % N_CLASSES
    names = tuple(map(str, range(N_CLASSES)))
    return Dataset("random", x[:n_images], y[:n_images], x[n_images:], y[n_images:], names)


def random_draws(network: torch.nn.Module, n_clusters: int, n_sets: int):
    """Return true subclusters, every n-th unit of each tested layer, and their counterparts."""
    labels = {
        layer.name: np.arange(layer.n_units) % n_clusters for layer in trace_units(network).tested
    }
    return draw_counterparts(Partition.from_labels(labels), n_sets - 1)


def everything(point: dict) -> Callable[[], object]:
    """Return what computes a profile's sections: seeds x networks x partitionings."""
    profile = load_profile("digits")
    mlp = profile.networks["mlp"].model_copy(update={"n_epochs": 3})
    names = ("weights/global", "weights/local", "activations/global", "activations/local")
    settings = {"n_steps": point["steps"], "n_draws": point["draws"]}
    method = profile.method.model_copy(update=settings)
    networks = {f"mlp{index}": mlp for index in range(point["networks"])}
    profile = profile.model_copy(update={"networks": networks, "method": method})

    def work() -> list:
        replicates = []
        with tempfile.TemporaryDirectory() as folder:
            os.environ["LOCALSPEC_RESULTS"] = folder
            for network in networks:
                for seed in range(point["seeds"]):
                    replicate = Replicate(profile, network, seed, compute="always", progress=False)
                    replicates.append(replicate)  # a page keeps all of them
                    for partitioning in names[: point["partitionings"]]:
                        replicate.lesioned(partitioning)
                        replicate.visualizations(partitioning)
        return replicates

    return work


def work_of(point: dict) -> Callable[[], object]:
    """Return what is measured, and make the images and the network that it needs."""
    step = point["step"]
    if step == "everything":
        return everything(point)
    settings = settings_of(point["network"], point["units"])
    if step == "training epoch":
        data = random_dataset(point["images"], point["images"] // 6, SHAPE)
        return lambda: train(settings, data, seed=0, device="cpu")
    network = build_network(settings, SHAPE, N_CLASSES, seed=0).eval().requires_grad_(False)
    n_clusters = point["clusters"]
    if step in ("weights graph", "activations graph"):
        x = None if step == "weights graph" else random_dataset(point["images"], 0, SHAPE).x_train

        def partitions() -> list[Partition]:
            graph = graph_of_weights(network) if x is None else activation_graph(network, x)
            return [cluster(graph, n_clusters, scope=scope) for scope in SCOPES]

        return partitions
    draws = random_draws(network, n_clusters, point["sets"])
    if step == "lesions":
        data = random_dataset(point["images"], 0, SHAPE)
        return lambda: lesion_draws(network, data.x_train, data.y_train, draws)
    return lambda: visualize(network, draws.lesions(), SHAPE, n_steps=point["steps"])


def peak_mb() -> float:
    """Return the largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def cost_of(point: dict) -> dict[str, float]:
    """Return processor seconds and megabytes of a point; the memory is that of the first round."""
    work_of(point | TINY[point["network"]])()
    before = peak_mb()
    work, seconds, megabytes = work_of(point), math.inf, 0.0
    for index in range(N_ROUNDS):
        start = time.process_time()
        work()
        seconds = min(seconds, time.process_time() - start)
        megabytes = megabytes or max(peak_mb() - before, FLOOR_MB)
        if seconds > SHORT and not index:
            break
    return {"seconds": seconds, "megabytes": megabytes}


def _send(connection, function, argument) -> None:
    with limited_threads(1):
        connection.send(function(argument))


def in_own_process(function: Callable, argument: object) -> object:
    """Return what a function returns, in a process of its own, on one thread."""
    context = multiprocessing.get_context("fork")  # with all imports, which take seconds
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, function, argument))
    process.start()
    sender.close()
    try:
        return receiver.recv()  # an EOFError if the process fails, below its own message
    finally:
        process.join()


def measure_series(names: list[str]) -> None:
    """Measure and write the series of some networks or steps; points that several share once."""
    measured = {}
    for network, step, quantity, sizes in SERIES:
        if names and not {network, step} & set(names):
            continue
        rows, images = [], {}
        if (network, step) in IMAGES:
            images = {"images": IMAGES[network, step]}
        for size in sizes:
            point = {"network": network, "step": step, **BASE[network], **images, quantity: size}
            name = json.dumps(point)
            if name not in measured:
                measured[name] = in_own_process(cost_of, point)
            about = {"network": network, "step": step, "quantity": quantity, "size": size}
            rows.append(about | measured[name])
        write("growth", rows, by=("network", "step", "quantity"))


def slope(sizes: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """Return the slope of a line through logarithms, by least squares, and its 95 % interval."""
    line = stats.linregress(np.log(sizes), np.log(values))
    reach = stats.t.ppf(0.975, len(sizes) - 2) * line.stderr
    return line.slope, line.slope - reach, line.slope + reach


def exponents(growth: pd.DataFrame) -> list[dict]:
    """Return how time and memory grow, a row for each series."""
    rows = []
    for (network, step, quantity), part in growth.groupby(
        ["network", "step", "quantity"], sort=False
    ):
        row = {"network": network, "step": step, "quantity": AXES[quantity]}
        row |= {"smallest": int(part["size"].min()), "largest": int(part["size"].max())}
        for name, column in {"time": "seconds", "memory": "megabytes"}.items():
            middle, low, high = slope(part["size"].to_numpy(), part[column].to_numpy())
            row |= {name: middle, f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return rows


def draw(growth: pd.DataFrame) -> None:
    """Draw time above memory, a column for each quantity; both axes are logarithmic."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, NullFormatter

    use_style()
    units = {"seconds": "core seconds", "megabytes": "peak memory, MB"}
    quantities = list(AXES)
    figure, axes = plt.subplots(4, 3, figsize=(9.5, 11), layout="constrained")
    for index, quantity in enumerate(quantities):
        for above, (column, unit) in enumerate(units.items()):
            axis = axes[2 * (index // 3) + above, index % 3]
            shown = growth[growth["quantity"] == quantity]
            for (network, step), part in shown.groupby(["network", "step"], sort=False):
                axis.loglog(
                    part["size"], part[column], marker=MARKERS[network], color=COLOURS[step]
                )
            values = growth[column]  # the same axis everywhere: slopes can be compared
            axis.set_ylim(values.min() / 1.5, values.max() * 1.5)
            sizes = sorted(shown["size"].unique())
            ticks = [100, 1000, 10_000] if quantity == "images" else sizes
            ticks = sizes[::2] if quantity == "units" else ticks
            axis.set_xticks(ticks, [f"{size:,}" for size in ticks])
            axis.set_xticks([], minor=True)
            axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.set_xlabel(AXES[quantity])
            axis.set_ylabel(unit if index % 3 == 0 else "")
            what = "Time" if column == "seconds" else "Memory"
            axis.set_title(f"{what}: {'draws' if quantity == 'sets' else quantity}")
    lines = [Line2D([], [], color=colour, label=step) for step, colour in COLOURS.items()]
    lines += [
        Line2D([], [], color="grey", linestyle="", marker=marker, label=network)
        for network, marker in MARKERS.items()
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=5)
    with plt.rc_context({"svg.hashsalt": "growth"}):
        figure.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    measure_series(sys.argv[1:])
    growth = pd.read_csv(TABLES / "growth.csv")
    order = {series[:3]: index for index, series in enumerate(SERIES)}
    keys = growth[["network", "step", "quantity"]].apply(tuple, axis=1)
    growth = growth.iloc[keys.map(order).argsort(kind="stable")]
    growth.to_csv(TABLES / "growth.csv", index=False)
    (TABLES / "exponents.csv").unlink(missing_ok=True)
    write("exponents", exponents(growth))
    draw(growth)


if __name__ == "__main__":
    main()
