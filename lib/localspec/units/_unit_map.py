"""Unit maps: hold a traced network's layers of units, and run any part of it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import fx, nn

from localspec.exceptions import InvalidInputError
from localspec.units._layers import Reader, UnitLayer
from localspec.units._operations import Runner, overwritable
from localspec.units._workspace import Workspace

MAX_IMAGES = 1000  # that pass a network together
MAX_VALUES = 2**28  # of all layers on the way, where several images do: 1 GiB in single precision


@dataclass(frozen=True)
class UnitMap:
    """A traced network: its layers of units, in order, and a way to run any part of it.

    Attributes
    ----------
    graph_module : torch.fx.GraphModule
    tensors : tuple of UnitLayer
        From the input to the output; the last one writes the logits.
    readers : tuple of Reader
        Every dense layer and convolution, in order.
    n_inputs : int
        What the first layer reads: pixels, or channels of the images.
    module : torch.nn.Module
        The network that was traced; what the trace computes is compared with it.
    residual_units : {"tensor", "reader"}
        Whether `layers` are the tensors, or one layer for each reader of a tensor with several.
    chosen : tuple of str, optional
        Names of the layers that are tested; by default all that can be.
    """

    graph_module: fx.GraphModule
    tensors: tuple[UnitLayer, ...]
    readers: tuple[Reader, ...]
    n_inputs: int
    module: nn.Module
    residual_units: str = "tensor"
    chosen: tuple[str, ...] | None = None

    @cached_property
    def layers(self) -> tuple[UnitLayer, ...]:
        """Layers of units, from the input to the output."""
        if self.residual_units == "tensor":
            return self.tensors
        return tuple(part for tensor in self.tensors for part in self._parts(tensor))

    def with_residual_units(self, residual_units: str) -> UnitMap:
        """Return the map with layers of another reading, see ``Conventions.residual_units``."""
        if residual_units == self.residual_units:
            return self
        return replace(self, residual_units=residual_units)

    def with_tested(self, names: Sequence[str]) -> UnitMap:
        """Return the map with only some of its hidden layers tested.

        Raises
        ------
        InvalidInputError
            If a name is none of a hidden layer, or there is none.
        """
        hidden = [layer.name for layer in self.layers if self.readers_of(layer)]
        if isinstance(names, str) or not isinstance(names, Sequence) or not len(names):
            raise InvalidInputError(
                f"layers must be a list of one or more of {', '.join(hidden)}, not {names!r}"
            )
        for name in names:
            if name not in hidden:
                raise InvalidInputError(
                    f"there is no hidden layer {name!r}; the network has: {', '.join(hidden)}"
                )
        return replace(self, chosen=tuple(names))

    def _parts(self, tensor: UnitLayer) -> tuple[UnitLayer, ...]:
        names = [reader.name for reader in self.readers_of(tensor)]
        if len(names) < 2:
            return (tensor,)
        return tuple(replace(tensor, reader=name) for name in names)

    @cached_property
    def _by_name(self) -> dict[str, UnitLayer]:
        both = (layer for tensor in self.tensors for layer in (tensor, *self._parts(tensor)))
        return {layer.name: layer for layer in both}

    @cached_property
    def _order(self) -> dict[fx.Node, int]:
        return {node: index for index, node in enumerate(self.graph_module.graph.nodes)}

    @property
    def input(self) -> fx.Node:
        """Node of the images."""
        return next(node for node in self.graph_module.graph.nodes if node.op == "placeholder")

    @property
    def output(self) -> fx.Node:
        """Node of the logits."""
        final = next(node for node in self.graph_module.graph.nodes if node.op == "output")
        return final.args[0]

    @property
    def tested(self) -> tuple[UnitLayer, ...]:
        """Layers whose subclusters are tested: convolutions if any, else hidden dense layers.

        Units whose values are the logits are no hidden units.
        """
        hidden = tuple(layer for layer in self.layers if self.readers_of(layer))
        if self.chosen is not None:
            return tuple(layer for layer in hidden if layer.name in self.chosen)
        return tuple(layer for layer in hidden if layer.is_conv) or hidden

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.readers[0].module.weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.readers[0].module.weight.device

    def layer(self, name: str) -> UnitLayer:
        """Return a layer by name, of tensors and of their readers alike.

        Raises
        ------
        InvalidInputError
            If there is no layer of that name.
        """
        if name in self._by_name:
            return self._by_name[name]
        names = ", ".join(layer.name for layer in self.layers)
        raise InvalidInputError(f"there is no layer {name!r}; the network has: {names}")

    def readers_of(self, layer: UnitLayer) -> tuple[Reader, ...]:
        """Return the readers of a layer's units, in order; none for the logits."""
        return tuple(
            reader
            for reader in self.readers
            if any(reading.tensor == layer.tensor for reading in reader.readings)
            and layer.reader in (None, reader.name)
        )

    def name_seen_by(self, tensor: str | None, reader: Reader) -> str | None:
        """Return the name of the layer that a reader's reading of a tensor belongs to."""
        for layer in self.layers:
            if layer.tensor == tensor and layer.reader in (None, reader.name):
                return layer.name
        return None

    def only_reader(self, layer: UnitLayer) -> Reader | None:
        """Return a tensor's reader if nothing else reads the tensor, not even to pass it on."""
        node = layer.value
        nodes = {reader.node: reader for reader in self.readers}
        while len(node.users) == 1 and node not in nodes.keys() - {layer.value}:
            (node,) = node.users
        return nodes.get(node) if node is not layer.value else None

    def position(self, node: fx.Node) -> int:
        """Return a node's place in the order in which the network runs."""
        return self._order[node]

    def live_nodes(self, node: fx.Node) -> tuple[fx.Node, ...]:
        """Return the nodes whose values are all that is needed to go on behind `node`.

        They are computed up to `node` and used behind it; in a chain, `node` alone::

            x -> conv1 -> relu -> conv2 -> add        live_nodes(relu) = (x, relu)
            |                               |
            '-------------------------------'
        """
        if node not in self._live_nodes:
            begin = self._order[node]
            self._live_nodes[node] = tuple(
                other
                for other, index in self._order.items()
                if other is node
                or (index < begin and any(self._order[user] > begin for user in other.users))
            )
        return self._live_nodes[node]

    @cached_property
    def _live_nodes(self) -> dict[fx.Node, tuple[fx.Node, ...]]:
        return {}

    def behind(self, nodes: Iterable[fx.Node]) -> set[fx.Node]:
        """Return all nodes whose values depend on those of some nodes, and these themselves."""
        reached, waiting = set(), list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in reached:
                reached.add(node)
                waiting += node.users
        return reached

    def between(
        self, known: Container[fx.Node], stops: Sequence[fx.Node]
    ) -> tuple[list[fx.Node], list[fx.Node]]:
        """Return what must run for the values of `stops` where others are known, in order.

        The second list has the known nodes that are among `stops` or that needed ones read.
        """
        reached, waiting = set(), list(stops)
        while waiting:
            node = waiting.pop()
            if node not in reached:
                reached.add(node)
                waiting += () if node in known else node.all_input_nodes
        ordered = sorted(reached, key=self._order.__getitem__)
        needed = [node for node in ordered if node not in known]
        return needed, [node for node in ordered if node in known]

    @cached_property
    def _overwritable(self) -> dict[fx.Node, tuple[fx.Node, ...]]:
        return overwritable(self.graph_module)

    def _may_overwrite(self, node: fx.Node, stops: Sequence[fx.Node]) -> bool:
        return node in self._overwritable and not {*self._overwritable[node]} & {*stops}

    def n_together(
        self,
        x: torch.Tensor,
        stops: tuple[fx.Node, ...],
        *,
        max_images: int = MAX_IMAGES,
        max_values: int = MAX_VALUES,
    ) -> int:
        """Return how many images may go to `stops` together: at least 1, at most `max_images`.

        Of `x`, shape (n_images, ...), the first is tried. Where more than one image goes, nodes on
        the way hold together at most `max_values` numbers.
        """
        needed, read = self.between({self.input}, stops)
        nodes = (*read, *needed)
        with torch.inference_mode():
            values = self.run(x[:1].to(self.device, self.dtype), stops=nodes)
        n_values = sum(value.numel() for value in values if isinstance(value, torch.Tensor))
        return max(1, min(max_images, max_values // max(n_values, 1)))

    def run(
        self,
        value: torch.Tensor | Sequence[torch.Tensor] | Mapping[fx.Node, torch.Tensor],
        *,
        start: fx.Node | None = None,
        stops: tuple[fx.Node, ...] | None = None,
        edits: Mapping[fx.Node, Callable[[torch.Tensor], torch.Tensor]] | None = None,
        overwrite: bool = False,
        relu: Callable[[torch.Tensor], torch.Tensor] | None = None,
        workspace: Workspace | None = None,
    ) -> list[torch.Tensor]:
        """Run the part of the network from `start` to the last of `stops`.

        Parameters
        ----------
        value : torch.Tensor, sequence or mapping of torch.fx.Node to it, shape (n_images, ...)
            Value of `start`; where it has several live nodes, a value for each of them. A mapping
            says itself whose values they are.
        start : torch.fx.Node, optional
            By default the images.
        stops : tuple of torch.fx.Node, optional
            Nodes whose values to return, among the live nodes of `start` or behind it; by default
            the logits.
        edits : mapping of torch.fx.Node to callable, optional
            Functions applied to the values of nodes as they are computed (and to `value`).
        overwrite : bool, optional
            Let ReLUs write over values that nothing else needs, `value` among them.
        relu : callable, optional
            Used in place of every ReLU.
        workspace : Workspace, optional
            What dense layers write into, without gradients: the next run with it overwrites them.

        Returns
        -------
        list of torch.Tensor
            One value for each of `stops`.

        Raises
        ------
        InvalidInputError
            If there are not as many values as live nodes.
        """
        stops, edits = stops or (self.output,), edits or {}
        known = value if isinstance(value, Mapping) else self._known(value, start or self.input)
        runner = Runner(self.graph_module, relu)
        for node in (*known, *self.between(known, stops)[0]):
            if node in known:
                result = known[node]
            elif overwrite and relu is None and self._may_overwrite(node, stops):
                result = runner.env[node.all_input_nodes[0]].relu_()
            elif workspace is not None and self._dense(node, runner, workspace):
                layer = self.graph_module.get_submodule(node.target)
                result = workspace.dense(node, layer, runner.env[node.all_input_nodes[0]])
            else:
                result = runner.run_node(node)
            runner.env[node] = edits[node](result) if node in edits else result
        return [runner.env[node] for node in stops]

    def _known(
        self, value: torch.Tensor | Sequence[torch.Tensor], start: fx.Node
    ) -> dict[fx.Node, torch.Tensor]:
        """Return values by live node of `start`."""
        values = (value,) if isinstance(value, torch.Tensor) else tuple(value)
        live = self.live_nodes(start)
        if len(values) != len(live):
            names = ", ".join(node.name for node in live)
            raise InvalidInputError(
                f"to go on behind {start.name!r} takes the values of {names}: pass "
                f"{len(live)}, not {len(values)}"
            )
        return dict(zip(live, values, strict=True))

    def _dense(self, node: fx.Node, runner: Runner, workspace: Workspace) -> bool:
        if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
            return False
        layer = self.graph_module.get_submodule(node.target)
        return workspace.runs(layer, runner.env[node.args[0]])
