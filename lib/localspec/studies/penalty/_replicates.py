"""Replicates that are trained further, with a penalty or without."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from localspec._utils.artifacts import Artifact
from localspec._utils.validation import check_option, require
from localspec.networks import TrainedNetwork, train_further
from localspec.pipeline import (
    PAPER_CHOICES,
    DerivedReplicate,
    PenaltySection,
    Replicate,
    open_replicates,
)
from localspec.studies.penalty._penalties import Penalty, block_penalty, eigenvalue_penalty

NO_PENALTY, NCUT, BLOCKS = "no penalty", "n-cut", "blocks"
WAYS = (NO_PENALTY, NCUT, BLOCKS)
PARTITIONING = "weights/global"


def start_blocks(start: Replicate) -> list[np.ndarray]:
    """Return the cluster of every unit of a network before further training, layer by layer."""
    partition = start.partition(PARTITIONING)
    return [partition.labels[layer.units] for layer in partition.layers]


def start_penalty(start: Replicate, way: str, n_refresh: int) -> Penalty:
    """Return the penalty of one way of training a network further.

    Its clusters are the blocks, and their number is that of the eigenvalues.
    """
    if check_option("way", way, (NCUT, BLOCKS)) == NCUT:
        return eigenvalue_penalty(start.n_clusters, n_refresh)
    return block_penalty(start_blocks(start))


class PenalizedReplicate(DerivedReplicate):
    """A network of a profile that is trained further.

    Parameters
    ----------
    start : Replicate
        The network before: a multilayer perceptron without batch normalization.
    way : {"no penalty", "n-cut", "blocks"}
        See :func:`start_penalty`.
    weight : float
        Of the penalty; 0 without one.
    n_epochs : int
        Of further training.
    n_refresh : int
        Steps from one computation of eigenvectors to the next.

    Raises
    ------
    InvalidInputError
        If there is no such way, or the network is none of these.
    """

    def __init__(
        self, start: Replicate, way: str, *, weight: float, n_epochs: int, n_refresh: int
    ) -> None:
        super().__init__(start)
        check_option("way", way, WAYS)
        settings = start.settings
        require(
            settings.architecture == "mlp" and settings.batch_norm == "none",
            f"network {start.network!r}: penalties are for multilayer perceptrons without batch "
            "normalization; name another network",
        )
        self.way, self.weight = way, weight
        self.n_epochs, self.n_refresh = n_epochs, n_refresh

    @property
    def name(self) -> str:
        """The network, how it was trained further, and the seed."""
        return f"{self.network}, {self.way}, seed {self.seed}"

    def stored_network(self) -> Artifact:
        """Return the weights after further training."""

        def fit(**options: Any) -> TrainedNetwork:
            extra_loss = None
            if self.way != NO_PENALTY:
                penalty = start_penalty(self.start, self.way, self.n_refresh)

                def extra_loss(kernels: Sequence[torch.Tensor], step: int) -> torch.Tensor:
                    return self.weight * penalty(kernels, step)

            return train_further(
                self.start.trained,
                self.settings,
                self.dataset,
                n_epochs=self.n_epochs,
                extra_loss=extra_loss,
                **options,
            )

        parameters = {
            "result": "network",
            "way": self.way,
            "weight": self.weight,
            "n_epochs": self.n_epochs,
            "n_refresh": self.n_refresh,
            "n_clusters": self.n_clusters,
            **self._fit_settings(),
        }
        inputs = (self.start.stored_network().key, self.start.stored_partition(PARTITIONING).key)
        return self._fitted("penalty", fit, parameters, inputs)


def gradient_norms(start: Replicate) -> dict[str, float]:
    """Return how strongly the loss and each penalty pull at the kernels where training goes on.

    Parameters
    ----------
    start : Replicate

    Returns
    -------
    dict of str to float
        Norms of gradients with respect to all kernels together: of cross-entropy, the mean over
        the batches of the first epoch; of each penalty. Stored.
    """

    def compute() -> dict[str, np.ndarray]:
        module = copy.deepcopy(start.trained.module).requires_grad_(True)
        data = start.dataset
        kernels = [value for name, value in module.named_parameters() if name.endswith("weight")]
        order = torch.randperm(
            len(data.y_train), generator=torch.Generator().manual_seed(start.seed)
        )

        def norm(loss: torch.Tensor) -> float:
            gradients = torch.autograd.grad(loss, kernels)
            return float(torch.cat([each.flatten() for each in gradients]).norm())

        device = kernels[0].device
        batches = [
            norm(F.cross_entropy(module(x.to(device)), y.to(device).long()))
            for x, y in (
                (data.x_train[batch], data.y_train[batch])
                for batch in order.split(start.settings.batch_size)
            )
        ]
        norms = [norm(start_penalty(start, way, 1)(kernels, 0)) for way in (NCUT, BLOCKS)]
        return {"norms": np.array([np.mean(batches), *norms])}

    norms = start.stored(
        "penalty",
        dict,
        compute,
        parameters={
            "result": "gradients",
            "seed": start.seed,
            "n_clusters": start.n_clusters,
            "batch_size": start.settings.batch_size,
        },
        inputs=(start.stored_network().key, start.stored_partition(PARTITIONING).key),
    )["norms"]
    return dict(zip(("cross-entropy", NCUT, BLOCKS), norms.tolist(), strict=True))


def open_penalized(section: PenaltySection, *, progress: bool = True) -> list[PenalizedReplicate]:
    """Return the networks that a notebook's parameters name, trained further in every way.

    Parameters
    ----------
    section : PenaltySection
    progress : bool, optional

    Returns
    -------
    list of PenalizedReplicate
        Networks x seeds x ways.

    Raises
    ------
    InvalidInputError
        If the profile or one of its networks does not exist, or is no multilayer perceptron.
    """
    starts = open_replicates(section, choices=PAPER_CHOICES, progress=progress)
    weights = {NO_PENALTY: 0.0, NCUT: section.ncut_weight, BLOCKS: section.block_weight}
    return [
        PenalizedReplicate(
            start,
            way,
            weight=weights[way],
            n_epochs=section.n_epochs,
            n_refresh=section.n_refresh,
        )
        for start, way in itertools.product(starts, WAYS)
    ]
