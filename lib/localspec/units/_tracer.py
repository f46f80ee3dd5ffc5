"""Follow units through a traced network: which tensors are read, and what writes them.

Every node carries the units of one or several *origins*, in the order of its channels: a layer's
or an addition's output forms units of its own, a concatenation lays those of its parts side by
side, anything else passes on what it reads::

    conv1 --- relu --- cat --- conv3        parts of cat: conv1's units, then the sum's
    conv2 --- add ---'                      parts of conv3: its own
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import fx, nn

from localspec.exceptions import InvalidInputError
from localspec.units._operations import (
    ALLOWED,
    as_pixels,
    call_name,
    is_gate,
    is_reshape,
    operation_kind,
    refuse,
    stays_random,
)

UNARY = ("batch norm", "scaling", "activation", "passed")


@dataclass(frozen=True)
class Part:
    """Units of one origin, with the batch normalizations passed since (node, first channel).

    Constants count as such. `gate` is the last product with a sigmoid passed since.
    """

    origin: fx.Node
    norms: tuple[tuple[fx.Node, int], ...] = ()
    gate: str | None = None


def source_of(node: fx.Node) -> fx.Node:
    """Return the node that a layer reads."""
    return node.all_input_nodes[0]


class Tracer:
    """Follow the units of every node of a traced network; refuse the first node that hides them."""

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self.graph_module = graph_module
        self.parts: dict[fx.Node, tuple[Part, ...]] = {}
        self.sizes: dict[fx.Node, int] = {}  # units of every origin
        self.channels: dict[fx.Node, bool] = {}  # whether an origin's units are channels
        self.readers: list[fx.Node] = []  # calls of layers, in order
        self._flat: dict[fx.Node, bool] = {}  # maps laid out as one row of features
        self._joined_flat: set[fx.Node] = set()  # rows of features side by side
        nodes = graph_module.graph.nodes
        self.input = next(node for node in nodes if node.op == "placeholder")
        self.order = {node: index for index, node in enumerate(nodes)}
        self.parts[self.input], self._flat[self.input] = (Part(self.input),), False
        for node in nodes:
            if node.op not in ("placeholder", "output", "get_attr"):
                self._follow(node)
        (self.output,) = (node for node in nodes if node.op == "output")
        read = [part.origin for node in self.readers for part in self.parts[source_of(node)]]
        written = [
            part.origin for node in self.output.all_input_nodes for part in self.parts.get(node, ())
        ]
        # origins that layers read or the network returns, in order
        self.tensors = sorted({*read, *written} - {self.input}, key=self.order.__getitem__)

    def _follow(self, node: fx.Node) -> None:
        kind, module = operation_kind(node, self.graph_module)
        inputs = node.all_input_nodes
        if kind not in ("layer", "addition", "product", "concatenation", *UNARY):
            raise InvalidInputError(
                f"cannot follow units through {kind} (node {node.name!r}): {ALLOWED}"
            )
        if any(source not in self.parts for source in inputs) or not inputs:
            refuse(node, "it reads something else than units")
        self._flat[node] = any(self._flat[source] for source in inputs)
        if self._joined_flat.intersection(inputs):
            self._joined_flat.add(node)
        if kind == "layer":
            self._follow_layer(node, module)
        elif kind == "addition":
            self._follow_addition(node)
        elif kind == "product":
            self._follow_product(node)
        elif kind == "concatenation":
            self._follow_concatenation(node)
        elif len(inputs) > 1:
            refuse(node, "it reads several values")
        elif kind == "batch norm":
            if module.running_mean is None:
                refuse(node, "it normalizes by the batch (track_running_stats=False)")
            self._check_width(node, module, module.num_features)
            self._scale(node)
        elif kind == "scaling":
            self._scale(node)
        else:
            if stays_random(node):
                refuse(node, "it stays on in evaluation mode: pass training=self.training")
            self.parts[node] = self.parts[inputs[0]]
            if is_reshape(node, self.graph_module):
                self._flat[node] = True
            elif call_name(node) == as_pixels.__name__:
                self._flat[node] = False

    def _scale(self, node: fx.Node) -> None:
        source = source_of(node)
        self.parts[node] = tuple(
            replace(part, norms=(*part.norms, (node, start)))
            for part, start in zip(self.parts[source], self.starts(source), strict=True)
        )

    def width(self, node: fx.Node) -> int:
        """Return the number of units that a node carries; 0 if images of unknown channels do."""
        sizes = [self.sizes.get(part.origin, 0) for part in self.parts[node]]
        return sum(sizes) if all(sizes) else 0

    def starts(self, node: fx.Node) -> list[int]:
        """Return the first of a node's channels that is each part's."""
        starts = [0]
        for part in self.parts[node]:
            starts.append(starts[-1] + self.sizes.get(part.origin, 0))
        return starts[:-1]

    def _is_image(self, node: fx.Node) -> bool:
        return all(part.origin is self.input for part in self.parts[node])

    def _is_conv(self, node: fx.Node) -> bool:
        return all(self.channels.get(part.origin, True) for part in self.parts[node])

    def _check_width(self, node: fx.Node, module: nn.Module, n_read: int) -> None:
        """Refuse a module that reads another number of channels than there are units.

        A map of several places, laid out as a row of features, has a multiple of them.
        """
        source = source_of(node)
        if self._is_image(source):
            return
        width = self.width(source)
        rows = self._flat[source] and self._is_conv(source) and source not in self._joined_flat
        rows = rows and not isinstance(module, nn.Conv2d | nn.BatchNorm2d)
        if not width or n_read % width or (n_read != width and not rows):
            refuse(node, f"it reads {n_read} channels where {width} units arrive")

    def _follow_layer(self, node: fx.Node, module: nn.Linear | nn.Conv2d) -> None:
        name, is_conv, source = node.target, isinstance(module, nn.Conv2d), source_of(node)
        if any(other.target == name for other in self.readers):
            raise InvalidInputError(
                f"layer {name!r} is used twice: its units are not one layer; {ALLOWED}"
            )
        n_read = module.in_channels if is_conv else module.in_features
        self._check_width(node, module, n_read)
        if self._is_image(source):
            self.sizes[self.input] = min(n_read, self.sizes.get(self.input, n_read))
        self._form(node, module.weight.shape[0], is_conv)
        self.readers.append(node)

    def _form(self, node: fx.Node, n_units: int, is_conv: bool) -> None:
        self.parts[node] = (Part(node),)
        self.sizes[node], self.channels[node], self._flat[node] = n_units, is_conv, False
        self._joined_flat.discard(node)

    def _follow_addition(self, node: fx.Node) -> None:
        operands = node.args
        if len(operands) != 2 or node.kwargs or not all(isinstance(x, fx.Node) for x in operands):
            refuse(node, "it adds something else than two tensors")
        widths = [self.width(operand) for operand in operands]
        if widths[0] != widths[1] or not widths[0]:
            refuse(node, f"the tensors have {widths[0]} and {widths[1]} units")
        kinds = [self._is_conv(operand) for operand in operands if not self._is_image(operand)]
        if len(set(kinds)) != 1 or (kinds[0] and self._flat[node]):
            refuse(node, "it adds maps to rows of features, or flattened maps")
        self._form(node, widths[0], kinds[0])

    def _follow_product(self, node: fx.Node) -> None:
        operands = node.args
        if len(operands) != 2 or node.kwargs or not all(isinstance(x, fx.Node) for x in operands):
            refuse(node, "it multiplies something else than two tensors")
        gates = [is_gate(operand, self.graph_module) for operand in operands]
        if all(gates):  # then the gate is computed from the value
            gates = [_is_behind(first, second) for first, second in (operands, operands[::-1])]
        if sum(gates) != 1:
            refuse(node, "it multiplies two tensors, of which one must be a gate (a sigmoid)")
        value, gate = operands if gates[1] else operands[::-1]
        widths = self.width(value), self.width(gate)
        if not widths[0] or widths[1] not in (1, widths[0]):
            refuse(node, f"it multiplies {widths[0]} units by gates of {widths[1]} units")
        if self._flat[value] != self._flat[gate]:
            refuse(node, "it multiplies maps by rows of features, or flattened maps")
        self.parts[node] = tuple(replace(part, gate=node.name) for part in self.parts[value])

    def _follow_concatenation(self, node: fx.Node) -> None:
        tensors = node.args[0] if node.args else node.kwargs.get("tensors", ())
        dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        known = isinstance(tensors, tuple | list) and all(isinstance(x, fx.Node) for x in tensors)
        if not known or not tensors:
            refuse(node, "it joins something else than tensors")
        if dim not in (1, -3 if self._is_conv(tensors[0]) else -1):
            refuse(node, f"it joins tensors along dimension {dim}")
        if not all(self.width(tensor) for tensor in tensors):
            refuse(node, "it joins images that no layer has read yet")
        self.parts[node] = tuple(part for tensor in tensors for part in self.parts[tensor])
        if self._flat[node]:
            self._joined_flat.add(node)


def _is_behind(node: fx.Node, other: fx.Node) -> bool:
    """Whether a node is computed from another one."""
    seen, waiting = set(), [node]
    while waiting:
        inputs = set(waiting.pop().all_input_nodes) - seen
        seen |= inputs
        waiting += inputs
    return other in seen
