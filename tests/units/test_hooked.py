"""Units of named modules: which layers are taken, and their values, against plain hooks."""

import numpy as np
import pytest
import torch
from helpers.networks import random_mlp
from helpers.untraced import NETWORKS, SHAPE, TwoHeads, VisionTransformer, images, made, outputs
from torch import nn

import localspec as ls
from localspec.units import (
    hook_units,
    in_bfloat16,
    mean_values,
    trace_units,
    unit_strengths,
    unit_values,
)


@pytest.fixture(params=NETWORKS)
def untraced(request):
    make, shape, layers = NETWORKS[request.param]
    return make(), images((6, *shape)), layers


def test_every_layer_that_has_a_part_in_the_logits_is_taken(untraced):
    network, x, layers = untraced
    units = hook_units(network, x)
    assert {layer.name: (layer.n_units, layer.axis) for layer in units.layers} == layers
    assert units.tested == units.layers
    assert [layer.name for layer in units.layers] == list(layers)  # in the order of a pass


def test_a_network_is_left_as_it_was(untraced):
    network, x, _ = untraced
    before = [value.clone() for value in network.state_dict().values()]
    units = hook_units(network, x)
    unit_values(units, x)
    assert all(map(torch.equal, network.state_dict().values(), before))
    assert not any(part._forward_hooks for part in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_values_are_sums_of_magnitudes_over_places(untraced):
    network, x, layers = untraced
    values = unit_values(hook_units(network, x), x)
    for name, (n_units, axis) in layers.items():
        seen = outputs(network, x, name)
        expected = [value.abs().movedim(axis, 0).reshape(n_units, -1).sum(1) for value in seen]
        np.testing.assert_allclose(values[name], torch.stack(expected).numpy(), rtol=1e-9)


def test_memory_bounds_change_nothing(untraced):
    network, x, _ = untraced
    units = hook_units(network, x)
    few = unit_values(units, x, max_values=1)
    for name, values in unit_values(units, x).items():
        np.testing.assert_allclose(few[name], values, rtol=1e-9)


def test_means_over_images():
    network, x = made(VisionTransformer), images((7, *SHAPE))
    units = hook_units(network, x, ["mlp.0"])
    mean = mean_values(units, x, ("mlp.0",))["mlp.0"]
    seen = torch.cat(outputs(network, x, "mlp.0"))  # (n_images, n_tokens, n_units)
    torch.testing.assert_close(mean, seen.mean(0).T)
    strengths = unit_strengths(units, x, "mean activation")["mlp.0"]
    np.testing.assert_allclose(strengths, seen.mean((0, 1)).numpy())


def test_both_doors_see_the_same_values():
    network, x = random_mlp((5, 7, 6, 3), seed=1), images((20, 5))
    hooked, traced = hook_units(network, x), trace_units(network)
    assert [layer.name for layer in hooked.layers] == ["0", "2"]
    for name, values in unit_values(traced, x).items():
        np.testing.assert_allclose(unit_values(hooked, x)[name], values, rtol=1e-12)
    graphs = [ls.activation_graph(units, x) for units in (hooked, traced)]
    np.testing.assert_allclose(graphs[0].adjacency, graphs[1].adjacency, atol=1e-12)
    assert [layer.name for layer in graphs[0].tested] == ["0", "2"]


class Overwriting(nn.Module):
    """Activations that overwrite what they read, which is then read again."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 2)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.first(x)
        self.act(x)
        y = self.second(x)
        y.relu_()
        return self.head(x + y)


def test_values_are_those_before_an_activation_that_overwrites_them():
    network, x = made(Overwriting, (4,)), images((8, 4))
    values = unit_values(hook_units(network, x), x)
    first = x @ network.first.weight.T + network.first.bias
    second = first.relu() @ network.second.weight.T + network.second.bias
    np.testing.assert_allclose(values["first"], first.detach())
    np.testing.assert_allclose(values["second"], second.detach())


def test_a_named_activation_has_the_axis_of_what_it_reads():
    network, x = made(VisionTransformer), images((4, *SHAPE))
    (layer,) = hook_units(network, x, ["mlp.1"]).layers
    assert (layer.name, layer.n_units, layer.axis) == ("mlp.1", 12, 2)
    block = hook_units(network, x, ["mlp"]).layers[0]  # returns what its last part does
    assert (block.n_units, block.axis) == (8, 2)


def test_an_axis_can_be_given():
    network, x = made(VisionTransformer), images((4, *SHAPE))
    (layer,) = hook_units(network, x, {"mlp.0": 1}).layers  # tokens as units
    assert (layer.n_units, layer.axis) == (5, 1)


def test_packed_queries_keys_and_values_are_taken_only_by_name():
    network, x = made(VisionTransformer), images((4, *SHAPE))
    assert "attention.qkv" not in {layer.name for layer in hook_units(network, x).layers}
    assert hook_units(network, x, ["attention.qkv"]).layers[0].n_units == 24


def test_logits_are_recognised_behind_pooling_activation_and_log_softmax():
    def pooled(*behind):
        layers = (nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), *behind)
        return nn.Sequential(*layers).double().eval()

    x = images((4, *SHAPE))
    flat = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for behind in (flat, (nn.ReLU(), *flat), (*flat, nn.LogSoftmax(1))):
        assert [layer.name for layer in hook_units(pooled(*behind), x).layers] == ["0"]
    # four hidden units are no logits although there are as many
    for n_units in (4, 2):
        network = random_mlp((5, n_units, n_units, n_units), seed=2)
        assert [layer.name for layer in hook_units(network, images((4, 5))).layers] == ["0", "2"]


def test_layers_without_a_part_in_the_logits_are_left_out():
    units = hook_units(made(TwoHeads, (5,)), images((4, 5)))
    assert [layer.name for layer in units.layers] == ["body"]


def test_fused_attention_is_seen_by_hooks():
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    network = nn.Sequential(nn.Unflatten(1, (4, 8)), layer, nn.Flatten(), nn.Linear(32, 3))
    network, x = network.double().eval(), images((5, 32))
    for parameter in network.parameters():
        parameter.requires_grad = False  # without gradients torch takes one fused function
    units = hook_units(network, x)
    assert [layer.name for layer in units.layers] == ["1.linear1", "1.linear2"]
    assert unit_values(units, x)["1.linear1"].shape == (5, 12)


def test_compiled_networks_are_run_by_their_modules():
    network, x = made(VisionTransformer), images((4, *SHAPE))
    plain = unit_values(hook_units(network, x), x)
    network.mlp.compile()
    compiled = unit_values(hook_units(torch.compile(network), x), x)
    for name, values in plain.items():
        np.testing.assert_allclose(compiled[name], values)


def test_wrappers_and_reduced_precision():
    network, x = made(VisionTransformer), images((4, *SHAPE))
    assert hook_units(nn.DataParallel(network), x).module is network
    reduced = in_bfloat16(hook_units(network, x))
    assert (reduced.dtype, network.head.weight.dtype) == (torch.bfloat16, torch.float64)
    assert unit_values(reduced, x)["mlp.0"].shape == (4, 12)


def test_spatial_norms():
    induced = ls.Conventions(spatial_norm="induced")
    make, shape, _ = NETWORKS["ConvNeXt"]
    network, x = make(), images((3, *shape))
    values = unit_values(hook_units(network, x, ["up"]), x, conventions=induced)["up"]
    seen = torch.cat(outputs(network, x, "up"))  # (n_images, height, width, n_units)
    np.testing.assert_allclose(values, seen.abs().sum(1).amax(1).numpy())
    make, shape, _ = NETWORKS["volumes"]
    network, x = make(), images((3, *shape))
    with pytest.raises(ls.InvalidInputError, match="maps of two dimensions"):
        unit_values(hook_units(network, x), x, conventions=induced)
