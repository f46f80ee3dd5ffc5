"""Lesion points: locate the channels of a node's value that a lesion sets to zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import fx

from localspec.clustering import Lesion
from localspec.conventions import Conventions
from localspec.units import UnitLayer, UnitMap

REPLACEMENTS = ("zero", "mean")


def replaced(
    mask: torch.Tensor, mean: torch.Tensor | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that replaces units in values stacked as (n_lesions * n_images, ...).

    `mask`, shape (n_lesions, n_channels), is 0 where a channel is replaced, else 1; in rows of
    features each channel has several places, next to each other. `mean`, shape (n_channels, ...),
    is what replaces it; None stands for zero.
    """

    def apply(value: torch.Tensor) -> torch.Tensor:
        stacked = value.reshape(len(mask), -1, *value.shape[1:])
        places = mask.repeat_interleave(value.shape[1] // mask.shape[1], dim=1)
        is_kept = places.reshape(len(mask), 1, value.shape[1], *(1,) * (value.ndim - 2))
        changed = stacked * is_kept
        if mean is not None:
            changed = changed + (1 - is_kept) * mean.to(value.dtype)
        return changed.reshape(value.shape)

    return apply


@dataclass(frozen=True)
class LesionPoint:
    """Where a layer's units are lesioned."""

    node: fx.Node
    start: int  # the node's channel that is the first unit: 0 unless a concatenation is read
    n_channels: int  # of the node, each perhaps of several places in a row of features


def lesion_points(
    unit_map: UnitMap, layer: UnitLayer, conventions: Conventions, replacement: str = "zero"
) -> tuple[LesionPoint, ...]:
    """Return where a layer's units are lesioned.

    It is one point, but for a reader that reads the same tensor twice.

    Under ``lesion_readers="one"`` a unit is lesioned in the input of one reader, behind any
    normalization on the way there, if anything else reads the tensor or passes it on; else, and
    under ``"all"``, where it is formed or, under ``lesion_point="normalized"`` and for means, at
    the last node that is common to all that see it.
    """
    readers = unit_map.readers_of(layer)
    if conventions.lesion_readers == "one" and readers and not unit_map.only_reader(layer):
        reader = readers[0]
        return tuple(
            LesionPoint(reader.source, reading.start, reader.n_read)
            for reading in reader.readings
            if reading.tensor == layer.tensor
        )
    at_end = replacement == "mean" or conventions.lesion_point == "normalized"
    return (LesionPoint(layer.end if at_end else layer.value, 0, layer.n_units),)


def keep_masks(
    points: Mapping[str, tuple[LesionPoint, ...]], lesions: Sequence[Lesion], values: torch.Tensor
) -> dict[fx.Node, torch.Tensor]:
    """Return, for every node at which a lesion acts, 0 for lesioned channels and 1 for others.

    Masks have shape (n_lesions, n_channels), and the precision and device of `values`.
    """
    masks: dict[fx.Node, torch.Tensor] = {}
    for row, lesion in enumerate(lesions):
        for name, chosen in lesion.items():
            # a copy: torch takes no negative strides, and warns of what cannot be written to
            units = torch.from_numpy(np.array(chosen, dtype=np.int64)).to(values.device)
            for point in points[name]:
                if point.node not in masks:
                    masks[point.node] = values.new_ones(len(lesions), point.n_channels)
                masks[point.node][row, point.start + units] = 0
    return masks


def lesion_edits(
    masks: Mapping[fx.Node, torch.Tensor], means: Mapping[fx.Node, torch.Tensor]
) -> dict[fx.Node, Callable[[torch.Tensor], torch.Tensor]]:
    """Return functions that lesion values stacked as (n_lesions * n_images, ...), by node."""
    return {node: replaced(mask, means.get(node)) for node, mask in masks.items()}
