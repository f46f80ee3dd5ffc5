"""Layers and networks with weights written down by hand, in float64."""

from itertools import pairwise

import torch
from torch import nn


def _double(values):
    return torch.as_tensor(values, dtype=torch.float64)


def _set(layer, weight, bias):
    layer.weight.data = weight
    if layer.bias is not None:
        layer.bias.data = _double([0.0] * len(weight) if bias is None else bias)
    return layer


def dense(weight, bias=None):
    """Return a dense layer; `weight` is given as rows of units (n_out, n_in)."""
    weight = _double(weight)
    return _set(nn.Linear(*reversed(weight.shape)), weight, bias)


def conv(weight, bias=None, **options):
    """Return a convolution; `weight` has shape (n_out, n_in, height, width)."""
    weight = _double(weight)
    n_out, n_in, *size = weight.shape
    channels = n_in * options.get("groups", 1)
    return _set(nn.Conv2d(channels, n_out, tuple(size), **options), weight, bias)


def batch_norm(kind, gamma, variance, mean=None, beta=None):
    """Return a batch normalization with epsilon 0.001 and these statistics."""
    n = len(gamma)
    norm = kind(n, eps=1e-3)
    norm.weight.data = _double(gamma)
    norm.bias.data = _double([0.0] * n if beta is None else beta)
    norm.running_var = _double(variance)
    norm.running_mean = _double([0.0] * n if mean is None else mean)
    return norm


def stack(*modules):
    """Return the modules one after the other, in inference mode."""
    return nn.Sequential(*modules).double().eval()


def random_mlp(sizes, seed):
    """Return a ReLU network with normal weights and biases; layers are named 0, 2, 4, ..."""
    generator = torch.Generator().manual_seed(seed)
    modules = []
    for n_in, n_out in pairwise(sizes):
        weight = torch.randn(n_out, n_in, generator=generator, dtype=torch.float64)
        modules += [dense(weight, torch.randn(n_out, generator=generator).tolist()), nn.ReLU()]
    return stack(*modules[:-1])


class Made(nn.Module):
    """A network whose forward pass is a function of its modules."""

    def __init__(self, forward, modules):
        super().__init__()
        for name, module in modules.items():
            *parents, last = name.split(".")
            holder = self
            for parent in parents:
                if not hasattr(holder, parent):
                    holder.add_module(parent, nn.Module())
                holder = getattr(holder, parent)
            holder.add_module(last, module)
        self.function = forward
        self.double().eval()

    def forward(self, x):
        return self.function(self, x)


def made(forward, modules=None, **named):
    """Return a network; `modules` may have names with dots."""
    return Made(forward, {**(modules or {}), **named})
