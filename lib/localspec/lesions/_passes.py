"""Lesion passes: run many lesions at a time from the first lesioned layer on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from localspec.clustering import Lesion
from localspec.lesions._contributions import Contributions, n_contributed, reader_of
from localspec.lesions._points import LesionPoint, keep_masks, lesion_edits
from localspec.units import Reader, UnitMap, Workspace

BATCH_SIZE = 1000  # images that pass the layers before lesions together
MAX_VALUES = {"cpu": 2**19, "cuda": 2**27}  # on a CPU they then stay in its caches
MAX_KEPT = {"cpu": 2**23, "cuda": 2**29}  # of all layers before lesions, or of one's contributions
MAPS_FACTOR = 4  # as many more where maps are read, for fewer and larger products
MIN_LESIONS = 16  # of each image together, where contributions are kept

Points = Mapping[str, tuple[LesionPoint, ...]]


def reader_at(unit_map: UnitMap, node: fx.Node, points: Points) -> Reader | None:
    """Return the reader at which lesions that act first at a node can be subtracted."""
    name = next(
        name for name, layer in points.items() if any(point.node is node for point in layer)
    )
    return reader_of(unit_map, unit_map.layer(name))


class LesionPass:
    """Run lesions that act first at one and the same node, on one batch of images.

    `values` are those of the live nodes of `node`, `points` are those of every layer that a lesion
    names, and `means` replace lesioned units where that is not zero. Layers write into the
    workspace; logits lie there.
    """

    def __init__(
        self,
        unit_map: UnitMap,
        node: fx.Node,
        values: Sequence[torch.Tensor],
        points: Points,
        means: Mapping[fx.Node, torch.Tensor],
        workspace: Workspace,
    ) -> None:
        self.workspace = workspace
        self.unit_map, self.node, self.values = unit_map, node, values
        self.points, self.means, self.reader = points, means, reader_at(unit_map, node, points)
        if self.reader is not None:
            self.contributions = Contributions(unit_map, self.reader, node, values, means.get(node))
            passed = unit_map.live_nodes(self.reader.node)[:-1]  # the reader's own value is last
            passed_values = unit_map.run(values, start=node, stops=passed) if passed else []
            self.passed = dict(zip(passed, passed_values, strict=True))

    def logits(self, lesions: Sequence[Lesion]) -> torch.Tensor:
        """Return logits, shape (n_lesions * n_images, n_classes); the next call overwrites them."""
        unit_map, n_lesions = self.unit_map, len(lesions)
        masks = keep_masks(self.points, lesions, self.values[0])
        others = {node: mask for node, mask in masks.items() if node is not self.node}
        reader = self.reader
        if reader is not None and all(_is_behind(unit_map, node, reader) for node in others):
            stacked = {node: _stacked(value, n_lesions) for node, value in self.passed.items()}
            stacked[reader.node] = self.contributions.read(masks[self.node], self.workspace)
            start, edits = reader.node, lesion_edits(others, self.means)
            values = [stacked[node] for node in unit_map.live_nodes(start)]
        else:
            start, edits = self.node, lesion_edits(masks, self.means)
            values = [_stacked(value, n_lesions) for value in self.values]
        options = {"overwrite": True, "workspace": self.workspace}
        return unit_map.run(values, start=start, edits=edits, **options)[0]


def _is_behind(unit_map: UnitMap, node: fx.Node, reader: Reader) -> bool:
    return unit_map.position(node) >= unit_map.position(reader.node)


def _stacked(value: torch.Tensor, n_lesions: int) -> torch.Tensor:
    return value.repeat(n_lesions, *(1,) * (value.ndim - 1))


@dataclass(frozen=True)
class Batch:
    """How much of the work at one node is done at a time.

    Attributes
    ----------
    n_images : int
    n_lesions : int
    """

    n_images: int
    n_lesions: int


def batches(
    unit_map: UnitMap,
    x: torch.Tensor,
    points: Points,
    nodes: Sequence[fx.Node],
    *,
    batch_size: int,
    max_values: int | None,
) -> tuple[int, dict[fx.Node, Batch]]:
    """Return how much of the work before lesions and behind each node is done at a time.

    Returns the images that pass the layers before lesions together, at most `batch_size`, and what
    follows each of the `nodes` where lesions act first. `max_values` bounds the numbers in the
    largest array that is stacked; None stands for as many as suit the device.
    """
    device = "cpu" if unit_map.device.type == "cpu" else "cuda"
    order = [*unit_map.graph_module.graph.nodes][:-1]
    with torch.inference_mode():
        values = dict(zip(order, unit_map.run(x[:1], stops=tuple(order)), strict=True))
    sizes = {node: values[node].numel() for node in order}
    position, most_kept = unit_map.position, MAX_KEPT[device]

    def most(maps: bool) -> int:
        return max_values or MAX_VALUES[device] * (MAPS_FACTOR if maps else 1)

    last = max((position(node) for node in nodes), default=0)
    before = [other for other in order if position(other) <= last]
    carried = {other for node in nodes for other in unit_map.live_nodes(node)}
    n_together = min(
        most(maps=True) // max(sizes[other] for other in before),
        most_kept // max(sum(sizes[other] for other in carried), 1),
    )
    n_together = max(1, min(batch_size, n_together))
    by_node = {}
    for node in nodes:
        reader = reader_at(unit_map, node, points)
        begin = node if reader is None else reader.node
        behind = [other for other in order if position(other) >= position(begin)]
        live = sum(sizes[other] for other in unit_map.live_nodes(begin))
        stacked = max(live, *(sizes[other] for other in behind))
        n_kept = 0 if reader is None else n_contributed(reader, sizes[reader.node])
        at_once = most(maps=values[node].ndim > 2)
        n_images = at_once // (stacked * (MIN_LESIONS if n_kept else 1))
        n_images = max(1, min(n_together, n_images, most_kept // max(n_kept, 1)))
        n_lesions = max(1, at_once // (stacked * n_images))
        by_node[node] = Batch(n_images=n_images, n_lesions=n_lesions)
    return n_together, by_node
