"""Estimates: what a screening will take, from one small pass of each step."""

from __future__ import annotations

import math
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, Subset
from torch.utils.data import Dataset as TorchDataset

from localspec.clustering import Draws, Partition, activation_graph_traced, draw_counterparts
from localspec.data import Dataset, check_class_labels, check_images
from localspec.measures import LESIONED, VISUALIZED
from localspec.screening._bar import Bar
from localspec.screening._data import drawing_by, is_dataset, loader_indices
from localspec.screening._evidence import group_excitations
from localspec.screening._prepare import prepare
from localspec.screening._run import BLOCK_BYTES, Run
from localspec.screening._settings import Settings
from localspec.units import Network
from localspec.visualization import N_STEPS, visualize_traced

LEAST_TRIED = 32  # images
TRIED_VALUES = 2**20  # small images are tried by so many pixels, so that overhead counts little
N_LAYERS = 4  # tried, spread over the network; those between are interpolated
LEAST_SECONDS = 0.3  # of a small pass: what takes less is repeated with more sets of units
MOST_SETS = 256
GROWTH = 4  # of their number
FEW_STEPS = 4  # updates of a visualization that is timed


@dataclass(frozen=True)
class Estimate:
    """What a screening will take on this machine as it is now.

    Attributes
    ----------
    minutes : float
        With the first `n_draws` alone where draws go on until a decision.
    most_minutes : float
        If every group took all `max_draws`; else the same.
    memory : int
        Bytes that the process will hold at most.
    disk : int
        Bytes of images that do not fit into `max_memory`.
    n_groups : int
        Groups of units, as clustered on few images.
    seconds : dict of str to float
        By step.
    """

    minutes: float
    most_minutes: float
    memory: int
    disk: int
    n_groups: int
    seconds: dict[str, float]

    def __str__(self) -> str:
        most = ""
        if self.most_minutes > self.minutes:
            most = f" (up to {_plain(self.most_minutes, 3)} if no group is decided early)"
        steps = ", ".join(f"{name} {_plain(value, 3)}" for name, value in self.seconds.items())
        disk = f", {self.disk / 2**30:.2g} GiB of disk" if self.disk else ""
        return (
            f"about {_plain(self.minutes, 2)} minutes{most} and {self.memory / 2**30:.2g} GiB of "
            f"memory{disk} for about {self.n_groups} groups; seconds by step: {steps}"
        )


def _plain(value: float, n_digits: int) -> str:
    """Return so many significant digits, without an exponent where the number is large."""
    return f"{float(f'{value:.{n_digits}g}'):.12g}"


def _few(data: object, name: str = "data") -> tuple[object, int]:
    """Return some images of the data, spread over them, and how many there are in all."""
    if isinstance(data, Dataset):
        data = data.x_test, data.y_test
    if isinstance(data, torch.Tensor):
        check_images(data, name=name)
        return data[torch.from_numpy(_spread(len(data), data[:1])).to(data.device)], len(data)
    pair = isinstance(data, tuple | list) and len(data) == 2
    if pair and all(isinstance(part, torch.Tensor) and part.ndim for part in data):
        x, y = data
        check_images(x)
        check_class_labels(y, len(x))
        labels = y.detach().cpu().numpy()
        ends = [labels.argmin(), labels.argmax()]  # what is refused of all labels is of these
        rows = torch.from_numpy(np.union1d(_spread(len(x), x[:1]), ends))
        return (x[rows.to(x.device)], y[rows.to(y.device)]), len(x)
    if isinstance(getattr(data, "dataset", data), IterableDataset):
        return data, 0
    if isinstance(data, DataLoader) and hasattr(data.dataset, "__len__"):
        indices = loader_indices(data, name)
        part = Subset(
            data.dataset, [indices[row] for row in _spread(len(indices), _first(data.dataset))]
        )
        return DataLoader(part, LEAST_TRIED, collate_fn=data.collate_fn), len(indices)
    if is_dataset(data) and hasattr(data, "__len__"):
        return Subset(data, _spread(len(data), _first(data)).tolist()), len(data)
    return data, 0


def _few_source(x_train: object, data: object, n_images: int) -> tuple[object, int]:
    """Return some of the images for correlations if they are given, and how many there are."""
    if x_train is None:
        return None, len(data.x_train) if isinstance(data, Dataset) else n_images
    if isinstance(x_train, Dataset):
        x_train = x_train.x_train
    if isinstance(x_train, tuple | list) and len(x_train) == 2:
        x_train = x_train[0]
    return _few(x_train, "x_train")


def _first(dataset: TorchDataset) -> object:
    """Return the first image; what is no image is refused elsewhere."""
    try:
        return dataset[0][0]
    except Exception:  # of the user's own code
        return None


def _spread(n: int, image: object) -> np.ndarray:
    """Return the indices of images spread over so many, of which one is given."""
    n_values = image.numel() if isinstance(image, torch.Tensor) else TRIED_VALUES
    n_tried = max(LEAST_TRIED, TRIED_VALUES // max(n_values, 1))
    return np.unique(np.linspace(0, n - 1, min(n, n_tried)).round().astype(np.int64))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _per_set(work: Callable[[list], Any], sets: list) -> float:
    """Return the seconds that one more set of units takes, of as many as it takes to tell."""
    work(sets[:1])  # what is made once
    n, before = 1, 0.0
    while True:
        repeated = [sets[index % len(sets)] for index in range(n)]
        taken = _seconds(lambda repeated=repeated: work(repeated))
        if taken < 3 * LEAST_SECONDS:  # another process may have been in the way
            taken = min(taken, _seconds(lambda repeated=repeated: work(repeated)))
        if n > 1 and (taken >= LEAST_SECONDS or n >= MOST_SETS):
            more = (taken - before) / (n - n // GROWTH)
            return more if more > 0 else taken / n
        n, before = n * GROWTH, taken


def _by_layer(work: Callable[[list], Any], draws: Mapping[str, Draws]) -> dict[str, float]:
    """Return the seconds of a set of units of each layer, tried in some and interpolated."""
    sets: dict[str, list] = {}
    for drawn in draws.values():
        for part in drawn.subclusters:
            sets.setdefault(part.layer, []).append(part.as_lesion())
    names = list(sets)
    if not names:
        return {}
    places = np.unique(np.linspace(0, len(names) - 1, N_LAYERS).round().astype(int))
    taken = [_per_set(work, sets[names[place]]) for place in places]
    values = np.interp(np.arange(len(names)), places, taken)
    return dict(zip(names, values.tolist(), strict=True))


def _clusters(
    run: Run, settings: Settings, n_correlated: int, seconds: dict[str, float]
) -> dict[str, Partition]:
    """Cluster on few images; note the seconds of graphs and clusters with all of them."""
    seconds |= {name: value for name, value in run.times.items() if name.startswith("graph")}
    x = run.source
    if x is not None:
        half = max(3, len(x) // 2)
        taken = [
            _seconds(lambda part=part: activation_graph_traced(run.unit_map, part, run.conventions))
            for part in (x[:half], x[:half], x)
        ]
        slope = max(0.0, (taken[2] - taken[1]) / max(1, len(x) - half))
        seconds["graph of activations"] = taken[2] + slope * max(0, n_correlated - len(x))
        run.graph("activations")
    before = run.times.get("clusters", 0.0)
    partitions = {name: run.partition(name, settings.n_clusters) for name in settings.partitionings}
    seconds["clusters"] = run.times.get("clusters", 0.0) - before
    return partitions


def _memory(run: Run, settings: Settings, n_images: int, n_source: int, in_memory: bool):
    """Return the bytes that the process will hold at most, and those of images on disk."""
    image = run.x[0].numel() * run.x.element_size()
    needed = ([] if in_memory else [n_images]) + ([n_source] if n_source < n_images else [])
    kept = [n * image for n in needed]
    n_units = sum(layer.n_units for layer in run.unit_map.tested)
    graphs = 8 * (4 * n_units**2 + 3 * n_source * n_units)
    visualized = BLOCK_BYTES if set(settings.measures) & set(VISUALIZED) else 0
    in_ram = sum(size for size in kept if size <= settings.max_memory)
    scale = 1 if sys.platform == "darwin" else 1024  # of what the system counts in
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    block = min(visualized, 4 * math.prod(run.x.shape[1:]) * (settings.n_draws + 1) * 64)
    return now + in_ram + max(graphs, block), sum(kept) - in_ram


def estimate(network: Network, data: object, **settings: Any) -> Estimate:
    """Estimate what :func:`~localspec.screening.screen` will take, without doing it.

    Parameters
    ----------
    network, data
        Those of :func:`screen`.
    **settings
        Those of :func:`screen`.

    Returns
    -------
    Estimate
        Printed, it says minutes and memory.

    Raises
    ------
    InvalidInputError
        As :func:`screen`.

    Notes
    -----
    Reads 32 images or more, spread over the data, clusters the network on them, and times a few
    lesions and visualizations in four of its layers. What other processes do meanwhile counts, too.
    What is in `folder` already is not taken into account.
    """
    checked = Settings(**settings).checked()
    bar = Bar(checked.progress)
    with closing(bar), drawing_by(checked.seed):
        return _estimated(network, data, checked, bar)


def _estimated(network: Network, data: object, checked: Settings, bar: Bar) -> Estimate:
    few, n_images = _few(data)
    seconds: dict[str, float] = {}
    few_source, n_given = _few_source(checked.x_train, data, n_images)
    alone = replace(checked, x_train=few_source, folder=None)
    start = time.perf_counter()
    prepared = prepare(network, few, alone, bar, n_images=n_images)
    run = prepared.run
    checked = prepared.settings
    reading = time.perf_counter() - start - sum(run.times.values())
    in_memory = isinstance(data, tuple | list | Dataset)
    if not in_memory:
        seconds["images"] = reading * n_images / len(run.x)
    n_source = 0 if run.source is None else min(checked.n_images, n_given)
    partitions = checked.partitions or _clusters(run, checked, n_source, seconds)
    draws = {
        name: draw_counterparts(partition, checked.n_draws, conventions=checked.conventions)
        for name, partition in partitions.items()
    }
    layers = [part.layer for drawn in draws.values() for part in drawn.subclusters]
    scale = n_images / len(run.x)
    most = {}
    rounds = {"first": checked.n_draws + 1, "most": (checked.max_draws or checked.n_draws) + 1}
    if set(checked.measures) & set(LESIONED):
        bar.describe("timing lesions")
        per_set = _by_layer(run.accuracies, draws)
        total = scale * sum(per_set[layer] for layer in layers)
        seconds["lesions"], most["lesions"] = (n * total for n in rounds.values())
    if set(checked.measures) & set(VISUALIZED):
        bar.describe("timing visualizations")
        shape = tuple(run.x.shape[1:])

        def visualized(sets: list) -> None:
            visualize_traced(run.unit_map, sets, shape, n_steps=FEW_STEPS - 1)

        per_set = _by_layer(visualized, draws)
        total = (N_STEPS + 1) / FEW_STEPS * sum(per_set[layer] for layer in layers)
        seconds["visualizations"], most["visualizations"] = (n * total for n in rounds.values())
    taken = [
        _seconds(lambda d=d: group_excitations(run.unit_map, run.x, d)) for d in draws.values()
    ]
    seconds["exciting images"] = scale * sum(taken)
    memory, disk = _memory(run, checked, n_images, n_source, in_memory)
    return Estimate(
        minutes=sum(seconds.values()) / 60,
        most_minutes=sum((seconds | most).values()) / 60,
        memory=memory,
        disk=disk,
        n_groups=len(layers),
        seconds=seconds,
    )
