"""Run of a screening: cluster, lesion and visualize step by step, each kept on disk."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from numbers import Number
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from localspec._utils.artifacts import artifact_key, cached, fingerprint, take_apart
from localspec.clustering import (
    Draws,
    Lesion,
    Partition,
    UnitGraph,
    activation_graph_traced,
    cluster,
    weight_graph_traced,
)
from localspec.conventions import Conventions
from localspec.lesions import LesionedAccuracies, LesionOptions, lesion_accuracies_traced
from localspec.screening._bar import Bar
from localspec.screening._evidence import SHOWN_DRAW, Excitations, group_excitations, small_pictures
from localspec.units import HookedUnits, Units
from localspec.visualization import N_STEPS, Visualizations, visualize_traced

# raise one when the values of its step change
STEPS = {"partition": 1, "lesions": 1, "pictures": 1, "excitations": 1}
BLOCK_BYTES = 2**28  # of visualizations before they are made small
MOST_GROUPS = 64  # of a block, after which results are kept
STEP_PASSES = 3  # one step of visualization takes about as long as three passes of an image
OF_NUMPY = (torch.float16, torch.float32, torch.float64)
# what torch keeps in every module and trace: weights and parts are read by themselves
BY_TORCH = frozenset(vars(torch.fx.GraphModule(torch.nn.Module(), torch.fx.Graph())))
Kind = TypeVar("Kind")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Scores and entropies of visualizations, (n_draws + 1, n_groups), and two pictures a group."""

    scores: np.ndarray
    entropies: np.ndarray
    pictures: np.ndarray
    random_pictures: np.ndarray


@dataclass(eq=False)
class Run:
    """One screening: what it works on, where it keeps results, its bar and its times."""

    unit_map: Units
    lesion_map: Units  # the same network in the precision of lesions
    x: torch.Tensor
    y: torch.Tensor
    source: torch.Tensor | None  # images for correlations
    class_sizes: np.ndarray  # images of each class; those without any are left out of the means
    conventions: Conventions
    seed: int
    precision: str
    folder: Path | None
    bar: Bar
    times: dict[str, float]  # seconds of each kind of step
    made: dict[str, UnitGraph]  # graphs that are there already, by kind
    inputs: dict[str, str] = field(default_factory=dict)  # sums that results are stored by

    def __post_init__(self) -> None:
        if self.folder is not None:
            self.inputs["network"] = network_key(self.unit_map)
            self.inputs["images"] = fingerprint(*_on_cpu([self.x, self.y]))
            if self.source is not None:
                same = self.source is self.x
                source = fingerprint(*_on_cpu([self.source]))
                self.inputs["source"] = self.inputs["images"] if same else source

    @property
    def has_images(self) -> np.ndarray:
        """Which classes have images: bool, shape (n_classes,)."""
        return self.class_sizes > 0

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the seconds of the block to those of a step, and name it in the bar."""
        start = time.perf_counter()
        self.bar.describe(step)
        yield
        self.times[step] = self.times.get(step, 0.0) + time.perf_counter() - start

    def stored(
        self,
        step: str,
        kind: Callable[..., Kind],
        compute: Callable[[], Kind],
        inputs: Sequence[str],
        **parameters: Any,
    ) -> Kind:
        """Return what a step computes, from disk if it is there."""
        if self.folder is None:
            return compute()
        artifact = cached(
            f"screen-{step}",
            STEPS[step],
            {**parameters, "dtype": str(self.unit_map.dtype), "device": self.unit_map.device.type},
            lambda: take_apart(compute()),
            inputs=tuple(self.inputs[name] for name in inputs),
            root=self.folder,
            variable="folder",
        )
        return artifact.rebuild(kind)

    def graph(self, kind: str) -> UnitGraph:
        """Return the graph of a kind, "weights" or "activations", which is made once."""
        if kind not in self.made:
            with self.timed(f"graph of {kind}"):
                self.made[kind] = (
                    weight_graph_traced(self.unit_map, self.conventions)
                    if kind == "weights"
                    else activation_graph_traced(self.unit_map, self.source, self.conventions)
                )
        return self.made[kind]

    def partition(self, name: str, n_clusters: int) -> Partition:
        """Return the clusters of one partitioning."""
        kind, scope = name.split("/")

        def compute() -> Partition:
            units = self.graph(kind)
            with self.timed("clusters"):
                return cluster(
                    units, n_clusters, scope=scope, seed=self.seed, conventions=self.conventions
                )

        return self.stored(
            "partition",
            Partition.from_stored,
            compute,
            ("network",) if kind == "weights" else ("network", "source"),
            partitioning=name,
            n_clusters=n_clusters,
            seed=self.seed,
            tested=[layer.name for layer in self.unit_map.tested],
            conventions=self.conventions.model_dump(),
        )

    def blocks(self, draws: Draws) -> list[Draws]:
        """Return the draws in blocks of groups, after each of which results are kept."""
        bytes_of_group = (draws.n_draws + 1) * self.x[0].numel() * 4
        size = max(1, min(MOST_GROUPS, BLOCK_BYTES // bytes_of_group))
        positions = range(len(draws.subclusters))
        return [draws.chosen(positions[start : start + size]) for start in positions[::size]]

    def n_passes(self, draws: Draws, lesioned: bool, visualized: bool) -> int:
        """Return how many passes the tests of a partition count for."""
        n_sets = len(draws.subclusters) * (draws.n_draws + 1)
        steps = STEP_PASSES * (N_STEPS + 1) * visualized
        return n_sets * (len(self.x) * lesioned + steps)

    def accuracies(self, sets: Sequence[Lesion]) -> np.ndarray:
        """Return the accuracies of classes that have images, shape (n_sets, n_classes)."""
        options = LesionOptions(conventions=self.conventions, advance=self.bar.advance)
        sizes = np.maximum(self.class_sizes, 1)
        accuracies = lesion_accuracies_traced(self.lesion_map, self.x, self.y, sets, sizes, options)
        return accuracies[:, self.has_images]

    def baseline(self) -> np.ndarray:
        """Return the accuracy of every class that has images, without a lesion."""
        with self.timed("accuracy without a lesion"):
            (accuracies,) = self.accuracies([{}])
        return accuracies

    def lesioned(self, draws: Draws, baseline: np.ndarray) -> LesionedAccuracies:
        """Lesion groups and their random counterparts."""
        parts = [np.zeros((draws.n_draws + 1, 0, len(baseline)))]
        for block in self.blocks(draws):
            sets = block.lesions()
            parts.append(block.arrange(self._stored_accuracies(sets)))
        lesioned = np.concatenate(parts, axis=1)
        return LesionedAccuracies(baseline, lesioned, self.class_sizes[self.has_images])

    def _stored_accuracies(self, sets: Sequence[Lesion]) -> np.ndarray:
        before = self.bar.n
        with self.timed("lesions"):
            stored = self.stored(
                "lesions",
                dict,
                lambda: {"accuracies": self.accuracies(sets)},
                ("network", "images"),
                sets=sets_key(sets),
                n_classes=len(self.class_sizes),
                precision=self.precision,
                conventions=self.conventions.model_dump(),
            )
        self._catch_up(before, len(sets) * len(self.x))
        return stored["accuracies"]

    def visualized(self, draws: Draws) -> Pictures:
        """Visualize groups and their random counterparts; keep the numbers and two pictures."""
        shape = (draws.n_draws + 1, 0)
        empty = small_pictures(np.zeros((0, *self.x.shape[1:])))
        parts = [Pictures(np.zeros(shape), np.zeros(shape), empty, empty)]
        for block in self.blocks(draws):
            before, sets = self.bar.n, block.lesions()

            def compute(block: Draws = block, sets: list[Lesion] = sets) -> Pictures:
                made = self._visualizations(sets).arranged(block)
                true, random = made.images[0], made.images[1 + SHOWN_DRAW]
                return Pictures(
                    made.scores, made.entropies, small_pictures(true), small_pictures(random)
                )

            with self.timed("visualizations"):
                parts.append(self._stored_pictures(sets, Pictures, compute))
            self._catch_up(before, STEP_PASSES * (N_STEPS + 1) * len(sets))
        return Pictures(
            scores=np.concatenate([part.scores for part in parts], axis=1),
            entropies=np.concatenate([part.entropies for part in parts], axis=1),
            pictures=np.concatenate([part.pictures for part in parts]),
            random_pictures=np.concatenate([part.random_pictures for part in parts]),
        )

    def _stored_pictures(self, sets: Sequence[Lesion], kind: Callable, compute: Callable) -> Any:
        return self.stored(
            "pictures",
            kind,
            compute,
            ("network",),
            sets=sets_key(sets),
            kept=kind.__name__,
            image_shape=list(self.x.shape[1:]),
            n_steps=N_STEPS,
            seed=self.seed,
        )

    def _visualizations(self, sets: Sequence[Lesion]) -> Visualizations:
        return visualize_traced(
            self.unit_map,
            sets,
            tuple(self.x.shape[1:]),
            seed=self.seed,
            advance=lambda n_steps: self.bar.advance(STEP_PASSES * n_steps),
        )

    def excitations(self, draws: Draws) -> Excitations:
        """Return how strongly images excite the groups."""
        with self.timed("exciting images"):
            return self.stored(
                "excitations",
                Excitations,
                lambda: group_excitations(self.unit_map, self.x, draws),
                ("network", "images"),
                sets=sets_key(draws.lesions()),
                n_draws=draws.n_draws,
            )

    def further_lesions(self, draws: Draws) -> np.ndarray:
        """Lesion random counterparts alone, shape (n_draws, n_groups, n_classes)."""
        parts = []
        for block in self.blocks(draws):
            sets = block.random_lesions()
            self.bar.expect(len(sets) * len(self.x))
            accuracies = self._stored_accuracies(sets)
            rows = accuracies.reshape(len(block.subclusters), draws.n_draws, -1)
            parts.append(np.moveaxis(rows, 1, 0))
        return np.concatenate(parts, axis=1)

    def further_visualizations(self, draws: Draws) -> Visualizations:
        """Visualize random counterparts alone: scores and entropies (n_draws, n_groups)."""
        parts = []
        for block in self.blocks(draws):
            before, sets = self.bar.n, block.random_lesions()
            n_passes = STEP_PASSES * (N_STEPS + 1) * len(sets)
            self.bar.expect(n_passes)

            def compute(sets: list[Lesion] = sets) -> dict[str, np.ndarray]:
                made = self._visualizations(sets)
                return {"scores": made.scores, "entropies": made.entropies}

            with self.timed("visualizations"):
                stored = self._stored_pictures(sets, dict, compute)
            self._catch_up(before, n_passes)
            shape = (len(block.subclusters), draws.n_draws)
            parts.append([stored[name].reshape(shape).T for name in ("scores", "entropies")])
        scores, entropies = (np.concatenate(column, axis=1) for column in zip(*parts, strict=True))
        return Visualizations(np.empty(0), scores, entropies)

    def _catch_up(self, before: int, n_passes: int) -> None:
        """Count what came from disk."""
        self.bar.advance(before + n_passes - self.bar.n)


def sets_key(sets: Sequence[Lesion]) -> str:
    """Return the SHA-256 sum of sets of units."""
    names = [name for lesion in sets for name in lesion]
    units = [np.sort(rows) for lesion in sets for rows in lesion.values()]
    return fingerprint(*(torch.from_numpy(rows) for rows in units), names=names)


def network_key(unit_map: Units) -> str:
    """Return a key of all that a network computes: its parts, its code, its weights and constants.

    The code is that of the trace or, of a network that is not traced, that of its classes.
    """
    module = unit_map.module
    holders = {"module": module}
    if isinstance(unit_map, HookedUnits):
        code = repr(unit_map.layers) + "".join(_sources(module))
    else:
        code = unit_map.graph_module.code
        holders["trace"] = unit_map.graph_module  # holds the constants of the forward pass
    tensors: dict[str, torch.Tensor] = {}
    constants: dict[str, Any] = {}
    for where, holder in holders.items():
        for name, part in holder.named_modules(prefix=where):
            own = {key: value for key, value in vars(part).items() if key not in BY_TORCH}
            held = {**part._parameters, **part._buffers, **own}
            for key, value in held.items():
                _note(f"{name}.{key}", value, tensors, constants)
    weights = fingerprint(*_on_cpu(tensors.values()), names=tensors)
    parameters = {"module": str(module), "code": code, "constants": constants}
    return artifact_key("network", 2, parameters, (weights,))


def _note(
    where: str, value: object, tensors: dict[str, torch.Tensor], constants: dict[str, Any]
) -> None:
    """Note a value that a module holds, and what lies in it, if it is tensor, number or text."""
    if isinstance(value, torch.Tensor):
        if value.layout == torch.strided and not (value.is_meta or value.is_quantized):
            tensors[where] = value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            _note(f"{where}[{key!r}]", part, tensors, constants)
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            _note(f"{where}[{index}]", part, tensors, constants)
    elif isinstance(value, np.ndarray | str | Number | None):
        constants[where] = repr(value.tolist() if isinstance(value, np.ndarray) else value)
    elif callable(value):
        constants[where] = getattr(value, "__qualname__", type(value).__qualname__)


def _sources(module: torch.nn.Module) -> list[str]:
    """Return the source of a module's classes, of those whose files can be read."""
    sources = []
    for kind in dict.fromkeys(type(part) for part in module.modules()):
        with suppress(OSError, TypeError):
            sources.append(inspect.getsource(kind))
    return sources


def _on_cpu(tensors: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Return tensors as NumPy can read them: on the CPU, and of no type that it lacks."""
    detached = [tensor.detach().cpu().resolve_conj().resolve_neg() for tensor in tensors]
    return [
        tensor.float() if tensor.is_floating_point() and tensor.dtype not in OF_NUMPY else tensor
        for tensor in detached
    ]
