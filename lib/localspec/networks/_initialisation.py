"""Initialisation: draw weights as Glorot or He do, and plant modules into them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from localspec._utils.validation import require

N_MODULES = 10


def rescale_modules(
    weights: Sequence[torch.Tensor], modules: Sequence[torch.Tensor], distance: float
) -> None:
    """Rescale a chain of kernels by the modules of their units, in place.

    A weight inside a module is multiplied by ``1 + 9 (1 - d)``, one between modules by ``d``. With
    ten modules of equal size the mean factor is 1 on average over all weights::

                    module 0    module 1    ...       (columns: what is read)
        module 0  [ 1 + 9(1-d)     d        ...  ]
        module 1  [    d        1 + 9(1-d)  ...  ]

    `weights` are the kernels of consecutive layers, shape (n_out, n_in, ...), without the first of
    the network; `modules` has the module of every unit, one more than `weights`: those that the
    first kernel reads come first. A distance ``d`` of 1 changes nothing.

    Hod et al., arXiv:2110.08058, "Networks and training".

    Examples
    --------
    >>> kernel = torch.ones(2, 2)
    >>> rescale_modules([kernel], [torch.tensor([0, 1]), torch.tensor([1, 1])], 0.5)
    >>> kernel.tolist()
    [[0.5, 5.5], [0.5, 5.5]]
    """
    inside = 1 + (N_MODULES - 1) * (1 - distance)
    # whatever torch's default type is, factors are of single precision
    inside_factor = torch.tensor(inside, dtype=torch.float32, device="cpu")
    with torch.no_grad():
        for weight, read, written in zip(weights, modules[:-1], modules[1:], strict=True):
            same = (written[:, None] == read[None]).reshape(
                weight.shape[:2] + (1,) * (weight.ndim - 2)
            )
            weight.mul_(torch.where(same, inside_factor.to(weight.device), distance))


def initialise_clusterable(module: nn.Module, distance: float, generator: torch.Generator) -> None:
    """Assign the units of a chain to ten modules at random and rescale its kernels, in place.

    The first kernel is left alone. Of a network with convolutions only their kernels are
    rescaled; of a multilayer perceptron all dense ones, each output being in a module of its own.

    Every unit's module is drawn independently and uniformly; a multilayer perceptron may have at
    most as many outputs as there are modules. See :func:`rescale_modules`.
    """
    convolutions = [layer.weight for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    weights = convolutions or [
        layer.weight for layer in module.modules() if isinstance(layer, nn.Linear)
    ]
    device = generator.device
    modules = [
        torch.randint(N_MODULES, (len(weight),), generator=generator, device=device)
        for weight in weights
    ]
    if not convolutions:
        n_outputs = len(weights[-1])
        require(
            n_outputs <= N_MODULES,
            f"clusterable initialisation puts each output into one of {N_MODULES} modules, but "
            f"there are {n_outputs} outputs: leave module_distance out",
        )
        modules[-1] = torch.arange(n_outputs, device=device)
    rescale_modules(weights[1:], modules, distance)


def initialise(module: nn.Module, generator: torch.Generator, kernels: str = "glorot") -> None:
    """Draw uniform kernels, Glorot's (Keras's default) or He's; set biases to zero, in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            if kernels == "he":
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            else:
                nn.init.xavier_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
