"""The optimiser: make one training step as Keras's Adam does, with penalties on kernels."""

from __future__ import annotations

import math

import torch
from torch import nn

from localspec.conventions import Conventions, resolve

BETAS = (0.9, 0.999)
EPSILON_HAT = 1e-7


class KerasAdam(torch.optim.Adam):
    """Adam with Keras's "epsilon-hat": added to sqrt(v) before the bias correction.

    PyTorch divides by ``sqrt(v / (1 - b2^t)) + eps``. Keras divides by ``sqrt(v) + eps`` and
    multiplies the rate by ``sqrt(1 - b2^t)``, which is PyTorch's rule with
    ``eps / sqrt(1 - b2^t)``.
    """

    def __init__(self, parameters, lr: float = 1e-3) -> None:
        super().__init__(parameters, lr=lr, betas=BETAS, eps=EPSILON_HAT)
        self.n_steps = 0

    def step(self, closure=None):
        """Update the parameters once."""
        self.n_steps += 1
        for group in self.param_groups:
            group["eps"] = EPSILON_HAT / math.sqrt(1 - BETAS[1] ** self.n_steps)
        return super().step(closure)

    def moments(self) -> dict[str, torch.Tensor]:
        """Return the running means of gradients and of their squares, by name."""
        parameters = self.param_groups[0]["params"]
        return {
            f"{index}.{name}": self.state[parameter][name]
            for index, parameter in enumerate(parameters)
            for name in ("exp_avg", "exp_avg_sq")
        }

    def continue_from(self, moments: dict[str, torch.Tensor], n_steps: int) -> None:
        """Go on from the moments after so many steps."""
        self.n_steps = n_steps
        for index, parameter in enumerate(self.param_groups[0]["params"]):
            state = self.state[parameter]
            state["step"] = torch.tensor(float(n_steps), device="cpu")
            for name in ("exp_avg", "exp_avg_sq"):
                # in the parameter's own layout, as Adam makes them
                state[name] = torch.empty_like(parameter).copy_(moments[f"{index}.{name}"])


def kernels(module: nn.Module) -> list[nn.Parameter]:
    """Return the kernels (not the biases) of dense and convolutional layers, in order."""
    return [layer.weight for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def penalty(
    module: nn.Module, *, l1: float, l2: float, conventions: Conventions | str = "paper"
) -> torch.Tensor | float:
    """Return the regularization term: rate times the sum of ``|w|`` or ``w**2`` over kernels.

    ``l2_first_layer="l1"`` puts the L1 norm, at the same rate, on the first kernel of a run with
    L2.
    """
    total: torch.Tensor | float = 0.0
    first_is_l1 = resolve(conventions).l2_first_layer == "l1"
    for index, weight in enumerate(kernels(module)):
        if l1:
            total = total + l1 * weight.abs().sum()
        if l2:
            absolute = first_is_l1 and index == 0
            total = total + l2 * (weight.abs() if absolute else weight.square()).sum()
    return total
