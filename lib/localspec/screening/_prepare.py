"""Preparation: check a network, its data and settings before any long work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from localspec._utils.validation import check_type, require, shown
from localspec.clustering import Partition, UnitGraph, weight_graph_traced
from localspec.data import Dataset, other_image
from localspec.exceptions import InvalidInputError
from localspec.lesions import lesion_accuracies
from localspec.measures import VISUALIZED
from localspec.screening._bar import Bar
from localspec.screening._data import read_images, read_source
from localspec.screening._find_units import found_units, placed_network, traced_network, with_layers
from localspec.screening._run import Run
from localspec.screening._settings import OF_WEIGHTS, PARTITIONINGS, Settings
from localspec.units import (
    HookedUnits,
    Network,
    UnitMap,
    Units,
    check_conventions,
    check_labels,
    check_logits,
    check_n_clusters,
    count_logits,
    in_bfloat16,
)
from localspec.visualization import check_image_shape, visualize_traced

Made = dict[str, tuple[UnitGraph, float]]  # graphs by kind, with the seconds that each took


@dataclass(frozen=True, eq=False)
class Prepared:
    """What is screened, checked and read."""

    run: Run
    settings: Settings
    untraced: str  # why the network is not traced; empty if it is, or if hooked units were passed
    n_logits: int
    class_names: tuple[str, ...]  # of all logits


def _check_pixels(x: torch.Tensor, source: torch.Tensor) -> None:
    """Check shapes and values of images, and of those for correlations."""
    if x.ndim == 2:
        raise InvalidInputError(
            "x must have shape (n_images, n_channels, height, width), since screen makes images "
            f"that excite units, and is a table of shape {tuple(x.shape)}: rows of pixels become "
            "images by x.reshape(-1, n_channels, height, width), with a torch.nn.Flatten before "
            "the network; for other inputs use weight_graph, cluster, lesion_draws and importance"
        )
    if x.ndim != 4 or source.shape[1:] != x.shape[1:]:
        raise InvalidInputError(
            "x and x_train must have shape (n_images, n_channels, height, width) and agree but for "
            f"n_images, not {tuple(x.shape)} and {tuple(source.shape)}"
        )
    if x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        raise InvalidInputError(
            f"x of shape {tuple(x.shape)} has its channels last, where they should come before "
            "height and width: x.permute(0, 3, 1, 2)"
        )
    for name, images in (("images", x), ("x_train", source)):
        low, high = (float(value) for value in images.detach().aminmax())
        require(
            low >= 0 and high <= 1,
            f"{name} must lie in [0, 1], as visualizations do, not from {low:.3g} to {high:.3g}: "
            "divide by 255, or, of standardized images, pass preprocess=(mean, std) or "
            "standardized(network, mean, std) with images as they were before",
        )


def _check_two_classes(y: torch.Tensor) -> None:
    require(
        bool((y != y[0]).any()),
        f"all labels are {int(y[0])}: coherence with classes needs images of two or more",
    )


def _check_correlated(source: torch.Tensor) -> None:
    """Refuse images over which nothing can be correlated."""
    require(
        other_image(source) is not None, "no unit varies over these images: they are all the same"
    )
    require(len(source) >= 3, f"correlations need at least 3 images, not {len(source)}")


def _check_partitions(unit_map: Units, partitions: Mapping[str, Partition]) -> None:
    """Refuse partitions that are not of this network."""
    require(
        isinstance(partitions, Mapping),
        "partitions must map names to partitions, such as {'mine': partition}, not be a "
        f"{type(partitions).__name__}",
    )
    require(len(partitions) > 0, "partitions must hold at least one, or be None for the four")
    for name, partition in partitions.items():
        require(isinstance(name, str), f"partitions are named by text, not by {shown(name)}")
        _check_partition(unit_map, name, partition)


def _check_partition(unit_map: Units, name: str, partition: Partition) -> None:
    check_type(f"partition {name!r}", partition, Partition, "make one by Partition.from_labels")
    for part in partition.tested:
        layer = unit_map.layer(part.name)
        if isinstance(unit_map, UnitMap) and not unit_map.readers_of(layer):
            raise InvalidInputError(
                f"partition {name!r} names layer {part.name!r}, whose units are the logits: only "
                "hidden layers are tested"
            )
        if part.n_units != layer.n_units:
            raise InvalidInputError(
                f"partition {name!r} has {part.n_units} labels for layer {part.name!r} of "
                f"{layer.n_units} units: label every unit, -1 for those that take no part"
            )


def _try_out(unit_map: Units, x: torch.Tensor, settings: Settings) -> None:
    """Lesion a unit of every layer on two images and take one step of visualization."""
    targets = [{layer.name: np.array([0])} for layer in unit_map.tested]
    x = x[:2]
    y = torch.zeros(len(x), dtype=torch.int64, device="cpu")  # labels do not matter
    try:
        lesion_accuracies(unit_map, x, y, targets, conventions=settings.conventions)
        if set(settings.measures) & set(VISUALIZED):
            visualize_traced(unit_map, targets, tuple(x.shape[1:]), n_steps=1)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise InvalidInputError(
            f"the network fails on parts of a forward pass, tried with two images ({error}): its "
            "operations must work for any number of images, and have gradients"
        ) from error


def _class_names(settings: Settings, n_logits: int, of_data: tuple[str, ...]) -> tuple[str, ...]:
    """Return a name for every logit."""
    if settings.class_names is not None:
        require(
            len(settings.class_names) == n_logits,
            f"class_names must have a name for each of the {n_logits} logits, not "
            f"{len(settings.class_names)}",
        )
        return tuple(settings.class_names)
    of_weights = settings.preprocess.categories if settings.preprocess is not None else ()
    for names in (of_weights, of_data):
        if len(names) == n_logits:
            return tuple(names)
    return tuple(map(str, range(n_logits)))


def _tried(unit_map: Units, x: torch.Tensor, settings: Settings) -> Made:
    """Try every step on two images; return the graph that needs none, with its seconds."""
    check_logits(unit_map)
    graphs = {}
    if settings.partitions is not None:
        _check_partitions(unit_map, settings.partitions)
    else:
        check_n_clusters(unit_map, settings.n_clusters)
        if set(settings.partitionings) & set(OF_WEIGHTS):
            start = time.perf_counter()
            graph = weight_graph_traced(unit_map, settings.conventions)  # refuses gates
            graphs["weights"] = graph, time.perf_counter() - start
    _try_out(unit_map, x, settings)
    return graphs


@dataclass
class _Trial:
    """What is found out while images are read: everything is tried at the first batch."""

    traced: Units | nn.Module  # a module where the network is not traced
    untraced: str  # why it is not
    settings: Settings
    may_hook: bool  # whether a traced network that computes otherwise may be hooked
    in_memory: bool  # whether the first batch is all of the images
    x_train: object  # what is correlated; None where that is the images themselves
    sampled: dict[str, Any]  # how its images are read
    bar: Bar
    unit_map: Units | None = None  # found where two images differ
    n_logits: int = 0  # 0 before the first batch
    source: torch.Tensor | None = None  # the images of x_train
    made: Made | None = None  # once every step was tried

    @property
    def correlated(self) -> bool:
        """Whether activations are clustered."""
        names = self.settings.partitionings or PARTITIONINGS
        return self.settings.partitions is None and any(
            name.startswith("activations") for name in names
        )

    def find_units(self, x: torch.Tensor) -> None:
        """Find the units on images, and what they make of the settings."""
        self.unit_map, self.untraced = found_units(
            self.traced, x, self.settings, self.untraced, may_hook=self.may_hook
        )
        self.settings = self.settings.for_network(not isinstance(self.unit_map, UnitMap))
        self.n_logits = count_logits(self.unit_map, x)

    def check_batch(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Refuse a batch that does not fit, and at the first one whatever else does not."""
        _check_pixels(x, x)
        if self.unit_map is None and other_image(x) is not None:
            self.find_units(x)
        if not self.n_logits:
            traced = self.traced
            module = traced if isinstance(traced, nn.Module) else traced.module
            self.n_logits = count_logits(HookedUnits(module, ()), x)
        check_labels(y, self.n_logits)
        if self.in_memory:
            _check_two_classes(y)
        if self.made is None:
            self.try_steps(x)

    def try_steps(self, x: torch.Tensor) -> None:
        """Read `x_train`, and try every step on two images, once they show the units."""
        _class_names(self.settings, self.n_logits, ())
        check_image_shape(tuple(x.shape[1:]))
        if self.x_train is not None and self.source is None:
            self.source = read_source(self.x_train, "x_train", **self.sampled)
            _check_pixels(x, self.source)
            if self.correlated:
                _check_correlated(self.source)
        if self.unit_map is not None:
            self.bar.describe("trying two images")
            self.made = _tried(self.unit_map, x, self.settings)
            self.bar.describe("reading images")


def prepare(
    network: Network, data: object, settings: Settings, bar: Bar, *, n_images: int = 0
) -> Prepared:
    """Check everything and read the images: what does not fit is refused at the first of them.

    The settings are checked. `n_images` says of how many images the data are a sample, if they are
    one.
    """
    bar.describe("tracing the network")
    placed, untraced = placed_network(network, settings), ""
    if isinstance(placed, HookedUnits):
        require(
            settings.layers is None,
            "layers of hooked units are chosen by hook_units(network, x, layers=...)",
        )
        check_conventions(placed, settings.conventions)
        traced = placed
    else:
        traced, untraced = traced_network(placed, settings)
    if isinstance(traced, UnitMap):
        traced = with_layers(traced, settings.for_network(False))
    options = {
        "preprocess": settings.preprocess,
        "max_bytes": settings.max_memory,
        "folder": settings.folder,
        "bar": bar,
    }
    given = settings.x_train
    trial = _Trial(
        traced=traced,
        untraced=untraced,
        settings=settings,
        may_hook=not isinstance(placed, UnitMap),
        in_memory=isinstance(data, tuple | list | Dataset),
        x_train=data if given is None and isinstance(data, Dataset) else given,
        sampled=options | {"n_chosen": settings.n_images, "seed": settings.seed},
        bar=bar,
    )
    bar.describe("reading images")
    images = read_images(data, "data", check=trial.check_batch, **options)
    if not trial.in_memory and n_images <= len(images.x):  # of a sample, others may have others
        _check_two_classes(images.y)
    if trial.correlated and trial.x_train is None:
        trial.source = read_source((images.x, images.y), "data", **trial.sampled)
        _check_correlated(trial.source)
    if trial.unit_map is None:  # all images are the same
        trial.find_units(images.x)
        trial.try_steps(images.x)
    unit_map, settings, n_logits = trial.unit_map, trial.settings, trial.n_logits
    reduced = settings.precision == "bfloat16"
    run = Run(
        unit_map=unit_map,
        lesion_map=in_bfloat16(unit_map) if reduced else unit_map,
        x=images.x,
        y=images.y,
        source=trial.source if trial.correlated else None,
        class_sizes=torch.bincount(images.y.cpu(), minlength=n_logits).numpy(),
        conventions=settings.conventions,
        seed=settings.seed,
        precision=settings.precision,
        folder=settings.folder,
        bar=bar,
        times={f"graph of {kind}": seconds for kind, (_, seconds) in trial.made.items()},
        made={kind: graph for kind, (graph, _) in trial.made.items()},
    )
    names = _class_names(settings, n_logits, images.class_names)
    return Prepared(run, settings, trial.untraced, n_logits, names)
