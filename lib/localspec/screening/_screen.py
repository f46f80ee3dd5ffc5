"""Screen: cluster a network's units, test every group, rank them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from localspec._utils.validation import (
    check_flag,
    check_integer,
    check_real,
    check_seed,
    check_type,
    require,
    shown,
)
from localspec.clustering import (
    KINDS,
    MAX_DRAWS,
    Draws,
    Partition,
    activation_graph_traced,
    cluster,
    draw_counterparts,
    weight_graph_traced,
)
from localspec.conventions import Conventions, resolve
from localspec.data import check_class_labels, check_images
from localspec.exceptions import DegenerateDataWarning, InvalidInputError
from localspec.lesions import (
    LesionOptions,
    class_sizes,
    lesion_accuracies,
    lesion_draws_traced,
)
from localspec.measures import LESIONED, MEASURES, Assessment, assess, measure_named
from localspec.screening._report import Report
from localspec.statistics import at_most
from localspec.units import (
    Network,
    UnitMap,
    check_labels,
    check_logits,
    check_n_clusters,
    count_logits,
    trace_units,
)
from localspec.visualization import check_image_shape, visualize_traced

SCOPES = ("global", "local")
LAST_COLUMNS = ("evidence", "n_extreme")
LEAST_SKILL = 1 / 3  # of the way from chance to no mistake, below which a warning is given


def _check_data(
    unit_map: UnitMap, x: torch.Tensor, y: torch.Tensor, source: torch.Tensor
) -> np.ndarray:
    """Check images and labels; return the number of images of every class."""
    check_images(x)
    check_class_labels(y, len(x))
    if source is not x:
        check_images(source, name="x_train")
    if x.ndim == 2:
        raise InvalidInputError(
            "x must have shape (n_images, n_channels, height, width), since screen makes images "
            f"that excite units, and is a table of shape {tuple(x.shape)}: rows of pixels become "
            "images by x.reshape(-1, n_channels, height, width), with a torch.nn.Flatten before "
            "the network; for other inputs use weight_graph, cluster, lesion_draws and importance"
        )
    if x.ndim != 4 or source.shape[1:] != x.shape[1:]:
        raise InvalidInputError(
            "x and x_train must have shape (n_images, n_channels, height, width) and agree but for "
            f"n_images, not {tuple(x.shape)} and {tuple(source.shape)}"
        )
    if x.shape[1] not in (1, 3) and x.shape[3] in (1, 3):
        raise InvalidInputError(
            f"x of shape {tuple(x.shape)} has its channels last, where they should come before "
            "height and width: x.permute(0, 3, 1, 2)"
        )
    for name, images in (("images", x), ("x_train", source)):
        low, high = (float(value) for value in images.detach().aminmax())
        require(
            low >= 0 and high <= 1,
            f"{name} must lie in [0, 1], as visualizations do, not from {low:.3g} to {high:.3g}: "
            "divide by 255, or pass images before they are standardized and "
            "standardized(network, mean, std)",
        )
    check_labels(y, count_logits(unit_map, x))
    check_image_shape(tuple(x.shape[1:]))
    check_logits(unit_map)
    n_classes = int(y.max()) + 1
    require(n_classes > 1, "all labels are 0: coherence with classes needs images of two or more")
    return class_sizes(y, n_classes)


def _check_partitions(unit_map: UnitMap, partitions: Mapping[str, Partition]) -> None:
    """Refuse partitions that are not of this network."""
    require(
        isinstance(partitions, Mapping),
        "partitions must map names to partitions, such as {'mine': partition}, not be a "
        f"{type(partitions).__name__}",
    )
    require(len(partitions) > 0, "partitions must hold at least one, or be None for the four")
    for name, partition in partitions.items():
        require(isinstance(name, str), f"partitions are named by text, not by {shown(name)}")
        _check_partition(unit_map, name, partition)


def _check_partition(unit_map: UnitMap, name: str, partition: Partition) -> None:
    check_type(f"partition {name!r}", partition, Partition, "make one by Partition.from_labels")
    for part in partition.tested:
        layer = unit_map.layer(part.name)
        if not unit_map.readers_of(layer):
            raise InvalidInputError(
                f"partition {name!r} names layer {part.name!r}, whose units are the logits: only "
                "hidden layers are tested"
            )
        if part.n_units != layer.n_units:
            raise InvalidInputError(
                f"partition {name!r} has {part.n_units} labels for layer {part.name!r} of "
                f"{layer.n_units} units: label every unit, -1 for those that take no part"
            )


def _partitions(
    unit_map: UnitMap,
    x: torch.Tensor,
    conventions: Conventions,
    *,
    n_clusters: int,
    n_images: int,
    seed: int,
) -> dict[str, Partition]:
    """Cluster the network in all four ways, its activations on some of the images."""
    rng = np.random.default_rng(seed)
    chosen = torch.from_numpy(np.sort(rng.permutation(len(x))[:n_images]))
    graphs = {
        "weights": weight_graph_traced(unit_map, conventions),
        "activations": activation_graph_traced(unit_map, x[chosen], conventions),
    }
    return {
        f"{kind}/{scope}": cluster(
            graphs[kind], n_clusters, scope=scope, seed=seed, conventions=conventions
        )
        for kind in KINDS
        for scope in SCOPES
    }


def _rows(name: str, draws: Draws, assessed: dict[str, Assessment], level: float) -> list[dict]:
    rows = []
    for index, part in enumerate(draws.subclusters):
        row = {"partitioning": name, "layer": part.layer, "cluster": part.cluster}
        row["n_units"] = part.n_units
        for measure, assessment in assessed.items():
            row[measure] = float(assessment.measure.values[0, index])
            row[f"{measure}_p"] = float(assessment.p_values[index])
        p_values = np.array([assessment.p_values[index] for assessment in assessed.values()])
        row["evidence"] = float(-np.nansum(np.log(p_values)))
        row["n_extreme"] = int(at_most(p_values, level).sum())
        rows.append(row)
    return rows


def _try_out(unit_map: UnitMap, x: torch.Tensor, conventions: Conventions) -> None:
    """Lesion a unit of every layer on two images and take one step of visualization."""
    targets = [{layer.name: np.array([0])} for layer in unit_map.tested]
    x, y = x[:2], torch.zeros(len(x[:2]), dtype=torch.int64)  # labels do not matter
    try:
        lesion_accuracies(unit_map, x, y, targets, conventions=conventions)
        visualize_traced(unit_map, targets, tuple(x.shape[1:]), n_steps=1)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise InvalidInputError(
            f"the network fails on parts of a forward pass, tried with two images ({error}): its "
            "operations must work for any number of images, and have gradients"
        ) from error


def _baseline(unit_map: UnitMap, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the accuracy without a lesion, averaged over classes; warn where it is near chance."""
    (accuracies,) = lesion_accuracies(unit_map, x, y, [{}])
    accuracy, chance = float(accuracies.mean()), 1 / len(accuracies)
    if accuracy < chance + LEAST_SKILL * (1 - chance):
        warnings.warn(
            f"the network's accuracy is {accuracy:.3g}, where chance is {chance:.3g}: lesions can "
            "show little. If it should be higher, are the labels in its order, and were its "
            "training images standardized? Then pass standardized(network, mean, std)",
            DegenerateDataWarning,
            stacklevel=3,
        )
    return accuracy


def screen(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    x_train: torch.Tensor | None = None,
    n_clusters: int = 6,
    partitions: Mapping[str, Partition] | None = None,
    n_draws: int = 19,
    n_images: int = 4992,
    seed: int = 0,
    level: float = 0.05,
    conventions: Conventions | str = "paper",
    progress: bool = False,
) -> Report:
    """Screen a network for groups of units worth understanding.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
        A classifier in evaluation mode that :func:`localspec.units.trace_units` can trace; it
        reads images in [0, 1] of shape (n_channels, height, width); see :func:`standardized`.
    x : torch.Tensor, shape (n_images, n_channels, height, width)
        Images that were not trained on, for lesions.
    y : torch.Tensor of int, shape (n_images,)
    x_train : torch.Tensor, shape (n_images, n_channels, height, width), optional
        Images for correlations of activations; by default `x`.
    n_clusters : int, optional
    partitions : mapping of str to Partition, optional
        Groups of one's own, see :meth:`localspec.clustering.Partition.from_labels`, by any names;
        by default those of the four partitionings.
    n_draws : int, optional
        Random counterparts of each subcluster; p cannot fall below ``1 / (2 n_draws + 2)``
        under the mid rule.
    n_images : int, optional
        Random images of `x_train` used for correlations.
    seed : int, optional
    level : float, optional
        What counts as extreme in ``n_extreme``; no correction for the number of subclusters.
    conventions : Conventions or str, optional
        All but those of training.
    progress : bool, optional

    Returns
    -------
    Report

    Raises
    ------
    InvalidInputError
        If the network cannot be traced, its trace does not compute what it does, two images do not
        pass all steps, or data or settings do not fit; before long work.

    Warns
    -----
    DegenerateDataWarning
        If the network's accuracy is near chance, or there is no subcluster to test.
    """
    conventions = resolve(conventions)
    n_clusters = check_integer("n_clusters", n_clusters, 2)
    n_draws = check_integer("n_draws", n_draws, 1, MAX_DRAWS)
    n_images = check_integer("n_images", n_images, 3)
    seed = check_seed(seed)
    check_real("level", level, 0, 1)
    check_flag("progress", progress)
    unit_map = trace_units(network, conventions=conventions)
    source = x if x_train is None else x_train
    sizes = _check_data(unit_map, x, y, source)
    lesion_options = LesionOptions(conventions=conventions, progress=progress)
    if partitions is None:
        check_n_clusters(unit_map, n_clusters)
        weight_graph_traced(unit_map, conventions)  # refuses gates
        varied = bool((source != source[:1]).any())
        require(varied, "no unit varies over these images: they are all the same")
        require(len(source) >= 3, f"correlations need at least 3 images, not {len(source)}")
    else:
        _check_partitions(unit_map, partitions)
    _try_out(unit_map, x, conventions)
    baseline = _baseline(unit_map, x, y)
    if partitions is None:
        partitions = _partitions(
            unit_map, source, conventions, n_clusters=n_clusters, n_images=n_images, seed=seed
        )
    image_shape = tuple(x.shape[1:])
    rows: list[dict] = []
    tests: list[dict] = []
    drawn: dict[str, Draws] = {}
    assessments: dict[tuple[str, str], Assessment] = {}
    for index, (name, partition) in enumerate(partitions.items()):
        draws = draw_counterparts(partition, n_draws, seed=(seed, index), conventions=conventions)
        if not draws.subclusters:
            warnings.warn(
                f"partition {name!r} has no subcluster to test: each has too few or too many of "
                "its layer's units; try another n_clusters",
                DegenerateDataWarning,
                stacklevel=2,
            )
        accuracies = lesion_draws_traced(unit_map, x, y, draws, sizes, lesion_options)
        images = visualize_traced(
            unit_map, draws.lesions(), image_shape, seed=seed, progress=progress
        ).arranged(draws)
        assessed = {}
        for measure in MEASURES:
            evidence = accuracies if measure in LESIONED else images
            values = measure_named(measure, evidence, conventions=conventions)
            assessed[measure] = assess(values, conventions=conventions, seed=seed)
        rows += _rows(name, draws, assessed, level)
        for measure, assessment in assessed.items():
            tests.append(
                {
                    "partitioning": name,
                    "measure": measure,
                    "n_subclusters": len(assessment.p_values),
                    "permutation_p": float(assessment.permutation.pvalue),
                }
            )
            assessments[name, measure] = assessment
        drawn[name] = draws
    parts = ("partitioning", "layer", "cluster", "n_units")
    columns = [*parts, *(f"{m}{end}" for m in MEASURES for end in ("", "_p")), *LAST_COLUMNS]
    table = pd.DataFrame(rows, columns=columns)
    if len(table):
        order = table.assign(evidence=table["evidence"].round(9)).sort_values(
            ["n_extreme", "evidence"], ascending=False, kind="stable"
        )
        table = order.reset_index(drop=True)
    return Report(
        table=table,
        tests=pd.DataFrame(tests),
        partitions=dict(partitions),
        draws=drawn,
        assessments=assessments,
        baseline=baseline,
    )
