"""Workspaces: fill the same arrays again and again, so that memory is asked for once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import torch
from torch import nn


class Workspace:
    """Arrays by purpose; asking for one again gives the same memory, whatever it holds.

    Fresh memory of some megabytes costs as much time as several operations on it, since the
    operating system hands it out page by page. For one thread at a time.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple, torch.Tensor] = {}

    def array(
        self,
        purpose: Hashable,
        shape: Sequence[int],
        example: torch.Tensor,
        *,
        channels_last: bool = False,
    ) -> torch.Tensor:
        """Return an array with arbitrary values, which the next call for `purpose` overwrites.

        Type and device are those of `example`. With `channels_last` an array (n_images,
        n_channels, height, width) has its channels last in memory.
        """
        key, size = (purpose, example.dtype, example.device), math.prod(shape)
        if key not in self._memory or len(self._memory[key]) < size:
            self._memory[key] = torch.empty(size, dtype=example.dtype, device=example.device)
        flat = self._memory[key][:size]
        if channels_last:
            n_images, n_channels, height, width = shape
            return flat.view(n_images, height, width, n_channels).permute(0, 3, 1, 2)
        return flat.view(*shape)

    def runs(self, layer: nn.Module, values: torch.Tensor) -> bool:
        """Whether :meth:`dense` does what a layer would do to these values."""
        hooked = layer._forward_hooks or layer._forward_pre_hooks
        return type(layer) is nn.Linear and values.ndim == 2 and not hooked

    def dense(self, purpose: Hashable, layer: nn.Linear, values: torch.Tensor) -> torch.Tensor:
        """Return what a dense layer makes of values (n_images, n_inputs), in kept memory."""
        result = self.array(purpose, (len(values), layer.out_features), values)
        if layer.bias is None:
            return torch.mm(values, layer.weight.T, out=result)
        return torch.addmm(layer.bias, values, layer.weight.T, out=result)
