"""The lesion engine against one plain forward pass a lesion, as ratios measured in the same run.

Usage: python benchmarks/lesions.py [MLP] [CNN] [VGG] [ResNet-18]
    puts their rows into benchmarks/tables/lesions.csv

The plain way zeroes a layer's units by a hook and runs all images through the whole network, in
batches of 1,000, on as many threads. It takes so long that it runs one of several lesions only:
seconds are per lesion of all images. Networks are untrained, since time does not depend on the
weights. Predictions of both ways are compared image by image; "bfloat16" is the engine's option,
against the plain way in float32. ResNet-18 is torchvision's at 224 pixels, in float32 alone (this
processor is slower in bfloat16); its seconds are those of the processor on one thread, which other
programs disturb less than the clock.
"""

import sys
import time
from itertools import pairwise

import numpy as np
import torch
from ratios import measure, write
from torch import nn

from localspec._utils.hardware import limited_threads
from localspec.data._torchvision import import_torchvision
from localspec.lesions import _accuracies as engine
from localspec.lesions._passes import BATCH_SIZE
from localspec.networks._architectures import cnn, mlp
from localspec.networks._initialisation import initialise
from localspec.units import trace_units

VGG = (64, 64, "pool", 128, 128, "pool", *(256,) * 3, "pool", *(512,) * 3, "pool", *(512,) * 3)
NETWORKS = {
    "MLP": (lambda: mlp(784, (256,) * 4, 10), (1, 28, 28)),
    "CNN": (lambda: cnn((1, 28, 28), (64, 64, "pool", 64, "pool"), (128,), 10), (1, 28, 28)),
    "VGG": (
        lambda: cnn((3, 32, 32), (*VGG, "pool"), (512, 512), 10, batch_norm="after"),
        (3, 32, 32),
    ),
    "ResNet-18": (lambda: import_torchvision().models.resnet18(weights=None), (3, 224, 224)),
}
# images, lesions of each layer, and which of them the plain way runs: every n-th
SIZES = {
    "MLP": (10_000, 100, 10),
    "CNN": (10_000, 40, 40),
    "VGG": (1_000, 4, 4),
    "ResNet-18": (8, 8, 8),
}
CLUSTERS = 16  # a lesion takes one unit in so many
PLAIN_BATCH = 1_000
N_ROUNDS = {"MLP": 3, "CNN": 1, "VGG": 1, "ResNet-18": 1}


def lesions_of(network: nn.Module, n_lesions: int) -> list[dict[str, np.ndarray]]:
    """Return as many lesions of each tested layer, of random units."""
    rng = np.random.default_rng(0)
    return [
        {layer.name: rng.choice(layer.n_units, layer.n_units // CLUSTERS, replace=False)}
        for layer in trace_units(network).tested
        for _ in range(n_lesions)
    ]


def hooked_module(network: nn.Module, name: str) -> nn.Module:
    """Return the module whose output is a layer's value, or that value after a ReLU."""
    layer = trace_units(network).layer(name)
    if layer.value.op == "call_module":
        return network.get_submodule(layer.value.target)
    return network.get_submodule(".".join(name.split(".")[:2]))  # a residual block


def plain(network: nn.Module, x: torch.Tensor, lesions: list) -> torch.Tensor:
    """Return logits (n_lesions, n_images, n_classes) by a hook and a whole pass for each lesion."""
    logits = []
    for lesion in lesions:
        ((name, units),) = lesion.items()
        indices = torch.from_numpy(units)

        def zero(module, inputs, output, indices=indices):
            return output.index_fill(1, indices, 0)

        handle = hooked_module(network, name).register_forward_hook(zero)
        with torch.inference_mode():
            logits.append(torch.cat([network(part) for part in x.split(PLAIN_BATCH)]))
        handle.remove()
    return torch.stack(logits)


def disagreement(logits: torch.Tensor, predicted: np.ndarray) -> dict[str, float]:
    """Return how often two ways predict another class, and the largest margin where they do."""
    best = logits.topk(2, dim=2).values
    differ = logits.argmax(2).numpy() != predicted
    margins = (best[..., 0] - best[..., 1]).numpy()[differ]
    return {
        "predictions": differ.size,
        "other_predictions": int(differ.sum()),
        "largest_margin_there": float(margins.max(initial=0.0)),
    }


def compare(name: str, dtype: torch.dtype, precision: str = "full") -> dict:
    """Measure one network; the plain way always computes in the network's own precision."""
    build, image_shape = NETWORKS[name]
    n_images, n_lesions, every = SIZES[name]
    network = build()
    if name != "ResNet-18":
        initialise(network, torch.Generator().manual_seed(0))
    network = network.eval().requires_grad_(False).to(dtype)
    x = torch.rand(n_images, *image_shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    lesions = lesions_of(network, n_lesions)
    some = slice(None, None, every)
    results = {}

    def ours() -> None:
        results["engine"] = engine.lesion_predictions(network, x, lesions, precision=precision)

    def theirs() -> None:
        results["plain"] = plain(network, x, lesions[some])

    clock = time.process_time if name == "ResNet-18" else time.perf_counter
    with limited_threads(1 if name == "ResNet-18" else None):
        ways = {"engine": ours, "plain": theirs}
        seconds = measure(ways, n_rounds=N_ROUNDS[name], clock=clock)
        n_threads = torch.get_num_threads()
    per_lesion = seconds["engine"] / len(lesions)
    per_lesion_plain = seconds["plain"] / len(lesions[some])
    return {
        "network": name,
        "dtype": str(dtype).removeprefix("torch.") if precision == "full" else precision,
        "images": n_images,
        "lesions": len(lesions),
        "threads": n_threads,
        "seconds_per_lesion": per_lesion,
        "plain_seconds_per_lesion": per_lesion_plain,
        "times_faster": per_lesion_plain / per_lesion,
        **disagreement(results["plain"], results["engine"][some]),
    }


def gemm_rate(layer: str, *, n_lesions: int = 40, n_images: int = 10_000) -> dict:
    """Compare the engine's rate on lesions of one layer of the MLP with its matrix product's.

    Operations are those that the engine needs: for every image the layers up to the next one, once;
    for every lesion and image a product with the lesioned units' columns at the next layer, then
    the full layers behind it.
    """
    network = NETWORKS["MLP"][0]()
    initialise(network, torch.Generator().manual_seed(0))
    network = network.eval().requires_grad_(False)
    x = torch.rand(n_images, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    lesions = [lesion for lesion in lesions_of(network, n_lesions) if layer in lesion]
    number = int(layer[-1])
    before = [784, *(256,) * (number + 1)][: number + 2]  # inputs, units up to the next layer
    behind = [256] * (4 - number) + [10]  # units of the layers behind it
    once = sum(a * b for a, b in pairwise(before))
    each = 256 // CLUSTERS * behind[0] + sum(a * b for a, b in pairwise(behind))
    operations = 2 * n_images * (once + len(lesions) * each)
    rows = 2 * BATCH_SIZE  # as many as the engine stacks for a layer of 256 units
    a, b = torch.rand(rows, 256), torch.rand(256, 256)
    repeats = 100

    def product() -> None:
        for _ in range(repeats):
            a @ b

    def ours() -> None:
        engine.lesion_predictions(network, x, lesions)

    seconds = measure({"engine": ours, "product": product}, n_rounds=9)
    rate = operations / seconds["engine"]
    rate_of_product = repeats * 2 * rows * 256 * 256 / seconds["product"]
    return {
        "network": f"MLP, {layer}",
        "dtype": "float32",
        "images": n_images,
        "lesions": len(lesions),
        "threads": torch.get_num_threads(),
        "seconds_per_lesion": seconds["engine"] / len(lesions),
        "gflops": rate / 1e9,
        "matrix_product_gflops": rate_of_product / 1e9,
        "share_of_matrix_product": rate / rate_of_product,
    }


def main() -> None:
    names = sys.argv[1:] or list(NETWORKS)
    rows = []
    for name in names:
        if name == "ResNet-18":
            rows.append(compare(name, torch.float32))
        elif name == "MLP":
            rows += [compare(name, torch.float32), compare(name, torch.float64)]
            rows += [gemm_rate("dense1"), gemm_rate("dense2")]
        else:
            rows.append(compare(name, torch.float32))
            rows.append(compare(name, torch.float32, "bfloat16"))
    write("lesions", rows)


if __name__ == "__main__":
    main()
