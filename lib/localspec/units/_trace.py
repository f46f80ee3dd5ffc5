"""The trace: read a network's units, and how its layers follow each other, off torch.fx."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterator
from dataclasses import dataclass

from torch import fx, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from localspec.conventions import Conventions, resolve
from localspec.exceptions import InvalidInputError
from localspec.units._hooked_units import UNTRACED, HookedUnits
from localspec.units._layers import BatchNormScale, ChannelNorm, Reader, Reading, UnitLayer, Writer
from localspec.units._modules import WithModule, checked_module
from localspec.units._operations import operation_kind
from localspec.units._rewrites import (
    drop_final_softmax,
    separate_overwritten,
    separate_readers,
    simplify,
)
from localspec.units._tracer import UNARY, Tracer, source_of
from localspec.units._unit_map import UnitMap

Network = nn.Module | UnitMap | HookedUnits | WithModule


@dataclass(frozen=True)
class _Path:
    """From a layer's output to a tensor: its first unit there, the normalizations between."""

    reader: fx.Node
    start: int
    norms: tuple[tuple[fx.Node, int], ...]
    gate: str | None = None


def _paths(tracer: Tracer, origin: fx.Node) -> list[_Path]:
    """Return the ways from layers to a tensor that lead through no other tensor; each counts."""
    if origin in tracer.readers:
        return [_Path(reader=origin, start=0, norms=())]
    paths = []
    for operand in origin.args:
        for part, start in zip(tracer.parts[operand], tracer.starts(operand), strict=True):
            if part.origin is tracer.input or part.origin in tracer.tensors:
                continue  # a skip carries no weights
            for path in _paths(tracer, part.origin):
                behind = tuple((norm, first + path.start) for norm, first in part.norms)
                norms, gate = (*path.norms, *behind), path.gate or part.gate
                paths.append(_Path(path.reader, start + path.start, norms, gate))
    return paths


def _nearest_writer(tracer: Tracer, origin: fx.Node) -> fx.Node | None:
    """Return the last of the layers that write a tensor by the shortest way."""
    level = [origin]
    while level:
        writers = [node for node in level if node in tracer.readers]
        if writers:
            return max(writers, key=tracer.order.__getitem__)
        above = dict.fromkeys(source for node in level for source in node.all_input_nodes)
        level = [node for node in above if node not in tracer.tensors and node is not tracer.input]
    return None


def _names(tracer: Tracer) -> dict[fx.Node, str]:
    names: dict[fx.Node, str] = {}
    for origin in tracer.tensors:
        nearest = _nearest_writer(tracer, origin)
        name = origin.name if nearest is None else str(nearest.target)
        names[origin] = origin.name if name in names.values() else name
    return names


@dataclass(frozen=True)
class _Trunk:
    """What stands behind a tensor before it branches."""

    pre_activation: fx.Node
    end: fx.Node
    norms: dict[fx.Node, BatchNormScale]


def _trunk(graph_module: fx.GraphModule, origin: fx.Node, n_units: int) -> _Trunk:
    node = pre_activation = end = origin
    norms: dict[fx.Node, BatchNormScale] = {}
    activated = False
    while len(node.users) == 1:
        (node,) = node.users
        kind, module = operation_kind(node, graph_module)
        if kind not in UNARY:
            break
        if kind == "batch norm" and module.num_features != n_units:
            break  # of every place of a map by itself
        if kind in ("batch norm", "scaling"):
            norms[node] = BatchNormScale(module, not activated)
            pre_activation = pre_activation if activated else node
        activated = activated or kind == "activation"
        end = end if kind == "passed" else node
    return _Trunk(pre_activation, end, norms)


def _connect(tracer: Tracer) -> tuple[tuple[UnitLayer, ...], tuple[Reader, ...]]:
    """Return the tensors and their readers."""
    names = _names(tracer)
    trunks = {
        origin: _trunk(tracer.graph_module, origin, tracer.sizes[origin])
        for origin in tracer.tensors
    }
    into = {  # they scale the edges into a tensor's units; all others the edges out of them
        node
        for trunk in trunks.values()
        for node, norm in trunk.norms.items()
        if norm.before_activation
    }

    def norm_of(norm: tuple[fx.Node, int]) -> ChannelNorm:
        return ChannelNorm(tracer.graph_module.get_submodule(norm[0].target), norm[1])

    readers = {}
    for node in tracer.readers:
        source, readings = source_of(node), []
        for part, start in zip(tracer.parts[source], tracer.starts(source), strict=True):
            norms = tuple(norm_of(norm) for norm in part.norms if norm[0] not in into)
            known = part.origin is not tracer.input
            tensor = names[part.origin] if known else None
            readings.append(Reading(tensor=tensor, start=start, norms=norms, gate=part.gate))
        module = tracer.graph_module.get_submodule(node.target)
        n_read = tracer.width(source)
        readers[node] = Reader(str(node.target), module, node, tuple(readings), n_read)
    tensors = []
    for origin, trunk in trunks.items():
        writers = tuple(
            Writer(
                reader=readers[path.reader],
                start=path.start,
                norms=tuple(map(norm_of, path.norms)),
                gate=path.gate,
            )
            for path in _paths(tracer, origin)
        )
        layer = UnitLayer(
            tensor=names[origin],
            value=origin,
            pre_activation=trunk.pre_activation,
            end=trunk.end,
            batch_norms=tuple(trunk.norms.values()),
            n_units=tracer.sizes[origin],
            is_conv=tracer.channels[origin],
            writers=writers,
        )
        tensors.append(layer)
    return tuple(tensors), tuple(readers.values())


class _Proxy(fx.Proxy):
    """A value in a trace whose ``+=`` is recorded as such: other names of it see the sum."""

    def __iadd__(self, other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __imul__(self, other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})

    def __itruediv__(self, other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.itruediv, (self, other), {})

    def __len__(self) -> int:
        raise TypeError("it takes the number of images by len(x): write x.shape[0]")


class _ImageTracer(fx.Tracer):
    """Trace a forward pass that is given images alone: other arguments keep their defaults."""

    def create_args_for_root(self, root_fn, is_module, concrete_args=None):
        """Return the forward pass and what it is called with."""
        return root_fn, [self.root, self.create_proxy("placeholder", "x", (), {})]

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """Return the value of a node in the trace."""
        return _Proxy(node, self)

    def iter(self, obj: fx.Proxy) -> Iterator[fx.Proxy]:
        """Go through a part of a shape: its first sizes, or the product of all but the first.

        Of the loop ``for size in x.shape[1:]: n *= size`` the product is all that matters.
        """
        part = obj.node.args[1] if obj.node.target is operator.getitem else None
        if isinstance(part, slice) and part.start in (None, 0) and (part.stop or 0) > 0:
            whole = self.proxy(obj.node.args[0])
            return iter([whole[place] for place in range(part.stop)])
        if part == slice(1, None):
            return iter([self.create_proxy("call_function", math.prod, (obj,), {})])
        return super().iter(obj)


def _hook_refusal(where: str, hook: object) -> str:
    """Say why a module with a forward hook is refused, and what to do about it."""
    if isinstance(hook, BasePruningMethod):
        return (
            f"{where} is pruned by torch.nn.utils.prune, so that its weights are made anew in "
            f"every forward pass: call prune.remove(module, {hook._tensor_name!r}) first"
        )
    if isinstance(hook, WeightNorm | SpectralNorm):
        norm = "weight_norm" if isinstance(hook, WeightNorm) else "spectral_norm"
        return (
            f"{where} has torch.nn.utils.{norm}, so that its weights are made anew in every "
            f"forward pass: call torch.nn.utils.remove_{norm}(module) first, or use "
            f"torch.nn.utils.parametrizations.{norm}"
        )
    name = getattr(hook, "__qualname__", type(hook).__name__)
    return (
        f"{where} has a forward hook ({name}), which graphs and lesions would not see: remove it "
        "(handle.remove()), or write what it does as a module"
    )


def _check_unseen(module: nn.Module, graph: fx.Graph) -> None:
    """Refuse what stands beside a forward pass and is not in the trace.

    The hooks of modules inside, whose own parts are in the trace, are in it too.
    """
    called = (str(node.target) for node in graph.nodes if node.op == "call_module")
    for name in dict.fromkeys(["", *called]):
        part = module.get_submodule(name)
        where = f"module {name!r}" if name else f"the network ({type(module).__name__})"
        for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values()):
            raise InvalidInputError(_hook_refusal(where, hook))
        if "forward" in vars(part):
            raise InvalidInputError(
                f"the forward pass of {where} was replaced on the object: write a class with that "
                "forward pass"
            )


def _trace(module: nn.Module) -> fx.GraphModule:
    try:
        tracer = _ImageTracer()
        graph = tracer.trace(module)
        graph_module = fx.GraphModule(tracer.root, graph, type(module).__name__)
    except Exception as error:  # torch.fx re-raises whatever the network's own code raised
        raise InvalidInputError(
            f"torch.fx cannot trace {type(module).__name__} ({error}): the forward pass must take "
            "images alone, and not branch on values; wrap the part to study in a module whose "
            "forward pass does, or take the outputs of named modules as units: hook_units"
        ) from error
    _check_unseen(module, graph)
    separate_overwritten(graph_module)
    simplify(graph_module)
    drop_final_softmax(graph_module)
    separate_readers(graph_module)
    return graph_module


def trace_units(network: Network, *, conventions: Conventions | str | None = None) -> UnitMap:
    """Find a network's layers of units.

    Parameters
    ----------
    network : torch.nn.Module, UnitMap, or anything with a ``module``
        Dense layers, 2-d convolutions, batch normalizations, activations, pooling, dropout,
        reshaping and products with constants, in a chain or with branches: sums, concatenations
        along the channels, several readers of one tensor, gates (products with a sigmoid). It
        must be in evaluation mode. Modules, functions and methods of tensors are taken alike,
        except that layers must be modules.
    conventions : Conventions or str, optional
        Uses ``residual_units``; by default ``"tensor"``, and a UnitMap is left as it is.

    Returns
    -------
    UnitMap

    Raises
    ------
    InvalidInputError
        If the network cannot be traced, is in training mode, has an operation that is not in the
        list above (a product of two tensors without a sigmoid, a concatenation along another
        dimension, a sum of tensors of different numbers of channels, a view that mixes channels, a
        softmax that is not its last operation), returns something else for the same image
        (dropout that stays on, normalization by the batch), has forward hooks or weights that are
        made anew in every pass (``torch.nn.utils.prune``, ``weight_norm``, ``spectral_norm``), has
        no hidden layer, has parts that are scripted, compiled or quantized, or holds weights or
        statistics that are not finite, sparse, of half precision or nowhere; the message names it.
        If it is given as hooked units, which have no trace.

    Notes
    -----
    A softmax that is the last operation is left out: what it reads are the logits. The forward
    pass is given images alone: other arguments keep their defaults. What the trace computes is
    compared with the network itself where the first images come, see
    :func:`localspec.units.count_logits`.

    A layer of units is a tensor that a dense layer or convolution (a *reader*) reads: the output
    of a module, or a sum. The units of a concatenation are those of its parts. Edges lead from
    every tensor that a reader reads to the first tensor behind it on every way; a skip connection
    carries no weights and makes no edge. A batch normalization scales

    - between a module and the sum that it writes into: the edges of that module;
    - behind the tensor, before its activation and before it branches: the edges into its units;
    - anywhere else, such as behind the activation, behind a concatenation, or on the branch of
      one reader (``norm - ReLU - conv`` behind a sum that a skip also passes on): the edges out
      of its units to the readers behind it.

    A product with a constant (``x + 0.1 * f(x)``) scales edges likewise. A gate, as in
    squeeze-and-excitation, leaves the units those of the tensor that it multiplies; the weights
    graph is refused where edges lead through it, since they have no weight of their own there.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Units, layers, partitions".

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    >>> [(layer.name, layer.n_units) for layer in trace_units(module).layers]
    [('0', 3), ('2', 2)]
    """
    residual_units = None if conventions is None else resolve(conventions).residual_units
    if isinstance(network, UnitMap):
        return network if residual_units is None else network.with_residual_units(residual_units)
    if isinstance(network, HookedUnits):
        raise InvalidInputError(UNTRACED)
    module = checked_module(network)
    return _unit_map(_trace(module), module, residual_units or "tensor")


def _unit_map(graph_module: fx.GraphModule, module: nn.Module, residual_units: str) -> UnitMap:
    """Follow the units of a traced module."""
    tracer = Tracer(graph_module)
    if len(tracer.tensors) < 2:
        raise InvalidInputError(
            f"the network has {len(tracer.tensors)} layer(s) with weights and so no hidden layer: "
            "there is nothing to cluster"
        )
    tensors, readers = _connect(tracer)
    n_inputs = tracer.sizes.get(tracer.input, 0)
    return UnitMap(
        graph_module=graph_module,
        tensors=tensors,
        readers=readers,
        n_inputs=n_inputs,
        module=module,
        residual_units=residual_units,
    )


def in_bfloat16(network: Network) -> UnitMap | HookedUnits:
    """Return a copy of a network with weights and values in bfloat16.

    Parameters
    ----------
    network : torch.nn.Module, UnitMap, HookedUnits, or anything with a ``module``
        Left as it is.

    Returns
    -------
    UnitMap or HookedUnits

    Examples
    --------
    >>> module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    >>> in_bfloat16(module).dtype, trace_units(module).dtype
    (torch.bfloat16, torch.float32)
    """
    if isinstance(network, HookedUnits):
        return network.in_bfloat16()
    unit_map = trace_units(network)
    graph_module, module = copy.deepcopy((unit_map.graph_module, unit_map.module))
    return _unit_map(graph_module.bfloat16(), module.bfloat16(), unit_map.residual_units)
