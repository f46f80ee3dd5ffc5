"""Operations: say which ones units can be followed through, and run them."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import fx, nn

from localspec.exceptions import InvalidInputError

ACTIVATIONS = (
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.PReLU,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Softsign,
    nn.Tanh,
)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
DROPOUTS = (nn.AlphaDropout, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.FeatureAlphaDropout)
PASSED = (
    *DROPOUTS,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AvgPool2d,
    nn.Flatten,
    nn.Identity,
    nn.MaxPool2d,
)
SOFTMAXES = (nn.Softmax, nn.LogSoftmax)
SQUASHING = (nn.Hardsigmoid, nn.LogSigmoid, nn.Sigmoid, nn.Softsign, nn.Tanh)
GATES = (nn.Hardsigmoid, nn.Sigmoid)
SAME_MEMORY = (*DROPOUTS, nn.Flatten, nn.Identity)

# of functions of torch and of methods of tensors alike
ACTIVATION_CALLS = {
    "celu",
    "clamp",
    "clamp_min",
    "elu",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
}
DROPOUT_CALLS = {"alpha_dropout", "dropout", "dropout1d", "dropout2d", "feature_alpha_dropout"}
POOLING_CALLS = {"adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "max_pool2d"}
REDUCTIONS = {"amax", "mean", "sum"}  # over space: see the rewriting of shapes
VIEWS = {"flatten", "reshape", "view"}
CASTS = {"bfloat16", "cpu", "cuda", "double", "float", "half", "to", "type", "type_as"}
SOFTMAX_CALLS = {"log_softmax", "softmax"}
SQUASHING_CALLS = {"hardsigmoid", "log_sigmoid", "sigmoid", "softsign", "tanh"}
GATE_CALLS = {"hardsigmoid", "sigmoid"}
ADDITIONS = {"add"}
PRODUCTS = {"mul", "multiply"}
CONCATENATIONS = {"cat", "concat", "concatenate"}
SAME_MEMORY_CALLS = {
    *CASTS,
    *DROPOUT_CALLS,
    *VIEWS,
    "contiguous",
    "expand_as",
    "squeeze",
    "unsqueeze",
}
ALLOWED = (
    "allowed are Linear, Conv2d, BatchNorm and PReLU as modules, activations, pooling, Dropout, "
    "Flatten, sums of two or more tensors of as many units each, products with a number or a "
    "sigmoid, and concatenations along dimension 1. Units of any other network: hook_units"
)
KNOWN_MODULES = ("torch", "localspec.units", "_operator", "math", "builtins")


class Scaling(nn.Module):
    """Multiply all values by one number.

    Parameters
    ----------
    factor : float, or torch.Tensor of one element
    """

    def __init__(self, factor: float | torch.Tensor) -> None:
        super().__init__()
        if isinstance(factor, torch.Tensor) and not isinstance(factor, nn.Parameter):
            self.register_buffer("factor", factor)
        else:
            self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the product."""
        tensor = isinstance(self.factor, torch.Tensor)
        return x * (self.factor.reshape(()) if tensor else self.factor)


def read_separately(value: torch.Tensor) -> torch.Tensor:
    """Return what a layer reads: a node of its own where others read the same value."""
    return value


def as_pixels(value: torch.Tensor) -> torch.Tensor:
    """Lay rows of features out as maps of one pixel."""
    return value.flatten(1)[:, :, None, None]


def flatten_places(value: torch.Tensor) -> torch.Tensor:
    """Lay maps out as (n_images, n_channels, n_places)."""
    return value.flatten(2)


OWN_CALLS = {"as_pixels", "flatten_places", "read_separately"}
PASSED_CALLS = {
    *DROPOUT_CALLS,
    *OWN_CALLS,
    *POOLING_CALLS,
    *REDUCTIONS,
    *VIEWS,
    "clone",
    "contiguous",
    "unsqueeze",
}


def function_name(target: object) -> str | None:
    """Return the name of a function of torch or Python, or of a method; None for any other."""
    if isinstance(target, str):
        return target
    owner = getattr(target, "__self__", None)
    place = getattr(target, "__module__", None) or getattr(owner, "__module__", None) or ""
    return getattr(target, "__name__", None) if place.startswith(KNOWN_MODULES) else None


def call_name(node: fx.Node) -> str | None:
    """Return what :func:`function_name` does of a node that calls a function or a method."""
    called = node.op in ("call_function", "call_method")
    return function_name(node.target) if called else None


def module_of(node: fx.Node, graph_module: fx.GraphModule) -> nn.Module | None:
    """Return the module that a node calls."""
    return graph_module.get_submodule(node.target) if node.op == "call_module" else None


def operation_kind(node: fx.Node, graph_module: fx.GraphModule) -> tuple[str, nn.Module | None]:
    """Say what a node is, with its module.

    It is a "layer", "batch norm", "scaling", "activation", "passed", "addition", "product" or
    "concatenation"; of anything else this is a description.
    """
    module = module_of(node, graph_module)
    if module is not None:
        kinds = [("layer", (nn.Linear, nn.Conv2d)), ("batch norm", BATCH_NORMS)]
        kinds += [("scaling", Scaling), ("activation", ACTIVATIONS), ("passed", PASSED)]
        for kind, types in kinds:
            if isinstance(module, types):
                return kind, module
        return f"module {type(module).__name__} ({node.target!r})", module
    name = call_name(node)
    for kind, names in (
        ("activation", ACTIVATION_CALLS),
        ("passed", PASSED_CALLS),
        ("addition", ADDITIONS),
        ("product", PRODUCTS),
        ("concatenation", CONCATENATIONS),
    ):
        if name in names:
            return kind, None
    return f"call of {getattr(node.target, '__name__', node.target)}", None


def refuse(node: fx.Node, why: str) -> None:
    """Raise an error that names a node through which units cannot be followed."""
    what = f"call of {getattr(node.target, '__name__', node.target)}"
    if node.op == "call_module":
        what = f"module {node.target!r}"
    raise InvalidInputError(
        f"cannot follow units through {what} (node {node.name!r}): {why}; {ALLOWED}"
    )


def _is_one(
    node: fx.Node, graph_module: fx.GraphModule, types: tuple[type, ...], names: set[str]
) -> bool:
    """Whether a node is one of some modules or calls."""
    return isinstance(module_of(node, graph_module), types) or call_name(node) in names


def is_squashing(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node is a sigmoid, a tanh or the like."""
    return _is_one(node, graph_module, SQUASHING, SQUASHING_CALLS)


def is_gate(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a value comes from a sigmoid, perhaps pooled or laid out anew since."""
    while operation_kind(node, graph_module)[0] == "passed":
        node = node.all_input_nodes[0]
    return _is_one(node, graph_module, GATES, GATE_CALLS)


def is_softmax(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node is a softmax or its logarithm."""
    return _is_one(node, graph_module, SOFTMAXES, SOFTMAX_CALLS)


def is_reshape(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node lays its input out as a row of features."""
    return _is_one(node, graph_module, (nn.Flatten,), VIEWS)


def is_relu(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node is a ReLU."""
    return _is_one(node, graph_module, (nn.ReLU,), {"relu"})


def in_same_memory(node: fx.Node, graph_module: fx.GraphModule) -> bool:
    """Whether a node's value lies (perhaps) in the memory of its first input's."""
    return _is_one(node, graph_module, SAME_MEMORY, SAME_MEMORY_CALLS)


def arguments(node: fx.Node) -> dict[str, object]:
    """Return the arguments of a call of a Python function by name, defaults included."""
    if not inspect.isfunction(node.target):
        return {}
    bound = inspect.signature(node.target).bind(*node.args, **node.kwargs)
    bound.apply_defaults()
    return dict(bound.arguments)


def stays_random(node: fx.Node) -> bool:
    """Whether a node is a call of dropout that goes on in evaluation mode."""
    if call_name(node) not in DROPOUT_CALLS:
        return False
    given = arguments(node)
    if "training" in given:
        return bool(given["training"])
    return bool(node.kwargs.get("train", node.args[2] if len(node.args) > 2 else True))


def overwritable(graph_module: fx.GraphModule) -> dict[fx.Node, tuple[fx.Node, ...]]:
    """Return the ReLUs that may write over what they read, because nothing else reads it.

    With each come the nodes whose values lie in the memory that it then overwrites.
    """
    overwriting = {}
    for node in graph_module.graph.nodes:
        if not is_relu(node, graph_module):
            continue
        lost = [node.all_input_nodes[0]]
        while lost[-1].all_input_nodes and (
            in_same_memory(lost[-1], graph_module) or call_name(lost[-1]) in OWN_CALLS
        ):
            lost.append(lost[-1].all_input_nodes[0])
        if all(len(value.users) == 1 for value in lost):
            overwriting[node] = tuple(lost)
    return overwriting


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
        if self.relu is not None and function_name(target) == "relu":
            return self.relu(args[0])
        return super().call_function(
            target, args, {**kwargs, "inplace": False} if kwargs.get("inplace") else kwargs
        )

    def call_method(self, target, args, kwargs):
        """Call a method; a view of values in any order in memory is a reshape."""
        target = "reshape" if target == "view" else target
        if self.relu is not None and target == "relu":
            return self.relu(args[0])
        return super().call_method(target, args, kwargs)
