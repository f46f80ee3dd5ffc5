"""Fast convolutions: the same values by a faster way, for the time of a computation on a CPU.

In float64 torch convolves images one by one, at a tenth of the speed of a large matrix product. A
convolution is a linear map of the whole image, so that for many maps of few pixels one product with
that map's matrix is faster although most of its entries are zero::

                  outputs (channels x positions)
    inputs    [                                 ]
    (channels [   kernel entry, or 0 where the  ]
    x pixels) [   kernel does not reach         ]

In float32 and bfloat16 the channels of a pixel go side by side in memory: max pooling then works on
whole vectors, and convolutions need fewer rearrangements. In float32 a convolution can also take in
the batch normalization that reads it, which saves a pass over its maps.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from localspec.units._hooked import Units
from localspec.units._hooked_units import HookedUnits

# A matrix has n_pixels / n_kernel times the multiplications of its convolution. In float64, on one
# core, images in batches of 256, it took (microseconds an image, convolution and matrix):
#     64 channels, 2 x 2 pixels, kernel 3 x 3: 171 and 4      512 channels, 2 x 2: 10,357 and 563
#     64 channels, 4 x 4                     : 268 and 130    128 channels, 4 x 4:  1,342 and 521
#     64 channels, 6 x 6                     : 511 and 573    8 channels, 8 x 8  :     20 and 33
#     16 channels, 4 x 4                     :  34 and 4      4 channels, 6 x 6  :    2.7 and 1.0
MAX_RATIO = 2  # of multiplications
SMALL_MATRIX, MAX_RATIO_SMALL = 2**16, 4  # entries: such a matrix stays in a core's cache
MAX_ENTRIES = 2**24  # of all matrices: 128 MB
MIN_IMAGES = 200  # making a matrix takes as long as what it saves on 10 to 200 images
CHANNELS_LAST_DTYPES = (torch.float32, torch.bfloat16)


class _DenseConvolution(nn.Module):
    """A convolution of maps of one size, as a matrix."""

    def __init__(self, layer: nn.Conv2d, shape: torch.Size) -> None:
        super().__init__()
        n_outputs, n_inputs, *size = layer.weight.shape
        n_pixels = shape[1:].numel()
        lit = torch.eye(n_pixels, dtype=layer.weight.dtype, device=layer.weight.device)
        lit = lit.reshape(n_pixels, 1, *shape[1:])
        kernels = layer.weight.detach().reshape(-1, 1, *size)
        maps = F.conv2d(lit, kernels, None, layer.stride, layer.padding, layer.dilation)
        self.shape = torch.Size((n_outputs, *maps.shape[2:]))
        blocks = maps.reshape(n_pixels, n_outputs, n_inputs, -1).permute(2, 0, 1, 3)
        self.matrix = blocks.reshape(shape.numel(), self.shape.numel())
        n_positions = self.shape[1:].numel()
        zeros = layer.weight.new_zeros(self.shape[0])
        bias = zeros if layer.bias is None else layer.bias.detach()
        self.bias = bias.repeat_interleave(n_positions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, x.flatten(1), self.matrix).reshape(-1, *self.shape)


def _n_entries(layer: nn.Conv2d, read: torch.Size, written: torch.Size) -> int | None:
    """Return the size of a convolution's matrix; None where the matrix would be no faster."""
    n_pixels, n_kernel = read[1:].numel(), layer.weight[0, 0].numel()
    n_entries = read.numel() * written.numel()
    most = MAX_RATIO_SMALL if n_entries <= SMALL_MATRIX else MAX_RATIO
    plain = layer.groups == 1 and layer.padding_mode == "zeros"
    return n_entries if plain and n_pixels <= most * n_kernel else None


def _convolutions(module: nn.Module) -> dict[str, nn.Conv2d]:
    return {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d)}


def _as_matrices(module: nn.Module, image: torch.Tensor) -> dict[str, nn.Module]:
    """Return a matrix in place of each convolution that it is faster than, by name."""
    shapes: dict[str, tuple[torch.Size, torch.Size]] = {}

    def note(name: str):
        return lambda _, read, written: shapes.update(
            {name: (read[0].shape[1:], written.shape[1:])}
        )

    layers = _convolutions(module)
    handles = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    matrices, n_left = {}, MAX_ENTRIES
    with torch.no_grad():  # not inference mode: gradients are to flow through the matrices
        module(image)
        for handle in handles:
            handle.remove()
        for name, (read, written) in shapes.items():
            n_entries = _n_entries(layers[name], read, written)
            if n_entries is not None and n_entries <= n_left:
                matrices[name] = _DenseConvolution(layers[name], read)
                n_left -= n_entries
    return matrices


def _with_batch_norms(module: fx.GraphModule, kept: Collection[fx.Node]) -> dict[str, nn.Module]:
    """Return convolutions that normalize, and what stands for their normalizations, by name."""
    calls = [node for node in module.graph.nodes if node.op == "call_module"]
    times = Counter(node.target for node in calls)
    fused: dict[str, nn.Module] = {}
    for node in calls:
        norm, source = module.get_submodule(node.target), node.all_input_nodes[0]
        if not isinstance(norm, nn.BatchNorm2d) or source.op != "call_module" or source in kept:
            continue
        layer = module.get_submodule(source.target)
        alone = len(source.users) == times[source.target] == times[node.target] == 1
        if isinstance(layer, nn.Conv2d) and alone:
            fused[source.target], fused[node.target] = fuse_conv_bn_eval(layer, norm), nn.Identity()
    return fused


def _with_channels_last(module: nn.Module, instead: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Return copies of all convolutions, or of those `instead`, that write channels last."""
    return {
        name: copy.deepcopy(instead.get(name, layer)).to(memory_format=torch.channels_last)
        for name, layer in _convolutions(module).items()
    }


def is_channels_last(layer: nn.Module) -> bool:
    """Whether a layer is a convolution that writes maps with the channels last in memory."""
    if not isinstance(layer, nn.Conv2d) or layer.weight.is_contiguous():
        return False
    return layer.weight.is_contiguous(memory_format=torch.channels_last)


@contextmanager
def fast_convolutions(
    unit_map: Units,
    image: torch.Tensor,
    n_images: int,
    *,
    kept: Collection[fx.Node],
) -> Iterator[None]:
    """Let a network's convolutions run faster inside the block.

    Parameters
    ----------
    unit_map : UnitMap or HookedUnits
        Left alone unless it is traced and on a CPU.
    image : torch.Tensor, shape (1, n_channels, height, width)
        Of the size that the network will read.
    n_images : int
        How many passes of one image there will be, about: a few are not worth preparations.
    kept : collection of torch.fx.Node
        Nodes whose values must stay what they are. Other convolutions in float32 may have the
        value of the batch normalization that reads them.

    Notes
    -----
    Results differ by rounding only; the order of dimensions stays as it is. Matrices hold at most
    `MAX_ENTRIES` numbers together.
    """
    if isinstance(unit_map, HookedUnits):  # what else uses its layers is not known
        yield
        return
    module = unit_map.graph_module
    replacements: dict[str, nn.Module] = {}
    if unit_map.device.type == "cpu":
        if unit_map.dtype == torch.float64 and n_images >= MIN_IMAGES:
            replacements = _as_matrices(module, image)
        elif unit_map.dtype in CHANNELS_LAST_DTYPES:
            if unit_map.dtype == torch.float32:
                replacements = _with_batch_norms(module, kept)
            replacements |= _with_channels_last(module, replacements)
    originals = {name: module.get_submodule(name) for name in replacements}
    for name, replacement in replacements.items():
        module.set_submodule(name, replacement)
    try:
        yield
    finally:
        for name, original in originals.items():
            module.set_submodule(name, original)
