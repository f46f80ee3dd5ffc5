"""Fast convolutions: the same values by a faster way, for the time of a computation on a CPU.

In float64 torch convolves images one by one, at a tenth of the speed of a large matrix product. A
convolution is a linear map of the whole image, so that for maps of few pixels one product with that
map's matrix is faster although most of its entries are zero::

                  outputs (channels x positions)
    inputs    [                                 ]
    (channels [   kernel entry, or 0 where the  ]
    x pixels) [   kernel does not reach         ]

In float32 and bfloat16 the channels of a pixel go side by side in memory: max pooling then works on
whole vectors, and convolutions need fewer rearrangements.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from localspec.units._unit_map import UnitMap

MAX_RATIO = 4  # of the matrix's multiplications to the convolution's
CHANNELS_LAST_DTYPES = (torch.float32, torch.bfloat16)


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


def _convolutions(module: nn.Module) -> dict[str, nn.Conv2d]:
    return {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d)}


def _as_matrices(module: nn.Module, image: torch.Tensor) -> dict[str, nn.Module]:
    """Return a matrix in place of each convolution of maps small enough, by name."""
    shapes: dict[str, torch.Size] = {}

    def note(name: str):
        return lambda _, inputs, __: shapes.update({name: inputs[0].shape[1:]})

    layers = _convolutions(module)
    handles = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    with torch.no_grad():  # not inference mode: gradients are to flow through the matrices
        module(image)
        for handle in handles:
            handle.remove()
        return {
            name: _DenseConvolution(layers[name], shape)
            for name, shape in shapes.items()
            if _worthwhile(layers[name], shape)
        }


def _with_channels_last(module: nn.Module) -> dict[str, nn.Module]:
    """Return copies of all convolutions that write maps with the channels last, by name."""
    return {
        name: copy.deepcopy(layer).to(memory_format=torch.channels_last)
        for name, layer in _convolutions(module).items()
    }


def is_channels_last(layer: nn.Module) -> bool:
    """Whether a layer is a convolution that writes maps with the channels last in memory."""
    if not isinstance(layer, nn.Conv2d) or layer.weight.is_contiguous():
        return False
    return layer.weight.is_contiguous(memory_format=torch.channels_last)


@contextmanager
def fast_convolutions(unit_map: UnitMap, image: torch.Tensor) -> Iterator[None]:
    """Let a network's convolutions run faster inside the block.

    Parameters
    ----------
    unit_map : UnitMap
        Left alone unless it is on a CPU.
    image : torch.Tensor, shape (1, n_channels, height, width)
        Of the size that the network will read.

    Notes
    -----
    Results differ by rounding only; the order of dimensions stays as it is. A matrix holds at most
    `MAX_RATIO` times as many multiplications as its convolution.
    """
    module = unit_map.graph_module
    replacements: dict[str, nn.Module] = {}
    if unit_map.device.type == "cpu":
        if unit_map.dtype == torch.float64:
            replacements = _as_matrices(module, image)
        elif unit_map.dtype in CHANNELS_LAST_DTYPES:
            replacements = _with_channels_last(module)
    originals = {name: module.get_submodule(name) for name in replacements}
    for name, replacement in replacements.items():
        module.set_submodule(name, replacement)
    try:
        yield
    finally:
        for name, original in originals.items():
            module.set_submodule(name, original)
