"""What units are replaced by when they are lesioned with their mean in place of zero."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx

from localspec.compatibility import count_logits
from localspec.data import check_images
from localspec.units import Network, UnitMap, trace_units

REPLACEMENTS = ("zero", "mean")


def mean_outputs(network: Network, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the mean over images of what each tested layer's units hand on.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    x : torch.Tensor, shape (n_images, ...)

    Returns
    -------
    dict of str to torch.Tensor, shape (n_units, ...)
        After the activation, before pooling; of a channel, the mean of every place in its map.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion"; mean ablation is a check of this project's.
    """
    unit_map = trace_units(network)
    check_images(x)
    count_logits(unit_map, x[:1])
    means = mean_values(unit_map, x, tuple(layer.end for layer in unit_map.tested))
    return {layer.name: means[layer.end] for layer in unit_map.tested}


def mean_values(
    unit_map: UnitMap, x: torch.Tensor, nodes: tuple[fx.Node, ...]
) -> dict[fx.Node, torch.Tensor]:
    """Return the mean over images of the values of nodes.

    Parameters
    ----------
    unit_map : UnitMap
    x : torch.Tensor, shape (n_images, ...)
    nodes : tuple of torch.fx.Node

    Returns
    -------
    dict of torch.fx.Node to torch.Tensor, shape (n_channels, ...)
    """
    totals: list[torch.Tensor] = []
    with torch.inference_mode():
        for part in x.split(unit_map.n_together(x, nodes)):
            part = part.to(unit_map.device, unit_map.dtype)
            sums = [value.sum(dim=0) for value in unit_map.run(part, stops=nodes)]
            totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
    return {node: total / len(x) for node, total in zip(nodes, totals, strict=True)}


def replaced(
    mask: torch.Tensor, mean: torch.Tensor | None = None
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that replaces units in values stacked as (n_lesions * n_images, ...).

    Parameters
    ----------
    mask : torch.Tensor, shape (n_lesions, n_channels)
        0 where a channel is replaced, else 1. In rows of features each channel has several
        places, next to each other.
    mean : torch.Tensor, shape (n_channels, ...), optional
        By what; by default zero.
    """

    def apply(value: torch.Tensor) -> torch.Tensor:
        stacked = value.reshape(len(mask), -1, *value.shape[1:])
        places = mask.repeat_interleave(value.shape[1] // mask.shape[1], dim=1)
        is_kept = places.reshape(len(mask), 1, value.shape[1], *(1,) * (value.ndim - 2))
        changed = stacked * is_kept
        if mean is not None:
            changed = changed + (1 - is_kept) * mean
        return changed.reshape(value.shape)

    return apply
