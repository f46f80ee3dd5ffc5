"""Samples: what the modules of a network return for two images, together and alone."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm

from localspec._utils.validation import require
from localspec.data import check_images, other_image
from localspec.exceptions import InvalidInputError
from localspec.units._checks import N_TRIED, check_gradients, count_logits
from localspec.units._hooked_units import (
    HookedLayer,
    HookedUnits,
    by_modules,
    first_tensor,
    logits_of,
    with_values,
)
from localspec.units._operations import SOFTMAXES, SQUASHING

BY_DEFAULT = (_ConvNd, nn.Linear, nn.RNNBase)
CHANNEL_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm)
TOKEN_NORMS = (nn.LayerNorm, nn.RMSNorm)
PACKED = re.compile(r"(^|_)(w?qkv|kv|in_proj|c_attn|query_key_value)(_proj|_linear)?$", re.I)


@dataclass
class Pass:
    """What the modules of a network return in one pass, by name, in the order of the pass.

    `outputs` has an entry for each call, None where it is no tensor; `kinds` names what the last
    one was. `axes` has the axis of units of the last one, where it is known. `written` are the
    modules whose very values the network returns.
    """

    logits: torch.Tensor
    outputs: dict[str, list[torch.Tensor | None]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    axes: dict[str, int | None] = field(default_factory=dict)
    written: list[nn.Module] = field(default_factory=list)


def _axis(module: nn.Module, value: torch.Tensor) -> int | None:
    """Return the axis of a module's output that holds units, where its type says so."""
    width, axis = None, None
    if isinstance(module, _ConvNd):
        width, axis = module.out_channels, 1
    elif isinstance(module, nn.Linear):
        width, axis = module.out_features, -1
    elif isinstance(module, nn.RNNBase):
        width, axis = value.shape[-1], -1
    elif isinstance(module, CHANNEL_NORMS):
        width, axis = value.shape[1], 1
    elif type(module) in TOKEN_NORMS and len(module.normalized_shape) == 1:
        width, axis = module.normalized_shape[0], -1
    if axis is None or value.ndim < 2 or value.shape[axis] != width:
        return None
    return axis % value.ndim


def run_observed(module: nn.Module, x: torch.Tensor) -> Pass:
    """Run a network on images and keep what each of its modules returns.

    Every module hands on a copy, so that nothing overwrites what is kept.
    """
    seen, known = Pass(x), {}  # axes of units of the tensors handed on, by identity
    handed_on: list[tuple[nn.Module, torch.Tensor]] = []  # kept, so that identities stay unique

    def hook(name: str):
        def observe(part: nn.Module, inputs: tuple, output: object) -> object:
            value = first_tensor(output)
            seen.kinds[name] = type(output).__name__
            whole = isinstance(output, torch.Tensor) or isinstance(part, nn.RNNBase)
            seen.outputs.setdefault(name, []).append(value if whole else None)
            if value is None or not whole or not value.is_floating_point():
                return output
            axis = _axis(part, value)
            if axis is None:
                axis = known.get(id(value))
            read = inputs[0] if inputs and isinstance(inputs[0], torch.Tensor) else None
            if axis is None and read is not None and read.shape == value.shape:
                axis = known.get(id(read)) if not [*part.parameters()] else None
            if axis is None and value.ndim == 2:
                axis = 1
            copied = value.clone()
            handed_on.append((part, copied))
            known[id(copied)] = seen.axes[name] = axis
            return with_values(part, output, copied)

        return observe

    with ExitStack() as stack:
        for name, part in module.named_modules():
            if name:
                stack.callback(part.register_forward_hook(hook(name)).remove)
        stack.enter_context(by_modules(module))
        seen.logits = logits_of(module(x.clone(memory_format=torch.contiguous_format)))
    seen.written = [part for part, value in handed_on if value is seen.logits]
    return seen


def _differ(values: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether values differ by more than rounding."""
    if values.shape != others.shape:
        return True
    precision = torch.finfo(values.dtype).eps ** 0.5
    return bool((values - others).abs().max() > precision * values.abs().max())


@dataclass
class Sample:
    """A network's passes over two images together, and over each alone."""

    module: nn.Module
    together: Pass
    alone: tuple[Pass, Pass]
    gradients: dict[str, torch.Tensor | None]

    def layer(self, name: str, axis: int | None = None) -> HookedLayer | str:
        """Return a module's layer of units, or why it has none and what to do.

        `axis` is that of the units, where it was given.
        """
        passes = (self.together, *self.alone)
        n_calls = {len(seen.outputs.get(name, [])) for seen in passes}
        if n_calls == {0}:
            return (
                "is not called in a pass: name a module that is, such as the one that uses its "
                "weights"
            )
        if n_calls != {1}:
            times = " or ".join(map(str, sorted(n_calls)))
            return (
                f"is called {times} times in a pass, so that its units are not one layer: give "
                "each call a module of its own, or name a module that is called once"
            )
        (value,) = self.together.outputs[name]
        if isinstance(self.module.get_submodule(name), nn.MultiheadAttention):
            return (
                "holds weights in which the queries, keys and values of attention are packed: "
                "name a module behind it, such as a dropout"
            )
        if value is None or not value.is_floating_point():
            return (
                f"returns a {self.together.kinds[name]}, not one tensor of values: name a module "
                "inside it or behind it that returns one"
            )
        image_axis, n_rows = self._images(name)
        if image_axis is None:
            return (
                f"returns values of shape {tuple(value.shape)} for {N_TRIED} images, without rows "
                "for each of them: name a module that reads the images"
            )
        if self._mixed(name, image_axis):
            return (
                "returns other values for an image where another one stands beside it, or rows of "
                "the images in turns: name a module whose rows belong to one image"
            )
        if axis is None:
            axis = self.together.axes[name]
        elif not -value.ndim <= axis < value.ndim or axis % value.ndim == image_axis:
            return (
                f"returns values of shape {tuple(value.shape)} for {N_TRIED} images, of which axis "
                f"{axis} cannot hold units: give another one"
            )
        if axis is None or axis == image_axis:
            return (
                f"returns values of shape {tuple(value.shape)} for {N_TRIED} images, and which "
                f"axis holds its units is not clear: pass layers={{{name!r}: axis}}"
            )
        if self.gradients[name] is None:
            return "has no part in the logits (no gradient leads back to it): leave it out"
        axis %= value.ndim
        return HookedLayer(name, value.shape[axis], axis, image_axis, n_rows)

    def _images(self, name: str) -> tuple[int | None, int]:
        """Return the axis of a module's output that grows with the images, and its rows an image.

        None if there is no such axis, or several.
        """
        both, one = (seen.outputs[name][0].shape for seen in (self.together, self.alone[0]))
        if len(both) != len(one):
            return None, 1
        grown = [axis for axis, (n, m) in enumerate(zip(both, one, strict=True)) if n != m]
        if len(grown) != 1 or both[grown[0]] != N_TRIED * one[grown[0]]:
            return None, 1
        return grown[0], one[grown[0]]

    def _mixed(self, name: str, image_axis: int) -> bool:
        alone = torch.cat([seen.outputs[name][0] for seen in self.alone], dim=image_axis)
        return _differ(self.together.outputs[name][0].detach(), alone)

    def writes_logits(self, layer: HookedLayer) -> bool:
        """Whether a layer's units are the logits, perhaps averaged over space or scaled."""
        logits = self.together.logits.detach()
        n_logits = logits.shape[1]
        if layer.n_units != n_logits:
            return False
        value = layer.read(self.together.outputs[layer.name][0].detach())
        value = value.flatten(2).mean(dim=2) if value.ndim > 2 else value
        if not _differ(value.log_softmax(1), logits.log_softmax(1)):
            return True
        gradient = layer.read(self.gradients[layer.name]).movedim(1, 0).flatten(1)
        touched = gradient.abs().amax(dim=1).nonzero().flatten().tolist()
        return n_logits > 2 and bool(touched) and set(touched) <= {0, 1}

    def layer_to_test(self, name: str, axis: int | None = None) -> HookedLayer | str:
        """Return what :meth:`layer` does, or why the layer is not tested."""
        layer = self.layer(name, axis)
        if not isinstance(layer, str) and self.writes_logits(layer):
            return "writes the logits, whose units are not tested: leave it out"
        return layer

    def usable(self, name: str) -> HookedLayer | str:
        """Return a layer that is taken where none are named, or why it is not."""
        module = self.module.get_submodule(name)
        layer = self.layer_to_test(name)
        if isinstance(layer, str):
            return layer
        if not isinstance(module, BY_DEFAULT):
            return "is not taken by default: to use it all the same, name it in layers"
        parent = self.module.get_submodule(name.rpartition(".")[0])
        if isinstance(module, nn.Linear):
            by_type = "attention" in type(parent).__name__.lower()
            threefold = module.out_features == 3 * module.in_features
            if PACKED.search(name.rpartition(".")[2]) or (by_type and threefold):
                return (
                    "packs queries, keys and values into one layer, whose units are of different "
                    "kinds: to use it all the same, name it in layers"
                )
        return layer

    @property
    def is_squashed(self) -> bool:
        """Whether the network returns probabilities, or what a sigmoid or the like returns."""
        logits = self.together.logits.detach()
        sums = logits.sum(dim=1)
        probable = bool((logits >= 0).all()) and not _differ(torch.ones_like(sums), sums)
        softmaxes = tuple(kind for kind in SOFTMAXES if kind is not nn.LogSoftmax)
        return probable or any(
            isinstance(part, (*SQUASHING, *softmaxes)) for part in self.together.written
        )


def _two_images(x: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """Return the first image and the first other one, as the network reads them."""
    check_images(x)
    other = other_image(x)
    require(
        other is not None,
        f"x must hold two or more images that are not all the same, not {len(x)} like the first",
    )
    example = next(iter(module.parameters()), x)
    pair = x[[0, other]].detach()
    return pair.to(example.device, HookedUnits(module, ()).dtype)


@torch.inference_mode(False)
@torch.enable_grad()
def take_sample(module: nn.Module, x: torch.Tensor) -> Sample:
    """Run a network on two images, together and each alone, and check that they stay apart.

    Refused are images that are all alike or that the network cannot read, and a network that
    returns no logits, or others for an image where another one stands beside it.
    """
    pair = _two_images(x, module)
    count_logits(HookedUnits(module, ()), pair)
    check_gradients(HookedUnits(module, ()))
    try:
        together = run_observed(module, pair.clone().requires_grad_(True))
        with torch.no_grad():
            alone = (run_observed(module, pair[:1]), run_observed(module, pair[1:]))
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise InvalidInputError(
            f"the network fails on one image alone, or while gradients are taken ({error}): its "
            "forward pass must work for any number of images"
        ) from error
    apart = torch.cat([seen.logits for seen in alone])
    if _differ(together.logits.detach(), apart):
        raise InvalidInputError(
            "the network returns other logits for an image where another one stands beside it: "
            "its rows influence each other, or chance plays a part (normalization by the batch, "
            "attention over images, dropout that stays on). Pass a module that treats every image "
            "by itself"
        )
    return Sample(module, together, alone, _gradients(together))


def _gradients(seen: Pass) -> dict[str, torch.Tensor | None]:
    """Return the gradient of the first logit less the second with respect to each output.

    None for what it does not depend on.
    """
    values = {
        name: outputs[0]
        for name, outputs in seen.outputs.items()
        if len(outputs) == 1 and outputs[0] is not None and outputs[0].requires_grad
    }
    gradients: dict[str, torch.Tensor | None] = dict.fromkeys(seen.outputs)
    if values and seen.logits.requires_grad:
        first = seen.logits[:, 0].sum()
        if seen.logits.shape[1] > 1:
            first = first - seen.logits[:, 1].sum()
        taken = torch.autograd.grad(first, [*values.values()], allow_unused=True)
        gradients.update(zip(values, taken, strict=True))
    return gradients


def candidates(sample: Sample, kinds: tuple[type, ...] = BY_DEFAULT) -> list[str]:
    """Return the modules of some types, in the order of a pass; those not called come last."""
    order = {name: place for place, name in enumerate(sample.together.outputs)}
    names = [name for name, part in sample.module.named_modules() if isinstance(part, kinds)]
    return sorted(names, key=lambda name: order.get(name, len(order)))
