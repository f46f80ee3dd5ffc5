"""Strengths of units: one number for each unit of a network that nothing is lesioned in."""

from __future__ import annotations

import numpy as np
import torch

from localspec.errors import choose
from localspec.lesion_replacement import mean_outputs
from localspec.units import UnitLayer, trace_units

STRATA = ("weight norm", "mean activation")


def _incoming(layer: UnitLayer) -> torch.Tensor:
    """Return all weights into a layer's units, shape (n_units, n_weights)."""
    parts = []
    for writer in layer.writers:
        rows = writer.reader.module.weight.detach().flatten(1)
        after = layer.n_units - writer.start - len(rows)
        parts.append(torch.nn.functional.pad(rows, (0, 0, writer.start, after)))
    return torch.cat(parts, dim=1) if parts else torch.zeros(layer.n_units, 1)


def unit_strengths(network, x: torch.Tensor, kind: str) -> dict[str, np.ndarray]:
    """Return one number a unit: how strong it is, before anything is lesioned.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
    x : torch.Tensor, shape (n_images, ...)
    kind : {"weight norm", "mean activation"}
        Euclidean norm of the unit's incoming weights, or the mean of what it hands on.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_units,)
        For each tested layer.
    """
    choose("strata", kind, STRATA)
    unit_map = trace_units(network)
    if kind == "weight norm":
        strengths = {
            layer.name: torch.linalg.vector_norm(_incoming(layer), dim=1)
            for layer in unit_map.tested
        }
    else:
        means = mean_outputs(unit_map, x)
        strengths = {
            name: mean.flatten(1).mean(dim=1) if mean.ndim > 1 else mean
            for name, mean in means.items()
        }
    return {name: value.double().cpu().numpy() for name, value in strengths.items()}
