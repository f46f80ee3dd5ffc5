"""Values of units: compute what units do on images, and how strong they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec._utils.validation import check_integer, check_option, require
from localspec.conventions import Conventions, resolve
from localspec.data import check_images
from localspec.units._checks import count_logits
from localspec.units._hooked import Units, units_of
from localspec.units._hooked_units import UNTRACED, HookedUnits
from localspec.units._layers import UnitLayer
from localspec.units._trace import Network
from localspec.units._unit_map import MAX_VALUES, UnitMap


def _windows(convolution: nn.Conv2d, height: int, width: int) -> torch.Tensor:
    """Return the share of each pixel in each kernel entry's mean, shape (pixels, entries)."""
    shares = []
    for axis, size in enumerate((height, width)):
        n_entries = convolution.kernel_size[axis]
        padding = convolution.padding
        read = F.conv1d(
            torch.eye(size, dtype=torch.float64, device="cpu")[:, None],
            torch.eye(n_entries, dtype=torch.float64, device="cpu")[:, None],
            stride=convolution.stride[axis],
            padding=padding if isinstance(padding, str) else padding[axis],
            dilation=convolution.dilation[axis],
        )
        shares.append(read.mean(dim=2))
    return torch.einsum("yi,xj->yxij", *shares).reshape(height * width, -1)


def _of_convolution(convolution: nn.Conv2d) -> Callable[[torch.Tensor], torch.Tensor]:
    weight = convolution.weight.detach().flatten(1)
    bias = None if convolution.bias is None else convolution.bias.detach()
    windows: dict[tuple[int, int], torch.Tensor] = {}

    def means(x: torch.Tensor) -> torch.Tensor:
        size = (x.shape[2], x.shape[3])
        if size not in windows:
            windows[size] = _windows(convolution, *size).to(x)
        if x.is_contiguous(memory_format=torch.channels_last):
            met = (windows[size].T @ x.permute(0, 2, 3, 1).flatten(1, 2)).transpose(1, 2)
        else:
            met = x.flatten(2) @ windows[size]
        return F.linear(met.flatten(1), weight, bias)

    return means


def precise(values: torch.Tensor) -> torch.Tensor:
    """Return values of bfloat16, whose sums would be rounded to three digits, as float32."""
    return values.float() if values.dtype == torch.bfloat16 else values


def _of_values(value: torch.Tensor) -> torch.Tensor:
    return value.mean(dim=tuple(range(2, value.ndim))) if value.ndim > 2 else value


def spatial_means(
    unit_map: Units, node: fx.Node | str
) -> tuple[fx.Node | str, Callable[[torch.Tensor], torch.Tensor]]:
    """Return how to take means over space of a node's values with the least work.

    Parameters
    ----------
    unit_map : UnitMap or HookedUnits
    node : torch.fx.Node or str
        What a layer's values are read at: dense, or with places behind (n_images, n_units).

    Returns
    -------
    torch.fx.Node or str
        The node to run the network up to: `node`, or what a convolution in its place reads.
    callable
        From that node's value to means, shape (n_images, n_units).

    Notes
    -----
    Batch normalization scales and shifts, which commutes with the mean. The weights are taken as
    constants.
    """
    if isinstance(unit_map, HookedUnits):
        return node, _of_values
    is_module = node.op == "call_module"
    module = unit_map.graph_module.get_submodule(node.target) if is_module else None
    if isinstance(module, nn.Conv2d) and module.groups == 1 and module.padding_mode == "zeros":
        return node.all_input_nodes[0], _of_convolution(module)
    if isinstance(module, nn.BatchNorm2d) and not module.training and module.track_running_stats:
        before, means = spatial_means(unit_map, node.all_input_nodes[0])
        return before, lambda value: module(means(value)[:, :, None, None]).flatten(1)
    return node, _of_values


ACTIVATION_VALUES = ("before", "after")  # the activation


def unit_values(
    network: Network,
    x: torch.Tensor,
    *,
    activation_values: str = "before",
    conventions: Conventions | str = "paper",
    max_values: int = MAX_VALUES,
) -> dict[str, np.ndarray]:
    """Return the values of the tested units on images.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
    activation_values : {"before", "after"}
        Values before the activation, such as a ReLU; or after it, before pooling, as the units
        hand them on (a batch normalization behind the activation included).
    conventions : Conventions or str
        Uses ``spatial_norm``, which collapses a channel's map to one number, and
        ``residual_units``.
    max_values : int, optional
        Bounds memory: numbers that the layers on the way hold together.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_images, n_units)
        By layer.

    Raises
    ------
    InvalidInputError
        If the network cannot be traced or cannot read the images.

    Examples
    --------
    The one hidden unit doubles its input:

    >>> module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU(), nn.Linear(1, 2)).eval()
    >>> _ = module[0].weight.data.fill_(2.0)
    >>> x = torch.tensor([[-1.0], [3.0]])
    >>> unit_values(module, x)["0"].ravel().tolist()
    [-2.0, 6.0]
    >>> unit_values(module, x, activation_values="after")["0"].ravel().tolist()
    [0.0, 6.0]
    """
    conventions = resolve(conventions)
    check_option("activation_values", activation_values, ACTIVATION_VALUES)
    unit_map = units_of(network, conventions=conventions)
    max_values = check_integer("max_values", max_values, 1)
    check_images(x)
    count_logits(unit_map, x)
    return unit_values_traced(unit_map, x, conventions, max_values, activation_values)


def unit_values_traced(
    unit_map: Units,
    x: torch.Tensor,
    conventions: Conventions,
    max_values: int,
    activation_values: str,
) -> dict[str, np.ndarray]:
    """Return what :func:`unit_values` does, of a traced network and checked images."""
    parts = []
    before = activation_values == "before"
    stops = tuple(layer.pre_activation if before else layer.end for layer in unit_map.tested)
    with torch.inference_mode():
        for batch in x.split(unit_map.n_together(x, stops, max_values=max_values)):
            batch = batch.to(unit_map.device, unit_map.dtype)
            values = unit_map.run(batch, stops=stops)
            parts.append([_collapse(precise(value), conventions.spatial_norm) for value in values])
    joined = [torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True)]
    return {layer.name: values for layer, values in zip(unit_map.tested, joined, strict=True)}


def _collapse(value: torch.Tensor, norm: str) -> torch.Tensor:
    if value.ndim == 2:
        return value
    columns = value.abs().sum(dim=2)
    if value.ndim == 3:  # one column: of tokens, or of a signal
        return columns
    if value.ndim > 4:
        require(
            norm == "l1",
            f"spatial_norm={norm!r} is a norm of maps of two dimensions, and a layer's have "
            f"{value.ndim - 2}: use spatial_norm='l1'",
        )
        return columns.flatten(2).sum(dim=2)
    return columns.sum(dim=2) if norm == "l1" else columns.amax(dim=2)


def mean_outputs(network: Network, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the mean over images of what each tested layer's units hand on, (n_units, ...).

    That is after the activation, before pooling; of a channel, the mean of every place in its map.

    Hod et al., arXiv:2110.08058, "Lesion"; mean ablation is a check of this project's.
    """
    unit_map = units_of(network)
    check_images(x)
    count_logits(unit_map, x)
    means = mean_values(unit_map, x, tuple(layer.end for layer in unit_map.tested))
    return {layer.name: means[layer.end] for layer in unit_map.tested}


def mean_values(
    unit_map: Units, x: torch.Tensor, nodes: tuple[fx.Node | str, ...]
) -> dict[fx.Node | str, torch.Tensor]:
    """Return the mean over images of the values of nodes.

    Parameters
    ----------
    unit_map : UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
    nodes : tuple of torch.fx.Node or str

    Returns
    -------
    dict of torch.fx.Node or str to torch.Tensor, shape (n_channels, ...)
        Of values in bfloat16, in float32.
    """
    totals: list[torch.Tensor] = []
    with torch.inference_mode():
        for part in x.split(unit_map.n_together(x, nodes)):
            part = part.to(unit_map.device, unit_map.dtype)
            sums = [precise(value).sum(dim=0) for value in unit_map.run(part, stops=nodes)]
            totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
    return {node: total / len(x) for node, total in zip(nodes, totals, strict=True)}


STRATA = ("weight norm", "mean activation")


def _incoming(layer: UnitLayer) -> torch.Tensor:
    """Return all weights into a layer's units, shape (n_units, n_weights)."""
    parts = []
    for writer in layer.writers:
        rows = precise(writer.reader.module.weight.detach()).flatten(1)
        after = layer.n_units - writer.start - len(rows)
        parts.append(F.pad(rows, (0, 0, writer.start, after)))
    return torch.cat(parts, dim=1) if parts else torch.zeros(layer.n_units, 1)


def unit_strengths(network: Network, x: torch.Tensor, kind: str) -> dict[str, np.ndarray]:
    """Return one number a unit: how strong it is, before anything is lesioned.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
    kind : {"weight norm", "mean activation"}
        Euclidean norm of the unit's incoming weights, or the mean of what it hands on.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_units,)
        For each tested layer.
    """
    check_option("strata", kind, STRATA)
    unit_map = units_of(network)
    if kind == "weight norm":
        require(isinstance(unit_map, UnitMap), f"strata={kind!r}: {UNTRACED}")
        strengths = {
            layer.name: torch.linalg.vector_norm(_incoming(layer), dim=1)
            for layer in unit_map.tested
        }
    else:
        means = mean_outputs(unit_map, x)
        strengths = {
            name: mean.flatten(1).mean(dim=1) if mean.ndim > 1 else mean
            for name, mean in means.items()
        }
    return {name: value.double().cpu().numpy() for name, value in strengths.items()}
