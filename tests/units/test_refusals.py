"""Networks and images that units are not read from."""

import pytest
import torch
from helpers.refusals import IMAGES, LABELS, cases, check_refused, mlp
from torch import nn
from torch.ao.quantization import quantize_dynamic

from localspec.clustering import activation_graph, weight_graph
from localspec.lesions import lesion_predictions
from localspec.units import (
    check_labels,
    in_bfloat16,
    logit_gradients,
    trace_units,
    unit_strengths,
    unit_values,
)
from localspec.visualization import visualize


def values(x=IMAGES, **settings):
    return unit_values(mlp(), x, **settings)


CASES = {
    "a path": (lambda: trace_units("network.pt"), "must be a torch.nn.Module", "str"),
    "nothing": (lambda: trace_units(None), "must be a torch.nn.Module", "NoneType"),
    "a class": (lambda: trace_units(nn.Sequential), "must be a torch.nn.Module", "type"),
    "weights": (lambda: trace_units(mlp().state_dict()), "torch.nn.Module", "OrderedDict"),
    "images": (lambda: trace_units(IMAGES), "must be a torch.nn.Module", "Tensor"),
    "in training mode": (lambda: trace_units(mlp().train()), "training mode", "network.eval()"),
    "conventions": (
        lambda: trace_units(mlp(), conventions={"residual_units": "reader"}),
        "'paper' or 'released'",
    ),
    "an unknown preset": (lambda: trace_units(mlp(), conventions="plain"), "'plain'", "'paper'"),
    "half precision of a path": (lambda: in_bfloat16("network.pt"), "torch.nn.Module", "str"),
    "values on a list": (lambda: values(IMAGES.tolist()), "images must be a tensor", "not list"),
    "values on bytes": (lambda: values(IMAGES.byte()), "uint8", "x.float() / 255"),
    "values on other images": (
        lambda: values(torch.rand(9, 3, 4, 4)),
        "cannot read images of shape (3, 4, 4)",
        "trained on",
    ),
    "values in no memory": (lambda: values(max_values=0), "max_values", "at least 1", "not 0"),
    "gradients in no memory": (lambda: logit_gradients(mlp(), IMAGES, max_values=0), "max_values"),
    "gradients in half a value": (
        lambda: logit_gradients(mlp(), IMAGES, max_values=1.5),
        "max_values",
    ),
    "values under no convention": (lambda: values(conventions=1), "'paper' or 'released'", "not 1"),
    "strengths of no kind": (
        lambda: unit_strengths(mlp(), IMAGES, "norm"),
        "strata='norm'",
        "'weight norm', 'mean activation'",
    ),
    "strengths on an array": (
        lambda: unit_strengths(mlp(), IMAGES.numpy(), "mean activation"),
        "torch.from_numpy",
    ),
    "labels of no logit": (
        lambda: check_labels(LABELS + 2, 3),
        "label 4",
        "3 logits",
        "from 0 to 2",
    ),
}


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("call", "words"), cases(CASES))
def test_one_clear_error_before_any_work(call, words):
    check_refused(call, words)


# --- networks whose weights or forward pass cannot be read ---


def changed(change):
    network = mlp()
    change(network)
    return network


def one_logit():
    return nn.Sequential(*mlp()[:-1], nn.Linear(4, 1)).eval()


def with_part(make):
    return lambda network: network.__setitem__(1, make(network[1]))


UNREADABLE = {
    "half precision": (lambda: mlp().half(), "'1.weight'", "float16", "network.float()"),
    "meta weights": (lambda: mlp().to("meta"), "'1.weight'", "device 'meta'", "load"),
    "meta statistics": (
        lambda: changed(lambda n: n.register_buffer("mean", torch.empty(2, device="meta"))),
        "'mean'",
        "device 'meta'",
    ),
    "sparse weights": (
        lambda: changed(
            lambda n: setattr(n[1], "weight", nn.Parameter(n[1].weight.detach().to_sparse()))
        ),
        "'1.weight' is sparse",
        "to_dense()",
    ),
    "weights without a shape": (
        lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(3), nn.Linear(3, 2)).eval(),
        "'1.weight' has no shape yet",
        "network(x[:1])",
    ),
    "quantized": (
        lambda: quantize_dynamic(mlp(), {nn.Linear}),
        "module '1' (Linear) is quantized",
        "in floating point",
    ),
    "scripted part": (
        lambda: changed(with_part(lambda part: torch.jit.trace(part, torch.ones(1, 16)))),
        "module '1' is scripted",
        "was given",
    ),
    "compiled part": (
        lambda: changed(with_part(torch.compile)),
        "module '1' is compiled",
        "1._orig_mod",
    ),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(("make", "words"), cases(UNREADABLE))
def test_networks_that_cannot_be_read(make, words):
    network = make()
    check_refused(lambda: trace_units(network), words)


@pytest.mark.usefixtures("no_long_work")
@pytest.mark.parametrize(
    "use",
    [
        lambda network: lesion_predictions(network, IMAGES, [{}]),
        lambda network: visualize(network, [{"1": [0]}], (1, 4, 4)),
    ],
)
def test_one_logit_is_no_classifier(use):
    check_refused(lambda: use(one_logit()), ["1 logit", "return two logits"])


def test_one_output_is_enough_for_activations():
    assert activation_graph(one_logit(), IMAGES).n_units == 10


@pytest.mark.integration
def test_compiled_in_place_is_as_ever():
    # compiling takes seconds: neither the trace nor the comparison with the network does it
    def forbidden(*arguments):
        pytest.fail("it was compiled")

    network = mlp()
    network.compile(backend=forbidden)
    network[1].compile(backend=forbidden)
    assert activation_graph(network, IMAGES).n_units == 10


def test_weights_graph_of_bfloat16_sums_in_single_precision():
    total = nn.Sequential(nn.Conv2d(1, 2, 19), nn.ReLU(), nn.Conv2d(2, 2, 19)).bfloat16().eval()
    total[2].weight.data.fill_(1)  # 361 = 19 * 19 has no bfloat16
    assert weight_graph(total).adjacency.toarray()[0, 2] == 361
