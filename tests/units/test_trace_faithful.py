"""Traces that compute what the network does, or are refused with the cause."""

import pytest
import torch
from helpers.networks import dense, made, pointwise, pooled, random_mlp, stack
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from localspec.clustering import activation_graph, weight_graph
from localspec.exceptions import InvalidInputError
from localspec.lesions import lesion_accuracies
from localspec.units import trace_units, unit_values
from localspec.visualization import visualize

X = torch.linspace(-2, 3, 40, dtype=torch.float64).reshape(10, 4).sin()
IMAGES = torch.linspace(0, 3, 48, dtype=torch.float64).sin().reshape(6, 2, 2, 2)


def network():
    """Return a network whose layers are 0, 2 and 4."""
    return random_mlp([4, 6, 5, 3], seed=0)


class Scaled(nn.Module):
    """A wrapper that scales the images before its network, which it keeps as `module`."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.norm = nn.BatchNorm1d(4, eps=0.0, affine=False).double()
        self.norm.running_var = torch.full((4,), 0.25, dtype=torch.float64)
        self.eval()

    def forward(self, x):
        return self.module(self.norm(x))


def logits(unit_map, x=X):
    (values,) = unit_map.run(x.clone())
    return values


# --- wrappers ---


def test_a_wrapper_that_does_something_is_no_wrapper():
    wrapped = Scaled(network())
    unit_map = trace_units(wrapped)
    assert [layer.name for layer in unit_map.layers] == ["module.0", "module.2", "module.4"]
    assert torch.allclose(logits(unit_map), network()(2 * X))


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        torch.optim.swa_utils.AveragedModel,
        pytest.param(
            lambda module: torch.compile(nn.DataParallel(module)), marks=pytest.mark.integration
        ),
    ],
)
def test_wrappers_that_compute_what_they_wrap(wrap):
    unit_map = trace_units(wrap(network()).eval())
    assert [layer.name for layer in unit_map.layers] == ["0", "2", "4"]
    assert torch.allclose(logits(unit_map), network()(X))


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_scripted_networks_are_refused():
    with pytest.raises(InvalidInputError, match=r"scripted.* pass the module that torch.jit"):
        trace_units(torch.jit.trace(network(), X))


# --- hooks ---


def double(_module, _inputs, output):
    return 2 * output


def double_input(_module, inputs):
    return (2 * inputs[0],)


@pytest.mark.parametrize(("name", "where"), [("", "the network .Sequential"), ("2", "module '2'")])
def test_hooks_are_refused_by_name(name, where):
    for register, hook in (
        ("register_forward_hook", double),
        ("register_forward_pre_hook", double_input),
    ):
        hooked = network()
        handle = getattr(hooked.get_submodule(name), register)(hook)
        with pytest.raises(InvalidInputError, match=rf"{where}.* forward hook \({hook.__name__}\)"):
            trace_units(hooked)
        handle.remove()
        assert torch.equal(logits(trace_units(hooked)), hooked(X))


def test_hooks_of_modules_whose_parts_are_traced_are_in_the_trace():
    hooked = nn.Sequential(network(), nn.ReLU(), dense([[1, 2, 3], [0, 1, 0]])).eval()
    hooked[0].register_forward_hook(lambda _module, _inputs, output: output.relu())
    assert torch.equal(logits(trace_units(hooked)), hooked(X))


@pytest.mark.parametrize("name", ["", "0"])
def test_a_forward_pass_replaced_on_the_object_is_refused(name):
    changed = network()
    part = changed.get_submodule(name)
    plain = part.forward
    part.forward = lambda x: 2 * plain(x)
    with pytest.raises(InvalidInputError, match="was replaced on the object"):
        trace_units(changed)


# --- weights that are made anew ---


def test_pruned_weights_are_refused_until_they_are_made_permanent():
    pruned = network()
    prune.l1_unstructured(pruned[2], "weight", amount=0.5)
    prune.l1_unstructured(pruned[2], "weight", amount=0.5)
    with torch.no_grad():
        pruned[2].weight_orig.mul_(3)  # stale: weight is that of the last pass
    with pytest.raises(InvalidInputError, match=r"module '2' is pruned.* prune.remove.*'weight'"):
        weight_graph(pruned)
    expected = pruned(X)
    prune.remove(pruned[2], "weight")
    assert torch.allclose(logits(trace_units(pruned)), expected)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_old_norms_of_weights_are_refused_and_new_ones_work(norm):
    old = network()
    getattr(nn.utils, norm)(old[2])
    message = rf"module '2' has torch.nn.utils.{norm}.* torch.nn.utils.parametrizations.{norm}"
    with pytest.raises(InvalidInputError, match=message):
        trace_units(old)
    new = network()
    getattr(parametrizations, norm)(new[2])
    new.eval()
    assert torch.allclose(logits(trace_units(new)), new(X))
    plain = network()
    plain[2].weight.data = new[2].weight.detach()
    expected = weight_graph(plain).adjacency.toarray()
    assert weight_graph(new).adjacency.toarray() == pytest.approx(expected)


# --- aliases ---


def layers():
    return {
        "a": pointwise([[1, 2], [0, -1]]),
        "b": pointwise([[1, -1], [2, 0]]),
        "fc": dense([[1, 0], [0, 1]]),
        "drop": nn.Dropout(inplace=True),
    }


def alias(m, x):
    x = m.a(x)
    skip = x
    x += m.b(x.relu())
    return m.fc(pooled(x + skip))  # skip is the sum as well


def alias_of_relu(m, x):
    x = m.a(x)
    active = F.relu(x, inplace=True)
    active += m.b(x)
    return m.fc(pooled(active + x))


def alias_of_dropout(m, x):
    x = m.a(x)
    dropped = m.drop(x)
    dropped += m.b(x)
    return m.fc(pooled(x))


@pytest.mark.parametrize("forward", [alias, alias_of_relu, alias_of_dropout])
def test_other_names_of_a_value_see_an_addition_in_place(forward):
    network = made(forward, **layers())
    assert torch.allclose(logits(trace_units(network), IMAGES), network(IMAGES.clone()))


def test_a_view_of_a_value_that_is_overwritten_is_refused():
    def forward(m, x):
        x = m.a(x)
        view = x.contiguous()
        x += m.b(x.relu())
        return m.fc(pooled(view))

    with pytest.raises(InvalidInputError, match=r"overwrites the value.*inplace=False"):
        trace_units(made(forward, **layers()))


# --- other arguments ---


class Masked(nn.Module):
    """A network with arguments that a plain call leaves alone."""

    def __init__(self):
        super().__init__()
        self.body, self.gate = network(), dense([[-1.0] * 3] * 3)

    def forward(self, x, mask=None, *more, deep=False, **others):
        x = self.body(x)
        if mask is not None:
            return self.gate(x)
        return self.gate(x.relu()) if deep else x


def test_other_arguments_keep_their_defaults():
    masked = Masked().eval()
    unit_map = trace_units(masked)
    assert torch.equal(logits(unit_map), network()(X))
    assert [layer.name for layer in unit_map.layers] == ["body.0", "body.2", "body.4"]


# --- whatever else ---


class Counting(nn.Module):
    """A network that computes otherwise the second time it is called."""

    def __init__(self):
        super().__init__()
        self.flatten, self.body, self.n_calls = nn.Flatten(), network(), 0

    def forward(self, x):
        self.n_calls += 1
        x = self.body(self.flatten(x))
        return x if self.n_calls == 1 else self.body[4].bias + x


@pytest.mark.parametrize(
    "use",
    [
        lambda network: activation_graph(network, X),
        lambda network: unit_values(network, X),
        lambda network: lesion_accuracies(network, X, torch.arange(10) % 3, [{}]),
        lambda network: visualize(network, [{"body.0": [0]}], (1, 2, 2), n_steps=1),
    ],
)
def test_a_trace_that_computes_something_else_is_refused(use):
    with pytest.raises(InvalidInputError, match="computes something else than the network itself"):
        use(Counting().eval())


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.LogSoftmax(dim=1)])
def test_a_softmax_that_is_left_out_is_no_difference(last):
    outputs = stack(*network(), last)
    expected = unit_values(network(), X)
    values = unit_values(outputs, X)
    assert all(torch.equal(*map(torch.from_numpy, (values[k], expected[k]))) for k in expected)


# --- views, and weights that are nowhere ---


def test_views_of_images_in_any_order_in_memory():
    # in visualization, images lie in memory as their transformation leaves them
    def forward(m, x):
        return m.fc2(m.a(x).relu().view(-1, 8))

    weight = torch.arange(16.0).reshape(2, 8)
    network = made(forward, a=layers()["a"], fc2=dense(weight))
    images = IMAGES.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(logits(trace_units(network), images), network(IMAGES))
