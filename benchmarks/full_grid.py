"""What the paper's full grid costs, from parts of it that are measured at the paper's sizes.

Usage: python benchmarks/full_grid.py [MLP] [CNN] [VGG] [ResNet-18] [VGG-16] [VGG-19]
    measures these networks (by default all), puts their rows into grid.csv (network x step), and
    writes grid_times.csv from all rows, for the parts of the grid whose networks are all there

Of each step of each network a part is run: some images, lesions, visualizations or updates, for
`measured` of `wanted` units of work; the rest is taken to cost as much for each unit. So what is
done once for many lesions counts too often, and the numbers are rather too high. Subclusters are
counted as if every cluster had one in every tested layer, which is the most there can be. Networks
are untrained and images random. One process for each network, on one thread; processor time.
"""

import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from growth import in_own_process, peak_mb, random_dataset
from ratios import TABLES, write
from torch import nn

from localspec.clustering import activation_graph, cluster, weight_graph
from localspec.data._torchvision import import_torchvision
from localspec.lesions import lesion_predictions
from localspec.networks import NetworkSettings, build_network, train
from localspec.pipeline import PARTITIONINGS, load_profile
from localspec.units import trace_units
from localspec.visualization import N_STEPS, visualize

N_SETS = 20  # the true subcluster and 19 draws
VGG_CHANNELS = "64 64 pool 128 128 pool 256 256 256 pool 512 512 512 pool 512 512 512 pool"
VGG_DROPOUTS = (0.3, 0.0, 0.4, 0.0, 0.4, 0.4, 0.0, 0.4, 0.4, 0.0, 0.4, 0.4, 0.5)
CORES = {"a laptop of 2 cores": 2, "a laptop of 8 cores": 8, "100 cores": 100}


@dataclass(frozen=True)
class Case:
    """A network of the paper's main tables, its protocol, and how much of it is run here."""

    data: str
    shape: tuple[int, ...]
    n_clusters: int
    replicates: dict[str, int]  # networks that each step is done for: seeds x variants
    n_images: dict[str, int]  # of each step in the protocol
    measured_images: dict[str, int]  # of each step, run here
    n_epochs: int = 0
    n_lesions: int = 0  # of a tested layer, run here
    n_targets: int = 0  # of a tested layer, run here
    n_steps: int = N_STEPS  # run here
    scopes: tuple[str, ...] = ("global", "local")  # run here; both count alike
    every: int = 1  # tested layer is lesioned and visualized here: every one, or one in so many


FIVE = {"training": 5, "clusters": 5, "lesions": 5, "visualization": 5}
MLP = Case(
    data="MNIST",
    shape=(1, 28, 28),
    n_clusters=16,
    replicates=FIVE,
    n_images={"training": 60_000, "clusters": 4992, "lesions": 10_000},
    measured_images={"training": 15_000, "clusters": 4992, "lesions": 2000},
    n_epochs=20,
    n_lesions=40,
    n_targets=40,
)
VGG_16 = Case(
    data="ImageNet",
    shape=(3, 224, 224),
    n_clusters=32,
    replicates={"clusters": 1, "lesions": 1, "visualization": 1},
    n_images={"clusters": 2000, "lesions": 8000},
    measured_images={"clusters": 4, "lesions": 2},
    scopes=("global",),
    n_lesions=4,
    n_targets=1,
    n_steps=1,
    every=4,
)
CASES = {
    "MLP": MLP,
    "CNN": replace(
        MLP,
        measured_images={"training": 960, "clusters": 624, "lesions": 100},
        n_epochs=10,
        n_lesions=20,
        n_targets=16,
        n_steps=16,
    ),
    "VGG": Case(  # dropout and L2; visualization also of the control
        data="CIFAR-10",
        shape=(3, 32, 32),
        n_clusters=16,
        replicates={"training": 10, "clusters": 10, "lesions": 5, "visualization": 10},
        n_images={"training": 50_000, "clusters": 4992, "lesions": 10_000},
        measured_images={"training": 256, "clusters": 128, "lesions": 32},
        n_epochs=200,
        n_lesions=4,
        n_targets=2,
        n_steps=4,
    ),
    "ResNet-18": replace(
        VGG_16,
        replicates={"clusters": 1, "lesions": 1},
        measured_images={"clusters": 4, "lesions": 4},
        n_lesions=2,
        every=1,
    ),
    "VGG-16": VGG_16,
    "VGG-19": replace(VGG_16, replicates={"clusters": 1, "visualization": 1}),
}
PARTS = {  # of the grid, by data
    "MNIST": ("MNIST",),
    "MNIST and CIFAR-10": ("MNIST", "CIFAR-10"),
    "the full grid": ("MNIST", "CIFAR-10", "ImageNet"),
}


def settings_of(name: str) -> NetworkSettings:
    """Return how a network is trained: as the profiles say, the VGG at its full width.

    In single precision throughout: without instructions for bfloat16 a processor is slower in it.
    """
    if name == "VGG":
        quarter = load_profile("cifar10").networks["vgg-quarter"].model_dump(exclude_unset=True)
        channels = tuple(int(c) if c.isdigit() else c for c in VGG_CHANNELS.split())
        full = {"channels": channels, "hidden": (512, 512), "l2": 5e-4}
        full |= {"conv_dropouts": VGG_DROPOUTS, "dropouts": (0.5, 0.0)}
        full |= {"n_epochs": 1, "precision": "full"}
        return NetworkSettings(**(quarter | full))
    own = load_profile("mnist").networks[name.lower()]
    return own.model_copy(update={"n_epochs": 1, "precision": "full"})


def network_of(name: str) -> nn.Module:
    """Return an untrained network."""
    case = CASES[name]
    if case.data == "ImageNet":
        models = import_torchvision().models
        network = getattr(models, name.lower().replace("-", ""))(weights=None)
    else:
        network = build_network(settings_of(name), case.shape, 10, seed=0)
    return network.eval().requires_grad_(False)


def timed(work) -> tuple[float, object]:
    """Return processor seconds, and what was computed."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def random_sets(network: nn.Module, case: Case, n_sets: int) -> list[dict[str, np.ndarray]]:
    """Return random units of tested layers, as many sets of each as wanted."""
    rng = np.random.default_rng(0)
    return [
        {layer.name: rng.choice(layer.n_units, layer.n_units // case.n_clusters, replace=False)}
        for layer in trace_units(network).tested[case.every // 2 :: case.every]
        for _ in range(n_sets)
    ]


def measured_steps(name: str) -> dict:
    """Return each step's processor seconds with units of work, measured and wanted."""
    case, network, before = CASES[name], network_of(name), peak_mb()
    n_tested = len(trace_units(network).tested)
    n_sets = len(PARTITIONINGS) * n_tested * case.n_clusters * N_SETS
    images, few = case.n_images, case.measured_images
    steps = {}
    if "training" in case.replicates:
        data = random_dataset(few["training"], few["training"] // 6, case.shape)
        seconds, _ = timed(lambda: train(settings_of(name), data, seed=0, device="cpu"))
        steps["training"] = (seconds, few["training"], images["training"] * case.n_epochs)

    def clustered(graph) -> list:
        return [cluster(graph, case.n_clusters, scope=scope) for scope in case.scopes]

    n_parts = 2 // len(case.scopes)
    seconds, _ = timed(lambda: clustered(weight_graph(network)))
    steps["weights graph, clusters"] = (seconds, 1, n_parts)
    x = random_dataset(few["clusters"], 0, case.shape).x_train
    seconds, graph = timed(lambda: activation_graph(network, x))
    steps["activations graph"] = (seconds, few["clusters"], images["clusters"])
    seconds, _ = timed(lambda: clustered(graph))
    steps["activations clusters"] = (seconds, 1, n_parts)
    if "lesions" in case.replicates:
        x = random_dataset(few["lesions"], 0, case.shape).x_train
        lesions = random_sets(network, case, case.n_lesions)
        seconds, _ = timed(lambda: lesion_predictions(network, x, lesions))
        steps["lesions"] = (seconds, len(lesions) * len(x), n_sets * images["lesions"])
    if "visualization" in case.replicates:
        targets = random_sets(network, case, case.n_targets)
        seconds, _ = timed(lambda: visualize(network, targets, case.shape, n_steps=case.n_steps))
        done = len(targets) * (case.n_steps + 1)
        steps["visualization"] = (seconds, done, n_sets * (N_STEPS + 1))
    return {"steps": steps, "megabytes": peak_mb() - before, "tested_layers": n_tested}


def rows_of(name: str, measured: dict) -> list[dict]:
    """Return the rows of one network."""
    case, rows = CASES[name], []
    for step, (seconds, done, wanted) in measured["steps"].items():
        n = case.replicates[step] if step in case.replicates else case.replicates["clusters"]
        hours = seconds * wanted / done / 3600
        rows.append(
            {
                "network": name,
                "data": case.data,
                "step": step,
                "tested_layers": measured["tested_layers"],
                "clusters": case.n_clusters,
                "measured_seconds": seconds,
                "measured_units": done,
                "wanted_units": wanted,
                "hours_of_each": hours,
                "networks": n,
                "core_hours": n * hours,
                "megabytes_of_all_steps": measured["megabytes"],
            }
        )
    return rows


def time_rows(grid: pd.DataFrame) -> list[dict]:
    """Return how long each part takes on so many cores: no less than its longest job."""
    rows = []
    for part, data in PARTS.items():
        wanted = {name for name, case in CASES.items() if case.data in data}
        if not wanted <= set(grid["network"]):
            continue  # some of its networks were not measured yet
        own = grid[grid["network"].isin(wanted)]
        longest = own.loc[own["hours_of_each"].idxmax()]
        for where, n_cores in CORES.items():
            shared = own["core_hours"].sum() / n_cores
            rows.append(
                {
                    "part": part,
                    "where": where,
                    "cores": n_cores,
                    "core_hours": own["core_hours"].sum(),
                    "hours_shared": shared,
                    "longest_job_hours": longest["hours_of_each"],
                    "longest_job": f"{longest['step']} of {longest['network']}",
                    "days": max(shared, longest["hours_of_each"]) / 24,
                }
            )
    return rows


def main() -> None:
    rows = []
    for name in sys.argv[1:] or CASES:
        rows += rows_of(name, in_own_process(measured_steps, name))
        print(pd.DataFrame(rows).tail(6).to_string(), flush=True)
    write("grid", rows)
    (TABLES / "grid_times.csv").unlink(missing_ok=True)
    write("grid_times", time_rows(pd.read_csv(TABLES / "grid.csv")))


if __name__ == "__main__":
    main()
