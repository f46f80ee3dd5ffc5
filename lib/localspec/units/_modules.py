"""Modules: take a network out of what holds it, and refuse what cannot be read."""

from __future__ import annotations

import sys
from typing import Protocol

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from localspec.exceptions import InvalidInputError

QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse")
WRAPPERS = (DataParallel, DistributedDataParallel, AveragedModel)  # compute what they wrap


class WithModule(Protocol):
    """Anything that holds a network as its ``module``, such as a TrainedNetwork."""

    module: nn.Module


def _is_compiled(module: object) -> bool:
    dynamo = sys.modules.get("torch._dynamo.eval_frame")  # loaded if anything is compiled
    return dynamo is not None and isinstance(module, dynamo.OptimizedModule)


def _check_parts(module: nn.Module) -> None:
    """Refuse modules without a forward pass or weights to read."""
    for name, part in module.named_modules():
        where = f"module {name!r}" if name else "the network"
        if isinstance(part, torch.jit.ScriptModule):
            raise InvalidInputError(
                f"{where} is scripted and cannot be traced: pass the module that torch.jit.script "
                "or torch.jit.trace was given"
            )
        if _is_compiled(part):
            raise InvalidInputError(
                f"{where} is compiled and cannot be traced: put the module that torch.compile was "
                f"given in its place (it is kept as {name}._orig_mod)"
            )
        if type(part).__module__.startswith(QUANTIZED):
            raise InvalidInputError(
                f"{where} ({type(part).__name__}) is quantized, its weights are packed away: pass "
                "the network in floating point that it was made from"
            )


def _check_tensors(module: nn.Module) -> None:
    """Refuse weights and statistics that are not there or that nothing exact is computed from."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if isinstance(tensor, nn.parameter.UninitializedTensorMixin):
            raise InvalidInputError(
                f"{name!r} has no shape yet: let the network read one image, network(x[:1]), first"
            )
        if tensor.is_meta:
            raise InvalidInputError(
                f"{name!r} is on the device 'meta', without values: load the network's weights and "
                "statistics"
            )
        if tensor.layout != torch.strided:
            raise InvalidInputError(
                f"{name!r} is sparse ({tensor.layout}): make it dense, as by tensor.to_dense()"
            )
        if tensor.is_quantized or tensor.is_complex() or tensor.dtype == torch.float16:
            raise InvalidInputError(
                f"{name!r} is of type {tensor.dtype}, with which sums overflow or are not defined: "
                "pass network.float() or network.bfloat16()"
            )


def _check_numbers(module: nn.Module) -> None:
    """Refuse weights and statistics, as a pass reads them, that no pass can use."""
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear | _ConvNd):
            _check_weights(name, part)
        elif isinstance(part, _BatchNorm) and part.running_var is not None:
            _check_statistics(name, part)


def _check_weights(name: str, layer: nn.Linear | _ConvNd) -> None:
    for parameter in (layer.weight, layer.bias):
        if parameter is not None and not torch.isfinite(parameter.detach()).all():
            raise InvalidInputError(
                f"layer {name!r} holds NaN or infinite weights: training diverged, or the file "
                "is damaged"
            )


def _check_statistics(name: str, norm: _BatchNorm) -> None:
    numbers = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    finite = all(part.isfinite().all() for part in numbers if part is not None)
    if not finite or (norm.running_var + norm.eps <= 0).any():
        raise InvalidInputError(
            f"batch normalization {name!r} holds numbers that are not finite, or a variance that "
            "is not positive: training diverged, or the file is damaged"
        )


def _unwrapped(network: object) -> object:
    """Return the network inside what holds it or runs it in parallel or compiled."""
    if isinstance(network, WRAPPERS):
        return _unwrapped(network.module)
    if _is_compiled(network):
        return _unwrapped(network._orig_mod)
    if not isinstance(network, nn.Module) and isinstance(
        getattr(network, "module", None), nn.Module
    ):
        return _unwrapped(network.module)
    return network


def check_evaluation(module: nn.Module) -> None:
    """Refuse a network of which a part is in training mode."""
    if any(part.training for part in module.modules()):
        raise InvalidInputError("the network is in training mode: call network.eval() first")


def checked_module(network: object) -> nn.Module:
    """Return the network inside what holds it, in evaluation mode and with weights to read.

    Raises
    ------
    InvalidInputError
        If there is none, it is in training mode, it has parts that are scripted, compiled or
        quantized, or holds weights or statistics that are sparse, of half precision, not finite
        or nowhere.
    """
    module = _unwrapped(network)
    if not isinstance(module, nn.Module):
        raise InvalidInputError(
            f"a network must be a torch.nn.Module, not {type(network).__name__}"
        )
    _check_parts(module)
    check_evaluation(module)
    _check_tensors(module)
    _check_numbers(module)
    return module
