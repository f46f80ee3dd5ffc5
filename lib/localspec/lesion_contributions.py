"""What each unit contributes to the next layer: many lesions as one matrix product.

A lesion changes the next layer's linear part by the sum of what the lesioned units contributed to
it. With the contributions of every unit computed once, the next layer's values under all lesions
are ``base - M @ contributions``, where M is the 0/1 matrix of lesions x units (or, where fewer
units are kept than lesioned, the sum of what the kept ones contribute)::

                      unit 1 .. unit n_units          image 1, output 1 .. image B, output m
    lesions x units   [ 0  1  1  0  ... ]      @      units x (images x outputs)
"""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec.units import UnitLayer, UnitMap


def reader_of(unit_map: UnitMap, layer: UnitLayer) -> UnitLayer | None:
    """Return the next layer if lesions of `layer` are cheaper through contributions.

    That is so where the next layer spends more than one multiplication on a unit and output: a
    convolution, or a dense layer that reads a flattened map.
    """
    index = unit_map.layers.index(layer)
    if index + 1 >= len(unit_map.layers):
        return None
    reader = unit_map.layers[index + 1]
    if reader.is_conv:
        module = reader.module
        simple = module.groups == 1 and module.padding_mode == "zeros"
        return reader if simple and isinstance(module.padding, tuple) else None
    features = reader.module.in_features
    return reader if features > layer.n_units and features % layer.n_units == 0 else None


def contributions(
    unit_map: UnitMap, layer: UnitLayer, reader: UnitLayer, point: fx.Node, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the reader's values without and with all units lesioned, and what each unit adds.

    Parameters
    ----------
    unit_map : UnitMap
    layer, reader : UnitLayer
        The lesioned layer and the next one. What lies between them acts on each channel alone.
    point : torch.fx.Node
        Where lesions set units to zero.
    value : torch.Tensor, shape (n_images, n_units, ...)
        Value of `point`.

    Returns
    -------
    base : torch.Tensor, shape (n_images, ...)
        Value of the reader.
    silent : torch.Tensor, shape (1, ...)
        Value of the reader when every unit is lesioned, the same for every image.
    contribution : torch.Tensor, shape (n_units, n_images, ...)
        What each unit adds to `silent`; together they make `base`.
    """
    stop = (reader.value.args[0],)
    (read,) = unit_map.run(value, start=point, stops=stop)
    (nothing,) = unit_map.run(torch.zeros_like(value[:1]), start=point, stops=stop)
    (base,) = unit_map.run(read, start=stop[0], stops=(reader.value,))
    (silent,) = unit_map.run(nothing, start=stop[0], stops=(reader.value,))
    difference = read - nothing
    n_units, n_images = layer.n_units, len(value)
    weight = reader.module.weight
    if isinstance(reader.module, nn.Linear):
        parts = difference.reshape(n_images, n_units, -1).transpose(0, 1)
        weights = weight.reshape(len(weight), n_units, -1).permute(1, 2, 0)
        return base, silent, torch.bmm(parts, weights)
    # one group a unit: channel u of the map meets the kernels that read u, and nothing else
    kernels = weight.transpose(0, 1).reshape(n_units * len(weight), 1, *weight.shape[2:])
    module = reader.module
    maps = F.conv2d(
        *(difference, kernels, None, module.stride, module.padding, module.dilation),
        groups=n_units,
    )
    shape = (n_images, n_units, *base.shape[1:])
    return base, silent, maps.reshape(shape).transpose(0, 1).contiguous()
