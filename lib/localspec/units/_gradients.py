"""Gradients of units: compute how the logits change with what units hand on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from localspec._utils.validation import check_integer
from localspec.conventions import Conventions, resolve
from localspec.data import check_images
from localspec.units._checks import check_gradients, count_logits
from localspec.units._hooked import Units, units_of
from localspec.units._trace import Network
from localspec.units._unit_map import MAX_VALUES
from localspec.units._values import precise


def logit_gradients(
    network: Network,
    x: torch.Tensor,
    *,
    conventions: Conventions | str = "paper",
    max_values: int = MAX_VALUES,
) -> dict[str, np.ndarray]:
    """Return the derivatives of all logits with respect to what the tested units hand on.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork, UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
    conventions : Conventions or str
        Uses ``residual_units``.
    max_values : int, optional
        Bounds memory: numbers that the layers on the way hold together.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_images, n_logits, n_units)
        By layer.

    Raises
    ------
    InvalidInputError
        If the network cannot be traced or cannot read the images, or was made under
        ``torch.inference_mode``.

    Notes
    -----
    The value of a unit is that after its activation, before pooling: whether the unit itself is
    silent on an image does not matter, whether those behind it are does. Of a channel, the
    derivatives at all places of its map are added: what a constant added to the map does. This
    takes a backward pass for each logit.

    References
    ----------
    Lange et al., arXiv:2203.11815, similarity of units by what they do to outputs; which
    derivatives are taken is this project's choice.

    Examples
    --------
    The unit passes what it reads to the first logit once and to the second three times:

    >>> module = torch.nn.Sequential(
    ...     torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 2)
    ... ).eval()
    >>> module[2].weight.data = torch.tensor([[1.0], [3.0]])
    >>> logit_gradients(module, torch.ones(2, 1))["0"][:, :, 0].tolist()
    [[1.0, 3.0], [1.0, 3.0]]
    """
    conventions = resolve(conventions)
    unit_map = units_of(network, conventions=conventions)
    max_values = check_integer("max_values", max_values, 1)
    check_images(x)
    n_logits = count_logits(unit_map, x)
    check_gradients(unit_map)
    ends = tuple(layer.end for layer in unit_map.tested)
    size = unit_map.n_together(x, ends, max_values=max_values)
    parts = [
        _gradients(unit_map, part.to(unit_map.device, unit_map.dtype), n_logits)
        for part in x.split(size)
    ]
    return {
        layer.name: np.concatenate([part[index] for part in parts])
        for index, layer in enumerate(unit_map.tested)
    }


@torch.inference_mode(False)
@torch.enable_grad()
def _gradients(unit_map: Units, x: torch.Tensor, n_logits: int) -> list[np.ndarray]:
    """Return the derivatives of each tested layer on some images."""
    values: dict[object, torch.Tensor] = {}

    def held(node: object) -> Callable[[torch.Tensor], torch.Tensor]:
        def hold(value: torch.Tensor) -> torch.Tensor:
            values[node] = value if value.requires_grad else value.requires_grad_(True)
            return values[node].clone()  # what comes behind may overwrite it

        return hold

    ends = [layer.end for layer in unit_map.tested]
    (logits,) = unit_map.run(x.clone(), edits={node: held(node) for node in ends})
    targets = [values[node] for node in ends]
    by_logit = [
        torch.autograd.grad(logits[:, index].sum(), targets, retain_graph=True)
        for index in range(n_logits)
    ]
    return [
        torch.stack([_summed(gradient) for gradient in gradients], dim=1).double().cpu().numpy()
        for gradients in zip(*by_logit, strict=True)
    ]


def _summed(gradient: torch.Tensor) -> torch.Tensor:
    return precise(gradient).flatten(2).sum(dim=2) if gradient.ndim > 2 else gradient
