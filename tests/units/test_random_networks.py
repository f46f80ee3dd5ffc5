"""Random networks from a seed: trace, weights graph and lesions against plain computations.

Each network is a list of steps. The forward pass does one after the other; so do two oracles that
know nothing of the library: the paths of absolute weights between tensors, multiplied out as
matrices, and a forward pass in which the values of units are set to zero. Draw more networks by
LOCALSPEC_RANDOM_NETWORKS=500.
"""

import itertools
import os
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from localspec.clustering import weight_graph
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.lesions import lesion_predictions
from localspec.units import trace_units

N_NETWORKS = int(os.environ.get("LOCALSPEC_RANDOM_NETWORKS", "60"))
ACTIVATIONS = [
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
    nn.Hardswish,
    nn.Mish,
    nn.SELU,
    nn.CELU,
    nn.Softplus,
    nn.PReLU,
    nn.Hardtanh,
    nn.Hardsigmoid,
    nn.Softsign,
    nn.LogSigmoid,
    F.relu,
    F.leaky_relu,
    F.hardswish,
    F.softplus,
    F.mish,
    F.hardtanh,
    torch.tanh,
    torch.sigmoid,
    lambda x: x.relu(),
    lambda x: x.sigmoid(),
    lambda x: x * torch.sigmoid(x),
]
OVERWRITING = [
    nn.ReLU(inplace=True),
    nn.ELU(inplace=True),
    nn.Hardswish(inplace=True),
    nn.Mish(inplace=True),
    F.relu_,
    F.elu_,
    lambda x: F.hardtanh(x, inplace=True),
    lambda x: x.relu_(),
    lambda x: x.tanh_(),
]
SUMS = [lambda *x: sum(x), lambda x, *y: sum(y, start=x), lambda *x: sum(list(x))]
PAIRS = [torch.add, lambda x, y: x.add(y), lambda x, y: y + x]
SCALES = [lambda x, c: c * x, lambda x, c: x * c, lambda x, c: x / (1 / c), torch.mul]
POOLS = [
    lambda x: F.max_pool2d(x, 2),
    lambda x: F.avg_pool2d(x, 2),
    lambda x: F.adaptive_avg_pool2d(x, 2),
    lambda x: F.adaptive_max_pool2d(x, 2),
    lambda x: torch.max_pool2d(x, 3, 1, 1),
    nn.MaxPool2d(2),
    nn.AvgPool2d(3, stride=1, padding=1),
]
MEANS = [
    lambda x: x.mean((2, 3)),
    lambda x: torch.mean(x, [2, 3]),
    lambda x: x.mean(3).mean(2),
    lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    lambda x: F.adaptive_max_pool2d(x, 1).squeeze(-1).squeeze(-1),
    lambda x: F.avg_pool2d(x, x.size()[2:]).view(x.size(0), -1),
]
FLATTENINGS = [
    lambda x: x.flatten(1),
    lambda x: torch.flatten(x, 1),
    lambda x: x.view(x.size(0), -1),
    lambda x: torch.reshape(x, (x.shape[0], -1)),
    lambda x: x.reshape(-1, x.size(1) * x.size(2) * x.size(3)),
]
DROPOUTS = [nn.Dropout(), nn.Dropout2d(), lambda x: torch.dropout(x, 0.5, False)]


@dataclass(frozen=True)
class Step:
    """What is done to which of the values before it; value 0 is the images."""

    kind: str
    inputs: tuple[int, ...]
    call: object  # a name of a module, or a function
    constant: float = 1.0


class RandomNetwork(nn.Module):
    """A network drawn from a seed, of at most 2 x 2 to 6 x 6 maps, or of rows of features."""

    def __init__(self, seed):
        super().__init__()
        self.rng = np.random.default_rng(seed)
        generator = torch.Generator().manual_seed(seed)
        self.steps: list[Step] = []
        self.widths, self.size = [2], 6
        self.is_conv = self.rng.random() < 0.8
        x = 0
        if not self.is_conv:
            self.widths = [5]
        for _ in range(self.rng.integers(1, 4)):
            block = self.pick([self.chain, self.residual, self.joined, self.gated])
            x = block(self.reader(x) if x == 0 else x)
        self.head(x)
        self.double().eval()
        with torch.no_grad():
            for parameter in self.parameters():
                n_read = parameter[0].numel() if parameter.ndim > 1 else 1
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(noise / n_read**0.5)
            for name, buffer in self.named_buffers():
                noise = torch.rand(buffer.shape, generator=generator, dtype=torch.float64)
                if not name.endswith("tracked"):
                    buffer.copy_(noise + (0.2 if name.endswith("var") else -0.5))

    # --- drawing ---

    def pick(self, choices):
        return choices[self.rng.integers(len(choices))]

    def add(self, kind, inputs, call, width, constant=1.0):
        if isinstance(call, nn.Module):
            name = f"part{len(self.steps)}"
            self.add_module(name, call)
            call = name
        self.steps.append(Step(kind, inputs, call, constant))
        self.widths.append(width)
        return len(self.steps)

    def reader(self, x, width=None, stride=1):
        n_read = self.widths[x]
        width = width or int(self.pick([2, 4, 6]))
        if not self.is_conv:
            return self.add("layer", (x,), nn.Linear(n_read, width), width)
        groups = int(self.pick([1, 1, 1, 2])) if n_read % 2 == 0 and width % 2 == 0 else 1
        kernel, dilation = self.pick([(1, 1), (3, 1), (3, 2)])
        options = {
            "kernel_size": kernel,
            "padding": "same"
            if stride == 1 and self.rng.random() < 0.3
            else kernel // 2 * dilation,
            "dilation": dilation,
            "stride": stride,
            "groups": groups,
            "bias": bool(self.rng.random() < 0.7),
        }
        return self.add("layer", (x,), nn.Conv2d(n_read, width, **options), width)

    def norm(self, x):
        make = nn.BatchNorm2d if self.is_conv else nn.BatchNorm1d
        return self.add("norm", (x,), make(self.widths[x]), self.widths[x])

    def act(self, x, alone=False):
        act = self.pick(OVERWRITING if alone and self.rng.random() < 0.3 else ACTIVATIONS)
        if act is nn.PReLU:
            act = nn.PReLU(int(self.pick([1, self.widths[x]])))
        return self.add("act", (x,), act() if isinstance(act, type) else act, self.widths[x])

    def passed(self, x, among):
        return self.add("passed", (x,), self.pick(among), self.widths[x])

    def scaled(self, x):
        constant = float(self.pick([0.1, -2.0, 0.5]))
        form = self.pick(SCALES)
        call = self.pick([lambda value: form(value, constant)])
        return self.add("scale", (x,), call, self.widths[x], constant)

    def maybe(self, x, share, step, *arguments):
        return step(x, *arguments) if self.rng.random() < share else x

    def chain(self, x, width=None, stride=1):
        """Layer, norm, activation, norm, scale, pooling, dropout: of which some."""
        x = self.reader(x, width, stride)
        x = self.maybe(x, 0.4, self.norm)
        x = self.maybe(x, 0.8, self.act, True)
        x = self.maybe(x, 0.3, self.norm)
        x = self.maybe(x, 0.15, self.scaled)
        if width is None and self.is_conv and self.size == 6 and self.rng.random() < 0.4:
            x, self.size = self.passed(x, POOLS), 2
        return self.maybe(x, 0.2, self.passed, DROPOUTS[:: 1 if self.is_conv else 2])

    def branch(self, x, width, stride=1):
        x = self.maybe(x, 0.2, self.norm)
        x = self.maybe(x, 0.2, self.act)
        if self.rng.random() < 0.5:
            x = self.chain(x, int(self.pick([2, 4])))
        x = self.reader(x, width, stride)
        x = self.maybe(x, 0.4, self.norm)
        return self.maybe(x, 0.3, self.scaled)

    def residual(self, x):
        """A sum of two or three; the skip may have a layer."""
        width, stride = self.widths[x], 1
        skip = self.maybe(x, 0.2, self.norm)
        if self.is_conv and self.rng.random() < 0.2:
            stride, width = 2, 4
        if stride == 2 or self.rng.random() < 0.2:
            skip = self.maybe(self.reader(skip, width, stride), 0.5, self.norm)
        terms = [skip, *(self.branch(x, width, stride) for _ in range(self.rng.integers(1, 3)))]
        pairs = PAIRS if len(terms) == 2 else []
        x = self.add("sum", tuple(terms), self.pick([*SUMS, *pairs]), width)
        x = self.maybe(x, 0.3, self.norm)
        return self.maybe(x, 0.6, self.act, True)

    def joined(self, x):
        """A concatenation of branches, perhaps with what they read."""
        parts = [self.chain(x, int(self.pick([2, 4]))) for _ in range(self.rng.integers(1, 3))]
        if len(parts) == 1 or self.rng.random() < 0.3:
            parts.insert(int(self.rng.integers(2)), x)
        width = sum(self.widths[part] for part in parts)
        x = self.add("join", tuple(parts), lambda *values: torch.cat(values, 1), width)
        x = self.maybe(x, 0.4, self.norm)
        return self.maybe(x, 0.5, self.act, True)

    def gated(self, x):
        """A product with a sigmoid of what a layer makes of it; rarely, or another chain."""
        if self.rng.random() < 0.7:
            return self.chain(x)
        gate = self.reader(self.maybe(x, 0.5, self.chain, 2), self.widths[x])
        gate = self.add(
            "act", (gate,), self.pick([torch.sigmoid, nn.Hardsigmoid()]), self.widths[x]
        )
        if self.is_conv:
            gate = self.passed(gate, [lambda value: value.mean((2, 3), keepdim=True)])
        return self.add(
            "gate", (x, gate), self.pick([torch.mul, lambda a, b: b * a]), self.widths[x]
        )

    def head(self, x):
        if self.is_conv:
            if self.rng.random() < 0.2:
                x = self.reader(x, 3)
                self.passed(x, MEANS)
                return
            n_places = 1
            if self.rng.random() < 0.5:
                x = self.passed(x, [lambda value: F.adaptive_avg_pool2d(value, 2)])
                x = self.passed(x, FLATTENINGS)
                n_places = 4
            else:
                x = self.passed(x, MEANS)
            self.is_conv, self.widths[x] = False, n_places * self.widths[x]
            x = self.reader(x, 4)
            x = self.maybe(x, 0.3, self.norm)
            x = self.act(x)
            self.reader(x, 3)
            self.is_conv = True
        else:
            self.reader(x, 3)

    # --- running ---

    def forward(self, x, lesions=None, means=None):
        """Return logits; under lesions, units of values are replaced by zero or means."""
        values = [x]
        for index, step in enumerate(self.steps, start=1):
            call = getattr(self, step.call) if isinstance(step.call, str) else step.call
            value = call(*(values[place] for place in step.inputs))
            if lesions is not None and index in lesions:
                value, units = value.clone(), lesions[index]
                if means is not None and index not in means:
                    means[index] = value.mean(0)
                value[:, units] = 0 if means is None else means[index][units]
            values.append(value)
        return values[-1]

    def origins(self):
        """Return which layers and sums each value's units come from."""
        origins = [{0}]
        for index, step in enumerate(self.steps, start=1):
            carried = step.inputs[:1] if step.kind == "gate" else step.inputs
            forms = step.kind in ("layer", "sum")
            origins.append({index} if forms else set().union(*(origins[i] for i in carried)))
        return origins

    def tensors(self):
        """Return the origins that layers read or the network returns, in order."""
        origins = self.origins()
        read = [origins[step.inputs[0]] for step in self.steps if step.kind == "layer"]
        return sorted(set().union(origins[-1], *read) - {0})

    def images(self):
        shape = (35, self.widths[0], 6, 6) if self.is_conv else (35, self.widths[0])
        return torch.from_numpy(self.rng.normal(size=shape))


# --- the oracle of edges: matrices of absolute weights, multiplied along every path ---


def collapsed(layer):
    """Return the L1 norms of the kernels, from inputs to outputs."""
    norms = layer.weight.detach().abs().flatten(2).sum(2) if layer.weight.ndim > 2 else None
    if norms is None:
        return layer.weight.detach().abs().T.numpy()
    full = np.zeros((layer.in_channels, layer.out_channels))
    n_read, n_written = norms.shape[1], layer.out_channels // layer.groups
    for unit, row in enumerate(norms.numpy()):
        first = unit // n_written * n_read
        full[first : first + n_read, unit] = row
    return full


def factors(network, step):
    if step.kind == "scale":
        return abs(step.constant)
    norm = getattr(network, step.call)
    return (norm.weight.abs() / (norm.running_var + norm.eps).sqrt()).detach().numpy()


def trunk(network, tensor):
    """Return the steps behind a tensor that act on each unit alone, before it branches."""
    steps, value = [], tensor
    while True:
        users = [i for i, step in enumerate(network.steps, start=1) if value in step.inputs]
        if len(users) != 1:
            return steps
        (value,) = users
        if network.steps[value - 1].kind not in ("norm", "scale", "act", "passed"):
            return steps
        steps.append(value)


def own_steps(network, tensor):
    """Return the norms and constants before a tensor's activation: they scale edges into it."""
    kinds = {step: network.steps[step - 1].kind for step in trunk(network, tensor)}
    before = list(itertools.takewhile(lambda step: kinds[step] != "act", kinds))
    return [step for step in before if kinds[step] != "passed"]


def end(network, tensor):
    """Return the value that a tensor hands on, before pooling."""
    kept = [step for step in trunk(network, tensor) if network.steps[step - 1].kind != "passed"]
    return kept[-1] if kept else tensor


def plus(*paths):
    """Add up matrices by the tensor that paths begin at."""
    total = {}
    for part in paths:
        for tensor, matrix in part.items():
            total[tensor] = total.get(tensor, 0) + matrix
    return total


def times(paths, matrix):
    return {tensor: before @ matrix for tensor, before in paths.items()}


def beside(parts, widths):
    """Lay paths to values side by side, as a concatenation does."""
    begins = np.cumsum([0, *widths])
    joined = []
    for paths, begin, width in zip(parts, begins, widths, strict=False):
        behind = begins[-1] - begin - width
        joined.append(
            {tensor: np.pad(part, ((0, 0), (begin, behind))) for tensor, part in paths.items()}
        )
    return plus(*joined)


def expected_edges(network):
    """Return the matrix of edges from each tensor to each tensor, by the two of them.

    Of every value there are two kinds of paths: those without a layer since the last tensor, which
    a sum that is a tensor itself leaves out, and those through layers.
    """
    tensors = set(network.tensors())
    own = {step for tensor in tensors for step in own_steps(network, tensor)}
    skips, layers, edges = [{0: np.eye(network.widths[0])}], [{}], {}
    for index, step in enumerate(network.steps, start=1):
        skip, layer = [skips[i] for i in step.inputs], [layers[i] for i in step.inputs]
        if step.kind == "layer":
            part = getattr(network, step.call)
            if network.is_conv and isinstance(part, nn.Linear):
                return edges  # channels alone are nodes
            skip, layer = {}, times(plus(skip[0], layer[0]), collapsed(part))
        elif step.kind == "sum":
            skip, layer = plus(*skip), plus(*layer)
        elif step.kind == "join":
            widths = [network.widths[i] for i in step.inputs]
            skip, layer = beside(skip, widths), beside(layer, widths)
        else:
            skip, layer = skip[0], layer[0]
            if step.kind == "gate":  # edges are undefined
                hidden = np.full((network.widths[index],) * 2, np.nan)
                skip, layer = times(skip, hidden), times(layer, hidden)
            if step.kind in ("norm", "scale") and index not in own:
                scale = np.diag(factors(network, step) * np.ones(network.widths[index]))
                skip, layer = times(skip, scale), times(layer, scale)
        if index in tensors:
            into = np.ones(network.widths[index])
            for norm in own_steps(network, index):
                into = into * factors(network, network.steps[norm - 1])
            edges |= {(before, index): matrix * into for before, matrix in layer.items()}
            skip, layer = {index: np.eye(network.widths[index])}, {}
        skips.append(skip)
        layers.append(layer)
    return edges


def expected_graph(network):
    """Return the symmetric matrix over all nodes of the weights graph."""
    nodes = network.tensors()
    if network.is_conv:
        nodes = [
            node
            for node in nodes
            if network.steps[node - 1].kind == "sum"
            or isinstance(getattr(network, network.steps[node - 1].call), nn.Conv2d)
        ]
    else:
        nodes = [0, *nodes]
    widths = [network.widths[node] for node in nodes]
    begins = dict(zip(nodes, np.cumsum([0, *widths]), strict=False))
    matrix = np.zeros((sum(widths), sum(widths)))
    for (before, behind), block in expected_edges(network).items():
        if before in begins and behind in begins:
            rows = slice(begins[before], begins[before] + network.widths[before])
            columns = slice(begins[behind], begins[behind] + network.widths[behind])
            matrix[rows, columns] = block
    return matrix + matrix.T


def check_graph(network):
    expected = expected_graph(network)
    if np.isnan(expected).any():
        with pytest.raises(InvalidInputError, match="undefined behind a gate"):
            weight_graph(network)
        return
    graph = weight_graph(network)
    assert graph.adjacency.toarray() == pytest.approx(expected, rel=1e-10, abs=1e-14)


def check_lesions(network, unit_map, x):
    tensors = network.tensors()
    names = {layer.name: tensor for layer, tensor in zip(unit_map.layers, tensors, strict=True)}
    assert [layer.n_units for layer in unit_map.layers] == [network.widths[i] for i in tensors]
    lesions = [{}]
    for n_layers in (1, 1, 1, 2, 2):
        chosen = network.rng.permutation(list(names))[:n_layers]
        sizes = {name: network.widths[names[name]] for name in chosen}
        lesions.append(
            {name: np.flatnonzero(network.rng.random(size) < 0.4) for name, size in sizes.items()}
        )
    replacement = network.pick(["zero", "mean"])
    point = network.pick(["unit", "normalized"])
    at_end = replacement == "mean" or point == "normalized"
    places = {name: end(network, at) if at_end else at for name, at in names.items()}
    means = {} if replacement == "mean" else None
    nothing = {place: np.array([], dtype=int) for place in places.values()}
    with torch.no_grad():
        network(x.clone(), nothing, means)  # fills means
    predicted = lesion_predictions(
        unit_map,
        x,
        lesions,
        replacement=replacement,
        conventions=Conventions(lesion_point=point),
        batch_size=int(network.pick([9, 1000])),
        max_values=int(network.pick([100, 2000, 10**6])),
    )
    for lesion, classes in zip(lesions, predicted, strict=True):
        acting = {places[name]: units for name, units in lesion.items()}
        with torch.no_grad():
            logits = network(x.clone(), acting, means)
        reached = logits[torch.arange(len(x)), torch.from_numpy(classes)]
        assert torch.allclose(reached, logits.amax(1), rtol=1e-10, atol=1e-12), lesion


@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_random_network(seed):
    network = RandomNetwork(seed)
    x = network.images()
    unit_map = trace_units(network)
    with torch.no_grad():
        expected, (logits,) = network(x.clone()), unit_map.run(x.clone())
    assert torch.allclose(logits, expected, rtol=1e-11, atol=1e-12)
    check_graph(network)
    check_lesions(network, unit_map, x)
