"""Rewrites: bring a traced network into the few forms in which units can be followed.

Afterwards every node keeps its value, nothing hangs on sizes or on the number of images, so that
any part of the network runs on values stacked along the batch, and constants are modules.
"""

from __future__ import annotations

import inspect
import operator

import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec.exceptions import InvalidInputError
from localspec.units._operations import (
    ACTIVATION_CALLS,
    ADDITIONS,
    CASTS,
    DROPOUT_CALLS,
    PRODUCTS,
    Scaling,
    arguments,
    call_name,
    function_name,
    in_same_memory,
    is_softmax,
    module_of,
    operation_kind,
    read_separately,
)
from localspec.units._shapes import rewrite_shape, size_nodes

OTHER_DTYPES = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


# --- values that are overwritten ---


def _plain(target: object) -> object | None:
    """Return what computes the same without writing over its input; None if it does not so."""
    name = function_name(target) or ""
    if isinstance(target, str):
        return name[:-1] if name.endswith("_") and not name.endswith("__") else None
    if getattr(operator, name, None) is target:
        return getattr(operator, name[1:], None) if name in ("iadd", "imul", "itruediv") else None
    return getattr(F, name[:-1], getattr(torch, name[:-1], None)) if name.endswith("_") else None


def _inplace_arguments(node: fx.Node) -> dict[str, object]:
    """Return the arguments of a call of a function that can overwrite its input, by name."""
    known = call_name(node) in ACTIVATION_CALLS | DROPOUT_CALLS
    return arguments(node) if known and inspect.isfunction(node.target) else {}


def _overwrites(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node writes its result over its input."""
    if node.op not in ("call_module", "call_function", "call_method"):
        return False
    module = module_of(node, graph_module)
    if module is not None:
        return getattr(module, "inplace", False)
    return _plain(node.target) is not None or _inplace_arguments(node).get("inplace", False)


def _memory(node: fx.Node, graph_module: fx.GraphModule) -> fx.Node:
    """Return the node whose memory a node's value (perhaps) lies in."""
    while node.all_input_nodes and in_same_memory(node, graph_module):
        node = node.all_input_nodes[0]
    return node


def separate_overwritten(graph_module: fx.GraphModule) -> None:
    """Rewrite operations that overwrite their input, so that every node keeps its value.

    Whatever reads an overwritten value afterwards sees the new one, as in the network itself:
    behind ``y = relu_(x)``, x is y; read in another shape, it is refused. Comes before dead code is
    removed, which a call for the sake of overwriting alone seems to be.
    """
    order = {node: index for index, node in enumerate(graph_module.graph.nodes)}
    sizes = size_nodes(graph_module)  # numbers are never overwritten
    for node in list(order):
        if not _overwrites(node, graph_module):
            continue
        overwritten = node.all_input_nodes[0]
        memory = _memory(overwritten, graph_module)
        for other in () if node in sizes else order:
            if other is node or _memory(other, graph_module) is not memory:
                continue
            later = [user for user in other.users if order[user] > order[node]]
            if other is not overwritten and sizes.issuperset(later):
                continue
            if other is not overwritten:
                raise InvalidInputError(
                    f"{node.name!r} overwrites the value that {later[0].name!r} reads as "
                    f"{other.name!r}: let it make a value of its own (inplace=False)"
                )
            for user in later:
                user.replace_input_with(overwritten, node)
        if node.op == "call_module":
            continue
        if (plain := _plain(node.target)) is not None:
            node.target = plain
        else:
            given = {**_inplace_arguments(node), "inplace": False}
            node.args, node.kwargs = (overwritten,), dict(list(given.items())[1:])


# --- constants and what does nothing ---


def _number(value: object, graph_module: fx.GraphModule) -> float | torch.Tensor | None:
    """Return a constant number of a call; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, fx.Node) and value.op == "get_attr":
        held = operator.attrgetter(value.target)(graph_module)
        if isinstance(held, torch.Tensor) and held.numel() == 1 and held.is_floating_point():
            return held
    return None


def _is_cast(node: fx.Node) -> bool:
    """Whether a node changes at most the precision or the device."""
    given = (*node.args[1:], *node.kwargs.values())
    return call_name(node) in CASTS and not any(part in OTHER_DTYPES for part in given)


def _instead(node: fx.Node) -> fx.Node | None:
    """Return the node whose value a node passes on as it is, if so."""
    name = call_name(node)
    if not node.all_input_nodes:
        return None
    if name == "expand_as" or _is_cast(node):
        return node.args[0]
    if name in ADDITIONS and len(node.args) == 2 and node.args[0] == 0:
        return node.args[1]  # the first sum of ``sum([x, y])`` is 0 + x
    if getattr(node.target, "__name__", "") == "stochastic_depth":
        training = node.kwargs.get("training", node.args[3] if len(node.args) > 3 else True)
        return None if training else node.args[0]
    return None


def _scaled(node: fx.Node, graph_module: fx.GraphModule) -> tuple[fx.Node, object] | None:
    """Return the value that a node multiplies by a constant, and the constant."""
    name = call_name(node)
    if name == "neg":
        return node.args[0], -1.0
    if len(node.args) != 2 or node.kwargs:
        return None
    first, second = node.args
    number = _number(second, graph_module)
    if name in ("div", "truediv", "true_divide", "divide") and number is not None:
        return first, 1 / (number.detach() if isinstance(number, torch.Tensor) else number)
    if name in PRODUCTS:
        if number is not None:
            return first, number
        number = _number(first, graph_module)
        return None if number is None else (second, number)
    return None


def _is_swish(node: fx.Node, graph_module: fx.GraphModule) -> fx.Node | None:
    """Return x where a node is x times the sigmoid of x."""
    if call_name(node) not in PRODUCTS or len(node.args) != 2:
        return None
    for value, gate in (node.args, node.args[::-1]):
        if not isinstance(gate, fx.Node) or gate.args[:1] != (value,):
            continue
        sigmoid = isinstance(module_of(gate, graph_module), nn.Sigmoid)
        if sigmoid or call_name(gate) == "sigmoid":
            return value
    return None


def _as_module(node: fx.Node, graph_module: fx.GraphModule, n_dims: int | None) -> nn.Module | None:
    """Return a module for a call of a function with weights of its own."""

    def held(part: object) -> object:
        if isinstance(part, fx.Node) and part.op == "get_attr":
            return operator.attrgetter(part.target)(graph_module)
        return part

    name, inputs = call_name(node), node.all_input_nodes
    if any(part.op != "get_attr" for part in inputs[1:]):
        return None
    if name == "prelu" and len(inputs) == 2:
        module = nn.PReLU()
        module.weight = held(inputs[1])
        return module
    given = {key: held(part) for key, part in arguments(node).items()}
    if name != "batch_norm" or not given or given["training"] or given["running_mean"] is None:
        return None
    kind = nn.BatchNorm2d if n_dims == 4 else nn.BatchNorm1d
    module = kind(len(given["running_mean"]), eps=given["eps"], affine=False)
    module.weight, module.bias = given["weight"], given["bias"]
    module.running_mean, module.running_var = given["running_mean"], given["running_var"]
    module.affine = module.weight is not None
    return module


def _call(
    graph_module: fx.GraphModule, node: fx.Node, value: fx.Node, module: nn.Module
) -> fx.Node:
    """Insert a call of a module of its own before a node."""
    name = f"{node.name}_as_module"
    graph_module.add_submodule(name, module.eval())
    with graph_module.graph.inserting_before(node):
        return graph_module.graph.call_module(name, (value,))


def simplify(graph_module: fx.GraphModule) -> None:
    """Rewrite constants, sizes, views and calls of functions; drop what does nothing.

    - What keeps a value, such as a cast or stochastic depth in evaluation mode, is dropped.
    - A product with a constant becomes a :class:`Scaling`, a function with weights its module.
    - Views, squeezes and pooling over the whole map no longer name the number of images or
      another size. Operations behind which images or units cannot be told apart are refused.
    """
    sizes = size_nodes(graph_module)
    dims: dict[fx.Node, int | None] = {}

    def replace(node: fx.Node, new: fx.Node) -> None:
        node.replace_all_uses_with(new)
        graph_module.graph.erase_node(node)

    for node in list(graph_module.graph.nodes):
        if node in sizes or node.op in ("get_attr", "output"):
            continue
        if node.op == "placeholder":
            dims[node] = None
            continue
        kept = _instead(node)
        if kept is not None:
            replace(node, kept)
            continue
        if call_name(node) in ADDITIONS and set(node.kwargs) == {"alpha"}:
            factor = node.kwargs["alpha"]
            second = _call(graph_module, node, node.args[1], Scaling(factor))
            dims[second] = dims.get(node.args[1])
            node.args, node.kwargs = (node.args[0], second), {}
        swished = _is_swish(node, graph_module)
        scaled = _scaled(node, graph_module)
        inputs = node.all_input_nodes
        n_dims = dims.get(inputs[0]) if inputs else None
        module = _as_module(node, graph_module, n_dims)
        if swished is not None:
            with graph_module.graph.inserting_before(node):
                new = graph_module.graph.call_function(F.silu, (swished,))
        elif scaled is not None and scaled[0] in dims:
            new = _call(graph_module, node, scaled[0], Scaling(scaled[1]))
        elif module is not None:
            new = _call(graph_module, node, inputs[0], module)
        else:
            dims[node] = rewrite_shape(node, graph_module, dims)
            if operation_kind(node, graph_module)[0].startswith(("module ", "call of ")):
                break  # what cannot be followed is refused there, before what comes behind it
            continue
        dims[new] = dims.get(new.args[0])
        replace(node, new)
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()


# --- ends and readers ---


def drop_final_softmax(graph_module: fx.GraphModule) -> None:
    """Let a network return the logits that a softmax would be the last to read.

    A softmax anywhere else mixes units and stays, to be refused.
    """
    (output,) = (node for node in graph_module.graph.nodes if node.op == "output")
    (last,) = output.all_input_nodes if len(output.all_input_nodes) == 1 else (output,)
    if is_softmax(last, graph_module):
        output.replace_input_with(last, last.all_input_nodes[0])
        graph_module.graph.eliminate_dead_code()
        graph_module.recompile()


def separate_readers(graph_module: fx.GraphModule) -> None:
    """Give every layer a node of its own for what it reads."""
    graph = graph_module.graph
    for node in list(graph.nodes):
        kind, _ = operation_kind(node, graph_module)
        if kind == "layer" and node.all_input_nodes and len(node.all_input_nodes[0].users) > 1:
            source = node.all_input_nodes[0]
            with graph.inserting_before(node):
                node.replace_input_with(source, graph.call_function(read_separately, (source,)))
    graph_module.recompile()
