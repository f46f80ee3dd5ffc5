"""What a network's mode, and torch's own modes, may not change without a word."""

import copy

import numpy as np
import pytest
import torch
from helpers.refusals import IMAGES, LABELS, check_refused, mlp
from torch import nn

from localspec.clustering import activation_graph
from localspec.data import Dataset, load_dataset
from localspec.lesions import lesion_accuracies
from localspec.networks import NetworkSettings, TrainedNetwork, train, train_further
from localspec.screening import screen, standardized
from localspec.units import (
    hook_units,
    logit_gradients,
    trace_units,
    unit_strengths,
    unit_values,
)
from localspec.visualization import exciting_images, visualize

TARGETS = [{"1": np.array([0, 1])}]
CALLS = {
    "values": lambda network: unit_values(network, IMAGES),
    "gradients": lambda network: logit_gradients(network, IMAGES),
    "graph": lambda network: activation_graph(network, IMAGES),
    "lesions": lambda network: lesion_accuracies(network, IMAGES, LABELS, TARGETS),
    "images": lambda network: visualize(network, TARGETS, (1, 4, 4), n_steps=1),
    "exciting": lambda network: exciting_images(network, IMAGES, TARGETS),
}
WITH_GRADIENTS = {
    "gradients": CALLS["gradients"],
    "images": CALLS["images"],
    "hooks": lambda network: hook_units(network, IMAGES),
}


def normalized():
    """Return a network that, in training mode, normalizes by the batch and changes with it."""
    network = mlp()
    return nn.Sequential(*network[:2], nn.BatchNorm1d(6), *network[2:]).eval()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("find", [trace_units, lambda network: hook_units(network, IMAGES)])
def test_units_of_a_network_that_was_put_into_training_mode_since(find, call):
    network = normalized()
    units = find(network)
    network.train()
    means = network[2].running_mean.clone()
    check_refused(lambda: call(units), ["training mode", "network.eval()"])
    assert torch.equal(network[2].running_mean, means)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_autocast_does_not_choose_the_precision(call):
    # threads of their own would not see it, so that numbers would hang on how many there are
    with torch.autocast("cpu", dtype=torch.bfloat16):
        check_refused(lambda: call(mlp()), ["torch.autocast is on for cpu", "leave its block"])


def test_a_network_made_in_inference_mode_has_values():
    with torch.inference_mode():
        network = copy.deepcopy(mlp())
    own = unit_values(network, IMAGES)
    np.testing.assert_array_equal(own["1"], unit_values(mlp(), IMAGES)["1"])


@pytest.mark.parametrize("call", WITH_GRADIENTS.values(), ids=WITH_GRADIENTS)
def test_a_network_made_in_inference_mode_has_no_gradients(call):
    with torch.inference_mode():
        network = copy.deepcopy(mlp())
    check_refused(lambda: call(network), ["torch.inference_mode", "copy.deepcopy(network)"])
    call(copy.deepcopy(network))


def test_sums_of_bfloat16_are_those_of_its_values():
    torch.manual_seed(0)
    parts = (nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(200, 2))
    network, x = nn.Sequential(*parts).eval().bfloat16(), torch.rand(1500, 1, 14, 14)
    with torch.no_grad():
        values = network[0](x.bfloat16()).double()
    expected = {
        "before": values.abs().sum(dim=(2, 3)),
        "after": values.clamp(min=0).sum(dim=(2, 3)),
    }
    for when, own in expected.items():
        found = unit_values(network, x, activation_values=when)["0"]
        np.testing.assert_allclose(found, own, rtol=1e-5)
    strengths = unit_strengths(network, x, "mean activation")["0"]
    np.testing.assert_allclose(strengths, values.clamp(min=0).mean(dim=(0, 2, 3)), rtol=1e-5)
    norms, weight = unit_strengths(network, x, "weight norm")["0"], network[0].weight.detach()
    np.testing.assert_allclose(norms, weight.double().flatten(1).norm(dim=1), rtol=1e-5)
    scores = exciting_images(network, x, [{"0": [1]}], n_images=1).scores[0]
    np.testing.assert_allclose(scores, values[:, 1].mean(dim=(1, 2)).abs().max(), rtol=1e-5)
    accuracies = lesion_accuracies(
        network, x, LABELS.repeat(50) % 2, [{"0": [1]}], replacement="mean"
    )
    assert accuracies.shape == (1, 2)


class Centring(nn.Sequential):
    """A network that writes over the images that it is given."""

    def forward(self, x):
        return super().forward(x.sub_(0.5))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_network_that_writes_over_its_images(call):
    network, before = Centring(*mlp()).eval(), IMAGES.clone()
    call(hook_units(network, IMAGES))
    assert torch.equal(IMAGES, before)
    own = unit_values(mlp(), IMAGES - 0.5)["1"]
    np.testing.assert_allclose(unit_values(hook_units(network, IMAGES), IMAGES)["1"], own)


def test_training_a_network_that_writes_over_its_images():
    data = Dataset("toy", IMAGES.clone(), LABELS, IMAGES.clone(), LABELS, ("a", "b", "c"))
    settings = NetworkSettings(dataset="toy", hidden=(6, 4), batch_size=10)
    trained = TrainedNetwork(Centring(*mlp()).eval(), {})
    train_further(trained, settings, data, n_epochs=1, seed=0, device="cpu")
    assert torch.equal(data.x_train, IMAGES)
    assert torch.equal(data.x_test, IMAGES)


@pytest.fixture
def elsewhere():
    """Let tensors be made on another device than the network's, where none is named."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


NETWORK, DOUBLE = mlp(), mlp().double()
CNN = nn.Sequential(
    nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(64, 3),
).double().eval()  # fmt: skip


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("network", [NETWORK, DOUBLE])
def test_torchs_default_device_does_not_matter(network, call):
    call(network)


TOY = Dataset("toy", IMAGES, LABELS, IMAGES, LABELS, ("a", "b", "c"))
MODULAR = NetworkSettings(dataset="toy", hidden=(6, 4), batch_size=10, module_distance=0.6)
RESULTS = {
    "lesions": lambda: lesion_accuracies(CNN, IMAGES, LABELS, [{"0": [0]}, {"2": [1]}] * 10),
    "images": lambda: visualize(CNN, [{"0": [0]}, {"2": [1]}], (1, 4, 4), n_steps=3).images,
    "training": lambda: train(MODULAR, TOY, seed=0, device="cpu").module[1].weight,
    "a screen": lambda: screen(NETWORK, (IMAGES, LABELS), n_clusters=2, n_draws=1).table.to_csv(),
    "standardization": lambda: standardized(NETWORK, [0.5], [0.25])(IMAGES).detach(),
    "digits": lambda: load_dataset("digits").x_train,
}


@pytest.mark.filterwarnings("ignore::localspec.exceptions.DegenerateDataWarning")
@pytest.mark.parametrize("call", RESULTS.values(), ids=RESULTS)
def test_results_are_the_same_whatever_torchs_default_device(call, request):
    plain = call()
    request.getfixturevalue("elsewhere")
    np.testing.assert_array_equal(call(), plain)
