"""What each unit contributes to the next layer: many lesions as one matrix product.

A lesion changes the next layer's linear part by the sum of what the lesioned units contributed to
it. With the contributions of every unit computed once, the next layer's values under all lesions
are ``base - M @ contributions``, where M is the 0/1 matrix of lesions x units (or, where fewer
units are kept than lesioned, the sum of what the kept ones contribute)::

                      unit 1 .. unit n_units          image 1, output 1 .. image B, output m
    lesions x units   [ 0  1  1  0  ... ]      @      units x (images x outputs)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec.unit_layers import Reader, UnitLayer
from localspec.unit_maps import UnitMap


def reader_of(unit_map: UnitMap, layer: UnitLayer) -> Reader | None:
    """Return what reads a layer if lesions of the layer are cheaper through contributions.

    That is so where the reader spends more than one multiplication on a unit and output: a
    convolution, or a dense layer that reads a flattened map. It must be the only one that sees
    the layer, read nothing else, and write a tensor alone.
    """
    reader = unit_map.only_reader(layer)
    if reader is None or len(reader.readings) > 1:
        return None
    if all(tensor.value is not reader.node for tensor in unit_map.tensors):
        return None
    module = reader.module
    if isinstance(module, nn.Conv2d):
        simple = module.groups == 1 and module.padding_mode == "zeros"
        return reader if simple and isinstance(module.padding, tuple) else None
    features = module.in_features
    return reader if features > layer.n_units and features % layer.n_units == 0 else None


def contributions(
    unit_map: UnitMap, reader: Reader, point: fx.Node, values: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the reader's values without and with all units lesioned, and what each unit adds.

    Parameters
    ----------
    unit_map : UnitMap
    reader : Reader
        Of the lesioned layer. What lies between them acts on each channel alone.
    point : torch.fx.Node
        Where lesions set units to zero.
    values : sequence of torch.Tensor, shape (n_images, ...)
        Values of the frontier of `point`; that of `point` has shape (n_images, n_units, ...).

    Returns
    -------
    base : torch.Tensor, shape (n_images, ...)
        Value of the reader.
    silent : torch.Tensor, shape (1, ...)
        Value of the reader when every unit is lesioned, the same for every image.
    contribution : torch.Tensor, shape (n_units, n_images, ...)
        What each unit adds to `silent`; together they make `base`.
    """
    stops, module = (reader.source,), reader.module
    (read,) = unit_map.run(values, start=point, stops=stops)
    lesioned = [
        torch.zeros_like(value[:1]) if node is point else value[:1]
        for node, value in zip(unit_map.frontier(point), values, strict=True)
    ]
    (nothing,) = unit_map.run(lesioned, start=point, stops=stops)
    base, silent = module(read), module(nothing)
    difference = read - nothing
    n_units, n_images = reader.n_read, len(read)
    weight = module.weight
    if isinstance(module, nn.Linear):
        parts = difference.reshape(n_images, n_units, -1).transpose(0, 1)
        weights = weight.reshape(len(weight), n_units, -1).permute(1, 2, 0)
        return base, silent, torch.bmm(parts, weights)
    # one group a unit: channel u of the map meets the kernels that read u, and nothing else
    kernels = weight.transpose(0, 1).reshape(n_units * len(weight), 1, *weight.shape[2:])
    maps = F.conv2d(
        *(difference, kernels, None, module.stride, module.padding, module.dilation),
        groups=n_units,
    )
    shape = (n_images, n_units, *base.shape[1:])
    return base, silent, maps.reshape(shape).transpose(0, 1).contiguous()
