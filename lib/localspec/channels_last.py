"""Convolutions in single precision with the channels of a pixel side by side in memory.

On a CPU, max pooling then works on whole vectors and convolutions need fewer rearrangements.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from localspec.units import UnitMap

DTYPES = (torch.float32, torch.bfloat16)


def are_last(layer: nn.Module) -> bool:
    """Whether a layer is a convolution that writes maps with the channels last in memory."""
    if not isinstance(layer, nn.Conv2d) or layer.weight.is_contiguous():
        return False
    return layer.weight.is_contiguous(memory_format=torch.channels_last)


@contextmanager
def channels_last(unit_map: UnitMap) -> Iterator[None]:
    """Let a network's convolutions write maps with the channels last in memory inside the block.

    Parameters
    ----------
    unit_map : UnitMap
        Left alone unless it is float32 or bfloat16 and on a CPU, and if it calls ``view``, which
        such maps refuse.

    Notes
    -----
    The order of dimensions stays as it is. Results differ by rounding only.
    """
    module, layers = unit_map.graph_module, {}
    views = any(node.target == "view" for node in module.graph.nodes)
    if unit_map.dtype in DTYPES and unit_map.device.type == "cpu" and not views:
        layers = {
            name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d)
        }
    for name, layer in layers.items():
        changed = copy.deepcopy(layer).to(memory_format=torch.channels_last)
        module.set_submodule(name, changed)
    try:
        yield
    finally:
        for name, layer in layers.items():
            module.set_submodule(name, layer)
