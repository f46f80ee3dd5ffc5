"""The second way to units: the outputs of named modules, found by one pass over two images."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from localspec._utils.validation import check_integer, require, shown
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.units._hooked_units import HookedUnits
from localspec.units._modules import checked_module
from localspec.units._sample import candidates, take_sample
from localspec.units._trace import Network, trace_units
from localspec.units._unit_map import UnitMap

Units = UnitMap | HookedUnits
# where one value alone asks for nothing that stands behind a module
TRACED_CONVENTIONS = {"lesion_point": "unit", "lesion_readers": "all", "residual_units": "tensor"}
NO_LAYERS = (
    "the network has no dense layer, convolution or recurrent layer that is called once and has a "
    "part in the logits, but for those that write them: name modules in layers"
)
MOST_NAMED = 5  # modules of a name like one that is not there


def check_names(module: nn.Module, layers: object) -> dict[str, int | None]:
    """Return the modules that layers are named by, each with its axis of units where given."""
    listed = isinstance(layers, Sequence | Mapping) and not isinstance(layers, str)
    require(
        listed and len(layers) > 0 and all(isinstance(name, str) for name in layers),
        "layers must be a list of the names of modules, such as ['encoder.0.linear1'], or map "
        f"names to the axis of their output that holds units, not {shown(layers)}",
    )
    known = dict(module.named_modules())
    axes: dict[str, int | None] = {}
    for name in layers:
        require(name not in axes, f"layers names {name!r} twice: name it once")
        if name not in known or not name:
            near = difflib.get_close_matches(name, known, MOST_NAMED, 0.0)
            raise InvalidInputError(
                f"there is no module {shown(name)} in the network; names like it are "
                f"{', '.join(map(repr, filter(None, near)))}"
            )
        axes[name] = layers[name] if isinstance(layers, Mapping) else None
        if axes[name] is not None:
            axes[name] = check_integer(f"the axis of layer {name!r}", axes[name], -8, 7)
    return axes


def hook_units(
    network: Network, x: torch.Tensor, layers: Sequence[str] | Mapping[str, int] | None = None
) -> HookedUnits:
    """Take the outputs of a network's modules as units, of any network.

    Parameters
    ----------
    network : torch.nn.Module, or anything with a ``module``
        A classifier in evaluation mode, such as a transformer, a recurrent network, or one with
        convolutions of one or three dimensions. It returns logits (n_images, n_classes), or an
        object that holds them as ``logits``.
    x : torch.Tensor, shape (n_images, ...)
        Two images or more, which the modules are tried with.
    layers : sequence of str, or mapping of str to int, optional
        Names of modules, as in ``network.named_modules()``; where it is not clear which axis of a
        module's output holds the units, mapped to that axis. By default every dense layer,
        convolution and recurrent layer that is called once in a pass and has a part in the
        logits, without those that write the logits, and without those that pack the queries, keys
        and values of attention.

    Returns
    -------
    HookedUnits

    Raises
    ------
    InvalidInputError
        If the network is in training mode or cannot read the images, if an image's logits hang on
        what stands beside it, or if a named module is not there, is not called or called several
        times, returns no tensor, or has an axis of units that is not clear.

    Notes
    -----
    The units of a convolution are its channels, those of a dense layer the last axis of its
    output, also where it reads tokens; places in space and tokens are treated alike. Of the
    output of a recurrent layer, which is a tuple, the first element holds the units: its values
    at all steps. Modules that pass a layer's values on (activations, dropout) have its axis.

    The activations graph of n units holds n^2 numbers: of a large network, name some layers.

    Units found so have no weights graph. What a lesion of them is, see
    :class:`localspec.units.HookedUnits`.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Units, layers, partitions"; units of named modules are this
    project's.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(24, 2))
    >>> units = hook_units(network.eval(), torch.arange(16.0).reshape(2, 1, 8))
    >>> [(layer.name, layer.n_units, layer.axis) for layer in units.layers]
    [('0', 4, 1)]
    """
    module = checked_module(network.module if isinstance(network, Units) else network)
    axes = None if layers is None else check_names(module, layers)
    sample = take_sample(module, x)
    if axes is None:
        tried = {name: sample.usable(name) for name in candidates(sample)}
        chosen = {name: layer for name, layer in tried.items() if not isinstance(layer, str)}
        require(bool(chosen), NO_LAYERS)
    else:
        chosen = {name: sample.layer_to_test(name, axis) for name, axis in axes.items()}
        for name, layer in chosen.items():
            require(not isinstance(layer, str), f"layer {name!r} {layer}")
    order = {name: place for place, name in enumerate(sample.together.outputs)}
    ordered = tuple(chosen[name] for name in sorted(chosen, key=order.__getitem__))
    return HookedUnits(module, ordered, sample.is_squashed)


def units_of(network: Network, *, conventions: Conventions | None = None) -> Units:
    """Return hooked units as they are, and any other network traced.

    Raises
    ------
    InvalidInputError
        If the network cannot be traced, or a convention is not defined for hooked units.
    """
    if not isinstance(network, HookedUnits):
        return trace_units(network, conventions=conventions)
    if conventions is not None:
        check_conventions(network, conventions)
    return network


def check_conventions(units: Units, conventions: Conventions) -> None:
    """Refuse conventions that hooked units do not know: a traced network has them all."""
    if isinstance(units, UnitMap):
        return
    for name, allowed in TRACED_CONVENTIONS.items():
        value = getattr(conventions, name)
        require(
            value == allowed,
            f"{name}={value!r} needs a network that can be traced: what reads a named module is "
            f"not known. Use {name}={allowed!r}, or name the modules to lesion in layers",
        )
