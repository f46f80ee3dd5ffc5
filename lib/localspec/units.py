"""The units of a network and how its layers follow each other, read off a torch.fx trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import fx, nn

from localspec.errors import InvalidInputError
from localspec.operations import Runner, flatten_views, operation_kind


@dataclass(frozen=True)
class BatchNormScale:
    """A batch normalization read from a trace: its module and where it stands."""

    module: nn.BatchNorm1d | nn.BatchNorm2d
    before_activation: bool


@dataclass(frozen=True)
class UnitLayer:
    """A layer whose outputs are units.

    Attributes
    ----------
    name : str
        Path of the module that writes the units, such as ``"dense1"`` or ``"features.0"``.
    module : torch.nn.Linear or torch.nn.Conv2d
    value : torch.fx.Node
        What the module returns.
    pre_activation : torch.fx.Node
        `value` after the batch normalization that stands before the activation, if any.
    end : torch.fx.Node
        What the next layer reads, before pooling, dropout and reshaping.
    batch_norms : tuple of BatchNormScale
    """

    name: str
    module: nn.Linear | nn.Conv2d
    value: fx.Node
    pre_activation: fx.Node
    end: fx.Node
    batch_norms: tuple[BatchNormScale, ...]

    @property
    def n_units(self) -> int:
        """Number of neurons or channels."""
        return self.module.weight.shape[0]

    @property
    def is_conv(self) -> bool:
        """Whether the units are channels."""
        return isinstance(self.module, nn.Conv2d)


@dataclass(frozen=True)
class UnitMap:
    """A traced network: its layers of units, in order, and a way to run any part of it.

    Attributes
    ----------
    graph_module : torch.fx.GraphModule
    layers : tuple of UnitLayer
        From the input to the output; the last one writes the logits.
    """

    graph_module: fx.GraphModule
    layers: tuple[UnitLayer, ...]

    @property
    def input(self) -> fx.Node:
        """Node of the images."""
        return next(node for node in self.graph_module.graph.nodes if node.op == "placeholder")

    @property
    def output(self) -> fx.Node:
        """Node of the logits."""
        final = next(node for node in self.graph_module.graph.nodes if node.op == "output")
        return final.args[0]

    @property
    def tested(self) -> tuple[UnitLayer, ...]:
        """Layers whose subclusters are tested: convolutions if any, else hidden dense layers."""
        convolutions = tuple(layer for layer in self.layers if layer.is_conv)
        return convolutions or self.layers[:-1]

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.layers[0].module.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.layers[0].module.weight.device

    def layer(self, name: str) -> UnitLayer:
        """Return a layer by name.

        Raises
        ------
        InvalidInputError
            If there is no layer of that name.
        """
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = ", ".join(layer.name for layer in self.layers)
        raise InvalidInputError(f"there is no layer {name!r}; the network has: {names}")

    def run(
        self,
        value: torch.Tensor,
        *,
        start: fx.Node | None = None,
        stops: tuple[fx.Node, ...] | None = None,
        edits: Mapping[fx.Node, Callable[[torch.Tensor], torch.Tensor]] | None = None,
        relu: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> list[torch.Tensor]:
        """Run the part of the network from `start` to the last of `stops`.

        Parameters
        ----------
        value : torch.Tensor, shape (n_images, ...)
            Value of `start`.
        start : torch.fx.Node, optional
            By default the images.
        stops : tuple of torch.fx.Node, optional
            Nodes whose values to return; by default the logits.
        edits : mapping of torch.fx.Node to callable, optional
            Functions applied to the values of nodes as they are computed (and to `value`).
        relu : callable, optional
            Used in place of every ReLU.

        Returns
        -------
        list of torch.Tensor
            One value for each of `stops`.
        """
        start = start or self.input
        waiting = set(stops or (self.output,))
        edits = edits or {}
        runner = Runner(self.graph_module, relu)
        nodes = list(self.graph_module.graph.nodes)
        begin = nodes.index(start)
        found = {}
        for node in nodes[begin:]:
            if node is start:
                result = value
            elif node.op == "output":
                break
            else:
                result = runner.run_node(node)
            if node in edits:
                result = edits[node](result)
            runner.env[node] = result
            if node in waiting:
                found[node] = result
                waiting.discard(node)
            if not waiting:
                break
        return [found[node] for node in stops or (self.output,)]


def _check_chain(node: fx.Node) -> None:
    if len(node.users) > 1:
        raise InvalidInputError(
            f"the network branches at {node.name!r} (read by "
            f"{', '.join(user.name for user in node.users)}): only chains of layers can be traced"
        )


def _trace(module: nn.Module) -> fx.GraphModule:
    try:
        graph_module = fx.symbolic_trace(module)
    except Exception as error:  # torch.fx re-raises whatever the network's own code raised
        raise InvalidInputError(
            f"torch.fx cannot trace {type(module).__name__} ({error}): the forward pass must not "
            "branch on values; wrap the part to study in a module whose forward pass is a chain"
        ) from error
    flatten_views(graph_module)
    return graph_module


def trace_units(network) -> UnitMap:
    """Find a network's layers of units.

    Parameters
    ----------
    network : torch.nn.Module, UnitMap, or anything with a ``module``
        A chain of dense layers, 2-d convolutions, batch normalizations, activations, pooling,
        dropout and reshaping. It must be in evaluation mode.

    Returns
    -------
    UnitMap

    Raises
    ------
    InvalidInputError
        If the network cannot be traced, is in training mode, branches, has an operation that is
        not in the list above, has no hidden layer, or holds weights that are not finite; the
        message names it.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Units, layers, partitions".

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    >>> [(layer.name, layer.n_units) for layer in trace_units(module).layers]
    [('0', 3), ('2', 2)]
    """
    if isinstance(network, UnitMap):
        return network
    module = getattr(network, "module", network)
    if not isinstance(module, nn.Module):
        raise InvalidInputError(
            f"a network must be a torch.nn.Module, not {type(network).__name__}"
        )
    if any(part.training for part in module.modules()):
        raise InvalidInputError("the network is in training mode: call network.eval() first")
    graph_module = _trace(module)
    drafts: list[dict] = []
    for node in graph_module.graph.nodes:
        if node.op in ("placeholder", "output", "get_attr"):
            continue
        _check_chain(node)
        kind, child = operation_kind(node, graph_module)
        if kind == "layer":
            _check_weights(node.target, child)
            if any(draft["name"] == node.target for draft in drafts):
                raise InvalidInputError(
                    f"layer {node.target!r} is used twice: its units are not one layer"
                )
            drafts.append(
                {"name": node.target, "module": child, "value": node, "pre_activation": node}
                | {"end": node, "batch_norms": (), "activated": False}
            )
        elif kind == "batch norm" and drafts:
            draft = drafts[-1]
            draft["batch_norms"] += (BatchNormScale(child, not draft["activated"]),)
            draft["end"] = node
            if not draft["activated"]:
                draft["pre_activation"] = node
        elif kind == "activation" and drafts:
            drafts[-1]["activated"] = True
            drafts[-1]["end"] = node
        elif kind not in ("batch norm", "activation", "passed"):
            raise InvalidInputError(
                f"cannot follow units through {kind}: allowed are Linear, Conv2d, BatchNorm, "
                "ReLU-like activations, pooling, Dropout and Flatten"
            )
    for draft in drafts:
        draft.pop("activated")
    if len(drafts) < 2:
        raise InvalidInputError(
            f"the network has {len(drafts)} layer(s) with weights and so no hidden layer: there "
            "is nothing to cluster"
        )
    return UnitMap(graph_module, tuple(UnitLayer(**draft) for draft in drafts))


def _check_weights(name: str, layer: nn.Linear | nn.Conv2d) -> None:
    for parameter in (layer.weight, layer.bias):
        if parameter is not None and not torch.isfinite(parameter).all():
            raise InvalidInputError(
                f"layer {name!r} holds NaN or infinite weights: training diverged, or the file "
                "is damaged"
            )
