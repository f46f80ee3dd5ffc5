"""Replicates as they are after single epochs of one training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import nn

from localspec._utils.artifacts import Artifact
from localspec._utils.validation import check_integer, require
from localspec.conventions import Conventions
from localspec.data import Dataset
from localspec.networks import NetworkSettings, TrainedNetwork, build_network, prune, train
from localspec.pipeline import (
    PAPER_CHOICES,
    DerivedReplicate,
    LearningCurveSection,
    Replicate,
    open_replicates,
)

TRAINING, PRUNING = "training", "pruning"
PARTITIONING = "weights/global"


def trained_by_epoch(
    settings: NetworkSettings,
    dataset: Dataset,
    epochs: Sequence[int],
    *,
    seed: int,
    dtype: str = "float32",
    device: str = "auto",
    conventions: Conventions | str = "paper",
    progress: bool = False,
) -> dict[int, TrainedNetwork]:
    """Train a network once, and prune it if its settings say so; return it after some epochs.

    Parameters
    ----------
    settings : NetworkSettings
    dataset : Dataset
    epochs : sequence of int
        Numbers of epochs done; those of pruning are counted on from those of training. After 0
        epochs a network has its initial weights.
    seed : int
    dtype : {"float32", "float64"}, optional
    device : {"auto", "cpu", "cuda"}, optional
    conventions : Conventions or str
    progress : bool, optional

    Returns
    -------
    dict of int to TrainedNetwork
        By number of epochs; without a history.

    Raises
    ------
    InvalidInputError
        If there are not so many epochs, or training cannot be done or diverges.
    """
    n_epochs = settings.n_epochs + settings.n_pruning_epochs
    for epoch in epochs:
        check_integer("epochs", epoch, 0, n_epochs)
    states = {}

    def keep(epoch: int, module: nn.Module) -> None:
        if epoch in epochs:
            module = copy.deepcopy(module).to(memory_format=torch.contiguous_format)
            states[epoch] = TrainedNetwork(module.eval().requires_grad_(False), {})

    keep(0, build_network(settings, dataset.image_shape, dataset.n_outputs, seed=seed, dtype=dtype))
    if max(epochs) > 0:
        trained = train(
            settings,
            dataset,
            seed=seed,
            dtype=dtype,
            device=device,
            conventions=conventions,
            after_epoch=keep,
            progress=progress,
        )
    if max(epochs) > settings.n_epochs:

        def keep_pruned(epoch: int, module: nn.Module) -> None:
            keep(settings.n_epochs + epoch, module)

        prune(
            trained,
            settings,
            dataset,
            seed=seed,
            device=device,
            conventions=conventions,
            after_epoch=keep_pruned,
            progress=progress,
        )
    return states


class EpochReplicate(DerivedReplicate):
    """A network of a profile as it is after some epochs of its training.

    Parameters
    ----------
    start : Replicate
        The network after all of them.
    epoch : int
        Number of epochs done; those of pruning are counted on from those of training.
    states : callable
        Returns the networks after all epochs that are wanted, by number of epochs: trained once
        for all replicates that share it.
    """

    def __init__(
        self, start: Replicate, epoch: int, states: Callable[[], dict[int, TrainedNetwork]]
    ) -> None:
        super().__init__(start)
        self.epoch, self.states = epoch, states

    @property
    def phase(self) -> str:
        """Whether the network is being trained or pruned."""
        return PRUNING if self.epoch > self.settings.n_epochs else TRAINING

    @property
    def name(self) -> str:
        """The network, the epoch and the seed."""
        return f"{self.network}, epoch {self.epoch}, seed {self.seed}"

    def stored_network(self) -> Artifact:
        """Return the weights after the epoch."""
        return self._artifact(
            "learning_curve",
            lambda: self.states()[self.epoch].to_arrays(),
            {
                "epoch": self.epoch,
                "training": self.training_parameters(),
                "pruning": self.pruning_parameters(),
            },
        )


def open_epochs(section: LearningCurveSection, *, progress: bool = True) -> list[EpochReplicate]:
    """Return the network that a notebook's parameters name after each of the epochs.

    Parameters
    ----------
    section : LearningCurveSection
        Its epochs hold the last one of training.
    progress : bool, optional

    Returns
    -------
    list of EpochReplicate
        Seeds x epochs, these in ascending order.

    Raises
    ------
    InvalidInputError
        If the profile or its network does not exist, or has other epochs.
    """
    epochs = sorted(section.epochs)
    opened = []
    for whole in open_replicates(section, choices=PAPER_CHOICES, progress=progress):
        settings = whole.settings
        n_all = settings.n_epochs + settings.n_pruning_epochs
        require(
            settings.n_epochs in epochs and epochs[-1] <= n_all,
            f"epochs must hold the last one of training, {settings.n_epochs}, and none after "
            f"{n_all}, the last one of network {whole.network!r}; not be {epochs}",
        )
        states = _once(whole, epochs)
        opened += [EpochReplicate(whole, epoch, states) for epoch in epochs]
    return opened


def _once(whole: Replicate, epochs: Sequence[int]) -> Callable[[], dict[int, TrainedNetwork]]:
    """Return a function that trains when it is first called."""

    @cache
    def of_all_epochs() -> dict[int, TrainedNetwork]:
        return trained_by_epoch(
            whole.settings,
            whole.dataset,
            epochs,
            seed=whole.seed,
            dtype=whole.profile.dtype,
            device=whole.profile.device,
            conventions=whole.conventions,
            progress=whole.progress,
        )

    return of_all_epochs
