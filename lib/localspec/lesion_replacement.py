"""What units are replaced by when they are lesioned with their mean in place of zero."""

from __future__ import annotations

from collections.abc import Callable

import torch

from localspec.data import check_images
from localspec.units import UnitMap, trace_units

REPLACEMENTS = ("zero", "mean")
BATCH_SIZE = 1000


def mean_outputs(network, x: torch.Tensor) -> dict[str, torch.Tensor]:
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
    check_images(x)
    unit_map: UnitMap = trace_units(network)
    layers = unit_map.tested
    totals: list[torch.Tensor] = []
    with torch.inference_mode():
        for part in x.to(unit_map.device, unit_map.dtype).split(BATCH_SIZE):
            values = unit_map.run(part, stops=tuple(layer.end for layer in layers))
            sums = [value.sum(dim=0) for value in values]
            totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
    return {layer.name: total / len(x) for layer, total in zip(layers, totals, strict=True)}


def replaced(
    mask: torch.Tensor, mean: torch.Tensor | None = None
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that replaces units in values stacked as (n_lesions * n_images, ...).

    Parameters
    ----------
    mask : torch.Tensor, shape (n_lesions, n_units)
        0 where a unit is replaced, else 1.
    mean : torch.Tensor, shape (n_units, ...), optional
        By what; by default zero.
    """

    def apply(value: torch.Tensor) -> torch.Tensor:
        stacked = value.reshape(len(mask), -1, *value.shape[1:])
        kept = mask.reshape(len(mask), 1, mask.shape[1], *(1,) * (value.ndim - 2))
        changed = stacked * kept
        if mean is not None:
            changed = changed + (1 - kept) * mean
        return changed.reshape(value.shape)

    return apply
