"""Branching networks through all stages: values, images, clusters, draws, lesions, the screen."""

import numpy as np
import pytest
import torch
from helpers.networks import (
    X,
    centred,
    dense_block,
    inception,
    inception_forward,
    residual,
    resnet,
    resnet_forward,
    strided,
)

from localspec.clustering import (
    activation_graph,
    cluster,
    clusterability,
    draw_counterparts,
    weight_graph,
)
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.lesions import lesion_draws
from localspec.screening import screen
from localspec.units import check_n_clusters, trace_units, unit_strengths, unit_values
from localspec.units._values import mean_outputs
from localspec.visualization import visualize
from localspec.visualization._parametrisation import decoder, initial_parameters

READER = Conventions(residual_units="reader")


def images(n=45, size=6, seed=0):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.random((n, 3, size, size)))
    return x, torch.from_numpy(np.arange(n) % 3)


NETWORKS = pytest.mark.parametrize("build", [resnet, inception])
READINGS = pytest.mark.parametrize("conventions", ["paper", "released", READER])


def seen(network, forward, x):
    values = {}

    def at(where, value):
        values[where] = value
        return value

    forward(network, x, at)
    return values


def test_values_of_a_sum_are_taken_before_its_relu():
    x, _ = images(5)
    network = resnet()
    at = seen(network, resnet_forward, x)
    values = unit_values(network, x)
    for name in ("a.conv2", "b.down"):
        assert values[name] == pytest.approx(at[name].detach().abs().sum(dim=(2, 3)).numpy())
    # behind the normalization that stands before the activation
    start = network.norm(at["stem"]).detach().abs().sum(dim=(2, 3))
    assert values["stem"] == pytest.approx(start.numpy())


def test_parts_of_a_concatenation_have_their_own_values():
    x, _ = images(5)
    network = inception()
    at = seen(network, inception_forward, x)
    values = unit_values(network, x)
    assert list(values) == ["stem", "one", "squeeze", "three", "pool", "last"]
    for name in ("one", "pool"):
        assert values[name] == pytest.approx(at[name].detach().abs().sum(dim=(2, 3)).numpy())


def test_each_reader_has_the_values_of_its_tensor():
    x, _ = images(5)
    values = unit_values(strided(), x, conventions=READER)
    assert values["a.conv2->b.conv1"].tolist() == values["a.conv2->b.down"].tolist()
    assert "a.conv2" not in values
    graph = activation_graph(strided(), x, conventions=READER)
    assert [layer.n_units for layer in graph.layers] == [2] * 6


def test_means_and_strengths_of_a_sum():
    # the sum of b: rows of b.conv2 are (1, 1) and (0, 2), of b.down (-5, 0) and (0, 6)
    x = X.double()
    norms = unit_strengths(strided(), x, "weight norm")["b.down"]
    assert norms == pytest.approx([27**0.5, 40**0.5])
    network = resnet()
    at = seen(network, resnet_forward, images()[0])
    expected = at["a.conv2 end"].detach().mean(dim=0)
    assert torch.allclose(mean_outputs(network, images()[0])["a.conv2"], expected)


def test_visualization_of_a_sum():
    # one step from the shared start: the score is the objective on the first image
    network = residual()
    targets = [{"conv2": np.array([0, 1])}, {"conv2": np.array([1])}, {"conv1": np.array([2])}]
    visualizations = visualize(network, targets, (3, 4, 4), n_steps=1, seed=3)
    start = initial_parameters((3, 4, 4), seed=3, dtype=torch.float64)
    decode = decoder(4, 4, start)
    for score, target in zip(visualizations.scores, targets, strict=True):
        parameters = start.clone().requires_grad_(True)
        value = _objective(network, decode(parameters[None])[0], target)
        (gradient,) = torch.autograd.grad(value, [parameters])
        step = 0.05 * gradient / (gradient.abs() + 1e-8)  # Adam's first: the gradient's sign
        image = decode((start + step)[None])[0].detach()
        assert score == pytest.approx(_objective(network, image, target).item())


def _objective(network, image, target):
    hidden = network.conv0(image[None]).relu()
    inner = network.conv1(hidden)
    values = {"conv1": inner, "conv2": network.conv2(inner.relu()) + hidden}
    ((name, units),) = target.items()
    return values[name].mean(dim=(2, 3)).abs()[0, units].sum()


def test_visualization_of_a_reader_is_that_of_its_tensor():
    targets = [{name: np.array([1])} for name in ("a.conv2", "a.conv2->b.down")]
    visualizations = visualize(resnet(), targets, (3, 6, 6), n_steps=5)
    assert visualizations.images[0].tolist() == visualizations.images[1].tolist()
    assert visualizations.scores[0] == visualizations.scores[1]


@NETWORKS
@READINGS
def test_from_graph_to_images(build, conventions):
    x, y = images()
    network = centred(build(seed=2), x)
    reading = Conventions.preset(conventions) if isinstance(conventions, str) else conventions
    reading = reading.model_copy(update={"batch_norm_edges": "absolute"})  # for non-negative edges
    graph = weight_graph(network, conventions=reading)
    assert graph.n_units == sum(
        layer.n_units for layer in trace_units(network, conventions=reading).tested
    )
    for scope in ("global", "local"):
        partition = cluster(graph, 6, scope=scope, conventions=reading)
        draws = draw_counterparts(partition, 2, conventions=reading)
        assert draws.subclusters
        accuracies = lesion_draws(network, x, y, draws, conventions=reading)
        assert accuracies.lesioned.shape == (3, len(draws.subclusters), 3)
        seen = visualize(network, draws.lesions(), (3, 6, 6), n_steps=3)
        assert np.isfinite(seen.scores).all()
    assert 0 <= clusterability(graph, 3, n_shuffles=3).statistic < 3


@NETWORKS
@pytest.mark.filterwarnings("ignore::localspec.exceptions.LocalspecWarning")
def test_screen(build):
    x, y = images()
    network = centred(build(seed=2), x)
    for conventions in ("paper", Conventions(residual_units="reader", lesion_readers="one")):
        report = screen(network, (x, y), n_clusters=3, n_draws=2, conventions=conventions)
        assert len(report.table)
        assert set(report.table["layer"]) <= {
            layer.name for layer in trace_units(network, conventions=conventions).tested
        }


def test_units_are_counted_by_reading():
    network = dense_block()  # 2 + 1 + 1 units; as readers see them 3 x 2 + 2 x 1 + 1
    check_n_clusters(trace_units(network), 4)
    with pytest.raises(InvalidInputError, match="tested layers \\(4\\)"):
        check_n_clusters(trace_units(network), 5)
    check_n_clusters(trace_units(network, conventions=READER), 9)
