"""The operations through which units can be followed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional as F

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh)
ACTIVATION_CALLS = {
    *(F.relu, torch.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu),
    *(torch.sigmoid, torch.tanh, "relu", "sigmoid", "tanh"),
}
RELU_CALLS = {F.relu, torch.relu, "relu"}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
PASSED = (
    *(nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d, nn.Softmax, nn.LogSoftmax),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)
PASSED_CALLS = {
    *(torch.flatten, F.dropout, F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d),
    *(F.softmax, F.log_softmax, "flatten", "view", "reshape", "contiguous", "softmax"),
}


def operation_kind(node: fx.Node, graph_module: fx.GraphModule) -> tuple[str, nn.Module | None]:
    """Say what a node is: layer, batch norm, activation or passed; with its module."""
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
        """Call a method."""
        if self.relu is not None and target in RELU_CALLS:
            return self.relu(args[0])
        return super().call_method(target, args, kwargs)
