"""torchvision's networks: edges against gradients, lesions against hooks, both in float64.

Narrow or shallow ones by default; LOCALSPEC_FULL_NETWORKS=1 takes them as torchvision has them,
which takes minutes.

An edge is what a unit adds to a later one where the network is linear: with absolute weights, no
biases and no activations. So the gradient of a random sum over one place of a tensor's units, added
up over the places of an earlier tensor, is that tensor's edges times the random numbers, if values
are cut off at every tensor between. Borders would take a part of a kernel away: convolutions
wrap around them.
"""

import copy
import os

import numpy as np
import pytest
import torch
from helpers.lesions import hooked
from helpers.networks import centred
from torch import fx, nn

from localspec.clustering import weight_graph
from localspec.data._torchvision import import_torchvision
from localspec.lesions import lesion_predictions
from localspec.units import trace_units

FULL = os.environ.get("LOCALSPEC_FULL_NETWORKS", "") == "1"
N_CLASSES = 20
models = import_torchvision().models


def small_vgg():
    channels = [4, 4, "M", 6, 6, "M", 8, 8, 8, "M", 8, 8, 8, "M", 8, 8, 8, "M"]
    network = models.VGG(
        models.vgg.make_layers(channels), num_classes=N_CLASSES, init_weights=False
    )
    network.classifier = nn.Sequential(nn.Linear(8 * 49, 9), nn.ReLU(), nn.Linear(9, N_CLASSES))
    return network


def small_densenet():
    return models.DenseNet(
        growth_rate=4,
        block_config=(2, 3, 2, 2),
        num_init_features=6,
        bn_size=2,
        num_classes=N_CLASSES,
    )


def small_inception():
    """Blocks of Inception-v3 as torchvision has them, of few channels where they allow it."""
    blocks = models.inception
    return nn.Sequential(
        blocks.BasicConv2d(3, 6, kernel_size=3, stride=2),
        nn.MaxPool2d(3, 2),
        blocks.InceptionA(6, pool_features=4),
        blocks.InceptionC(228, channels_7x7=5),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(768, N_CLASSES),
    )


def full_inception():
    return models.inception_v3(num_classes=N_CLASSES, aux_logits=False, init_weights=False)


SMALL = {
    "SqueezeNet 1.1": (lambda: models.squeezenet1_1(num_classes=N_CLASSES), 64),
    "ResNet-18": (lambda: models.resnet18(num_classes=N_CLASSES), 64),
    "VGG-16": (small_vgg, 96),
    "DenseNet-121": (small_densenet, 96),
    "Inception-v3": (small_inception, 64),
    "MobileNet-v2": (lambda: models.mobilenet_v2(width_mult=0.25, num_classes=N_CLASSES), 96),
}
WHOLE = {
    "SqueezeNet 1.1": (lambda: models.squeezenet1_1(num_classes=N_CLASSES), 224),
    "ResNet-18": (lambda: models.resnet18(num_classes=N_CLASSES), 224),
    "VGG-16": (lambda: models.vgg16(num_classes=N_CLASSES), 224),
    "DenseNet-121": (lambda: models.densenet121(num_classes=N_CLASSES), 224),
    "Inception-v3": (full_inception, 299),
    "MobileNet-v2": (lambda: models.mobilenet_v2(num_classes=N_CLASSES), 224),
}
NETWORKS = WHOLE if FULL else SMALL


def network_of(name):
    """Return a random network in float64, with normalizations that do something."""
    build, size = NETWORKS[name]
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build().double().eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean):
                values.copy_(torch.randn(values.shape, generator=generator).double())
            spread = torch.rand(module.running_var.shape, generator=generator).double()
            module.running_var.copy_(0.5 + spread)
    return network, torch.rand(4, 3, size, size, generator=generator).double()


# --- edges ---

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Dropout)


def linear(graph_module):
    """Return a copy without biases and activations, with absolute weights, without borders."""
    graph_module = copy.deepcopy(graph_module)
    for name, module in list(graph_module.named_modules()):
        if isinstance(module, ACTIVATIONS):
            graph_module.set_submodule(name, nn.Identity())
        elif isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            module.weight.copy_(module.weight.abs())
            if module.bias is not None:
                module.bias.zero_()
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.zero_()
        if isinstance(module, nn.Conv2d) and any(module.padding):
            twice = [side for side in reversed(module.padding) for _ in range(2)]
            module.padding_mode, module._reversed_padding_repeated_twice = "circular", twice
    return graph_module


class Probe(fx.Interpreter):
    """Run a linear copy, cut off at every tensor: `formed` has gradients back to `leaves` only."""

    def __init__(self, graph_module, tensors):
        super().__init__(graph_module, garbage_collect_values=False)
        self.tensors, self.formed, self.leaves, self.passed = tensors, {}, {}, set()

    def run_node(self, node):
        inputs = node.all_input_nodes
        module = self.module.get_submodule(node.target) if node.op == "call_module" else None
        what = str(getattr(node.target, "__name__", node.target))
        if len(inputs) > 1 and "add" in what:  # what is passed on unchanged makes no edge
            for source in inputs:
                if source in self.passed:
                    self.env[source] = self.env[source].detach()
        if "relu" in what and module is None:
            result = self.env[inputs[0]]
        elif what == "avg_pool2d" and module is None and len(node.args) > 1:
            result = self.env[inputs[0]]  # with a border; a mean keeps the sum
        else:
            result = super().run_node(node)
        if not isinstance(module, nn.Conv2d | nn.Linear) and self.passed.intersection(inputs):
            self.passed.add(node)
        if node.name in self.tensors:
            self.formed[node.name] = result
            result = self.leaves[node.name] = result.detach().requires_grad_()
            self.passed.add(node)
        return result


@pytest.mark.parametrize("name", NETWORKS)
def test_edges_are_gradients_of_a_random_sum(name):
    network, x = network_of(name)
    unit_map = trace_units(network)
    graph = weight_graph(unit_map)
    layers = {layer.name: layer.pre_activation.name for layer in unit_map.layers if layer.is_conv}
    assert [layer.name for layer in graph.layers] == list(layers)
    probe = Probe(linear(unit_map.graph_module), set(layers.values()))
    with torch.enable_grad():
        probe.run(x[:1])
    rng, n_edges = np.random.default_rng(0), 0
    for index, after in enumerate(graph.layers[1:], start=1):
        formed = probe.formed[layers[after.name]]
        random = rng.normal(size=after.n_units)
        place = [int(rng.integers(size)) for size in formed.shape[2:]]
        total = (formed[0, :, place[0], place[1]] * torch.from_numpy(random)).sum()
        before = graph.layers[:index]
        leaves = [probe.leaves[layers[layer.name]] for layer in before]
        gradients = torch.autograd.grad(total, leaves, allow_unused=True, retain_graph=True)
        for layer, gradient in zip(before, gradients, strict=True):
            edges = graph.adjacency[layer.units][:, after.units]
            n_edges += edges.nnz
            expected = np.zeros(layer.n_units)
            if gradient is not None:
                expected = gradient.sum(dim=(0, 2, 3)).numpy()
            scale = np.abs(expected).max(initial=1)
            np.testing.assert_allclose(edges @ random / scale, expected / scale, atol=1e-10)
    assert 2 * n_edges == graph.adjacency.nnz > 0


# --- lesions ---


def hooked_name(network, layer):
    """Return the name of the module that returns a layer's value, or that value after a ReLU."""
    if layer.value.op == "call_module":
        return layer.value.target
    blocks = (models.resnet.BasicBlock, models.mobilenetv2.InvertedResidual)
    parts = layer.tensor.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next(name for name in names if isinstance(network.get_submodule(name), blocks))


@pytest.mark.parametrize("name", NETWORKS)
def test_lesions_are_hooks(name):
    network, x = network_of(name)
    network = centred(network, x)
    unit_map, rng = trace_units(network), np.random.default_rng(0)
    tested = unit_map.tested
    sums = [layer for layer in tested if layer.value.op != "call_module"]
    chosen = {layer.name: layer for layer in (tested[0], *sums[:1], tested[len(tested) // 2])}
    chosen |= {layer.name: layer for layer in (*sums[-1:], tested[-2], tested[-1])}
    lesions = [
        {layer.name: rng.choice(layer.n_units, layer.n_units // 2, replace=False)}
        for layer in chosen.values()
    ]
    expected = [
        hooked(network, x, {hooked_name(network, layer): lesion[layer.name]}).argmax(dim=1).tolist()
        for layer, lesion in zip(chosen.values(), lesions, strict=True)
    ]
    assert lesion_predictions(unit_map, x, lesions).tolist() == expected
    assert len({label for row in expected for label in row}) >= 3
    assert sum(row != network(x).argmax(dim=1).tolist() for row in expected) >= 3
