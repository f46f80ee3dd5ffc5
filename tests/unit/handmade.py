"""Layers and networks with weights written down by hand, in float64."""

from itertools import pairwise

import torch
from torch import nn


def _set(layer, weight, bias):
    layer.weight.data = weight
    if layer.bias is not None:
        values = torch.zeros(len(weight)) if bias is None else torch.as_tensor(bias)
        layer.bias.data = values.double()
    return layer


def dense(weight, bias=None):
    """Return a dense layer; `weight` is given as rows of units (n_out, n_in)."""
    weight = torch.as_tensor(weight, dtype=torch.float64)
    return _set(nn.Linear(*reversed(weight.shape)), weight, bias)


def conv(weight, bias=None, **options):
    """Return a convolution; `weight` has shape (n_out, n_in, height, width)."""
    weight = torch.as_tensor(weight, dtype=torch.float64)
    n_out, n_in, *size = weight.shape
    channels = n_in * options.get("groups", 1)
    return _set(nn.Conv2d(channels, n_out, tuple(size), **options), weight, bias)


def batch_norm(kind, gamma, variance, mean=None, beta=None):
    """Return a batch normalization with epsilon 0.001 and these statistics."""
    n = len(gamma)
    norm = kind(n, eps=1e-3)
    norm.weight.data = torch.as_tensor(gamma).double()
    norm.bias.data = torch.as_tensor([0.0] * n if beta is None else beta).double()
    norm.running_var = torch.as_tensor(variance).double()
    norm.running_mean = torch.as_tensor([0.0] * n if mean is None else mean).double()
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
