"""Layers of units: tensors that dense layers and convolutions read, and what writes them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx, nn

from localspec.units._operations import Scaling


@dataclass(frozen=True)
class BatchNormScale:
    """A batch normalization, or constant, that all consumers of a tensor read through."""

    module: nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm | Scaling
    before_activation: bool


@dataclass(frozen=True)
class ChannelNorm:
    """A batch normalization, or constant, that some units pass: the first one as its `start`."""

    module: nn.BatchNorm1d | nn.BatchNorm2d | nn.SyncBatchNorm | Scaling
    start: int


@dataclass(frozen=True)
class Reading:
    """What a reader reads of one tensor.

    The normalizations are those between the tensor and the reader, without those of the tensor's
    own that stand before its activation.
    """

    tensor: str | None  # None for the images
    start: int  # first of the reader's input channels (in units) that are the tensor's
    norms: tuple[ChannelNorm, ...]
    gate: str | None  # product on the way with values that hang on the image, if any


@dataclass(frozen=True)
class Reader:
    """A call of a dense layer or convolution.

    Attributes
    ----------
    name : str
        Path of the module.
    module : torch.nn.Linear or torch.nn.Conv2d
    node : torch.fx.Node
        What the module returns.
    readings : tuple of Reading
        In the order of its input channels: several where it reads a concatenation.
    n_read : int
        Units that it reads.
    """

    name: str
    module: nn.Linear | nn.Conv2d
    node: fx.Node
    readings: tuple[Reading, ...]
    n_read: int

    @property
    def source(self) -> fx.Node:
        """Node that the module reads."""
        return self.node.all_input_nodes[0]

    @property
    def n_written(self) -> int:
        """Number of outputs."""
        return self.module.weight.shape[0]


@dataclass(frozen=True)
class Writer:
    """A reader whose values flow into a tensor from its unit `start` on; see :class:`Reading`."""

    reader: Reader
    start: int
    norms: tuple[ChannelNorm, ...]
    gate: str | None


@dataclass(frozen=True)
class UnitLayer:
    """A layer of units: the channels of one tensor.

    Attributes
    ----------
    tensor : str
        Path of the module that writes it, such as ``"dense1"`` or ``"layer1.0.conv2"``; of an
        addition, the last of the modules that write it by the shortest way.
    value : torch.fx.Node
        Where it is formed: what its module returns, or the addition.
    pre_activation : torch.fx.Node
        `value` after the batch normalization that stands before the activation, if any.
    end : torch.fx.Node
        What the next layer reads, before pooling, dropout and reshaping; of a tensor with several
        consumers, the last such node that is common to all of them.
    batch_norms : tuple of BatchNormScale
        Up to `end`.
    n_units : int
        Number of neurons or channels.
    is_conv : bool
        Whether the units are channels.
    writers : tuple of Writer
        Several for an addition; none for a sum of tensors that are layers themselves.
    reader : str or None
        Of a layer of units as one reader sees them, its name.
    """

    tensor: str
    value: fx.Node
    pre_activation: fx.Node
    end: fx.Node
    batch_norms: tuple[BatchNormScale, ...]
    n_units: int
    is_conv: bool
    writers: tuple[Writer, ...]
    reader: str | None = None

    @property
    def name(self) -> str:
        """Name of the tensor, with that of the reader if the layer is one reader's."""
        return self.tensor if self.reader is None else f"{self.tensor}->{self.reader}"
