"""Contributions: turn a lesion into a subtraction at the next layer.

A lesion changes the next layer's linear part by the sum of what the lesioned units contributed to
it; where fewer units are kept than lesioned, it is cheaper to add up what the kept ones contribute.
A dense layer behind a dense layer multiplies the lesioned units' columns alone, a convolution
convolves the lesioned channels alone. A dense layer that reads flattened maps spends many
multiplications on a unit and output: there every unit's contribution is computed once, and the
layer's values under all lesions are one matrix product::

                       units           all none        image 1, output 1 .. image B, output m
    lesions [  0 -1 -1  0  ...  0       1   0  ]    [ units x (images x outputs)              ]
            [  1  0  0  0  ...  1       0   1  ]  @ [ value with all units                    ]
                                                    [ value with none (all lesioned)          ]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec.units import Reader, UnitLayer, UnitMap, Workspace, is_channels_last


def subtracting_readers(unit_map: UnitMap, layer: UnitLayer) -> list[Reader]:
    """Return those that read a layer at which lesions of the layer can be subtracted.

    They must read nothing else, and no gate may lie between.
    """
    return [
        reader
        for reader in unit_map.readers_of(layer)
        if len(reader.readings) == 1
        and reader.readings[0].gate is None
        and _is_simple(reader.module, layer.n_units)
    ]


def _is_simple(module: nn.Linear | nn.Conv2d, n_units: int) -> bool:
    if isinstance(module, nn.Linear):
        return module.in_features % n_units == 0
    padded = module.padding_mode == "zeros" and isinstance(module.padding, tuple)
    return padded and module.groups == 1


def n_contributed(reader: Reader, n_values: int) -> int:
    """Return how many numbers of contributions are kept for one image.

    `n_values` is the number of values of the reader for one image.
    """
    return (reader.n_read + 2) * n_values if _reads_flattened(reader) else 0


def _reads_flattened(reader: Reader) -> bool:
    return isinstance(reader.module, nn.Linear) and reader.module.in_features > reader.n_read


class Contributions:
    """The values of a layer's reader under lesions, for one batch of images.

    What lies between the point where lesions act and the reader acts on each channel alone.
    `values` are those of the live nodes of `point`, whose own has shape (n_images, n_units, ...);
    `replacement`, shape (n_units, ...), is what lesioned units have in place of theirs; None stands
    for zero.
    """

    def __init__(
        self,
        unit_map: UnitMap,
        reader: Reader,
        point: fx.Node,
        values: Sequence[torch.Tensor],
        replacement: torch.Tensor | None,
    ) -> None:
        self.reader, stops = reader, (reader.source,)
        # the convolution that runs may be another form of the reader's
        running = unit_map.graph_module.get_submodule(reader.node.target)
        module = running if isinstance(running, nn.Conv2d) else reader.module
        self.module, self.channels_last = module, is_channels_last(running)
        (read,) = unit_map.run(values, start=point, stops=stops)
        lesioned = []
        for node, value in zip(unit_map.live_nodes(point), values, strict=True):
            instead = torch.zeros_like(value[:1]) if replacement is None else replacement[None]
            lesioned.append(instead if node is point else value[:1])
        (nothing,) = unit_map.run(lesioned, start=point, stops=stops)
        self.base, self.silent = module(read), module(nothing)
        difference = read - nothing
        if _reads_flattened(reader):
            self.table = self._table(difference)
        elif isinstance(module, nn.Linear):
            self.units = difference.T.contiguous()  # (n_units, n_images)
            self.weights = module.weight.T.contiguous()  # (n_units, n_outputs)
        else:
            self.maps = difference  # (n_images, n_units, height, width)

    def _table(self, difference: torch.Tensor) -> torch.Tensor:
        """Return each unit's contributions, then the values with all units and with none."""
        weight, n_units = self.reader.module.weight, self.reader.n_read
        parts = difference.reshape(len(difference), n_units, -1).transpose(0, 1)
        weights = weight.reshape(len(weight), n_units, -1).permute(1, 2, 0)
        nothing = self.silent.expand_as(self.base)
        return torch.cat([torch.bmm(parts, weights), self.base[None], nothing[None]]).flatten(1)

    def read(self, keep: torch.Tensor, workspace: Workspace) -> torch.Tensor:
        """Return the reader's values under lesions.

        `keep`, shape (n_lesions, n_units), is 0 where a unit is lesioned, else 1. What is returned,
        shape (n_lesions * n_images, ...), lies in the workspace.
        """
        rebuilt = keep.sum(dim=1, keepdim=True) < keep.shape[1] / 2
        signs = torch.where(rebuilt, keep, keep - 1)
        n_images, shape = len(self.base), self.base.shape[1:]
        if _reads_flattened(self.reader):
            rows = torch.cat([signs, (~rebuilt).to(keep), rebuilt.to(keep)], dim=1)
            values = workspace.array(self.reader.node, (len(keep), self.table.shape[1]), self.table)
            return torch.mm(rows, self.table, out=values).reshape(-1, *shape)
        stacked = workspace.array(
            self.reader.node,
            (len(keep) * n_images, *shape),
            keep,
            channels_last=self.channels_last,
        )
        rows = stacked.split(n_images)
        for row, sign, from_nothing in zip(rows, signs, rebuilt[:, 0].tolist(), strict=True):
            units = sign.nonzero()[:, 0]
            start, factor = (self.silent, 1) if from_nothing else (self.base, -1)
            if not len(units):
                row.copy_(start)
            elif isinstance(self.reader.module, nn.Linear):
                torch.addmm(start, self.units[units].T, self.weights[units], alpha=factor, out=row)
            else:
                torch.add(start, self._convolved(units), alpha=factor, out=row)
        return stacked

    def _convolved(self, units: torch.Tensor) -> torch.Tensor:
        """Return what some units contribute together, shape (n_images, n_channels, ...)."""
        module = self.module
        return F.conv2d(
            self.maps[:, units],
            module.weight[:, units],
            None,
            module.stride,
            module.padding,
            module.dilation,
        )
