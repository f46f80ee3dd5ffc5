"""Hooked units: hold the named modules whose outputs are units, and run their network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from localspec.exceptions import InvalidInputError

UNTRACED = (
    "units of named modules have no weights graph and no weights partitionings, since what leads "
    "from one module to the next is not known: use activation_graph, cluster, lesion_draws and "
    "visualize, which take them"
)
MAX_IMAGES = 1000  # that pass a network together
MAX_VALUES = 2**28  # of all modules on the way, where several images do
LOGITS = ""  # the name of the whole network among its modules
RELUS = (F.relu, torch.relu, torch.Tensor.relu)
RELUS_IN_PLACE = (torch.relu_, torch.Tensor.relu_)

Function = Callable[[torch.Tensor], torch.Tensor]


class _AllRead(Exception):
    """Everything that was asked for is read: the rest of the pass is left out."""


class _OtherReLU(TorchFunctionMode):
    """Let another function take the place of every ReLU, as a module or as a call."""

    def __init__(self, relu: Function) -> None:
        super().__init__()
        self.relu = relu

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in RELUS and func not in RELUS_IN_PLACE:
            return func(*args, **kwargs)
        value = args[0] if args else kwargs["input"]
        in_place = func in RELUS_IN_PLACE or kwargs.get("inplace") or args[1:] == (True,)
        if in_place:  # other names of the value see the result
            return value.copy_(self.relu(value.clone()))
        return self.relu(value)


@contextmanager
def by_modules(network: nn.Module) -> Iterator[None]:
    """Let a network call its modules inside the block, so that their hooks are called.

    Attention has a fused function that takes the place of its modules, and modules may be compiled
    in their places.
    """
    compiled = any(part._compiled_call_impl is not None for part in network.modules())
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def first_tensor(output: object) -> torch.Tensor | None:
    """Return what a module returns, of several values the first; None if that is no tensor."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, torch.Tensor) else None


def with_values(module: nn.Module, output: object, values: torch.Tensor) -> object:
    """Return a module's output with other values.

    A recurrent layer returns the values of all steps and its last state, which is made of these:
    the forward direction ends at the last step, the backward one at the first.
    """
    if not isinstance(module, nn.RNNBase):
        return values
    steps = 1 if module.batch_first else 0
    ends = [values.select(steps, -1)]
    if module.bidirectional:
        forward, backward = values.chunk(2, dim=2)
        ends = [forward.select(steps, -1), backward.select(steps, 0)]
    state = output[1]
    hidden = state[0] if isinstance(module, nn.LSTM) else state
    hidden = torch.cat([hidden[: -len(ends)], torch.stack(ends)])
    return values, (hidden, state[1]) if isinstance(module, nn.LSTM) else hidden


def logits_of(output: object) -> torch.Tensor:
    """Return the logits that a network returns: a tensor, or what it calls its ``logits``."""
    logits = getattr(output, "logits", output)
    if not isinstance(logits, torch.Tensor):
        raise InvalidInputError(
            f"the network returns a {type(output).__name__}: wrap it in a module that returns the "
            "logits alone"
        )
    return logits


@dataclass(frozen=True)
class HookedLayer:
    """A layer of units: what one module returns.

    Attributes
    ----------
    name : str
        Path of the module.
    n_units : int
    axis : int
        Axis of the module's output that holds the units: 1 for channels of convolutions of any
        dimension, the last one for dense layers, also of tokens.
    image_axis : int
        Axis that holds the images.
    n_rows : int
        Rows of that axis that each image has: windows, or frames.
    """

    name: str
    n_units: int
    axis: int
    image_axis: int = 0
    n_rows: int = 1

    @property
    def pre_activation(self) -> str:
        """Where the units' values are read: what the module returns."""
        return self.name

    @property
    def end(self) -> str:
        """Where means are put in the place of units: what the module returns."""
        return self.name

    def read(self, output: torch.Tensor) -> torch.Tensor:
        """Return a module's output as (n_images, n_units, ...), places in space or time last."""
        value = output.movedim((self.image_axis, self.axis), (0, 1))
        if self.n_rows == 1:
            return value
        rows = value.reshape(-1, self.n_rows, *value.shape[1:])
        return rows.transpose(1, 2).flatten(2)

    def write(self, value: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Return values as :meth:`read` returns them, in the shape of the module's output."""
        if self.n_rows > 1:
            shape = output.movedim((self.image_axis, self.axis), (0, 1)).shape
            rows = value.reshape(len(value), self.n_units, self.n_rows, *shape[2:])
            value = rows.transpose(1, 2).reshape(shape)
        result = value.movedim((0, 1), (self.image_axis, self.axis))
        return result.contiguous() if output.is_contiguous() else result


@dataclass(frozen=True)
class HookedUnits:
    """A network and those of its modules whose outputs are units, in the order of a pass.

    Public functions take it as they take a network, but for those of weights, such as
    :func:`localspec.clustering.weight_graph`.

    Attributes
    ----------
    module : torch.nn.Module
    layers : tuple of HookedLayer
    is_squashed : bool
        Whether the network returns probabilities or the like, and no logits.

    Notes
    -----
    A unit's value is what its module returns: for a dense layer or convolution the value before
    the activation. A lesion sets just that to zero, as in a traced network, whose units are
    lesioned where they are formed, too. What follows is not known: an activation that is not 0 at
    0, as a sigmoid, still hands something on. To lesion behind the activation, name its module in
    ``layers=``; its units have the values after the activation then. A mean takes the place of
    the same value. Lesions of a recurrent layer change what others read of it, not what it reads
    of itself.
    """

    module: nn.Module
    layers: tuple[HookedLayer, ...]
    is_squashed: bool = False

    @property
    def tested(self) -> tuple[HookedLayer, ...]:
        """Layers whose subclusters are tested: all of them."""
        return self.layers

    @property
    def output(self) -> str:
        """Stop of :meth:`run` that returns the logits."""
        return LOGITS

    @cached_property
    def _example(self) -> torch.Tensor:
        floating = (part for part in self.module.parameters() if part.is_floating_point())
        return next(floating, torch.zeros(1))

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self._example.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._example.device

    @cached_property
    def _by_name(self) -> dict[str, HookedLayer]:
        return {layer.name: layer for layer in self.layers}

    def layer(self, name: str) -> HookedLayer:
        """Return a layer by name.

        Raises
        ------
        InvalidInputError
            If there is no layer of that name.
        """
        if name in self._by_name:
            return self._by_name[name]
        names = ", ".join(self._by_name)
        raise InvalidInputError(f"there is no layer {name!r}; the network has: {names}")

    def in_bfloat16(self) -> HookedUnits:
        """Return a copy with weights and values in bfloat16."""
        return replace(self, module=copy.deepcopy(self.module).bfloat16())

    def sizes(self, image: torch.Tensor) -> list[tuple[str, int]]:
        """Return how many numbers the modules of a pass return, in its order.

        Parameters
        ----------
        image : torch.Tensor, shape (1, ...)

        Returns
        -------
        list of (str, int)
            Of the modules without parts and those of layers. What a network computes between its
            modules is not among them.
        """
        counted: list[tuple[str, int]] = []

        def hook(name: str):
            def count(module: nn.Module, _, output: object) -> None:
                value = first_tensor(output)
                counted.append((name, 0 if value is None else value.numel()))

            return count

        with ExitStack() as stack:
            for name, module in self.module.named_modules():
                if name in self._by_name or not [*module.children()]:
                    stack.callback(module.register_forward_hook(hook(name)).remove)
            with torch.inference_mode(False), torch.no_grad(), by_modules(self.module):
                # a copy: the network may write over what it reads
                self.module(image.to(self.device, self.dtype, copy=True))
        return counted

    def n_kept(self, image: torch.Tensor) -> dict[str, int]:
        """Return how many numbers of one image a pass up to each layer, and to the logits, keeps.

        See :meth:`sizes`.
        """
        sizes = self.sizes(image)
        names, totals = (name for name, _ in sizes), accumulate(size for _, size in sizes)
        kept = dict(zip(names, totals, strict=True))
        return {**kept, LOGITS: max(kept.values(), default=0)}

    def n_together(
        self,
        x: torch.Tensor,
        stops: Sequence[str],
        *,
        max_images: int = MAX_IMAGES,
        max_values: int = MAX_VALUES,
    ) -> int:
        """Return how many images may go to `stops` together, so that memory stays bounded.

        As :meth:`localspec.units.UnitMap.n_together`.
        """
        kept = self.n_kept(x[:1])
        n_values = max((kept[name] for name in stops), default=1)
        return max(1, min(max_images, max_values // max(n_values, 1)))

    def run(
        self,
        x: torch.Tensor,
        *,
        stops: Sequence[str] | None = None,
        edits: Mapping[str, Function] | None = None,
        relu: Function | None = None,
    ) -> list[torch.Tensor]:
        """Run the network on images, shape (n_images, ...); return a value for each of `stops`.

        These are layers, with values of shape (n_images, n_units, ...), or the logits; nothing
        behind the last of them is computed. `edits` are applied to the values of layers, and
        `relu` is used in place of every ReLU.
        """
        stops, edits = (LOGITS,) if stops is None else tuple(stops), edits or {}
        values: dict[str, torch.Tensor] = {}
        n_images = len(x)

        def hook(layer: HookedLayer):
            def read(module: nn.Module, _, output: object) -> object:
                value = first_tensor(output)
                if value.shape[layer.image_axis] != n_images * layer.n_rows:
                    raise InvalidInputError(
                        f"layer {layer.name!r} returns values of shape {tuple(value.shape)} for "
                        f"{n_images} image(s), other rows than for those that hook_units was "
                        "given: give it images of this shape"
                    )
                units = layer.read(value)
                if layer.name in edits:
                    units = edits[layer.name](units)
                    output = with_values(module, output, layer.write(units, value))
                if layer.name in stops:
                    unread = set(stops) - {*values, layer.name}
                    values[layer.name] = units.clone() if unread else units  # may be overwritten
                    if not unread:
                        raise _AllRead
                return output

            return read

        with ExitStack() as stack:
            for name in {*stops, *edits} - {LOGITS}:
                module = self.module.get_submodule(name)
                stack.callback(module.register_forward_hook(hook(self.layer(name))).remove)
            if not torch.is_grad_enabled():
                # a network may keep what it computes once, and need it for gradients later
                stack.enter_context(torch.inference_mode(False))
                stack.enter_context(torch.no_grad())
            stack.enter_context(by_modules(self.module))
            stack.enter_context(nullcontext() if relu is None else _OtherReLU(relu))
            try:
                # a copy, in the order in memory that it was trained on: it may be overwritten
                x = x.clone(memory_format=torch.contiguous_format)
                values[LOGITS] = logits_of(self.module(x))
            except _AllRead:
                pass
        return [values[name] for name in stops]
