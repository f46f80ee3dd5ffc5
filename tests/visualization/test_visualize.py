"""Feature visualization against a straightforward one-image implementation from the method."""

import itertools
from decimal import Decimal, getcontext

import numpy as np
import pytest
import torch
from helpers.networks import batch_norm, conv, dense, made, random_mlp, stack
from scipy import stats
from torch import nn

from localspec._utils.hardware import limited_threads
from localspec.units import trace_units
from localspec.visualization import visualize
from localspec.visualization._parametrisation import MAX_COEFFICIENTS, decoder, initial_parameters
from localspec.visualization._visualize import _RedirectedReLU

# square root of the covariance of colours in natural images, from Lucid
COLOURS = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


# --- the oracle: one image, a matrix for the Fourier transform, a loss to minimise ---


def basis(height, width):
    """Return the image of every Fourier coefficient, shape (height, width // 2 + 1, 2, pixels)."""
    half = width // 2 + 1
    basis = np.empty((height, half, 2, height * width))
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    for i, j, part in itertools.product(range(height), range(half), range(2)):
        spectrum = np.zeros((height, half), dtype=complex)
        radius = np.hypot(rows[i], columns[j])
        spectrum[i, j] = (1j if part else 1) / max(radius, 1 / max(height, width))
        image = np.fft.irfft2(spectrum, s=(height, width)) * np.sqrt(height * width) / 4
        basis[i, j, part] = image.ravel()
    return torch.from_numpy(basis)


def image_of(parameters, matrix, height, width):
    image = torch.einsum("chwp,hwpn->cn", parameters, matrix)
    if len(image) == 3:
        colours = COLOURS / np.linalg.norm(COLOURS, axis=0).max()
        image = torch.from_numpy(colours) @ image
    return torch.sigmoid(image).reshape(1, len(image), height, width)


class OracleReLU(torch.autograd.Function):
    """ReLU of one image; the gradient is that of a loss, so positive ones push values down."""

    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value)
        return torch.relu(value)

    @staticmethod
    def backward(ctx, gradient):
        negative = ctx.saved_tensors[0] < 0
        plain = gradient * ~negative
        if plain.any():
            return plain
        return gradient * ~(negative & (gradient > 0))


def forward(modules, value, redirect):
    for module in modules:
        is_relu = isinstance(module, nn.ReLU)
        value = OracleReLU.apply(value) if is_relu and redirect else module(value)
    return value


def one_image(network, n_modules, units, shape, *, n_steps=64, learning_rate=0.05, seed=0):
    """Return image, score and entropy for units behind the first `n_modules` modules."""
    _, height, width = shape
    matrix = basis(height, width)
    parameters = initial_parameters(shape, seed=seed, dtype=torch.float64).requires_grad_(True)
    optimizer = torch.optim.Adam([parameters], lr=learning_rate, eps=1e-8)
    for step in range(n_steps + 1):
        image = image_of(parameters, matrix, height, width)
        value = forward(list(network)[:n_modules], image, redirect=step <= 16)[0]
        means = value.flatten(1).mean(dim=1) if value.ndim == 3 else value
        objective = sum(means[unit].abs() for unit in units)
        optimizer.zero_grad()
        (-objective).backward()
        optimizer.step()
    with torch.no_grad():
        image = image_of(parameters, matrix, height, width)
        p = torch.softmax(network(image)[0], dim=0).numpy()
    return image[0].numpy(), objective.item(), stats.entropy(p)


def mlp(shape, seed=0, bias=0.0):
    """Return flatten, dense, ReLU, dense, ReLU, dense; `bias` is added to the first layer's."""
    network = random_mlp([int(np.prod(shape)), 8, 6, 4], seed)
    network[0].bias.data += bias
    return nn.Sequential(nn.Flatten(), *network).eval()


def cnn(channels=1):
    """Return conv, norm, ReLU, pool, conv, ReLU, norm, flatten, dense (for 6 x 7 pixels)."""
    rng = np.random.default_rng(0)
    n = rng.normal
    return stack(
        conv(n(size=(4, channels, 3, 3)), n(size=4), padding=1),
        batch_norm(nn.BatchNorm2d, n(size=4), rng.random(4), n(size=4), n(size=4)),
        nn.ReLU(),
        nn.MaxPool2d(2),
        conv(n(size=(5, 4, 2, 2)), n(size=5)),
        nn.ReLU(),
        batch_norm(nn.BatchNorm2d, n(size=5), rng.random(5), n(size=5), n(size=5)),
        nn.Flatten(),
        dense(n(size=(3, 20)), n(size=3)),
    )


def check(network, targets, shape, **options):
    """Compare with the oracle; targets are (layer, modules up to its pre-ReLU value, units)."""
    result = visualize(network, [{name: units} for name, _, units in targets], shape, **options)
    for row, (_, n_modules, units) in enumerate(targets):
        image, score, entropy = one_image(network, n_modules, units, shape, **options)
        assert result.images[row] == pytest.approx(image, abs=1e-8)
        assert result.scores[row] == pytest.approx(score, rel=1e-9)
        assert result.entropies[row] == pytest.approx(entropy, rel=1e-7, abs=1e-12)
    return result


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 5, 7), (3, 4, 5), (1, 1, 3)])
def test_mlp(shape):
    targets = [("1", 2, [0, 3]), ("3", 4, [1]), ("3", 4, [0, 2, 5]), ("5", 6, [2])]
    check(mlp(shape), targets, shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_cnn_takes_means_over_space_of_values_behind_an_early_norm(channels):
    targets = [("0", 2, [1, 2]), ("4", 5, [0]), ("4", 5, [2, 3, 4]), ("8", 9, [1])]
    check(cnn(channels), targets, (channels, 6, 7))


@pytest.mark.parametrize("bias", [-4.0, -8.0])
def test_units_behind_dead_ones_are_reached(bias):
    # all or most units of the first layer are negative at the start: nothing but the redirected
    # gradient moves the image
    network = mlp((1, 4, 4), seed=3, bias=bias)
    targets = [("3", 4, [unit]) for unit in range(6)]
    result = check(network, targets, (1, 4, 4))
    parameters = initial_parameters((1, 4, 4), seed=0, dtype=torch.float64)[None]
    start = decoder(4, 4, parameters)(parameters)
    assert (np.abs(result.images - start.numpy()).max(axis=(1, 2, 3)) > 0.05).any()


def test_redirection_ends_after_seventeen_steps():
    # one dead unit in between: 17 steps push it up, not far enough; what follows is the fading
    # momentum of Adam, where a longer redirection would go on
    network = stack(
        nn.Flatten(),
        dense(np.full((1, 16), 1.0), [-16.5]),
        nn.ReLU(),
        dense([[1.0]], [0.5]),
        nn.ReLU(),
        dense([[1.0], [2.0]]),
    )
    targets = [("3", 4, [0])]
    result = check(network, targets, (1, 4, 4), learning_rate=1e-3)
    assert result.scores[0] == 0.5
    sums = [
        visualize(network, [{"3": [0]}], (1, 4, 4), learning_rate=1e-3, n_steps=n).images.sum()
        for n in (1, 16, 40, 64)
    ]
    assert sums[1] - sums[0] > 5 * (sums[3] - sums[2]) > 0


def test_other_steps_rates_and_seeds():
    targets = [("3", 4, [1]), ("3", 4, [2, 3])]
    check(mlp((1, 4, 4)), targets, (1, 4, 4), n_steps=5, learning_rate=0.2, seed=9)


def test_negative_means_count_by_magnitude():
    # the only unit is minus the brightness: the objective is best for a bright image
    network = stack(nn.Flatten(), dense(-np.ones((1, 9))), nn.ReLU(), dense([[1.0], [2.0]]))
    result = visualize(network, [{"1": [0]}], (1, 3, 3))
    assert result.scores[0] > 6  # 9 pixels: it starts at 9 x 0.5
    assert result.images.mean() > 6 / 9


def test_the_mean_over_space_comes_before_the_magnitude():
    # each channel is the difference of neighbours, which sums to nearly nothing over space:
    # of |values| the mean would rise to about 1, the mean of values cannot pass 1/3
    network = stack(
        conv(np.array([[[[1.0, -1.0]]]])),
        nn.ReLU(),
        nn.Flatten(),
        dense(np.ones((2, 12))),
    )
    result = visualize(network, [{"0": [0]}], (1, 4, 4))
    # columns c0 - c1 + c1 - c2 + c2 - c3 = c0 - c3 over 3 places
    columns = result.images[0, 0].mean(axis=0)
    assert result.scores[0] == pytest.approx(abs(columns[0] - columns[3]) / 3, abs=0.02)


# --- batches ---


# with units that are dead at the start, one image has no gradient at all where others have
BATCH = [{"3": [0]}, {"1": [2, 3]}, {"3": [1, 4]}, {"5": [0]}, {"3": [5]}, {"1": [0]}]


@pytest.fixture(scope="module")
def alone():
    """Visualizations of a batch, one by one."""
    network = mlp((1, 4, 4), seed=3, bias=-2.0)
    return [visualize(network, [target], (1, 4, 4)) for target in BATCH]


@pytest.mark.parametrize("max_images", [1, 2, 1000])
def test_images_do_not_influence_each_other(alone, max_images):
    network = mlp((1, 4, 4), seed=3, bias=-2.0)
    together = visualize(network, BATCH, (1, 4, 4), max_images=max_images)
    for row, single in enumerate(alone):
        assert together.images[row] == pytest.approx(single.images[0], abs=1e-9)
        assert together.scores[row] == pytest.approx(single.scores[0], rel=1e-9)
        assert together.entropies[row] == pytest.approx(single.entropies[0], rel=1e-9)


def numbers_together(unit_map, first):
    """Return a list that fills with how many images each step has, seen at the first layer."""
    numbers = []

    def note(module, inputs):
        if torch.is_grad_enabled():  # else no step: what is tried beforehand, or entropies
            numbers.append(len(inputs[0]))

    unit_map.graph_module.get_submodule(first).register_forward_pre_hook(note)
    return numbers


# one image keeps 16 pixels, flattened 16, then 8, 8 and 6 values; 4 times 24 coefficients
@pytest.mark.parametrize(("max_values", "expected"), [(300, [2, 2]), (149, [1] * 4), (1, [1] * 4)])
def test_memory_bounds_the_images_at_once(max_values, expected):
    network, targets = mlp((1, 4, 4)), [{"3": [unit]} for unit in range(4)]
    network = trace_units(network)
    numbers = numbers_together(network, "1")
    result = visualize(network, targets, (1, 4, 4), n_steps=4, max_values=max_values)
    assert numbers == [number for number in expected for _ in range(5)]  # one more step
    together = visualize(network, targets, (1, 4, 4), n_steps=4)
    assert result.images == pytest.approx(together.images, abs=1e-12)
    assert result.entropies == pytest.approx(together.entropies)


def test_large_colour_images_run_a_few_at_a_time():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 4, 3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    ).eval()
    shape = (3, 224, 224)
    network = trace_units(network)
    numbers = numbers_together(network, "0")
    result = visualize(network, [{"2": [unit]} for unit in range(3)], shape, n_steps=1)
    assert numbers == [1] * 6  # two steps of each: 800,000 values of the first layer alone
    assert result.images.shape == (3, *shape)
    before = visualize(network, [{"2": [0]}], shape, n_steps=1, seed=0)
    assert result.images[0] == pytest.approx(before.images[0], abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_threads_do_not_change_results(channels):
    targets = [{"0": [1]}, {"4": [0, 2]}, {"4": [3]}, {"8": [1]}, {"4": [1]}] * 2
    results, options = [], {"n_steps": 20, "max_values": 3000}
    for n_threads in (1, 2, 3):
        with limited_threads(n_threads):
            results.append(visualize(cnn(channels), targets, (channels, 6, 7), **options))
    for other in results[1:]:
        np.testing.assert_equal(vars(other), vars(results[0]))


def test_much_work_is_shared_between_cores():
    # up to layer "3" an image keeps 16 + 16 + 8 + 8 + 6 values, up to layer "1" 16 + 16 + 8
    network = mlp((1, 4, 4))
    network = trace_units(network)
    numbers = numbers_together(network, "1")
    targets = [{"3": [1]}] * 33 + [{"1": [1]}] * 13
    visualize(network, targets, (1, 4, 4), n_steps=1, small_part=540)
    assert sorted(numbers) == [11] * 6 + [13] * 2  # two steps of each part
    numbers.clear()
    visualize(network, targets[:3], (1, 4, 4), n_steps=1, small_part=1)
    assert numbers == [1] * 6  # not more parts than images, none empty


def test_maps_with_the_channels_last_in_memory():
    # single precision takes this way, double precision not; the network is left as it was
    module = cnn().float()
    targets = [{"0": [1, 2]}, {"4": [1]}, {"8": [0]}]  # behind a normalization and before it
    double = visualize(cnn(), targets, (1, 6, 7), n_steps=8)
    before = [part.stride() for part in module.parameters()]
    single = visualize(module, targets, (1, 6, 7), n_steps=8)
    assert single.images == pytest.approx(double.images, abs=1e-3)
    assert single.scores == pytest.approx(double.scores, rel=1e-4)
    assert [part.stride() for part in module.parameters()] == before


def test_gradients_where_the_caller_wants_none():
    target = [{"3": [1]}]
    expected = visualize(mlp((1, 4, 4)), target, (1, 4, 4), n_steps=3)
    with torch.no_grad():
        result = visualize(mlp((1, 4, 4)), target, (1, 4, 4), n_steps=3)
    assert (result.images == expected.images).all()


def test_the_seed_alone_decides():
    network, target = mlp((1, 4, 4)), [{"3": [1]}]
    before = torch.random.get_rng_state()
    first, again, other = (visualize(network, target, (1, 4, 4), seed=s) for s in (1, 1, 2))
    assert (first.images == again.images).all()
    assert first.scores == again.scores
    assert np.abs(first.images - other.images).max() > 1e-3
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_network_gets_no_gradients():
    network = mlp((1, 4, 4))
    before = [parameter.clone() for parameter in network.parameters()]
    visualize(network, [{"3": [1]}], (1, 4, 4), n_steps=3)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_functional_relus_are_redirected_too():
    def forward(m, x):
        x = torch.relu(m.a(torch.flatten(x, 1)))
        return m.c(m.b(x).relu())

    modules = mlp((1, 4, 4), seed=3, bias=-4.0)
    plain = visualize(modules, [{"3": [1]}], (1, 4, 4))
    network = made(forward, a=modules[1], b=modules[3], c=modules[5])
    called = visualize(network, [{"b": [1]}], (1, 4, 4))
    assert called.images == pytest.approx(plain.images, abs=1e-12)
    assert called.scores == pytest.approx(plain.scores)


def test_relus_that_overwrite_their_input():
    modules = mlp((1, 4, 4), seed=3, bias=-1.0)
    parts = [nn.ReLU(inplace=True) if isinstance(m, nn.ReLU) else m for m in modules]
    targets = [{"1": [0, 1]}, {"3": [1]}, {"5": [0]}]
    plain = visualize(modules, targets, (1, 4, 4))
    overwriting = visualize(nn.Sequential(*parts).eval(), targets, (1, 4, 4))
    assert overwriting.images == pytest.approx(plain.images, abs=1e-12)
    assert overwriting.entropies == pytest.approx(plain.entropies)


# --- pieces ---


def test_redirected_relu_by_hand():
    value = torch.tensor(
        [[-1.0, -2.0, 3.0], [-1.0, -2.0, -3.0], [-1.0, 2.0, -3.0], [-1.0, 0.0, -3.0]]
    )
    value.requires_grad_(True)
    output = _RedirectedReLU.apply(value)
    assert output.tolist() == [[0, 0, 3], [0, 0, 0], [0, 2, 0], [0, 0, 0]]
    # how much each output would raise the objective
    output.backward(
        torch.tensor([[5.0, -6.0, 7.0], [5.0, -6.0, 0.0], [-5.0, 0.0, 4.0], [5.0, 6.0, 4.0]])
    )
    assert value.grad.tolist() == [
        [0, 0, 7],  # a gradient passes as it is: plain ReLU
        [5, 0, 0],  # none passes: what pushes a negative value up (5), not down (-6)
        [0, 0, 4],  # the open unit has no gradient: again the upward part
        [0, 6, 0],  # a value of 0 lets it pass
    ]


def test_redirection_looks_at_whole_images():
    value = torch.tensor([[[[-1.0, 2.0]], [[-1.0, -1.0]]], [[[-1.0, -2.0]], [[-1.0, -1.0]]]])
    value.requires_grad_(True)
    _RedirectedReLU.apply(value).backward(torch.ones(2, 2, 1, 2))
    # the second channel of the first image stays blocked: its first channel has a gradient
    assert value.grad.tolist() == [[[[0, 1]], [[0, 0]]], [[[1, 1]], [[1, 1]]]]


@pytest.mark.parametrize(
    "shape", [(1, 4, 4), (1, 5, 7), (3, 3, 4), (1, 1, 1), (3, 7, 2), (3, 12, 11), (1, 11, 12)]
)
def test_decoding(shape):
    channels, height, width = shape
    parameters = initial_parameters(shape, seed=4, dtype=torch.float64)
    assert parameters.shape == (channels, height, width // 2 + 1, 2)
    images = decoder(height, width, parameters)(parameters[None])
    expected = image_of(parameters, basis(height, width), height, width)
    assert images.numpy() == pytest.approx(expected.numpy(), abs=1e-12)


def test_decoding_is_tested_with_and_without_a_matrix():
    assert 7 * 2 * 2 < MAX_COEFFICIENTS < 12 * 6 * 2


def test_start_is_normal_with_standard_deviation_one_hundredth():
    start = initial_parameters((3, 40, 40), seed=0, dtype=torch.float64).numpy().ravel()
    assert len(start) == 3 * 40 * 21 * 2
    assert stats.kstest(start / 0.01, "norm").pvalue > 1e-3
    single = initial_parameters((3, 40, 40), seed=0).numpy()
    assert single.dtype == np.float32
    assert single.ravel() == pytest.approx(start, rel=1e-6)


def exact_entropy(logits):
    getcontext().prec = 400
    weights = [(Decimal(float(value)) - Decimal(float(max(logits)))).exp() for value in logits]
    total = sum(weights)
    return float(-sum(w / total * (w / total).ln() for w in weights))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("lead", [0.0, 0.5, 5.0, 30.0, 40.0, 100.0, 600.0])
def test_entropy_is_accurate_also_where_it_is_nearly_nothing(lead, dtype):
    # the logits hardly depend on the image: lead, 0 and 0.25
    network = stack(
        nn.Flatten(),
        dense(np.ones((1, 4))),
        nn.ReLU(),
        dense([[0.01], [0.0], [0.0]], [lead, 0.0, 0.25]),
    )
    network = network.to(dtype)
    result = visualize(network, [{"1": [0]}], (1, 2, 2), n_steps=2)
    logits = network(torch.from_numpy(result.images))[0].tolist()
    assert result.entropies[0] == pytest.approx(exact_entropy(logits), rel=1e-9, abs=0)
    assert result.entropies[0] > 0


def test_results_are_in_the_networks_precision():
    result = visualize(mlp((1, 4, 4)).float(), [{"3": [1]}], (1, 4, 4), n_steps=2)
    assert result.images.dtype == result.scores.dtype == np.float32
    assert result.images.shape == (1, 1, 4, 4)
    assert ((result.images >= 0) & (result.images <= 1)).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_images_too_large_for_a_matrix_in_half_precision(dtype):
    # torch has no Fourier transform of these types
    parameters = initial_parameters((3, 12, 12), seed=0)[None]
    rough = parameters.to(dtype)
    images = decoder(12, 12, rough)(rough)
    assert images.dtype == dtype
    assert (images - decoder(12, 12, parameters)(parameters)).abs().max() < 0.02
