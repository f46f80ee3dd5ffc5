"""Units of the network that is screened: traced, or else those of its modules, hooked."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import nn

from localspec._utils.validation import require
from localspec.data import check_images, other_image
from localspec.exceptions import InvalidInputError
from localspec.screening._settings import OF_WEIGHTS, Settings
from localspec.screening._standardized import Preprocess, standardized
from localspec.units import (
    HookedUnits,
    Network,
    UnitMap,
    Units,
    check_conventions,
    checked_module,
    count_logits,
    hook_units,
    trace_units,
)

WRAPPED = "network."  # what the names of layers begin with inside of a standardized network


def placed_network(network: Network, settings: Settings) -> Network:
    """Return the network on the device asked for, which standardizes images if it has to."""
    if settings.device is None and settings.preprocess is None:
        return network
    require(
        not isinstance(network, HookedUnits),
        "units of named modules are those of one module: call hook_units with the network on its "
        "device, or with standardized(network, mean, std), without device and preprocess here",
    )
    module = checked_module(network)  # out of what runs it in parallel or compiled
    if settings.device is not None:
        first = next(module.parameters(), None)
        if first is None or first.device != settings.device:
            module = copy.deepcopy(module).to(settings.device)
    if isinstance(settings.preprocess, Preprocess):
        module = standardized(module, settings.preprocess.mean, settings.preprocess.std)
    return module


def _named(layers: object, known: Iterable[str], settings: Settings) -> object:
    """Return the names of layers as they are in a network that may be wrapped."""
    if settings.preprocess is None or not isinstance(layers, list | tuple):
        return layers
    return [name if name in known else f"{WRAPPED}{name}" for name in layers]


def with_layers(unit_map: UnitMap, settings: Settings) -> UnitMap:
    """Return the network with only the layers tested that are asked for."""
    if settings.layers is None:
        return unit_map
    known = {layer.name for layer in unit_map.layers}
    chosen = unit_map.with_tested(_named(settings.layers, known, settings))
    conventions = settings.conventions
    own = conventions.cluster_count_layers == "own" and conventions.local_triples == "whole"
    require(
        own or settings.partitions is not None or "weights/local" not in settings.partitionings,
        "the released code's way of weights/local takes labels by their place among all tested "
        "layers: leave layers out, or weights/local",
    )
    has_weights = any(name.startswith("weights") for name in settings.partitionings)
    dense = [layer.name for layer in chosen.tested if not layer.is_conv]
    if settings.partitions is None and has_weights and dense:
        require(
            not any(layer.is_conv for layer in unit_map.layers),
            f"layer {dense[0]!r} is dense, and the weights graph of a network with convolutions "
            "has its channels only: leave the layer out, or pass "
            "partitionings=['activations/global', 'activations/local']",
        )
    return chosen


def traced_network(network: Network, settings: Settings) -> tuple[UnitMap | nn.Module, str]:
    """Return the traced network; or its module and why it is not traced but to be hooked.

    Where clusters of weights are asked for, what is not traced is refused.
    """
    module = checked_module(network)
    try:
        return trace_units(network, conventions=settings.conventions), ""
    except InvalidInputError as refusal:
        of_weights = set(settings.partitionings or ()) & set(OF_WEIGHTS)
        if of_weights and settings.partitions is None:
            raise
        return module, str(refusal)


def _hooked(module: nn.Module, x: torch.Tensor, settings: Settings, untraced: str) -> HookedUnits:
    """Return the units of the modules of a network that is not traced."""
    check_images(x)
    other = other_image(x)
    pair = x[:2] if other is None else x[[0, other]]
    names = _named(settings.layers, dict(module.named_modules()), settings)
    try:
        units = hook_units(module, pair, layers=names)
        check_conventions(units, settings.conventions)
    except InvalidInputError as error:
        raise InvalidInputError(f"{error} (not traced either: {untraced})") from error
    return units


def _as_it_computes(
    unit_map: UnitMap, x: torch.Tensor, settings: Settings
) -> tuple[UnitMap | HookedUnits, str]:
    """Return the traced network or, where it computes otherwise, hooked units and why."""
    try:
        count_logits(unit_map, x)
    except InvalidInputError as refusal:
        if set(settings.partitionings or ()) & set(OF_WEIGHTS) and settings.partitions is None:
            raise
        try:
            units = _hooked(unit_map.module, x, settings, "")
        except InvalidInputError:
            raise refusal from None
        return units, str(refusal)
    return unit_map, ""


def found_units(
    traced: Units | nn.Module, x: torch.Tensor, settings: Settings, untraced: str, *, may_hook: bool
) -> tuple[Units, str]:
    """Return the units of a network, and why it is not traced.

    A module is not traced, and `untraced` says why; a traced network that computes otherwise is
    hooked where it may be.
    """
    if isinstance(traced, nn.Module):
        return _hooked(traced, x, settings, untraced), untraced
    if isinstance(traced, UnitMap) and may_hook:
        return _as_it_computes(traced, x, settings)
    return traced, untraced
