"""The operations through which units can be followed."""

from __future__ import annotations

import operator

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
SHAPE_CALLS = {"size", getattr, operator.getitem}


def operation_kind(node: fx.Node, graph_module: fx.GraphModule) -> tuple[str, nn.Module | None]:
    """Say what a node is: layer, batch norm, activation, passed or shape; with its module."""
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
    if node.target in SHAPE_CALLS:
        return "shape", None
    return f"call of {getattr(node.target, '__name__', node.target)}", None
