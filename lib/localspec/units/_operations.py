"""Operations: say which ones units can be followed through, and rewrite those that hide them."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional as F

from localspec.exceptions import InvalidInputError

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)
ACTIVATION_CALLS = {
    F.relu,
    torch.relu,
    F.relu6,
    F.leaky_relu,
    F.elu,
    F.gelu,
    F.silu,
    torch.sigmoid,
    torch.tanh,
    "relu",
    "sigmoid",
    "tanh",
}
SQUASHING_CALLS = {torch.sigmoid, torch.tanh, "sigmoid", "tanh"}
RELU_CALLS = {F.relu, torch.relu, "relu"}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
PASSED = (
    nn.Flatten,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)
PASSED_CALLS = {
    torch.flatten,
    F.dropout,
    F.max_pool2d,
    F.avg_pool2d,
    F.adaptive_avg_pool2d,
    "flatten",
    "view",
    "reshape",
    "contiguous",
}
SOFTMAXES = (nn.Softmax, nn.LogSoftmax)
SOFTMAX_CALLS = {
    F.softmax,
    F.log_softmax,
    torch.softmax,
    torch.log_softmax,
    "softmax",
    "log_softmax",
}
RESHAPES = {torch.flatten, "flatten", "view", "reshape"}
ADDITIONS = {operator.add, torch.add, "add"}
OVERWRITING_ADDITIONS = {operator.iadd: operator.add, "add_": "add"}
CONCATENATIONS = {torch.cat, torch.concat, torch.concatenate}
SAME_MEMORY = (nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d)
SAME_MEMORY_CALLS = {*RESHAPES, F.dropout, "contiguous"}


def operation_kind(node: fx.Node, graph_module: fx.GraphModule) -> tuple[str, nn.Module | None]:
    """Say what a node is, with its module.

    Returns
    -------
    str
        "layer", "batch norm", "activation", "passed", "addition" or "concatenation"; of anything
        else a description.
    torch.nn.Module or None
    """
    if node.op == "call_module":
        module = graph_module.get_submodule(node.target)
        kinds = [("layer", (nn.Linear, nn.Conv2d)), ("batch norm", BATCH_NORMS)]
        kinds += [("activation", ACTIVATIONS), ("passed", PASSED)]
        for kind, types in kinds:
            if isinstance(module, types):
                return kind, module
        return f"module {type(module).__name__} ({node.target!r})", module
    if node.target in ACTIVATION_CALLS:
        return "activation", None
    if node.target in PASSED_CALLS:
        return "passed", None
    if node.target in ADDITIONS:
        return "addition", None
    if node.target in CONCATENATIONS:
        return "concatenation", None
    return f"call of {getattr(node.target, '__name__', node.target)}", None


def flatten_views(graph_module: fx.GraphModule) -> None:
    """Rewrite ``x.view(n, -1)``, where n is a size taken from the data, as a flattening.

    The number of images is then read off nothing but the value itself, so that any part of the
    network can run on values stacked along the batch.
    """
    for node in graph_module.graph.nodes:
        sized = node.target in ("view", "reshape") and len(node.args) == 3
        if sized and isinstance(node.args[1], fx.Node):
            node.target, node.args = "flatten", (node.args[0], 1)
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()


def drop_final_softmax(graph_module: fx.GraphModule) -> None:
    """Let a network return the logits that a softmax would be the last to read.

    A softmax anywhere else mixes units and stays, to be refused.
    """
    (output,) = (node for node in graph_module.graph.nodes if node.op == "output")
    (last,) = output.all_input_nodes if len(output.all_input_nodes) == 1 else (output,)
    module = graph_module.get_submodule(last.target) if last.op == "call_module" else None
    called = last.op in ("call_function", "call_method") and last.target in SOFTMAX_CALLS
    if called or isinstance(module, SOFTMAXES):
        output.replace_input_with(last, last.all_input_nodes[0])
        graph_module.graph.eliminate_dead_code()
        graph_module.recompile()


def is_reshape(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node lays its input out in another shape."""
    if node.op == "call_module":
        return isinstance(graph_module.get_submodule(node.target), nn.Flatten)
    return node.target in RESHAPES


def stays_random(node: fx.Node) -> bool:
    """Whether a node is a call of dropout that goes on in evaluation mode."""
    if node.target is not F.dropout:
        return False
    return bool(node.kwargs.get("training", node.args[2] if len(node.args) > 2 else True))


def _overwrites(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node writes its result over its input."""
    if node.op == "call_module":
        return getattr(graph_module.get_submodule(node.target), "inplace", False)
    return node.target in OVERWRITING_ADDITIONS or _inplace_arguments(node).get("inplace", False)


def _inplace_arguments(node: fx.Node) -> dict[str, object]:
    """Return the arguments of a call of a function that can overwrite its input, by name."""
    if node.target not in ACTIVATION_CALLS | {F.dropout} or not inspect.isfunction(node.target):
        return {}
    return dict(inspect.signature(node.target).bind(*node.args, **node.kwargs).arguments)


def _in_same_memory(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node's value lies (perhaps) in the memory of its first input's."""
    if node.op == "call_module":
        return isinstance(graph_module.get_submodule(node.target), SAME_MEMORY)
    return node.target in SAME_MEMORY_CALLS


def _memory(node: fx.Node, graph_module: fx.GraphModule) -> fx.Node:
    """Return the node whose memory a node's value (perhaps) lies in."""
    while node.all_input_nodes and _in_same_memory(node, graph_module):
        node = node.all_input_nodes[0]
    return node


def separate_overwritten(graph_module: fx.GraphModule) -> None:
    """Rewrite operations that overwrite their input, so that every node keeps its value.

    Whatever reads an overwritten value afterwards sees the new one, as in the network itself:
    behind ``y = relu_(x)``, x is y. Comes before dead code is removed, which a call for the sake
    of overwriting alone seems to be.

    Raises
    ------
    InvalidInputError
        If an overwritten value is read afterwards in another shape.
    """
    order = {node: index for index, node in enumerate(graph_module.graph.nodes)}
    for node in list(order):
        if not _overwrites(node, graph_module):
            continue
        overwritten = node.all_input_nodes[0]
        memory = _memory(overwritten, graph_module)
        for other in order:
            if other is node or _memory(other, graph_module) is not memory:
                continue
            later = [user for user in other.users if order[user] > order[node]]
            if later and other is not overwritten:
                raise InvalidInputError(
                    f"{node.name!r} overwrites the value that {later[0].name!r} reads as "
                    f"{other.name!r}: let it make a value of its own (inplace=False)"
                )
            for user in later:
                user.replace_input_with(overwritten, node)
        if node.target in OVERWRITING_ADDITIONS:
            node.target = OVERWRITING_ADDITIONS[node.target]
        elif node.op == "call_function":
            arguments = {**_inplace_arguments(node), "inplace": False}
            node.args, node.kwargs = (overwritten,), dict(list(arguments.items())[1:])


def overwritable(graph_module: fx.GraphModule) -> dict[fx.Node, tuple[fx.Node, ...]]:
    """Return the ReLUs that may write over what they read, because nothing else reads it.

    Returns
    -------
    dict of torch.fx.Node to tuple of torch.fx.Node
        With each, the nodes whose values lie in the memory that it then overwrites.
    """
    overwriting = {}
    for node in graph_module.graph.nodes:
        module = graph_module.get_submodule(node.target) if node.op == "call_module" else None
        if not (isinstance(module, nn.ReLU) or node.target in RELU_CALLS):
            continue
        lost = [node.all_input_nodes[0]]
        while lost[-1].all_input_nodes and _in_same_memory(lost[-1], graph_module):
            lost.append(lost[-1].all_input_nodes[0])
        if all(len(value.users) == 1 for value in lost):
            overwriting[node] = tuple(lost)
    return overwriting


def read_separately(value: torch.Tensor) -> torch.Tensor:
    """Return what a layer reads: a node of its own where others read the same value."""
    return value


PASSED_CALLS.add(read_separately)


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


class Runner(fx.Interpreter):
    """Interpret a traced network, optionally with another function in place of ReLU."""

    def __init__(self, graph_module: fx.GraphModule, relu: Callable | None) -> None:
        super().__init__(graph_module, garbage_collect_values=False)
        self.relu = relu

    def call_module(self, target, args, kwargs):
        """Call a module, on a copy where it would overwrite its input."""
        if self.relu is not None and isinstance(self.fetch_attr(target), nn.ReLU):
            return self.relu(args[0])
        if getattr(self.fetch_attr(target), "inplace", False):
            args = (args[0].clone(),)  # values are used again
        return super().call_module(target, args, kwargs)

    def call_function(self, target, args, kwargs):
        """Call a function, never one that overwrites its input."""
        if self.relu is not None and target in RELU_CALLS:
            return self.relu(args[0])
        return super().call_function(
            target, args, {**kwargs, "inplace": False} if kwargs.get("inplace") else kwargs
        )

    def call_method(self, target, args, kwargs):
        """Call a method; a view of values in any order in memory is a reshape."""
        target = "reshape" if target == "view" else target
        if self.relu is not None and target in RELU_CALLS:
            return self.relu(args[0])
        return super().call_method(target, args, kwargs)
