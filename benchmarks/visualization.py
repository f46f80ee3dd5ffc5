"""Feature visualization against one image at a time, as ratios measured in the same run.

Usage: python benchmarks/visualization.py    writes benchmarks/tables/visualization.csv

The plain way is a loop of its own for a single image: the network's modules up to the target
layer, the mean over space of its values, torch's Adam; with the same parametrisation, objective,
redirected ReLUs and number of threads. Times are per image and in single precision; the smallest
of several rounds counts. Scores are compared in both precisions: in single precision rounding grows
over the steps (the plain way differs from itself in double precision by 1e-4 or more), in double
precision hardly.
"""

import numpy as np
import torch
from ratios import measure, write
from torch import nn

from localspec.networks._architectures import cnn, mlp
from localspec.networks._initialisation import initialise
from localspec.visualization import N_STEPS, visualize
from localspec.visualization._parametrisation import decoder, initial_parameters
from localspec.visualization._visualize import N_REDIRECTED_STEPS

SHAPE, THREADS, N_ROUNDS, N_ALONE = (1, 28, 28), 2, 3, 4
LAYERS = {
    "MLP": [("dense1", "dense2", "dense3", "dense4")],
    "CNN": [("conv2",), ("conv3",), ("conv2", "conv3")],
}
N_IMAGES = {"MLP": 240, "CNN": 32}
N_UNITS = {"MLP": 16, "CNN": 8}


def network(name: str) -> nn.Sequential:
    """Return an untrained network, in evaluation mode."""
    if name == "MLP":
        module = mlp(784, (256, 256, 256, 256), 10)
    else:
        module = cnn(SHAPE, (64, 64, "pool", 64, "pool"), (128,), 10)
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


def one_image(module: nn.Sequential, layer: str, units: np.ndarray, seed: int = 0) -> float:
    """Return the score of one image optimised alone."""
    names = [name for name, _ in module.named_children()]
    parts = list(module)[: names.index(layer) + 1]
    dtype = next(module.parameters()).dtype
    parameters = initial_parameters(SHAPE, seed=seed, dtype=dtype)[None].requires_grad_(True)
    decode = decoder(*SHAPE[1:], parameters)
    optimizer = torch.optim.Adam([parameters], lr=0.05, eps=1e-8, maximize=True)
    chosen = torch.from_numpy(units)
    for step in range(N_STEPS + 1):
        value = decode(parameters)
        for part in parts:
            redirected = isinstance(part, nn.ReLU) and step < N_REDIRECTED_STEPS
            value = RedirectedReLU.apply(value) if redirected else part(value)
        means = value.mean(dim=(2, 3)) if value.ndim == 4 else value
        score = means[0, chosen].abs().sum()
        optimizer.zero_grad()
        score.backward()
        optimizer.step()
    return score.item()


def compare(name: str, layers: tuple[str, ...]) -> list[dict]:
    """Return a row for each way of visualizing sets of units of these layers."""
    module, rng = network(name), np.random.default_rng(0)
    widths = {layer: module.get_submodule(layer).weight.shape[0] for layer in layers}
    targets = []
    for index in range(N_IMAGES[name]):
        layer = layers[index % len(layers)]
        targets.append({layer: rng.choice(widths[layer], N_UNITS[name], replace=False)})
    alone = [next(iter(target.items())) for target in targets[:N_ALONE]]
    seconds = measure(
        {
            "localspec": lambda: visualize(module, targets, SHAPE),
            "one at a time": lambda: [one_image(module, *target) for target in alone],
        },
        n_rounds=N_ROUNDS,
    )
    differences = {}
    for precision in ("float32", "float64"):
        module = module.to(getattr(torch, precision))
        scores = visualize(module, targets[:N_ALONE], SHAPE).scores
        expected = np.array([one_image(module, *target) for target in alone])
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
    """Measure and write."""
    torch.set_num_threads(THREADS)
    rows = [
        row for name, each in LAYERS.items() for layers in each for row in compare(name, layers)
    ]
    write("visualization", rows)


if __name__ == "__main__":
    main()
