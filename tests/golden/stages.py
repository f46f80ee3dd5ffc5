"""Every stage at tiny scale, on inputs of its own, so that a change shows in its own stage only.

Usage: python tests/golden/stages.py    write golden.json, after raising a stage's version
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from localspec.clustering import (
    Partition,
    UnitGraph,
    activation_graph,
    cluster,
    clusterability,
    downstream_graph,
    draw_counterparts,
    draw_matched,
    weight_graph,
)
from localspec.clustering._unit_graph import from_blocks, layer_ranges
from localspec.conventions import PAPER
from localspec.data import Dataset
from localspec.lesions import conditional_lesions, joint_lesions, lesion_draws
from localspec.networks import (
    HISTORY,
    NetworkSettings,
    TorchvisionSettings,
    TrainedNetwork,
    build_network,
    open_torchvision,
    prune,
    train,
    train_further,
)
from localspec.pipeline import STAGES as VERSIONS
from localspec.pipeline._null_partitions import null_draws, null_evidence
from localspec.studies.ablations import (
    constant_accuracies,
    optimal_constants,
    other_images,
    refined_loss,
    replaced_accuracies,
)
from localspec.studies.controls._planted import glue, shuffle_weights
from localspec.studies.learning_curve import trained_by_epoch
from localspec.studies.more_draws._rounds import further_lesions, further_visualizations
from localspec.studies.penalty import block_penalty, eigenvalue_penalty
from localspec.studies.published._activations import compared_ncuts, without_pixels
from localspec.studies.published._untrained import initial_ncut
from localspec.visualization import visualize

GOLDEN = Path(__file__).with_name("golden.json")
SIZES = (12, 10, 8, 3)


def _network() -> nn.Module:
    rng = np.random.default_rng(1)
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in itertools.pairwise(SIZES):
        layer = nn.Linear(before, after, dtype=torch.float64)
        layer.weight.data = torch.from_numpy(rng.normal(size=(after, before)))
        layer.bias.data = torch.from_numpy(rng.normal(size=after))
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval().requires_grad_(False)


def _images() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(2)
    return torch.from_numpy(rng.random((60, 1, 3, 4))), torch.from_numpy(np.arange(60) % 3)


def _graph() -> UnitGraph:
    rng = np.random.default_rng(3)
    shapes = itertools.pairwise(SIZES)
    ranges = layer_ranges([(f"layer{i}", size, 0 < i < 3) for i, size in enumerate(SIZES)])
    return from_blocks([rng.random(shape) for shape in shapes], ranges)


def _partition() -> Partition:
    rng = np.random.default_rng(4)
    return Partition.from_labels({"1": rng.integers(0, 3, 10), "3": rng.integers(-1, 3, 8)})


def _dataset() -> Dataset:
    x, y = _images()
    return Dataset("golden", x, y, x, y, ("a", "b", "c"))


def _numbers(trained: TrainedNetwork) -> list[float]:
    weights = [float(weight.abs().sum()) for weight in trained.module.state_dict().values()]
    return weights + [float(value) for name in HISTORY for value in trained.history[name]]


def _flat(*parts: np.ndarray) -> list[float]:
    """Return the numbers of all arrays, one after the other."""
    return np.concatenate([np.ravel(part) for part in parts]).astype(float).tolist()


def training() -> list[float]:
    shared = {"dataset": "golden", "n_epochs": 3, "batch_size": 16, "l1": 1e-3, "l2": 1e-3}
    dense = NetworkSettings(hidden=(6, 5), dropout=0.2, **shared)
    convolutional = NetworkSettings(
        architecture="cnn", channels=(3, "pool", 4), hidden=(5,), batch_norm="after", **shared
    )
    networks = [
        train(settings, _dataset(), seed=5, dtype="float64", device="cpu")
        for settings in (dense, convolutional)
    ]
    return [number for network in networks for number in _numbers(network)]


def pruning() -> list[float]:
    settings = NetworkSettings(dataset="golden", hidden=(6,), n_pruning_epochs=3, batch_size=16)
    module = build_network(settings, (1, 3, 4), 3, seed=5, dtype="float64")
    start = TrainedNetwork(module, {})
    return _numbers(prune(start, settings, _dataset(), seed=5, device="cpu"))


def opening() -> list[float]:
    settings = TorchvisionSettings(dataset="golden", architecture="squeezenet1_1")
    state = open_torchvision(settings, seed=1, dtype="float64").module.state_dict()
    return [float(weights.abs().sum()) for weights in state.values()]


def graph() -> list[float]:
    weights = weight_graph(_network()).adjacency
    activations = activation_graph(_network(), _images()[0]).adjacency
    convolutions = nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    rng = np.random.default_rng(6)
    for value in convolutions.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.from_numpy(rng.random(value.shape) - 0.3).abs())
    channels = weight_graph(convolutions.eval()).adjacency
    corner = weights.toarray()[np.triu_indices(10)][-20:]
    return _flat(corner, weights.sum(), activations[0], channels.toarray())


def clustering() -> list[float]:
    labels = [cluster(_graph(), 3, scope=scope, seed=0).labels for scope in ("global", "local")]
    return _flat(*labels)


def _clusterability() -> list[float]:
    result = clusterability(_graph(), 3, n_shuffles=4, seed=0)
    return _flat(result.statistic, result.null, result.z_score, result.pvalue)


def draws() -> list[float]:
    drawn = draw_counterparts(_partition(), 3, seed=0)
    independent = draw_counterparts(_partition(), 3, seed=0, conventions="released")
    strata = {"1": np.arange(10) % 2, "3": np.arange(8) // 3}
    matched = draw_counterparts(_partition(), 3, seed=0, strata=strata)
    return _flat(*drawn.units, *independent.units, *matched.units)


def lesions() -> list[float]:
    drawn = draw_counterparts(_partition(), 2, seed=0)
    lesioned = lesion_draws(_network(), *_images(), drawn)
    mean = lesion_draws(_network(), *_images(), drawn, replacement="mean")
    return _flat(lesioned.baseline, lesioned.lesioned, mean.lesioned)


def feature_visualization() -> list[float]:
    targets = [{"1": np.array([0, 3])}, {"3": np.array([1])}]
    made = visualize(_network(), targets, (1, 3, 4), n_steps=20, seed=0)
    return _flat(made.scores, made.entropies, made.images)


def planted() -> list[float]:
    rng = np.random.default_rng(7)
    shapes = {"a.weight": (3, 4), "a.bias": (3,), "b.weight": (2, 3), "c.weight": (2, 2)}
    first, second = ({k: rng.normal(size=v) for k, v in shapes.items()} for _ in range(2))
    glued = glue(first, second, noise=0.5, seed=1)
    return _flat(*glued.values(), *shuffle_weights(glued, seed=1).values())


def calibration() -> list[float]:
    draws = null_draws(_partition(), 2, 2, seed=0)
    evidence = null_evidence(_network(), _dataset(), draws, n_steps=5)
    return _flat(evidence.lesioned, evidence.scores, evidence.entropies)


def more_draws() -> list[float]:
    draws = draw_counterparts(_partition(), 3, seed=(0, 1, 1)).chosen([0, 2])
    lesioned = further_lesions(_network(), *_images(), draws)["lesioned"]
    made = further_visualizations(_network(), draws, (1, 3, 4), n_steps=5)
    return _flat(*draws.units, lesioned, made["scores"], made["entropies"])


def matched_draws() -> list[float]:
    rng = np.random.default_rng(8)
    correlations = {}
    for name, n_units in (("1", 10), ("3", 8)):
        half = np.triu(rng.random((n_units, n_units)), 1)
        correlations[name] = half + half.T
    found = draw_matched(_partition(), correlations, 3, tolerance=0.02, seed=0)
    return _flat(*found.draws.units, found.correlations, found.matched)


def double_lesions() -> list[float]:
    drawn = draw_counterparts(_partition(), 2, seed=0)
    joint = joint_lesions(_network(), *_images(), drawn)
    second = conditional_lesions(_network(), *_images(), _partition(), drawn, 1, seed=0)
    return _flat(joint.baseline, joint.lesioned, second.baseline, second.lesioned)


def untrained() -> list[float]:
    settings = NetworkSettings(dataset="golden", hidden=(9, 6), module_distance=0.5)
    options = {"seed": 3, "dtype": "float64", "conventions": PAPER}
    return [initial_ncut(settings, (1, 3, 4), 3, 3, **options)]


def activations_ncuts() -> list[float]:
    weights = without_pixels(weight_graph(_network()))
    activations = activation_graph(_network(), _images()[0], activation_values="after")
    ncuts = compared_ncuts(weights, activations, 3, n_shuffles=3, seed=0)
    return _flat(*ncuts.values())


def ablations() -> list[float]:
    x, y = _images()
    others = torch.from_numpy(other_images(len(x), 0))
    draws = draw_counterparts(_partition(), 2, seed=0)
    found = replaced_accuracies(_network(), x, y, draws, lambda value: value[others], n_classes=3)
    fitted = optimal_constants(_network(), x, y, draws.lesions(), n_steps=5)
    optimal = constant_accuracies(_network(), x, y, draws, fitted.constants, n_classes=3)
    refined = refined_loss(_network(), x, y, draws.lesions()[0], fitted.constants[0])
    return _flat(
        found.baseline,
        found.lesioned,
        *fitted.constants,
        fitted.losses,
        fitted.start_losses,
        optimal.lesioned,
        refined,
    )


def penalty() -> list[float]:
    settings = NetworkSettings(dataset="golden", hidden=(6, 5), batch_size=16)
    module = build_network(settings, (1, 3, 4), 3, seed=5, dtype="float64")
    start = TrainedNetwork(module, {})
    blocks = [np.arange(size) % 2 for size in (12, 6, 5, 3)]
    shared = {"n_epochs": 2, "seed": 5, "device": "cpu"}
    networks = [
        train_further(start, settings, _dataset(), extra_loss=extra_loss, **shared)
        for extra_loss in (None, eigenvalue_penalty(3, 3), block_penalty(blocks))
    ]
    return [number for network in networks for number in _numbers(network)]


def learning_curve() -> list[float]:
    shared = {"dataset": "golden", "n_epochs": 2, "n_pruning_epochs": 2, "batch_size": 16}
    settings = NetworkSettings(hidden=(6, 5), **shared)
    options = {"seed": 5, "dtype": "float64", "device": "cpu"}
    states = trained_by_epoch(settings, _dataset(), (0, 1, 2, 3), **options)
    return [
        float(weight.abs().sum())
        for epoch in sorted(states)
        for weight in states[epoch].module.state_dict().values()
    ]


def _downstream_graph() -> list[float]:
    return _flat(downstream_graph(_network(), _images()[0][:20]).adjacency)


STAGES = {
    "training": training,
    "pruning": pruning,
    "opening": opening,
    "graph": graph,
    "clustering": clustering,
    "clusterability": _clusterability,
    "draws": draws,
    "lesions": lesions,
    "feature_visualization": feature_visualization,
    "planted": planted,
    "calibration": calibration,
    "more_draws": more_draws,
    "matched_draws": matched_draws,
    "double_lesions": double_lesions,
    "ablations": ablations,
    "penalty": penalty,
    "learning_curve": learning_curve,
    "downstream_graph": _downstream_graph,
    "untrained": untrained,
    "activations_ncuts": activations_ncuts,
}


def main() -> None:
    content = {
        stage: {"version": VERSIONS[stage], "values": [float(f"{v:.10g}") for v in compute()]}
        for stage, compute in STAGES.items()
    }
    GOLDEN.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
