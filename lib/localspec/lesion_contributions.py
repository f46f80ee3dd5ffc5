"""What each unit contributes to the next layer, so that a lesion costs a subtraction there.

A lesion changes the next layer's linear part by the sum of what the lesioned units contributed to
it; where fewer units are kept than lesioned, it is cheaper to add up what the kept ones contribute.
Where the next layer spends several multiplications on a unit and output (a convolution, a dense
layer that reads flattened maps), every unit's contribution is computed once, and the next layer's
values under all lesions are one matrix product::

                       units           all none        image 1, output 1 .. image B, output m
    lesions [  0 -1 -1  0  ...  0       1   0  ]    [ units x (images x outputs)              ]
            [  1  0  0  0  ...  1       0   1  ]  @ [ value with all units                    ]
                                                    [ value with none (all lesioned)          ]

Where it spends one (a dense layer behind a dense layer), a product with the lesioned units' columns
alone is as cheap as adding contributions up.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec.channels_last import are_last
from localspec.unit_layers import Reader, UnitLayer
from localspec.unit_maps import UnitMap


def reader_of(unit_map: UnitMap, layer: UnitLayer) -> Reader | None:
    """Return what reads a layer if lesions of the layer can be subtracted there.

    It must be the only one that sees the layer, read nothing else, and write a tensor alone.
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
    return reader if module.in_features % layer.n_units == 0 else None


def n_contributed(reader: Reader, n_values: int) -> int:
    """Return how many numbers of contributions are kept for one image.

    Parameters
    ----------
    reader : Reader
    n_values : int
        Of the reader for one image.
    """
    return 0 if _is_direct(reader) else (reader.n_read + 2) * n_values


def _is_direct(reader: Reader) -> bool:
    return isinstance(reader.module, nn.Linear) and reader.module.in_features == reader.n_read


class Contributions:
    """The values of a layer's reader under lesions, for one batch of images.

    Parameters
    ----------
    unit_map : UnitMap
    reader : Reader
        Of the lesioned layer. What lies between them acts on each channel alone.
    point : torch.fx.Node
        Where lesions act.
    values : sequence of torch.Tensor, shape (n_images, ...)
        Values of the frontier of `point`; that of `point` has shape (n_images, n_units, ...).
    replacement : torch.Tensor, shape (n_units, ...), optional
        What lesioned units have in place of their values; by default zero.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Lesion".
    """

    def __init__(
        self,
        unit_map: UnitMap,
        reader: Reader,
        point: fx.Node,
        values: Sequence[torch.Tensor],
        replacement: torch.Tensor | None = None,
    ) -> None:
        self.reader, module, stops = reader, reader.module, (reader.source,)
        # the module that runs may be another form of the reader's
        running = unit_map.graph_module.get_submodule(reader.node.target)
        self.channels_last = are_last(running)
        (read,) = unit_map.run(values, start=point, stops=stops)
        lesioned = []
        for node, value in zip(unit_map.frontier(point), values, strict=True):
            instead = torch.zeros_like(value[:1]) if replacement is None else replacement[None]
            lesioned.append(instead if node is point else value[:1])
        (nothing,) = unit_map.run(lesioned, start=point, stops=stops)
        self.base, self.silent = module(read), module(nothing)
        difference = read - nothing
        if _is_direct(reader):
            self.units = difference.T.contiguous()  # (n_units, n_images)
            self.weights = module.weight.T.contiguous()  # (n_units, n_outputs)
        else:
            self.table = self._table(difference)

    def _table(self, difference: torch.Tensor) -> torch.Tensor:
        """Return each unit's contributions, and the values with all and with no unit."""
        module, n_units = self.reader.module, self.reader.n_read
        n_images, weight = len(difference), module.weight
        if isinstance(module, nn.Linear):
            parts = difference.reshape(n_images, n_units, -1).transpose(0, 1)
            weights = weight.reshape(len(weight), n_units, -1).permute(1, 2, 0)
            units = torch.bmm(parts, weights)
        else:
            # one group a unit: channel u of the map meets the kernels that read u, nothing else
            kernels = weight.transpose(0, 1).reshape(n_units * len(weight), 1, *weight.shape[2:])
            maps = F.conv2d(
                *(difference, kernels, None, module.stride, module.padding, module.dilation),
                groups=n_units,
            )
            shape = (n_images, n_units, *self.base.shape[1:])
            units = maps.reshape(shape).transpose(0, 1)
        rows = [units, self.base[None], self.silent.expand_as(self.base)[None]]
        if self.channels_last:
            rows = [row.movedim(2, -1) for row in rows]
        return torch.cat(rows).flatten(1)

    def read(self, keep: torch.Tensor) -> torch.Tensor:
        """Return the reader's values under lesions.

        Parameters
        ----------
        keep : torch.Tensor, shape (n_lesions, n_units)
            0 where a unit is lesioned, else 1.

        Returns
        -------
        torch.Tensor, shape (n_lesions * n_images, ...)
        """
        rebuilt = keep.sum(dim=1, keepdim=True) < keep.shape[1] / 2
        signs = torch.where(rebuilt, keep, keep - 1)
        if not _is_direct(self.reader):
            rows = torch.cat([signs, (~rebuilt).to(keep), rebuilt.to(keep)], dim=1)
            found, shape = rows @ self.table, self.base.shape[1:]
            if self.channels_last:
                return found.reshape(-1, *shape[1:], shape[0]).movedim(-1, 1)
            return found.reshape(-1, *shape)
        stacked = self.base.new_empty(len(keep), *self.base.shape)
        for row, sign, from_nothing in zip(stacked, signs, rebuilt[:, 0].tolist(), strict=True):
            units = sign.nonzero()[:, 0]
            start = self.silent if from_nothing else self.base
            torch.addmm(
                *(start, self.units[units].T, self.weights[units]),
                alpha=1 if from_nothing else -1,
                out=row,
            )
        return stacked.flatten(0, 1)
