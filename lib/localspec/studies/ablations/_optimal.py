"""Optimal constants: what lesioned units give so that the network's loss is least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional as F

from localspec._utils.validation import check_integer
from localspec.clustering import Lesion
from localspec.conventions import Conventions
from localspec.exceptions import InvalidInputError
from localspec.units import Network, UnitMap, trace_units

STEP = 0.2  # first step of Adam, in root mean squares of the layer's values
BATCH_SIZE = 128  # images of each step
MAX_VALUES = 2**21  # sets x images x units that are held at a time
MAX_REFINEMENTS = 50  # iterations of L-BFGS


@dataclass(frozen=True)
class FittedConstants:
    """Constants in place of the values of sets of units, and the losses under them.

    Attributes
    ----------
    constants : tuple of numpy.ndarray of float, shape (n_units of the set,)
        In the order of each set's units.
    losses : numpy.ndarray of float64, shape (n_sets,)
        Mean cross-entropy over the images, in nats.
    start_losses : numpy.ndarray of float64, shape (n_sets,)
        Those of the better of zero and the units' means, from which the fit starts.
    """

    constants: tuple[np.ndarray, ...]
    losses: np.ndarray
    start_losses: np.ndarray


def optimal_constants(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    lesions: Sequence[Lesion],
    *,
    n_steps: int,
    max_values: int = MAX_VALUES,
    conventions: Conventions | str = "paper",
) -> FittedConstants:
    """Fit, for each set of units, the constants under which a network's loss is least.

    Parameters
    ----------
    network : torch.nn.Module, TrainedNetwork or UnitMap
        A multilayer perceptron that returns logits (n_images, n_classes).
    x : torch.Tensor, shape (n_images, ...)
        In random order: each step takes the next of them, from the first on again after the last.
    y : torch.Tensor of int, shape (n_images,)
    lesions : sequence of mappings of layer name to unit indices
        Each of units of one layer.
    n_steps : int
        Of Adam, whose steps shrink to nothing along half a cosine.
    max_values : int, optional
        Bounds the numbers that are held at a time, in sets x images x units of the widest layer.
    conventions : Conventions or str, optional

    Returns
    -------
    FittedConstants
        Where the fit ends above its start, the start.

    Raises
    ------
    InvalidInputError
        If images and labels do not fit, or a lesioned layer is none of dense units that one dense
        layer reads.

    Notes
    -----
    Constants add the same to what the next layer reads on every image, so that a step begins
    there. Equal sets are fitted once.

    References
    ----------
    Li & Janson, arXiv:2409.09951, "optimal ablation".
    """
    n_steps = check_integer("n_steps", n_steps, 1)
    max_values = check_integer("max_values", max_values, 1)
    if len(x) != len(y) or not len(x):
        raise InvalidInputError(f"pass a label for each image: {len(x)} images, {len(y)} labels")
    unit_map = trace_units(network, conventions=conventions)
    sets = [_units_of(lesion) for lesion in lesions]
    widest = max(layer.n_units for layer in unit_map.layers)
    n_together = max(1, max_values // (len(x) * widest))
    fits: dict[tuple[str, tuple[int, ...]], tuple[np.ndarray, float, float]] = {}
    for name in dict.fromkeys(name for name, _ in sets):
        layer = _Layer(unit_map, name, x, y)
        distinct = list(dict.fromkeys(units for other, units in sets if other == name))
        for first in range(0, len(distinct), n_together):
            block = distinct[first : first + n_together]
            for units, fit in zip(block, layer.fit(block, n_steps), strict=True):
                fits[name, units] = fit
    constants, losses, start_losses = [], [], []
    for lesion, (name, units) in zip(lesions, sets, strict=True):
        values, loss, start_loss = fits[name, units]
        constants.append(values[np.searchsorted(units, np.asarray(lesion[name]))])
        losses.append(loss)
        start_losses.append(start_loss)
    return FittedConstants(tuple(constants), np.array(losses), np.array(start_losses))


def _units_of(lesion: Lesion) -> tuple[str, tuple[int, ...]]:
    """Return the layer of a set and its units in ascending order."""
    ((name, units),) = lesion.items()
    return name, tuple(np.sort(np.asarray(units)).tolist())


class _Layer:
    """A layer whose units are lesioned, and what it gives on images."""

    def __init__(self, unit_map: UnitMap, name: str, x: torch.Tensor, y: torch.Tensor) -> None:
        layer = unit_map.layer(name)
        readers = unit_map.readers_of(layer)
        if layer.is_conv or len(readers) != 1 or not isinstance(readers[0].module, nn.Linear):
            raise InvalidInputError(
                f"constants are fitted in layers of dense units that one dense layer reads, "
                f"not in {name!r}"
            )
        self.unit_map, self.node, self.reader = unit_map, layer.end, readers[0]
        self.y = y.to(unit_map.device)
        with torch.no_grad():
            x = x.to(unit_map.device, unit_map.dtype)
            self.values = unit_map.run(x, stops=(self.node,))[0]  # (n_images, n_units)

    def fit(
        self, sets: Sequence[tuple[int, ...]], n_steps: int
    ) -> list[tuple[np.ndarray, float, float]]:
        """Return, for each set, its constants, their loss and that of the start."""
        values, n_images = self.values, len(self.values)
        masks = values.new_zeros(len(sets), values.shape[1])
        for row, units in enumerate(sets):
            masks[row, list(units)] = 1
        weight = self.reader.module.weight.detach()
        scale = values.square().mean().sqrt()
        with torch.no_grad():
            stops = (self.reader.node,)
            others = [values * (1 - mask) for mask in masks]
            read = torch.stack(  # by the next layer, where all units of a set give zero
                [self.unit_map.run(value, start=self.node, stops=stops)[0] for value in others]
            )

        def losses(constants: torch.Tensor, read: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            read = read + ((constants * masks) @ weight.T)[:, None]
            logits = self.unit_map.run({self.reader.node: read.flatten(0, 1)})[0]
            each = F.cross_entropy(logits, y.repeat(len(sets)), reduction="none")
            return each.reshape(len(sets), -1).mean(dim=1)

        with torch.no_grad():
            means = values.mean(dim=0) * masks
            zero_loss = losses(torch.zeros_like(means), read, self.y)
            mean_loss = losses(means, read, self.y)
            start = means * (mean_loss < zero_loss)[:, None]
            start_loss = torch.minimum(zero_loss, mean_loss)
        moves = torch.zeros_like(start, requires_grad=True)
        adam = torch.optim.Adam([moves], lr=STEP)
        shrink = torch.optim.lr_scheduler.CosineAnnealingLR(adam, n_steps)
        for step in range(n_steps):
            images = torch.arange(step * BATCH_SIZE, (step + 1) * BATCH_SIZE) % n_images
            images = images[:n_images].to(values.device)
            loss = losses(start + scale * moves, read[:, images], self.y[images]).sum()
            (moves.grad,) = torch.autograd.grad(loss, [moves])
            adam.step()
            shrink.step()
        with torch.no_grad():
            end = start + scale * moves
            end_loss = losses(end, read, self.y)
            constants = torch.where((end_loss < start_loss)[:, None], end, start).cpu().numpy()
            loss = torch.minimum(end_loss, start_loss).tolist()
        return [
            (constants[row, list(units)], loss[row], start_loss[row].item())
            for row, units in enumerate(sets)
        ]


def refined_loss(
    network: Network,
    x: torch.Tensor,
    y: torch.Tensor,
    lesion: Lesion,
    constants: np.ndarray,
    *,
    conventions: Conventions | str = "paper",
) -> float:
    """Return the loss where L-BFGS goes on from the constants of one set.

    Parameters are those of :func:`optimal_constants`, with one lesion, and the constants of its
    units.

    Notes
    -----
    It takes all images at once, and at most 50 iterations.
    """
    unit_map = trace_units(network, conventions=conventions)
    ((name, units),) = lesion.items()
    node, units = unit_map.layer(name).end, torch.as_tensor(np.asarray(units))
    x, y = x.to(unit_map.device, unit_map.dtype), y.to(unit_map.device)
    with torch.no_grad():
        values = unit_map.run(x, stops=(node,))[0]

    def loss_and_slope(point: np.ndarray) -> tuple[float, np.ndarray]:
        given = torch.as_tensor(point).to(values).requires_grad_()
        lesioned = values.clone()
        lesioned[:, units] = given.expand(len(values), -1)
        loss = F.cross_entropy(unit_map.run(lesioned, start=node)[0], y)
        (slope,) = torch.autograd.grad(loss, [given])
        return loss.item(), slope.double().cpu().numpy()

    options = {"maxiter": MAX_REFINEMENTS}
    end = minimize(loss_and_slope, constants, jac=True, method="L-BFGS-B", options=options)
    return min(float(end.fun), loss_and_slope(constants)[0])
