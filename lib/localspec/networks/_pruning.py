"""Pruning: set the smallest weights to zero, by a polynomial schedule."""

from __future__ import annotations

import copy

import torch
from torch import nn

from localspec._utils.checkpoints import Checkpoint
from localspec._utils.hardware import resolve_device
from localspec._utils.validation import check_integer, check_type, require
from localspec.conventions import Conventions, resolve
from localspec.data import Dataset
from localspec.networks._optimiser import kernels
from localspec.networks._settings import NetworkSettings
from localspec.networks._training import (
    AFTER_EPOCH,
    AfterEpoch,
    TrainedNetwork,
    check_arguments,
    check_function,
    check_reads,
    fit,
)

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

    `share_zero`, in [0, 1), is the share of weights to drop.
    """
    n_kept = weight.numel() - round(share_zero * weight.numel())
    strongest = weight.abs().flatten().topk(n_kept).indices
    mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[strongest] = True
    return mask.reshape(weight.shape)


class Pruner(nn.Module):
    """Hold the masks of all kernels of a network, and apply them.

    `n_steps` is the length of the schedule. Weights that have been dropped are zero at the next
    choice ("stay"), or as large as the optimiser's last step has made them ("return").

    Examples
    --------
    Half of four weights are dropped at first; then a step of the optimiser moves all of them.

    >>> def after_a_step(dropped_weights):
    ...     layer = nn.Linear(4, 1, bias=False)
    ...     layer.weight.data = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    ...     pruner = Pruner(layer, 1000, dropped_weights)
    ...     pruner(0)
    ...     layer.weight.data += torch.tensor([[-1.0, -2.5, 0.0, 2.0]])
    ...     pruner(10)
    ...     return layer.weight.tolist()
    >>> after_a_step("stay"), after_a_step("return")
    ([[3.0, 0.5, 0.0, 0.0]], [[3.0, 0.0, 0.0, 2.0]])
    """

    def __init__(self, network: nn.Module, n_steps: int, dropped_weights: str) -> None:
        super().__init__()
        self.weights, self.n_steps = kernels(network), n_steps
        self.stay = dropped_weights == "stay"
        for index, weight in enumerate(self.weights):
            self.register_buffer(f"mask{index}", torch.ones_like(weight, dtype=torch.bool))

    @torch.no_grad()
    def forward(self, step: int) -> None:
        """Set the kernels' smallest weights to zero after so many steps."""
        choose = step % N_STEPS_BETWEEN == 0 or step == self.n_steps
        for weight, mask in zip(self.weights, self.buffers(), strict=True):
            if choose:
                if self.stay:
                    weight.mul_(mask)
                mask.copy_(largest(weight, sparsity(step, self.n_steps)))
            weight.mul_(mask)


@torch.inference_mode(False)
@torch.enable_grad()
def prune(
    trained: TrainedNetwork,
    settings: NetworkSettings,
    dataset: Dataset,
    *,
    seed: int,
    device: str = "auto",
    conventions: Conventions | str = "paper",
    after_epoch: AfterEpoch | None = None,
    progress: bool = False,
    checkpoint: Checkpoint | None = None,
) -> TrainedNetwork:
    """Prune a trained network while training goes on, to 90 % sparsity.

    Parameters
    ----------
    trained : TrainedNetwork
        Left as it is; a copy is pruned.
    settings : NetworkSettings
        ``n_pruning_epochs`` sets the length; without ``pruning_penalties`` the penalties on
        weights end with training.
    dataset : Dataset
    seed : int
    device : {"auto", "cpu", "cuda"}, optional
    conventions : Conventions or str
        ``dropped_weights`` and ``l2_first_layer`` matter here.
    after_epoch : callable, optional
        See :func:`train`; the smallest weights are zero when it is called.
    progress : bool, optional
    checkpoint : Checkpoint, optional
        See ``fit``.

    Returns
    -------
    TrainedNetwork
        Each kernel, the first and last included, keeps its largest weights; biases are not
        pruned.

    Raises
    ------
    InvalidInputError
        If the network, the settings and the data set do not go together, or training diverges.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Networks and training"; the schedule is that of Zhu and Gupta
    (2017), arXiv:1710.01878.
    """
    check_type("trained", trained, TrainedNetwork, "train(settings, dataset, seed=0) returns one")
    seed = check_arguments(settings, dataset, seed, conventions, progress, checkpoint)
    check_integer("n_pruning_epochs of settings", settings.n_pruning_epochs, 1)
    check_function("after_epoch", after_epoch, AFTER_EPOCH)
    require(
        len(kernels(trained.module)) > 0,
        "the network has no dense layer (nn.Linear) and no convolution (nn.Conv2d) to prune",
    )
    module = copy.deepcopy(trained.module).to(resolve_device(device)).requires_grad_(True)
    dataset = dataset.to(resolve_device(device))
    check_reads(module, dataset)
    n_batches = -(-len(dataset.y_train) // settings.batch_size)
    if not settings.pruning_penalties:
        settings = settings.model_copy(update={"l1": 0.0, "l2": 0.0})
    n_steps = n_batches * settings.n_pruning_epochs
    pruner = Pruner(module, n_steps, resolve(conventions).dropped_weights)
    return fit(
        module,
        settings,
        dataset,
        n_epochs=settings.n_pruning_epochs,
        seed=seed,
        conventions=conventions,
        pruner=pruner,
        after_epoch=after_epoch,
        description="pruning",
        progress=progress,
        checkpoint=checkpoint,
    )
