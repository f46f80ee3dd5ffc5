"""Convolutions of small maps in float64 as one matrix product.

On a CPU, torch convolves float64 images one by one, at a tenth of the speed of a large matrix
product. A convolution is a linear map of the whole image, so that for maps of few pixels one
product with that map's matrix is faster although most of its entries are zero::

                  outputs (channels x positions)
    inputs    [                                 ]
    (channels [   kernel entry, or 0 where the  ]
    x pixels) [   kernel does not reach         ]
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from localspec.units import UnitMap

MAX_RATIO = 4  # of the matrix's multiplications to the convolution's


class _DenseConvolution(nn.Module):
    """A convolution of maps of one size, as a matrix."""

    def __init__(self, layer: nn.Conv2d, shape: torch.Size) -> None:
        super().__init__()
        n_inputs = shape.numel()
        unit_images = torch.eye(n_inputs, dtype=layer.weight.dtype).reshape(n_inputs, *shape)
        columns = F.conv2d(
            unit_images,
            layer.weight.detach(),
            None,
            layer.stride,
            layer.padding,
            layer.dilation,
        )
        self.shape = columns.shape[1:]
        self.matrix = columns.flatten(1)
        n_positions = self.shape[1:].numel()
        zeros = layer.weight.new_zeros(self.shape[0])
        bias = zeros if layer.bias is None else layer.bias.detach()
        self.bias = bias.repeat_interleave(n_positions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, x.flatten(1), self.matrix).reshape(-1, *self.shape)


def _worthwhile(layer: nn.Conv2d, shape: torch.Size) -> bool:
    n_pixels, n_kernel = shape[1:].numel(), layer.weight[0, 0].numel()
    plain = layer.groups == 1 and layer.padding_mode == "zeros"
    return plain and n_pixels <= MAX_RATIO * n_kernel


@contextmanager
def dense_convolutions(unit_map: UnitMap, image: torch.Tensor) -> Iterator[None]:
    """Let a network's convolutions of small maps run as matrix products inside the block.

    Parameters
    ----------
    unit_map : UnitMap
        Left alone unless it is float64 and on a CPU.
    image : torch.Tensor, shape (1, n_channels, height, width)

    Notes
    -----
    Results differ by rounding only. A matrix holds at most `MAX_RATIO` times as many
    multiplications as its convolution.
    """
    module = unit_map.graph_module
    shapes: dict[str, torch.Size] = {}

    def note(name: str):
        return lambda _, inputs, __: shapes.update({name: inputs[0].shape[1:]})

    handles = []
    if unit_map.dtype == torch.float64 and unit_map.device.type == "cpu":
        handles = [
            part.register_forward_hook(note(name))
            for name, part in module.named_modules()
            if isinstance(part, nn.Conv2d)
        ]
    with torch.no_grad():  # not inference mode: gradients are to flow through the matrices
        module(image)
        for handle in handles:
            handle.remove()
        found = {name: (module.get_submodule(name), shape) for name, shape in shapes.items()}
        chosen = {name: each for name, each in found.items() if _worthwhile(*each)}
        dense = {name: _DenseConvolution(*each) for name, each in chosen.items()}
    for name, part in dense.items():
        module.set_submodule(name, part)
    try:
        yield
    finally:
        for name, (layer, _) in chosen.items():
            module.set_submodule(name, layer)
