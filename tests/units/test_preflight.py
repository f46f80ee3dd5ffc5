"""The preflight: a line for every layer, and a reason where nothing works."""

import pytest
import torch
from helpers.networks import made as joined
from helpers.networks import random_mlp, residual
from helpers.refusals import check_refused
from helpers.untraced import NETWORKS, SHAPE, TwoHeads, VisionTransformer, images, made
from torch import nn

import localspec as ls

ALL = ("weights graph", "activations graph", "lesions", "visualization")
X = images((4, *SHAPE))


def checks(found):
    return {layer.name: layer for layer in found.layers}


def test_a_traced_network():
    network = nn.Sequential(nn.Flatten(), random_mlp((64, 5, 4, 3), seed=0)).eval()
    found = ls.preflight(network, X)
    assert (found.way, found.why, found.notes) == ("traced", "", ())
    lines = [(part.name, part.kind, part.n_units, part.way) for part in found.layers]
    assert lines == [
        ("1.0", "Linear", 5, "traced"),
        ("1.2", "Linear", 4, "traced"),
        ("1.4", "Linear", None, "-"),
    ]
    assert checks(found)["1.0"].uses == ALL
    assert "writes the logits" in checks(found)["1.4"].why
    text = str(found).splitlines()
    assert text[0].startswith("Traced by torch.fx")
    assert text[1].split() == ["layer", "type", "units", "way", "works,", "or", "why", "not"]
    assert text[2].split()[:4] == ["1.0", "Linear", "5", "traced"]


def test_layers_of_a_traced_network_that_are_not_tested():
    x = images((4, 3, 2, 2))
    found = checks(ls.preflight(residual(), x))
    assert found["conv0"].uses == ALL
    assert "writes the logits" in found["fc"].why

    def forward(m, x):
        start = m.conv0(x)
        return m.fc(m.dense((m.conv1(start) + m.conv2(start)).relu().flatten(1)).relu())

    convolutions = {name: nn.Conv2d(3, 3, 1) for name in ("conv0", "conv1", "conv2")}
    network = joined(forward, convolutions, dense=nn.Linear(12, 5), fc=nn.Linear(5, 2))
    found = checks(ls.preflight(network, x))
    assert {name: part.way for name, part in found.items()} == {
        "conv0": "traced",
        "conv1": "-",
        "conv2": "traced",
        "dense": "-",
        "fc": "-",
    }
    assert found["conv1"].why == "writes into a sum: its units are those of 'conv2'"
    assert "has convolutions: to test it, name it in hook_units" in found["dense"].why


def test_a_gate_leaves_no_weights_graph():
    def forward(m, x):
        x = m.conv0(x)
        x = m.conv1(x * m.gate(x.mean((2, 3), keepdim=True)).sigmoid()).relu()
        return m.fc(x.mean((2, 3)))

    network = joined(
        forward,
        conv0=nn.Conv2d(1, 4, 3),
        gate=nn.Conv2d(4, 4, 1),
        conv1=nn.Conv2d(4, 4, 3),
        fc=nn.Linear(4, 2),
    )
    found = ls.preflight(network, X)
    assert found.way == "traced"
    assert found.uses == ALL[1:]
    assert "No weights graph: node 'mul'" in found.notes[0]
    with pytest.raises(ls.InvalidInputError, match="undefined behind a gate"):
        ls.weight_graph(network)


@pytest.mark.parametrize("name", NETWORKS)
def test_hooked_networks(name):
    make, shape, layers = NETWORKS[name]
    network, x = make(), images((4, *shape))
    found = ls.preflight(network, x)
    assert found.way == "hooked"
    assert found.why.startswith("The trace was refused: ")
    usable = {part.name: part.n_units for part in found.layers if part.way == "hooked"}
    assert usable == {name: n_units for name, (n_units, _) in layers.items()}
    shown = len(shape) == 3
    assert found.uses == ALL[1:] if shown else ALL[1:-1]
    assert [note.split(":")[0] for note in found.notes][-1] == "No weights graph"
    assert any("No visualization: it makes images" in note for note in found.notes) != shown
    assert all(part.why for part in found.layers if part.way == "-")


def test_reasons_for_layers_that_are_left_out():
    found = checks(ls.preflight(made(VisionTransformer), X))
    assert "packs queries, keys and values" in found["attention.qkv"].why
    assert "writes the logits" in found["head"].why
    found = checks(ls.preflight(made(TwoHeads, (5,)), images((4, 5))))
    assert "is not called in a pass" in found["used"].why
    assert "has no part in the logits" in found["other"].why
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    network = nn.Sequential(nn.Unflatten(1, (8, 8)), layer, nn.Flatten(), nn.Linear(64, 3))
    found = checks(ls.preflight(network.double().eval(), images((4, 64))))
    assert "of attention are packed" in found["1.self_attn"].why


def test_named_layers_are_hooked():
    network = nn.Sequential(nn.Flatten(), random_mlp((64, 5, 4, 3), seed=0)).eval()
    found = ls.preflight(network, X, ["1.1", "1.4"])
    assert (found.way, found.why) == ("hooked", "Layers are named.")
    assert checks(found)["1.1"].n_units == 5
    assert "writes the logits" in checks(found)["1.4"].why
    units = ls.hook_units(network, X, ["1.2"])
    assert [part.name for part in ls.preflight(units, X).layers] == ["1.2"]
    assert ls.preflight(ls.trace_units(network), X).way == "traced"


def test_networks_that_cannot_be_used_are_described():
    network = made(VisionTransformer)
    found = ls.preflight(network.train(), X)
    assert (found.way, found.layers) == ("-", ())
    assert "call network.eval()" in str(found)
    found = ls.preflight(network.eval(), images((4, 3, 8, 8)))
    assert found.way == "-"
    assert "cannot read images of shape (3, 8, 8)" in found.why
    softmax = joined(lambda m, x: m.inside(x).softmax(1), inside=made(VisionTransformer))
    found = ls.preflight(softmax, X)
    assert found.uses == ALL[1:-1]
    assert "No visualization: the network's outputs pass a softmax" in found.notes[0]


def test_networks_without_a_layer_to_use_and_of_one_logit():
    found = ls.preflight(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double().eval(), X)
    assert (found.way, found.uses) == ("-", ())
    assert found.why.startswith("the network has no dense layer")
    assert "writes the logits" in found.layers[0].why
    for act in (nn.ReLU(), nn.LayerNorm(5)):
        layers = (nn.Linear(64, 5), act, nn.Linear(5, 1))
        found = ls.preflight(nn.Sequential(nn.Flatten(), *layers).double().eval(), X)
        assert "lesions" not in found.uses
        assert "No lesions and no visualization: the network returns 1 logit" in found.notes[0]


def test_refusals():
    network = made(VisionTransformer)
    check_refused(lambda: ls.preflight("vit", X), ["must be a torch.nn.Module"])
    check_refused(lambda: ls.preflight(network, [1, 2]), ["images must be a tensor"])
    check_refused(lambda: ls.preflight(network, X, ["mlp.9"]), ["no module 'mlp.9'", "'mlp.2'"])
    check_refused(lambda: ls.preflight("vit", X, ["mlp.0"]), ["must be a torch.nn.Module"])


def test_it_leaves_the_network_as_it_was():
    network = made(VisionTransformer)
    before = network(X).detach()
    ls.preflight(network, X)
    torch.testing.assert_close(network(X).detach(), before, rtol=0, atol=0)
    assert not any(part._forward_hooks for part in network.modules())
