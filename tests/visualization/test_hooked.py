"""Images for hooked units: against a plain loop, and against traced networks."""

import numpy as np
import pytest
import torch
from helpers.networks import conv, dense, random_mlp, stack
from helpers.networks import made as joined
from helpers.untraced import NETWORKS, SHAPE, VisionTransformer, images, made, outputs
from torch import nn
from torch.nn import functional as F

import localspec as ls
from localspec.units import hook_units
from localspec.visualization import exciting_images
from localspec.visualization._parametrisation import decoder, initial_parameters


def plain_image(network, name, units, axis, n_steps):
    """Return the image and the score of a plain loop, with a hook of its own."""
    seen = []
    handle = network.get_submodule(name).register_forward_hook(
        lambda module, inputs, output: seen.append(output)
    )
    parameters = initial_parameters(SHAPE, seed=0, dtype=torch.float64)[None]
    parameters.requires_grad_(True)
    optimizer = torch.optim.Adam([parameters], lr=0.05, eps=1e-8, maximize=True)
    for _ in range(n_steps + 1):
        optimizer.zero_grad()
        network(decoder(*SHAPE[1:], parameters)(parameters))
        (value,) = seen
        seen.clear()
        value = value[0].movedim(axis - 1, 0).flatten(1)
        score = value.mean(1)[units].abs().sum()
        score.backward()
        optimizer.step()
    handle.remove()
    network.zero_grad(set_to_none=True)
    image = decoder(*SHAPE[1:], parameters)(parameters).detach()
    p = network(image).softmax(1)[0].detach()
    return image[0].numpy(), float(score.detach()), float(-(p * p.log()).sum())


@pytest.mark.parametrize("name", ["vision transformer", "ConvNeXt"])
def test_images_against_a_plain_loop(name):
    make, _, layers = NETWORKS[name]
    network = make()
    targets = [{layer: [0, 3]} for layer in layers] + [{next(iter(layers)): [1]}]
    visualized = ls.visualize(hook_units(network, images((3, *SHAPE))), targets, SHAPE, n_steps=6)
    for index, target in enumerate(targets):
        ((layer, units),) = target.items()
        image, score, entropy = plain_image(network, layer, units, layers[layer][1], 6)
        np.testing.assert_allclose(visualized.images[index], image, rtol=1e-8)
        np.testing.assert_allclose(visualized.scores[index], score, rtol=1e-8)
        np.testing.assert_allclose(visualized.entropies[index], entropy, rtol=1e-8)


def rectified(*, in_place):
    """Return convolutions whose ReLUs are calls, which may overwrite what they read."""
    rng = np.random.default_rng(2)

    def forward(m, x):
        relu = torch.relu_ if in_place else torch.relu
        return m.fc(F.relu(m.b(relu(m.a(x))), in_place).flatten(1))

    return joined(
        forward,
        a=conv(rng.normal(size=(3, 1, 3, 3)), rng.normal(size=3) - 4),
        b=conv(rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4) - 4),
        fc=dense(rng.normal(size=(3, 64))),
    )


def modules():
    rng = np.random.default_rng(2)
    return stack(
        conv(rng.normal(size=(3, 1, 3, 3)), rng.normal(size=3) - 4),
        nn.ReLU(inplace=True),
        conv(rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4) - 4),
        nn.ReLU(),
        nn.Flatten(),
        dense(rng.normal(size=(3, 64))),
    )


@pytest.mark.parametrize(
    ("network", "first", "second"),
    [
        (modules(), "0", "2"),
        (rectified(in_place=False), "a", "b"),
        (rectified(in_place=True), "a", "b"),
        (nn.Sequential(nn.Flatten(), random_mlp((64, 9, 8, 3), seed=5)).eval(), "1.0", "1.2"),
    ],
    ids=["modules", "calls", "in place", "MLP"],
)
def test_both_doors_make_the_same_images(network, first, second):
    # the biases are so low that whole gradients vanish: images begin by redirected ReLUs
    targets = [{first: [0]}, {second: [0, 1]}, {second: [2]}]
    units = hook_units(network, images((3, *SHAPE)), [first, second])
    hooked, traced = (ls.visualize(door, targets, SHAPE, n_steps=25) for door in (units, network))
    np.testing.assert_allclose(hooked.scores, traced.scores, rtol=1e-6)
    np.testing.assert_allclose(hooked.images, traced.images, atol=1e-6)
    np.testing.assert_allclose(hooked.entropies, traced.entropies, rtol=1e-6)
    x = images((30, *SHAPE))
    found = [exciting_images(door, x, targets, n_images=3) for door in (units, network)]
    np.testing.assert_array_equal(found[0].indices, found[1].indices)
    np.testing.assert_allclose(found[0].scores, found[1].scores)


def test_parts_of_the_work_do_not_matter():
    units = hook_units(made(VisionTransformer), images((3, *SHAPE)))
    targets = [{"mlp.0": [unit]} for unit in range(5)]
    whole = ls.visualize(units, targets, SHAPE, n_steps=3)
    for bounds in ({"max_images": 2}, {"max_values": 1}, {"small_part": 1}):
        parts = ls.visualize(units, targets, SHAPE, n_steps=3, **bounds)
        np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-9)


def test_exciting_images_of_tokens_take_their_mean():
    network, x = made(VisionTransformer), images((12, *SHAPE))
    exciting = exciting_images(hook_units(network, x), x, [{"mlp.0": [1, 4]}], n_images=4)
    seen = torch.cat(outputs(network, x, "mlp.0"))  # (n_images, n_tokens, n_units)
    scores = seen.mean(1)[:, [1, 4]].abs().sum(1)
    order = scores.argsort(descending=True)[:4]
    np.testing.assert_array_equal(exciting.indices[0], order)
    np.testing.assert_allclose(exciting.scores[0], scores[order])
