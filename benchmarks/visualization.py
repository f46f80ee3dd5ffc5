"""Feature visualization against one image at a time, as ratios measured in the same run.

Usage: python benchmarks/visualization.py [MLP] [CNN] [ResNet-18]
    puts their rows into benchmarks/tables/visualization.csv

The plain way is a loop of its own for a single image: the network's modules up to the target
layer, the mean over space of its values, torch's Adam; with the same parametrisation, objective,
redirected ReLUs and number of threads. ResNet-18 is torchvision's at 224 pixels with random
weights; its plain way runs the whole network and reads the values by a hook, as one does where the
modules are no sequence. Times are per image and in single precision; the smallest of several rounds
counts. Scores are compared in both precisions: in single precision rounding grows over the steps
(the plain way differs from itself in double precision by 1e-4 or more), in double precision hardly.
"""

import copy
import sys
from collections.abc import Callable

import numpy as np
import torch
from ratios import measure, write
from torch import nn

from localspec.data._torchvision import import_torchvision
from localspec.networks._architectures import cnn, mlp
from localspec.networks._initialisation import initialise
from localspec.visualization import N_STEPS, visualize
from localspec.visualization._parametrisation import decoder, initial_parameters
from localspec.visualization._visualize import N_REDIRECTED_STEPS

THREADS, N_ALONE = 2, 4
SHAPES = {"MLP": (1, 28, 28), "CNN": (1, 28, 28), "ResNet-18": (3, 224, 224)}
LAYERS = {
    "MLP": [("dense1", "dense2", "dense3", "dense4")],
    "CNN": [("conv2",), ("conv3",), ("conv2", "conv3")],
    "ResNet-18": [
        ("layer1.0.conv1", "layer1.1.conv1"),
        ("layer2.0.conv1", "layer2.1.conv1"),
        ("layer3.0.conv1", "layer3.1.conv1"),
        ("layer4.0.conv1", "layer4.1.conv1"),
    ],
}
N_IMAGES = {"MLP": 240, "CNN": 32, "ResNet-18": 8}
N_UNITS = {"MLP": 16, "CNN": 8, "ResNet-18": 8}
N_ROUNDS = {"MLP": 3, "CNN": 3, "ResNet-18": 2}


def network(name: str) -> nn.Module:
    """Return an untrained network, in evaluation mode."""
    if name == "ResNet-18":
        torch.manual_seed(0)
        module = import_torchvision().models.resnet18(weights=None)
    elif name == "MLP":
        module = mlp(784, (256, 256, 256, 256), 10)
    else:
        module = cnn(SHAPES[name], (64, 64, "pool", 64, "pool"), (128,), 10)
    if name != "ResNet-18":
        initialise(module, torch.Generator().manual_seed(0))
    return module.eval().requires_grad_(False)


class RedirectedReLU(torch.autograd.Function):
    """ReLU of one image that lets a gradient through where there would be none."""

    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value)
        return torch.relu(value)

    @staticmethod
    def backward(ctx, gradient):
        negative = ctx.saved_tensors[0] < 0
        plain = gradient * ~negative
        return plain if plain.any() else gradient * ~(negative & (gradient < 0))


def up_to(module: nn.Sequential, layer: str) -> Callable[[torch.Tensor, bool], torch.Tensor]:
    """Return the function that gives a layer's values by the modules up to it."""
    names = [name for name, _ in module.named_children()]
    parts = list(module)[: names.index(layer) + 1]

    def values(image: torch.Tensor, redirected: bool) -> torch.Tensor:
        for part in parts:
            relu = redirected and isinstance(part, nn.ReLU)
            image = RedirectedReLU.apply(image) if relu else part(image)
        return image

    return values


class SwitchedReLU(nn.Module):
    """ReLU that can be redirected."""

    redirected = False

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return RedirectedReLU.apply(value) if self.redirected else torch.relu(value)


def hooked(module: nn.Module, layer: str) -> Callable[[torch.Tensor, bool], torch.Tensor]:
    """Return the function that gives a layer's normalized values by a hook."""
    relus, seen = [], []
    module = copy.deepcopy(module)
    for name, part in list(module.named_modules()):
        if isinstance(part, nn.ReLU):
            relus.append(SwitchedReLU())
            module.set_submodule(name, relus[-1])
    norm = module.get_submodule(layer.replace("conv", "bn"))
    norm.register_forward_hook(lambda _, read, written: seen.append(written))

    def values(image: torch.Tensor, redirected: bool) -> torch.Tensor:
        for relu in relus:
            relu.redirected = redirected
        module(image)
        return seen.pop()

    return values


def one_image(module: nn.Module, layer: str, units: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the score of one image optimised alone."""
    values = (up_to if isinstance(module, nn.Sequential) else hooked)(module, layer)
    dtype = next(module.parameters()).dtype
    parameters = initial_parameters(shape, seed=0, dtype=dtype)[None].requires_grad_(True)
    decode = decoder(shape[1], shape[2], parameters)
    optimizer = torch.optim.Adam([parameters], lr=0.05, eps=1e-8, maximize=True)
    chosen = torch.from_numpy(units)
    for step in range(N_STEPS + 1):
        value = values(decode(parameters), step < N_REDIRECTED_STEPS)
        means = value.mean(dim=(2, 3)) if value.ndim == 4 else value
        score = means[0, chosen].abs().sum()
        optimizer.zero_grad()
        score.backward()
        optimizer.step()
    return score.item()


def compare(name: str, layers: tuple[str, ...]) -> list[dict]:
    """Return a row for each way of visualizing sets of units of these layers."""
    module, shape, rng = network(name), SHAPES[name], np.random.default_rng(0)
    widths = {layer: module.get_submodule(layer).weight.shape[0] for layer in layers}
    targets = []
    for index in range(N_IMAGES[name]):
        layer = layers[index % len(layers)]
        targets.append({layer: rng.choice(widths[layer], N_UNITS[name], replace=False)})
    alone = [next(iter(target.items())) for target in targets[:N_ALONE]]

    def one_at_a_time() -> list[float]:
        return [one_image(module, layer, units, shape) for layer, units in alone]

    seconds = measure(
        {"localspec": lambda: visualize(module, targets, shape), "one at a time": one_at_a_time},
        n_rounds=N_ROUNDS[name],
    )
    differences = {}
    for precision in ("float32", "float64"):
        module = module.to(getattr(torch, precision))
        scores = visualize(module, targets[:N_ALONE], shape).scores
        expected = np.array(one_at_a_time())
        differences[precision] = float(np.abs(scores / expected - 1).max())
    n_images = {"localspec": len(targets), "one at a time": len(alone)}
    per_image = {way: time / n_images[way] for way, time in seconds.items()}
    return [
        {
            "network": name,
            "layers": " ".join(layers),
            "way": way,
            "n_images": n_images[way],
            "threads": THREADS,
            "ms_per_image": 1000 * time,
            "times_ours": time / per_image["localspec"],
            **{f"relative_difference_{kind}": value for kind, value in differences.items()},
        }
        for way, time in per_image.items()
    ]


def main() -> None:
    torch.set_num_threads(THREADS)
    for name in sys.argv[1:] or LAYERS:
        write("visualization", [row for layers in LAYERS[name] for row in compare(name, layers)])


if __name__ == "__main__":
    main()
