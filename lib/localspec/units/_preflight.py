"""Preflight: say of every layer of a network what can be done with it, or why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from localspec.data import check_images
from localspec.exceptions import InvalidInputError
from localspec.units._checks import check_classes, check_logits, count_logits
from localspec.units._hooked import NO_LAYERS, Units, check_names
from localspec.units._hooked_units import HookedUnits
from localspec.units._modules import checked_module
from localspec.units._sample import BY_DEFAULT, Sample, candidates, take_sample
from localspec.units._trace import Network, trace_units
from localspec.units._unit_map import UnitMap

USES = ("activations graph", "lesions", "visualization")
WITH_WEIGHTS = (*BY_DEFAULT, nn.MultiheadAttention, nn.RNNCellBase, nn.Bilinear, nn.Embedding)
NO_IMAGES = "it makes images of shape (1 or 3, height, width), and the network reads"


@dataclass(frozen=True)
class LayerCheck:
    """What can be done with one layer.

    Attributes
    ----------
    name : str
        Path of the module; in a traced network perhaps the name of a sum.
    kind : str
        Type of the module.
    n_units : int or None
        None where its outputs are no units.
    way : {"traced", "hooked", "-"}
    uses : tuple of str
        What works: "weights graph", "activations graph", "lesions", "visualization".
    why : str
        Why nothing works, and what to do; empty otherwise.
    """

    name: str
    kind: str
    n_units: int | None
    way: str
    uses: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Preflight:
    """What can be done with a network; printed, a line on the whole and a table of its layers.

    Attributes
    ----------
    way : {"traced", "hooked", "-"}
        Whether the network is traced, takes part by hooks, or not at all.
    why : str
        Why it is not traced, or cannot be used.
    notes : tuple of str
        What does not work for the network as a whole.
    layers : tuple of LayerCheck
    """

    way: str
    why: str
    notes: tuple[str, ...]
    layers: tuple[LayerCheck, ...]

    @property
    def uses(self) -> tuple[str, ...]:
        """What works for one layer at least."""
        return tuple(dict.fromkeys(use for layer in self.layers for use in layer.uses))

    def __str__(self) -> str:
        heading = {
            "traced": "Traced by torch.fx: trace_units(network), or the network itself.",
            "hooked": "Not traced; units of named modules: hook_units(network, x).",
            "-": "The network cannot be used.",
        }[self.way]
        rows = [("layer", "type", "units", "way", "works, or why not")]
        for layer in self.layers:
            units = "-" if layer.n_units is None else str(layer.n_units)
            works = ", ".join(layer.uses) or layer.why
            rows.append((layer.name, layer.kind, units, layer.way, works))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        lines = lines if self.layers else []
        return "\n".join([" ".join(filter(None, (heading, self.why))), *self.notes, *lines])


def _gated(unit_map: UnitMap) -> str | None:
    """Return the first gate that edges of the weights graph would lead through, if any."""
    layers = tuple(layer for layer in unit_map.layers if layer.is_conv) or unit_map.layers
    tensors = {layer.tensor for layer in layers}
    for layer in layers:
        for writer in layer.writers:
            for reading in writer.reader.readings:
                gate = reading.gate or writer.gate
                if gate is not None and reading.tensor in tensors:
                    return gate
    return None


def _traced(unit_map: UnitMap, uses: tuple[str, ...]) -> list[LayerCheck]:
    """Return what can be done with the layers of a traced network."""
    layers = {layer.name: layer for layer in unit_map.layers}
    tested = {layer.name for layer in unit_map.tested}
    modules = dict(unit_map.module.named_modules())
    names = [name for name, part in modules.items() if isinstance(part, WITH_WEIGHTS)]
    checks = []
    for name in dict.fromkeys([*names, *layers]):
        kind = type(modules[name]).__name__ if name in modules else "sum"
        into = [
            layer.name
            for layer in layers.values()
            if any(writer.reader.name == name for writer in layer.writers)
        ]
        if name in tested:
            checks.append(LayerCheck(name, kind, layers[name].n_units, "traced", uses))
            continue
        if name in layers and not unit_map.readers_of(layers[name]):
            why = "writes the logits, whose units are not tested"
        elif name in layers:
            why = (
                "is not tested, since the network has convolutions: to test it, name it in "
                "hook_units(network, x, layers)"
            )
        elif into:
            why = f"writes into a sum: its units are those of {' and '.join(map(repr, into))}"
        else:
            why = "is not called, or has no part in the logits"
        checks.append(LayerCheck(name, kind, None, "-", (), why))
    return checks


def _hooked(sample: Sample, layers: Mapping[str, int | None] | None, uses) -> list[LayerCheck]:
    """Return what can be done with the outputs of a network's modules."""
    modules = dict(sample.module.named_modules())
    if layers is None:
        tried = {name: sample.usable(name) for name in candidates(sample, WITH_WEIGHTS)}
    else:
        tried = {name: sample.layer_to_test(name, axis) for name, axis in layers.items()}
    checks = []
    for name, layer in tried.items():
        kind = type(modules[name]).__name__
        if isinstance(layer, str):
            checks.append(LayerCheck(name, kind, None, "-", (), layer))
        else:
            checks.append(LayerCheck(name, kind, layer.n_units, "hooked", uses))
    return checks


def _refusal(check: Callable[..., None], checked: object) -> str:
    """Return why a check refuses something; empty if it does not."""
    try:
        check(checked)
    except InvalidInputError as error:
        return str(error)
    return ""


def _uses(units: Units, x: torch.Tensor, n_logits: int) -> tuple[tuple[str, ...], list[str]]:
    """Return what works beside the weights graph, and why something does not."""
    alone = _refusal(check_classes, n_logits)
    if alone:
        return USES[:1], [f"No lesions and no visualization: {alone}"]
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        return USES[:-1], [f"No visualization: {NO_IMAGES} {tuple(x.shape[1:])}"]
    squashed = _refusal(check_logits, units)
    if squashed:
        return USES[:-1], [f"No visualization: {squashed}"]
    return USES, []


def preflight(
    network: Network, x: torch.Tensor, layers: Sequence[str] | Mapping[str, int] | None = None
) -> Preflight:
    """Say of every layer of a network what can be done with it, or why not and what to do.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
        Two images or more, which the network is tried with.
    layers : sequence of str, or mapping of str to int, optional
        Modules to take units of, see :func:`localspec.units.hook_units`; by default the network
        is traced, and if that is refused, its modules are looked at.

    Returns
    -------
    Preflight
        A network that cannot be used is described, not refused.

    Raises
    ------
    InvalidInputError
        If `network` is none, or `x` or `layers` are no images or no names of modules.

    Examples
    --------
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()
    >>> found = preflight(network, torch.arange(8.0).reshape(2, 1, 2, 2))
    >>> found.way, [(layer.name, layer.n_units) for layer in found.layers]
    ('traced', [('1', 3), ('3', None)])
    """
    check_images(x)
    if isinstance(network, HookedUnits) and layers is None:
        layers = {layer.name: layer.axis for layer in network.layers}
    if isinstance(network, Units):
        network = network.module
    try:
        module = checked_module(network)
    except InvalidInputError as error:
        if not isinstance(getattr(network, "module", network), nn.Module):
            raise
        return Preflight("-", str(error), (), ())
    axes = None if layers is None else check_names(module, layers)
    why = "Layers are named." if layers is not None else ""
    if layers is None:
        try:
            unit_map = trace_units(module)
            n_logits = count_logits(unit_map, x)
        except InvalidInputError as error:
            why = f"The trace was refused: {error}"
        else:
            uses, notes = _uses(unit_map, x, n_logits)
            gate = _gated(unit_map)
            if gate is None:
                uses = ("weights graph", *uses)
            else:
                notes.append(
                    f"No weights graph: node {gate!r} multiplies units by a gate, so that edges "
                    "through it have no weight of their own"
                )
            return Preflight("traced", "", tuple(notes), tuple(_traced(unit_map, uses)))
    try:
        sample = take_sample(module, x)
    except InvalidInputError as error:
        return Preflight("-", str(error), (), ())
    units = HookedUnits(module, (), sample.is_squashed)
    uses, notes = _uses(units, x, sample.together.logits.shape[1])
    checks = tuple(_hooked(sample, axes, uses))
    if all(check.way == "-" for check in checks):
        return Preflight(
            "-", NO_LAYERS if axes is None else "No named layer can be used.", (), checks
        )
    notes.append("No weights graph: what leads from one named module to the next is not known")
    return Preflight("hooked", why, tuple(notes), checks)
