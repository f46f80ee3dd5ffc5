"""Screen: cluster a network's units, test every group, rank them."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from localspec._utils.hardware import machine
from localspec.clustering import Draws, Partition, draw_counterparts
from localspec.conventions import Conventions
from localspec.exceptions import DegenerateDataWarning
from localspec.lesions import LesionedAccuracies
from localspec.measures import (
    LESIONED,
    MEASURES,
    VISUALIZED,
    Measure,
    assess,
    least_change,
    measure_named,
)
from localspec.screening._bar import Bar
from localspec.screening._data import drawing_by
from localspec.screening._evidence import Evidence, SequentialDraws, shown_images
from localspec.screening._prepare import Prepared, prepare
from localspec.screening._report import Report
from localspec.screening._run import Run
from localspec.screening._settings import MAX_MEMORY, PARTITIONINGS, Settings
from localspec.screening._tables import group_table, near_chance, tests_table
from localspec.statistics import sequential_p_values
from localspec.units import HookedUnits, Network, checked_module
from localspec.visualization import Visualizations

MUCH_DAMAGE = 0.2  # of accuracy, which few lesions cost


def _warn_near_chance(accuracy: float, chance: float) -> None:
    if near_chance(accuracy, chance):
        warnings.warn(
            f"the network's accuracy is {accuracy:.3g}, where chance is {chance:.3g}: lesions can "
            "show little. If it should be higher, are the labels in its order, and were its "
            "training images standardized? Then pass preprocess=(mean, std) or "
            "standardized(network, mean, std)",
            DegenerateDataWarning,
            stacklevel=3,
        )


def _warn_few_images(settings: Settings, class_sizes: np.ndarray) -> None:
    """Warn where class coherence will be defined for few groups."""
    sizes = class_sizes[class_sizes > 0]
    needed = least_change(sizes)
    always = settings.conventions.undefined_ranges == "released"  # unless nothing changes
    if "class_coherence" in settings.measures and needed > MUCH_DAMAGE and not always:
        warnings.warn(
            f"the classes have {np.median(sizes):.3g} images (median): class "
            f"coherence is defined only where a lesion changes the accuracy by {needed:.0%} or "
            "more, so for few groups or none. Pass more images of each class, or measures without "
            "'class_coherence'",
            DegenerateDataWarning,
            stacklevel=3,
        )


def _measures(
    accuracies: LesionedAccuracies | None,
    images: Visualizations | None,
    names: Sequence[str],
    conventions: Conventions,
) -> dict[str, Measure]:
    """Return the measures asked for."""
    return {
        name: measure_named(
            name, accuracies if name in LESIONED else images, conventions=conventions
        )
        for name in names
    }


def _decided(
    run: Run,
    index: int,
    partition: Partition,
    measures: dict[str, Measure],
    accuracies: LesionedAccuracies | None,
    max_draws: int,
) -> dict[str, SequentialDraws]:
    """Draw for every group until its p-values are decided.

    Measures of the same evidence take the same draws. Each round draws with a generator of its
    own, seeded by the seed, the partition and the number of the round.
    """
    decided = {}
    for family in (LESIONED, VISUALIZED):
        names = [name for name in measures if name in family]
        if not names or not measures[names[0]].values.shape[1]:
            continue
        values = np.stack([measures[name].values for name in names])

        def further(
            number: int,
            chosen: np.ndarray,
            n: int,
            names: list[str] = names,
            values: np.ndarray = values,
        ) -> np.ndarray:
            draws = draw_counterparts(
                partition, n, seed=(run.seed, index, number), conventions=run.conventions
            ).chosen(chosen)
            lesioned, images = None, None
            if names[0] in LESIONED:
                lesioned = replace(accuracies, lesioned=run.further_lesions(draws))
            else:
                images = run.further_visualizations(draws)
            drawn = _measures(lesioned, images, names, run.conventions)
            # a draw of the true units ties with them, whatever else was computed beside it
            stacked = np.stack([drawn[name].values for name in names])
            return np.where(draws.are_true, values[:, :1, chosen], stacked)

        results = sequential_p_values(
            values[:, 0],
            values[:, 1:],
            further,
            [measures[name].side for name in names],
            max_draws=max_draws,
            undefined=run.conventions.undefined_ranges,
        )
        for name, groups in zip(names, results, strict=True):
            n_draws = np.array([group.n_draws for group in groups])
            drawn = np.full((n_draws.max(), len(groups)), np.nan)
            for column, group in enumerate(groups):
                drawn[: group.n_draws, column] = group.null_distribution
            p_values = np.array([group.pvalue for group in groups])
            decided[name] = SequentialDraws(p_values, n_draws, drawn)
    return decided


def _about(
    network: Network, settings: Settings, prepared: Prepared, started: float
) -> dict[str, Any]:
    """Return what a report says of itself."""
    run = prepared.run
    module = checked_module(network)
    labels = np.flatnonzero(run.has_images).tolist()
    seconds = {name: round(value, 3) for name, value in run.times.items()}
    return {
        "network": type(module).__name__,
        "n_parameters": sum(part.numel() for part in module.parameters()),
        "layers": [[layer.name, layer.n_units] for layer in run.unit_map.tested],
        "hooked": isinstance(run.unit_map, HookedUnits),
        "untraced": prepared.untraced,
        "n_images": len(run.x),
        "n_images_correlated": None if run.source is None else len(run.source),
        "image_shape": list(run.x.shape[1:]),
        "n_classes": prepared.n_logits,
        "labels": labels,
        "class_sizes": run.class_sizes[labels].tolist(),
        "class_names": [prepared.class_names[label] for label in labels],
        "chance": 1 / prepared.n_logits,
        "settings": settings.as_json(),
        "versions": {
            "localspec": version("localspec"),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "device": str(run.unit_map.device),
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "seconds": seconds | {"all": round(time.perf_counter() - started, 3)},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def screen(
    network: Network,
    data: object,
    *,
    x_train: object = None,
    n_clusters: int = 6,
    partitions: Mapping[str, Partition] | None = None,
    partitionings: Sequence[str] | None = None,
    layers: Sequence[str] | None = None,
    measures: Sequence[str] = MEASURES,
    n_draws: int = 19,
    max_draws: int | None = None,
    n_images: int = 4992,
    seed: int = 0,
    level: float = 0.05,
    conventions: Conventions | str = "paper",
    class_names: Sequence[str] | None = None,
    preprocess: object = None,
    device: str | torch.device | None = None,
    precision: str = "full",
    max_memory: int = MAX_MEMORY,
    folder: str | Path | None = None,
    progress: bool = False,
) -> Report:
    """Screen a network for groups of units worth understanding.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
        A classifier in evaluation mode. It reads images in [0, 1] of shape (n_channels, height,
        width), or standardized ones: see `preprocess`. Where
        :func:`localspec.units.trace_units` refuses it, its units are the outputs of its modules,
        as :func:`localspec.units.hook_units` finds them.
    data : tuple, torch.utils.data.DataLoader, torch.utils.data.Dataset or Dataset
        Images that were not trained on, with labels: ``(x, y)``, tensors of shapes (n_images,
        n_channels, height, width) and (n_images,); a loader or a data set of such pairs, read once
        and in order, or a loader whose ``collate_fn`` makes them of other items; or a
        :class:`localspec.data.Dataset`, of which the test images are lesioned and the training
        images correlated. Classes without images are left out of the accuracy, which is averaged
        over classes.
    x_train : torch.Tensor or as `data`, optional
        Images for correlations of activations; by default those of `data`.
    n_clusters : int, optional
        Clusters of the whole network; the units that a layer has in one cluster are a group. The
        paper takes 16 for networks on MNIST and CIFAR-10, and 32 for those on ImageNet. Take more
        where groups are too large to look at, fewer where many have one unit and are not tested.
    partitions : mapping of str to Partition, optional
        Groups of one's own, see :meth:`localspec.clustering.Partition.from_labels`, by any names,
        in place of the partitionings.
    partitionings : sequence of str, optional
        Some of ``"weights/global"``, ``"weights/local"``, ``"activations/global"`` and
        ``"activations/local"``; by default all, of units of modules those from activations.
    layers : sequence of str, optional
        Hidden layers whose groups are tested; by default the convolutions, or the dense layers of
        a network without any. The weights graph has the others as well. Of a network that is not
        traced: names of modules, by default those of :func:`localspec.units.hook_units`.
    measures : sequence of str, optional
        Some of ``"importance"``, ``"class_coherence"``, ``"input_coherence"`` and
        ``"output_coherence"``; by default all.
    n_draws : int, optional
        Random counterparts of each subcluster; p cannot fall below ``1 / (2 n_draws + 2)``
        under the mid rule.
    max_draws : int, optional
        Draw on for each subcluster until 10 draws are at least as extreme in each measure, or so
        many are drawn: p is then sequential, and cannot fall below ``1 / (max_draws + 1)``. Tests
        of partitionings are those of the first `n_draws`.
    n_images : int, optional
        Random images of `x_train` used for correlations.
    seed : int, optional
        Of clustering, draws and images, and of samplers of loaders that draw images.
    level : float, optional
        What counts as extreme in ``n_extreme``; no correction for the number of subclusters.
    conventions : Conventions or str, optional
        All but those of training.
    class_names : sequence of str, optional
        One for each logit; by default those of `preprocess` or of `data`, else numbers.
    preprocess : pair, mapping, transform or weights, optional
        How images were standardized in training: (mean, std); a mapping with both, such as a
        model's ``pretrained_cfg`` in timm; weights of torchvision or their transform. The network
        is then wrapped, see :func:`standardized`, so that the names of its layers begin with
        ``network.``, and standardized images of `data` are taken back into [0, 1].
        Images of PIL pass the transform first.
    device : str or torch.device, optional
        Where to compute, on a copy; by default where the network is.
    precision : {"full", "bfloat16"}, optional
        Of lesions; bfloat16 is faster on devices that have it, and no longer exact.
    max_memory : int, optional
        Bytes that images may take in memory, 2 GiB by default. More lie in a file of `folder`
        (else of the system's folder for temporary files), and need as much of its disk.
    folder : str or Path, optional
        Keeps the results of every step, so that a run that was killed goes on where it was when it
        is called again with the same network, data and settings.
    progress : bool, optional
        Show a bar that names the step and counts passes of images through the network.

    Returns
    -------
    Report

    Raises
    ------
    InvalidInputError
        If the network can be neither traced nor hooked, or not traced where partitionings of its
        weights are asked for; if two images do not pass all steps, or data or settings do not fit;
        before long work.

    Warns
    -----
    DegenerateDataWarning
        If the network's accuracy is near chance, classes have so few images that class coherence
        is hardly ever defined, or there is no subcluster to test.

    References
    ----------
    Hod et al., arXiv:2110.08058.
    """
    started = time.perf_counter()
    settings = Settings(
        x_train=x_train,
        n_clusters=n_clusters,
        partitions=partitions,
        partitionings=partitionings,
        layers=layers,
        measures=measures,
        n_draws=n_draws,
        max_draws=max_draws,
        n_images=n_images,
        seed=seed,
        level=level,
        conventions=conventions,
        class_names=class_names,
        preprocess=preprocess,
        device=device,
        precision=precision,
        max_memory=max_memory,
        folder=folder,
        progress=progress,
    ).checked()
    bar = Bar(settings.progress)
    with closing(bar), drawing_by(settings.seed):
        prepared = prepare(network, data, settings, bar)
        settings = prepared.settings
        _warn_few_images(settings, prepared.run.class_sizes)
        baseline = prepared.run.baseline()
        _warn_near_chance(float(baseline.mean()), 1 / prepared.n_logits)
        clustered = partitions or {
            name: prepared.run.partition(name, settings.n_clusters)
            for name in settings.partitionings
        }
        drawn = _drawn(clustered, settings)
        report = _tested(prepared, settings, clustered, drawn, baseline)
        about = _about(network, settings, prepared, started)
    return replace(report, about=about)


def _index(name: str, settings: Settings) -> int:
    """Return the number of a partition that seeds its draws, whichever others are asked for."""
    names = PARTITIONINGS if settings.partitions is None else settings.partitions
    return list(names).index(name)


def _drawn(partitions: Mapping[str, Partition], settings: Settings) -> dict[str, Draws]:
    """Draw random counterparts of every group; warn where a partition has none."""
    drawn = {}
    for name, partition in partitions.items():
        drawn[name] = draw_counterparts(
            partition,
            settings.n_draws,
            seed=(settings.seed, _index(name, settings)),
            conventions=settings.conventions,
        )
        if not drawn[name].subclusters:
            warnings.warn(
                f"partition {name!r} has no subcluster to test: each has too few or too many of "
                "its layer's units; try another n_clusters",
                DegenerateDataWarning,
                stacklevel=3,
            )
    return drawn


def _tested(
    prepared: Prepared,
    settings: Settings,
    partitions: Mapping[str, Partition],
    drawn: Mapping[str, Draws],
    baseline: np.ndarray,
) -> Report:
    """Test every group of every partition."""
    run, names = prepared.run, settings.measures
    lesioned = any(name in LESIONED for name in names)
    visualized = any(name in VISUALIZED for name in names)
    planned = sum(run.n_passes(draws, lesioned, visualized) for draws in drawn.values())
    run.bar.expect(run.bar.n + planned)  # no total, and no share of it, was shown before
    assessments, evidence, sequential = {}, {}, {}
    for name, draws in drawn.items():
        n_groups = len(draws.subclusters)
        accuracies = run.lesioned(draws, baseline) if lesioned else None
        pictures = run.visualized(draws) if visualized else None
        images = None
        if pictures is not None:
            images = Visualizations(np.empty(0), pictures.scores, pictures.entropies)
        measures = _measures(accuracies, images, names, settings.conventions)
        for measure, values in measures.items():
            assessments[name, measure] = assess(
                values, conventions=settings.conventions, seed=settings.seed
            )
        if settings.max_draws is not None:
            decided = _decided(
                run,
                _index(name, settings),
                partitions[name],
                measures,
                accuracies,
                settings.max_draws,
            )
            for measure, part in decided.items():
                sequential[name, measure] = part
                assessments[name, measure] = replace(
                    assessments[name, measure], p_values=part.p_values
                )
        lost = np.zeros((draws.n_draws + 1, n_groups, 0))
        if accuracies is not None:
            lost = accuracies.baseline - accuracies.lesioned
        nothing = np.zeros((n_groups, 0, 0, 0), np.uint8)
        evidence[name] = Evidence(
            lost=lost[0],
            random_lost=lost[1:].mean(axis=0),
            pictures=nothing if pictures is None else pictures.pictures,
            random_pictures=nothing if pictures is None else pictures.random_pictures,
            excitations=run.excitations(draws),
        )
    named = [part.excitations.exciting.ravel() for part in evidence.values()]
    shown = shown_images(run.x, run.y, np.unique(np.concatenate(named)).astype(np.int64))
    return Report(
        table=group_table(drawn, assessments, names, settings.level),
        tests=tests_table(assessments),
        partitions=dict(partitions),
        draws=dict(drawn),
        assessments=assessments,
        baseline=float(baseline.mean()),
        evidence=evidence,
        sequential=sequential,
        shown=shown,
    )
