"""Lesion passes: run many lesions at a time from the first lesioned layer on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from localspec.clustering import Lesion
from localspec.lesions._contributions import Contributions, n_contributed, subtracting_readers
from localspec.lesions._points import LesionPoint, keep_masks, lesion_edits
from localspec.units import UnitMap, Workspace

BATCH_SIZE = 1000  # images that pass the layers before lesions together
MAX_VALUES = {"cpu": 2**19, "cuda": 2**27}  # on a CPU they then stay in its caches
MAX_KEPT = {"cpu": 2**23, "cuda": 2**29}  # of all layers before lesions, or of one's contributions
MAPS_FACTOR = 4  # as many more where maps are read, for fewer and larger products
MIN_LESIONS = 16  # of each image together, where contributions are kept
MIN_MAPS = 8  # lesions x images together, however large: kernels are read once for each such stack

Points = Mapping[str, tuple[LesionPoint, ...]]


class Part:
    """The part of a network that lesions can change, for lesions that act first at one node.

    At its `readers`, lesions at the node are subtracted. `needed` runs for each lesion, in order,
    and reads `read`: nodes of `readers`, values that no lesion changes, and values that some
    lesions set units of to zero, such as those of the node.
    """

    def __init__(
        self, unit_map: UnitMap, node: fx.Node, points: Points, acting: Collection[fx.Node]
    ) -> None:
        self.node, self.unit_map = node, unit_map
        name = next(
            name for name, layer in points.items() if any(point.node is node for point in layer)
        )
        own = unit_map.behind([node])
        others = unit_map.behind(other for other in acting if other is not node)
        self.readers = [
            reader
            for reader in subtracting_readers(unit_map, unit_map.layer(name))
            if reader.source in own and reader.source not in others
        ]
        changed = unit_map.behind(user for other in acting for user in other.users)
        known = {other for other in unit_map.graph_module.graph.nodes if other not in changed}
        known |= {reader.node for reader in self.readers}
        self.needed, self.read = unit_map.between(known, (unit_map.output,))

    @property
    def same(self) -> tuple[fx.Node, ...]:
        """Nodes of `read` whose values are the same for all lesions before units are set to zero.

        `node`, whose values are at hand, is not among them.
        """
        ends = {reader.node for reader in self.readers} | {self.node}
        return tuple(node for node in self.read if node not in ends)


class LesionPass:
    """Run lesions that act first at one and the same node, on one batch of images.

    `values` are those of the live nodes of the part's node, `points` are those of every layer that
    a lesion names, and `means` replace lesioned units where that is not zero. Layers write into the
    workspace; logits lie there.
    """

    def __init__(
        self,
        part: Part,
        values: Sequence[torch.Tensor],
        points: Points,
        means: Mapping[fx.Node, torch.Tensor],
        workspace: Workspace,
    ) -> None:
        self.part, self.points, self.means, self.workspace = part, points, means, workspace
        unit_map, node = part.unit_map, part.node
        before = dict(zip(unit_map.live_nodes(node), values, strict=True))
        self.example = before[node]
        same = unit_map.run(before, stops=part.same) if part.same else []
        self.values = dict(zip(part.same, same, strict=True))
        if node in part.read:
            self.values[node] = before[node]
        self.contributions = {
            reader.node: Contributions(unit_map, reader, node, values, means.get(node))
            for reader in part.readers
        }

    def logits(self, lesions: Sequence[Lesion]) -> torch.Tensor:
        """Return logits, shape (n_lesions * n_images, n_classes); the next call overwrites them."""
        node = self.part.node
        masks = keep_masks(self.points, lesions, self.example)
        known = {other: torch.cat([value] * len(lesions)) for other, value in self.values.items()}
        for other, contributions in self.contributions.items():
            known[other] = contributions.read(masks[node], self.workspace)
        return self.part.unit_map.run(
            known,
            edits=lesion_edits(masks, self.means),
            overwrite=True,
            workspace=self.workspace,
        )[0]


@dataclass(frozen=True)
class Batch:
    """How much of the work at one node is done at a time."""

    n_images: int
    n_lesions: int


def batches(
    unit_map: UnitMap,
    x: torch.Tensor,
    parts: Sequence[Part],
    *,
    batch_size: int,
    max_values: int | None,
) -> tuple[int, dict[fx.Node, Batch]]:
    """Return how much of the work before lesions and behind each node is done at a time.

    Returns the images that pass the layers before lesions together, at most `batch_size`, and what
    is done at a time of each part that lesions change. `max_values` bounds the numbers in the
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

    nodes = [part.node for part in parts]
    last = max((position(node) for node in nodes), default=0)
    before = [other for other in order if position(other) <= last]
    carried = {other for node in nodes for other in unit_map.live_nodes(node)}
    n_together = min(
        most(maps=True) // max(sizes[other] for other in before),
        most_kept // max(sum(sizes[other] for other in carried), 1),
    )
    n_together = max(1, min(batch_size, n_together))
    by_node = {}
    for part in parts:
        read = sum(sizes[other] for other in part.read)
        stacked = max(read, *(sizes[other] for other in (*part.read, *part.needed)))
        n_kept = sum(n_contributed(reader, sizes[reader.node]) for reader in part.readers)
        maps = values[part.node].ndim > 2
        at_once = most(maps)
        if maps and max_values is None:
            at_once = max(at_once, MIN_MAPS * stacked)
        n_images = at_once // (stacked * (MIN_LESIONS if n_kept else 1))
        n_images = max(1, min(n_together, n_images, most_kept // max(n_kept, 1)))
        n_lesions = max(1, at_once // (stacked * n_images))
        by_node[part.node] = Batch(n_images=n_images, n_lesions=n_lesions)
    return n_together, by_node
