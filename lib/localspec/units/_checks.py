"""Checks: ask with a few images, before any long work, whether they and a network go together."""

from __future__ import annotations

import torch
from torch import fx, nn

from localspec.exceptions import InvalidInputError
from localspec.units._operations import SQUASHING_CALLS, operation_kind
from localspec.units._unit_map import UnitMap


def count_logits(unit_map: UnitMap, image: torch.Tensor) -> int:
    """Run a network on one image and return how many logits it has.

    Parameters
    ----------
    unit_map : UnitMap
    image : torch.Tensor, shape (1, ...)

    Returns
    -------
    int

    Raises
    ------
    InvalidInputError
        If the network returns anything but one tensor, cannot read an image of this shape, or
        does not return one row of logits for it.
    """
    output = unit_map.output
    if not isinstance(output, fx.Node):
        raise InvalidInputError(
            f"the network returns a {type(output).__name__} of {len(output)} values: wrap it in a "
            "module that returns the logits alone"
        )
    image = image.to(unit_map.device, unit_map.dtype)
    try:
        with torch.inference_mode():
            (logits,) = unit_map.run(image)
    except (RuntimeError, ValueError, IndexError) as error:
        raise InvalidInputError(
            f"the network cannot read images of shape {tuple(image.shape[1:])} ({error}): pass "
            "them in the shape it was trained on"
        ) from error
    if logits.ndim != 2 or len(logits) != 1:
        raise InvalidInputError(
            f"the network returns values of shape {tuple(logits.shape)} for one image: it must "
            "return logits of shape (n_images, n_classes)"
        )
    return logits.shape[1]


def check_logits(unit_map: UnitMap) -> None:
    """Refuse a network whose outputs are squashed: their softmax would not be its probabilities."""
    node = unit_map.output
    while (kind := operation_kind(node, unit_map.graph_module))[0] == "passed":
        node = node.all_input_nodes[0]
    if isinstance(kind[1], nn.Sigmoid | nn.Tanh) or node.target in SQUASHING_CALLS:
        raise InvalidInputError(
            f"the network's outputs pass a sigmoid or tanh (node {node.name!r}): return what it "
            "reads, the logits"
        )


def check_labels(y: torch.Tensor, n_logits: int) -> None:
    """Refuse labels that a network has no logit for.

    Parameters
    ----------
    y : torch.Tensor of int, shape (n_images,)
    n_logits : int
        From :func:`count_logits`.

    Raises
    ------
    InvalidInputError
        If a label is too high.
    """
    highest = int(y.max())
    if highest >= n_logits:
        raise InvalidInputError(
            f"label {highest} does not fit a network of {n_logits} logits: labels must be from 0 "
            f"to {n_logits - 1}"
        )


def check_n_clusters(unit_map: UnitMap, n_clusters: int) -> None:
    """Refuse more clusters than the tested layers have units.

    Parameters
    ----------
    unit_map : UnitMap
    n_clusters : int

    Raises
    ------
    InvalidInputError
        If there are too many.
    """
    n_units = sum(layer.n_units for layer in unit_map.tested)
    if n_clusters > n_units:
        raise InvalidInputError(
            f"n_clusters must be from 2 to the number of units in tested layers ({n_units}), not "
            f"{n_clusters}"
        )
