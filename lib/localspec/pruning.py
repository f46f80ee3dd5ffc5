"""Magnitude pruning with a polynomial schedule."""

from __future__ import annotations

import copy

import torch
from torch import nn

from localspec.conventions import Conventions
from localspec.data import Dataset
from localspec.networks import resolve_device
from localspec.profiles import NetworkSettings
from localspec.training import TrainedNetwork, fit, kernels

STAGE_VERSION = 1
FINAL_SPARSITY, INITIAL_SPARSITY = 0.9, 0.5
N_STEPS_BETWEEN = 10


def sparsity(step: int, n_steps: int) -> float:
    """Return the share of weights that are zero after a step of the schedule.

    Examples
    --------
    >>> [round(sparsity(step, 100), 4) for step in (0, 50, 100)]
    [0.5, 0.85, 0.9]
    """
    left = 1 - min(step, n_steps) / n_steps
    return FINAL_SPARSITY - (FINAL_SPARSITY - INITIAL_SPARSITY) * left**3


def largest(weight: torch.Tensor, share_zero: float) -> torch.Tensor:
    """Return a mask that keeps a kernel's weights of largest magnitude.

    Parameters
    ----------
    weight : torch.Tensor
    share_zero : float
        Share of weights to drop, in [0, 1).

    Returns
    -------
    torch.Tensor of bool, shape of `weight`
    """
    n_kept = weight.numel() - round(share_zero * weight.numel())
    kept = weight.abs().flatten().topk(n_kept).indices
    mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[kept] = True
    return mask.reshape(weight.shape)


class _Pruner:
    """Hold the masks of all kernels, and apply them before every step and test."""

    def __init__(self, module: nn.Module, n_steps: int) -> None:
        self.weights, self.n_steps = kernels(module), n_steps
        self.masks = [torch.ones_like(weight, dtype=torch.bool) for weight in self.weights]

    @torch.no_grad()
    def __call__(self, step: int) -> None:
        if step % N_STEPS_BETWEEN == 0 or step == self.n_steps:
            share = sparsity(step, self.n_steps)
            self.masks = [largest(weight, share) for weight in self.weights]
        for weight, mask in zip(self.weights, self.masks, strict=True):
            weight.mul_(mask)


def prune(
    trained: TrainedNetwork,
    settings: NetworkSettings,
    dataset: Dataset,
    *,
    seed: int,
    device: str = "auto",
    conventions: Conventions | str = "paper",
    progress: bool = False,
) -> TrainedNetwork:
    """Prune a trained network while training goes on, to 90 % sparsity.

    Parameters
    ----------
    trained : TrainedNetwork
        Left as it is; a copy is pruned.
    settings : NetworkSettings
        ``n_pruning_epochs`` sets the length.
    dataset : Dataset
    seed : int
    device : {"auto", "cpu", "cuda"}, optional
    conventions : Conventions or str
    progress : bool, optional

    Returns
    -------
    TrainedNetwork
        Each kernel, the first and last included, keeps its largest weights; biases are not
        pruned.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Networks and training".
    """
    module = copy.deepcopy(trained.module).to(resolve_device(device)).requires_grad_(True)
    dataset = dataset.to(resolve_device(device))
    n_batches = -(-len(dataset.y_train) // settings.batch_size)
    pruner = _Pruner(module, n_batches * settings.n_pruning_epochs)
    return fit(
        *(module, settings, dataset),
        n_epochs=settings.n_pruning_epochs,
        seed=seed,
        conventions=conventions,
        before_use=pruner,
        description="pruning",
        progress=progress,
    )
