"""Ways to write the same network: each is traced as the plain one, or refused with the cause."""

import numpy as np
import pytest
import torch
from helpers.lesions import hooked
from helpers.networks import batch_norm, conv, dense, made
from torch import nn
from torch.nn import functional as F

from localspec.clustering import activation_graph, cluster, weight_graph
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.lesions import lesion_predictions
from localspec.screening import screen
from localspec.units import trace_units
from localspec.visualization import visualize

RNG = np.random.default_rng(3)
X = torch.from_numpy(RNG.normal(size=(9, 1, 4, 4)))
A, B, OUT = RNG.normal(size=(4, 1, 3, 3)), RNG.normal(size=(4, 4, 3, 3)), RNG.normal(size=(3, 4))
OUT_4 = RNG.normal(size=(3, 16))


def network(act=torch.relu, head=lambda x: x.mean((2, 3)), between=None, out=OUT, **parts):
    """Return conv a, act, conv b (padding 1), between, head, dense."""

    def forward(m, x):
        hidden = act(m.a(x))
        last = m.b(hidden) if between is None else between(m, hidden)
        return m.out(head(last))

    held = {"a": conv(A), "b": conv(B, np.ones(4), padding=1), "out": dense(out, [0.1, 0.2, 0.3])}
    return made(forward, **held, **parts)


def check(net, x=X, lesions=({}, {"a": [0, 2]}, {"a": [1]})):
    """Compare trace and lesions with the network itself; return the traced network."""
    unit_map = trace_units(net)
    expected = net(x.clone())
    tolerance = 1e-12 if x.dtype == torch.float64 else 1e-5
    assert torch.allclose(unit_map.run(x.clone())[0], expected, rtol=tolerance, atol=tolerance)
    expected = [hooked(net, x.clone(), lesion).argmax(1).tolist() for lesion in lesions]
    for max_values in (500, 10**6):
        predicted = lesion_predictions(unit_map, x, lesions, max_values=max_values)
        assert predicted.tolist() == expected
    return unit_map


ACTIVATIONS = [
    nn.Hardswish(),
    nn.Mish(inplace=True),
    nn.SELU(),
    nn.CELU(0.5),
    nn.Softplus(),
    nn.PReLU(),
    nn.PReLU(4, 0.3),
    nn.Hardtanh(0.1, 0.7),
    nn.Hardsigmoid(),
    nn.Softsign(),
    nn.LogSigmoid(),
    F.relu,
    F.hardswish,
    F.mish,
    F.selu,
    F.celu,
    F.softplus,
    F.hardtanh,
    F.hardsigmoid,
    F.softsign,
    F.logsigmoid,
    F.relu_,
    F.elu_,
    F.leaky_relu_,
    F.hardtanh_,
    torch.selu_,
    torch.sigmoid,
    torch.tanh,
    lambda x: x.relu(),
    lambda x: F.relu(x, inplace=True),
    lambda x: x.clamp(min=0),
    lambda x: torch.clamp(x, -0.1, 0.4),
    lambda x: x.relu_(),
    lambda x: x.sigmoid(),
    lambda x: x.tanh_(),
    lambda x: x.sigmoid_(),
    lambda x: F.leaky_relu(x, 0.1, True),
    lambda x: F.elu(x, 1.0, True),
    lambda x: F.silu(x, True),
    lambda x: F.relu6(x, inplace=True),
    lambda x: F.hardswish(x, True),
    lambda x: x * torch.sigmoid(x),
    lambda x: x.mul_(x.sigmoid()),
]


@pytest.mark.parametrize("act", ACTIVATIONS, ids=lambda act: getattr(act, "__name__", str(act)))
def test_activations(act):
    parts = {"activation": act} if isinstance(act, nn.Module) else {}
    net = network(act=act, **parts)
    unit_map = check(net)
    layer = unit_map.layer("a")
    before, after = unit_map.run(X, stops=(layer.value, layer.end))
    assert torch.equal(before, net.a(X))
    with torch.no_grad():
        torch.testing.assert_close(after, act(net.a(X)), rtol=1e-12, atol=1e-12)
    expected = weight_graph(network()).adjacency.toarray()
    assert np.allclose(weight_graph(net).adjacency.toarray(), expected)


def test_prelu_as_a_function():
    net = network(act=lambda x: x)
    net.slope = nn.Parameter(torch.tensor([0.1, 0.2, 0.3, 0.4]).double())
    net.function = lambda m, x: m.out(F.prelu(m.b(F.prelu(m.a(x), m.slope)), m.slope).mean((2, 3)))
    check(net)


def num_flat_features(x):
    n = 1
    for size in x.size()[1:]:
        n *= size
    return n


def helper_of_the_tutorial(x):
    return x.view(-1, num_flat_features(x))


def sizes_by_name(x):
    n, c, h, w = x.shape
    return x.reshape(n, c * h * w)


FLAT = [
    lambda x: torch.reshape(x, (x.shape[0], -1)),
    lambda x: torch.reshape(x, (-1, 16)),
    lambda x: x.view(x.size(0), -1),
    lambda x: x.view(x.size()[0], -1),
    lambda x: x.view((x.shape[0], 16)),
    lambda x: x.view(x.shape[0], 16),
    lambda x: x.view(-1, 16),
    lambda x: x.view(-1, 4 * 2 * 2),
    lambda x: x.reshape(*x.shape[:1], -1),
    lambda x: x.view(-1, x.size(1) * x.size(2) * x.size(3)),
    lambda x: x.reshape(-1, 16),
    lambda x: F.max_pool2d(x, 1).contiguous().view(-1, 16),
    lambda x: torch.flatten(x, 1),
    lambda x: x.flatten(1),
    lambda x: x.flatten(start_dim=1),
    lambda x: x.flatten(-3, -1),
    lambda x: x.flatten(2).flatten(1),
    helper_of_the_tutorial,
    sizes_by_name,
]


def of_two_layers(net, dtype):
    """Check lesions of both convolutions, in a type that decides where maps lie in memory."""
    lesions = [{}, {"a": [0]}, {"b": [1, 2]}, {"a": [2], "b": [0]}]
    return check(net.to(dtype), X.to(dtype), lesions)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("head", FLAT)
def test_views_as_rows(head, dtype):
    net = network(between=lambda m, x: m.b(x).relu(), head=head, out=OUT_4)
    unit_map = of_two_layers(net, dtype)
    image = torch.rand(1, 1, 4, 4).to(dtype)
    assert unit_map.run(image)[0].shape == (1, 3)
    assert visualize(unit_map, [{"a": [0]}], (1, 4, 4), n_steps=1).images.shape == (1, 1, 4, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_number_of_images_may_be_read_before_the_layers(dtype):
    def forward(m, x):
        n = x.size(0)
        return m.out(m.b(m.a(x).relu()).relu().view(n, -1))

    net = network(out=OUT_4)
    net.function = forward
    of_two_layers(net, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_network_of_the_tutorial_on_colour_images_in_any_order_in_memory(dtype):
    def forward(m, x):
        x = F.max_pool2d(m.a(x).relu(), 2)
        return m.out(m.fc(x.view(-1, 4 * 3 * 3)).relu())

    parts = {"fc": dense(RNG.normal(size=(5, 36))), "out": dense(RNG.normal(size=(3, 5)))}
    net = made(forward, a=conv(RNG.normal(size=(4, 3, 3, 3))), **parts).to(dtype)
    x = torch.from_numpy(RNG.normal(size=(40, 8, 8, 3))).permute(0, 3, 1, 2).to(dtype)
    lesions = [{}, {"a": [0, 2]}, {"a": [1]}, {"fc": [0]}, {"a": [3], "fc": [1, 2]}]
    expected = lesion_predictions(net, x.contiguous(), lesions)
    assert np.array_equal(lesion_predictions(net, x, lesions), expected)
    assert np.array_equal(expected[0], net(x.contiguous()).argmax(1).numpy())
    assert np.isfinite(visualize(net, [{"a": [0]}], (3, 8, 8), n_steps=1).scores).all()


POOLED = [
    lambda x: x.mean((2, 3)),
    lambda x: x.mean([2, 3]),
    lambda x: x.mean(dim=(-1, -2)),
    lambda x: torch.mean(x, (2, 3)),
    lambda x: torch.mean(x, dim=[2, 3], keepdim=True).flatten(1),
    lambda x: x.mean([2, 3], True)[:, :, 0, 0],
    lambda x: x.mean(3).mean(2),
    lambda x: x.mean(-1).mean(-1),
    lambda x: x.flatten(2).mean(2),
    lambda x: x.view(x.size(0), x.size(1), -1).mean(2),
    lambda x: torch.amax(x, (2, 3)),
    lambda x: x.sum((2, 3)),
    lambda x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1),
    lambda x: F.adaptive_avg_pool2d(x, 1).squeeze(3).squeeze(2),
    lambda x: F.adaptive_avg_pool2d(x, (1, 1)).squeeze(),
    lambda x: F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1),
    lambda x: F.adaptive_max_pool2d(x, 1).reshape(x.shape[0], x.shape[1]),
    lambda x: F.avg_pool2d(x, x.size()[2:]).flatten(1),
    lambda x: F.avg_pool2d(x, x.shape[3]).view(-1, 4),
    lambda x: F.max_pool2d(x, kernel_size=x.size()[2:]).flatten(1),
    lambda x: torch.max_pool2d(x, 2).flatten(1),
    lambda x: F.avg_pool2d(x, 2).flatten(1),
    lambda x: torch.dropout(x, 0.5, False).mean((2, 3)),
    lambda x: F.dropout2d(x, training=False).mean((2, 3)),
    lambda x: F.alpha_dropout(x).mean((2, 3)),
    lambda x: x.to(torch.float64).double().to(x.device).mean((2, 3)),
    lambda x: x.type_as(x).contiguous().clone().mean((2, 3)),
    lambda x: sum([x, x, x]).mean((2, 3)),
]


@pytest.mark.parametrize("head", POOLED)
def test_pooling_over_space(head):
    net = network(head=head)
    unit_map = check(net)
    assert unit_map.run(X[:1])[0].shape == (1, 3)
    expected = weight_graph(network()).adjacency.toarray()
    assert np.allclose(weight_graph(net).adjacency.toarray()[:4, :4], expected[:4, :4])


# --- constants: edges 2 b and 0.5 b ---


def edges(net):
    return weight_graph(net).adjacency.toarray()[:4, 4:8]


@pytest.mark.parametrize(
    ("between", "factor"),
    [
        (lambda m, x: 2 * m.b(x), 2),
        (lambda m, x: m.b(x) / 0.5, 2),
        (lambda m, x: m.b(-x * 2), 2),
        (lambda m, x: x + 0.5 * m.b(x), 0.5),
        (lambda m, x: torch.add(x, m.b(x), alpha=0.5), 0.5),
        (lambda m, x: x.add_(m.b(x), alpha=2), 2),
        (lambda m, x: x + m.alpha * m.b(x), 2),
        (lambda m, x: m.b(x) / m.alpha, 0.5),
        (lambda m, x: m.b(x).mul_(2), 2),
    ],
)
def test_constants_scale_edges(between, factor):
    net = network(between=between)
    net.alpha = nn.Parameter(torch.tensor([2.0]).double())
    check(net)
    expected = factor * np.abs(B).sum((2, 3)).T
    assert np.allclose(edges(net), expected)
    for mode in ("signed", "none"):
        graph = weight_graph(net, conventions=Conventions(batch_norm_edges=mode))
        assert np.allclose(graph.adjacency.toarray()[:4, 4:8], expected)


def test_a_constant_multiplied_in_place():
    def between(m, x):
        x = m.b(x)
        other = x
        x *= 2
        x /= 4
        return other

    net = network(between=between)
    check(net)
    assert np.allclose(edges(net), 0.5 * np.abs(B).sum((2, 3)).T)


@pytest.mark.parametrize(
    "between",
    [
        lambda m, x: x + m.b(x) + m.c(x),
        lambda m, x: sum([x, m.b(x), m.c(x)]),
        lambda m, x: torch.add(m.b(x), m.c(x)).add_(x),
    ],
)
def test_sums_of_three(between):
    net = network(between=between, c=conv(2 * B, padding=1))
    check(net)
    assert np.allclose(edges(net), 3 * np.abs(B).sum((2, 3)).T)


# --- normalizations ---


def test_batch_norm_as_a_function():
    norm = batch_norm(nn.BatchNorm2d, [2.0, -1.0, 0.5, 1.0], [1.0, 4.0, 0.25, 9.0])

    def between(m, x):
        return F.batch_norm(
            m.b(x), m.norm.running_mean, m.norm.running_var, m.norm.weight, m.norm.bias, eps=1e-3
        )

    net = network(between=between, norm=norm)
    plain = network(between=lambda m, x: m.norm(m.b(x)), norm=norm)
    check(net)
    assert np.allclose(edges(net), edges(plain))


def test_synchronized_batch_norm_is_one():
    norm = batch_norm(nn.BatchNorm2d, [2.0, -1.0, 0.5, 1.0], [1.0, 4.0, 0.25, 9.0])
    plain = network(between=lambda m, x: m.norm(m.b(x)), norm=norm)
    net = nn.SyncBatchNorm.convert_sync_batchnorm(
        network(between=lambda m, x: m.norm(m.b(x)), norm=norm)
    )
    assert type(net.norm) is nn.SyncBatchNorm
    check(net.eval())
    assert np.allclose(edges(net), edges(plain))


def test_a_normalization_of_every_place_by_itself():
    # 16 features are 4 units of 4 places: no factor of an edge into a unit
    norm = batch_norm(nn.BatchNorm1d, np.arange(1.0, 17), np.ones(16))
    net = network(head=lambda x: norm(x.flatten(1)), out=OUT_4, norm=norm)
    check(net)
    assert np.allclose(edges(net), edges(network()))
    assert activation_graph(net, X).n_units == 8


@torch.fx.wrap
def stochastic_depth(x, p, mode, training=True):
    return x if not training else x * torch.rand(())


@pytest.mark.parametrize("training", [False, True])
def test_stochastic_depth(training):
    net = network(between=lambda m, x: x + stochastic_depth(m.b(x), 0.5, "row", training))
    if not training:
        check(net)
        return
    with pytest.raises(InvalidInputError, match="cannot follow units through call of stoch"):
        trace_units(net)


# --- gates ---


def squeezed(m, x):
    n, c, _, _ = x.size()
    gate = F.adaptive_avg_pool2d(x, 1).view(n, c)
    gate = torch.sigmoid(m.up(m.down(gate).relu())).view(n, c, 1, 1)
    return m.b(x * gate.expand_as(x))


GATES = [
    squeezed,
    lambda m, x: m.b(torch.sigmoid(m.up(m.down(x.mean((2, 3))).relu()))[:, :, None, None] * x),
    lambda m, x: m.b(F.hardsigmoid(m.c(x.mean((2, 3), keepdim=True))) * x),
    lambda m, x: m.b(x) * m.sigmoid(m.c(x)),
    lambda m, x: m.b(x * m.sigmoid(m.one(x))),
]


@pytest.mark.parametrize("between", GATES)
def test_gates(between):
    net = network(
        between=between,
        up=dense(RNG.normal(size=(4, 2))),
        down=dense(RNG.normal(size=(2, 4))),
        c=conv(RNG.normal(size=(4, 4, 1, 1))),
        one=conv(RNG.normal(size=(1, 4, 1, 1))),
        sigmoid=nn.Sigmoid(),
    )
    unit_map = check(net)
    assert activation_graph(net, X).n_units > 4
    assert visualize(unit_map, [{"b": [0]}], (1, 4, 4), n_steps=1).images.shape == (1, 1, 4, 4)
    mean = lesion_predictions(net, X, [{"b": [1, 2]}], replacement="mean")
    assert mean.shape == (1, 9)


@pytest.mark.parametrize("between", GATES[:3])
def test_the_weights_graph_behind_a_gate_is_refused(between):
    net = network(
        between=between,
        up=dense(np.ones((4, 2))),
        down=dense(np.ones((2, 4))),
        c=conv(np.ones((4, 4, 1, 1))),
    )
    with pytest.raises(InvalidInputError, match="undefined behind a gate: node 'mul"):
        weight_graph(net)


@pytest.mark.filterwarnings("ignore:the network's accuracy")
def test_a_network_with_gates_is_screened_by_partitions_from_activations():
    parts = {"up": dense(RNG.normal(size=(4, 2))), "down": dense(RNG.normal(size=(2, 4)))}
    net = network(between=squeezed, **parts)
    x, y = torch.rand(30, 1, 4, 4).double(), torch.arange(30) % 3
    with pytest.raises(InvalidInputError, match="undefined behind a gate"):
        screen(net, (x, y), n_clusters=2, n_draws=2)
    partition = cluster(activation_graph(net, x), 2)
    report = screen(net, (x, y), partitions={"mine": partition}, n_draws=2)
    assert set(report.partitions) == {"mine"}


# --- refused ---


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (lambda x: x.mean(1), "call of mean .* height and width"),
        (lambda x: x.mean(), "call of mean .* height and width"),
        (lambda x: x.mean((2, 3)).mean(-1), "call of mean .* height and width"),
        (lambda x: x.mean(-3), "call of mean .* height and width"),
        (lambda x: x.mean(3).mean(-2), "call of mean .* height and width"),
        (lambda x: x.flatten(), r"call of flatten .* joins images: write x.flatten\(1\)"),
        (lambda x: torch.flatten(x), "call of flatten .* joins images"),
        (lambda x: x.flatten(1, 2), "call of flatten .* joins dimensions 1 to 2 only"),
        (lambda x: x.view(9, -1), "call of view .* keep images apart"),
        (lambda x: x.view(-1), "call of view .* keep images apart"),
        (lambda x: x.squeeze(1), "call of squeeze .* height and width"),
        (lambda x: x, "module 'out' .* reads maps"),
        (lambda x: (x * x).flatten(1), "call of mul .* must be a gate"),
        (lambda x: x[:, :2], "call of getitem .* takes a part"),
        (lambda x: x.permute(0, 2, 3, 1).flatten(1), "call of permute"),
        (lambda x: torch.sort(x.permute(0, 2, 3, 1), 1).values.mean(1), "call of permute"),
        (lambda x: x.permute(0, 2, 3, 1), "call of permute"),
        (lambda x: x.long().flatten(1), "call of long"),
        (lambda x: x.to(torch.int64).flatten(1), "call of to"),
        (lambda x: x.view(len(x), -1), r"x.shape\[0\]"),
    ],
)
def test_refused_with_the_cause(head, message):
    with pytest.raises(InvalidInputError, match=message):
        trace_units(network(head=head, out=OUT_4))
