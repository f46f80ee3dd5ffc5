"""Checks: ask with a few images, before any long work, whether they and a network go together."""

from __future__ import annotations

import torch
from torch import fx

from localspec.exceptions import InvalidInputError
from localspec.units._operations import is_squashing, operation_kind
from localspec.units._unit_map import UnitMap

N_TRIED = 2  # images


def _check_trace(unit_map: UnitMap, sample: torch.Tensor, logits: torch.Tensor) -> None:
    """Refuse a network whose trace computes something else than the network itself."""
    with torch.no_grad():
        outputs = unit_map.module(sample.clone())
    # a softmax behind the logits is left out of the trace
    candidates = (logits, logits.softmax(1), logits.log_softmax(1))
    precision = torch.finfo(logits.dtype).eps ** 0.5
    if not isinstance(outputs, torch.Tensor) or not any(
        outputs.shape == values.shape
        and (outputs - values).abs().max() <= precision * values.abs().max()
        for values in candidates
    ):
        raise InvalidInputError(
            "the network traced by torch.fx computes something else than the network itself on the "
            "same images. Likely causes: its forward pass depends on values, on their number, on "
            "the state of the object or on chance; a value that another name stands for is "
            "overwritten; __call__ does more than forward. Pass a module whose forward pass does "
            "the same operations for all images"
        )


def count_logits(unit_map: UnitMap, x: torch.Tensor) -> int:
    """Try a network on two images and return how many logits it has.

    Parameters
    ----------
    unit_map : UnitMap
    x : torch.Tensor, shape (n_images, ...)
        Of which the first two are tried.

    Returns
    -------
    int

    Raises
    ------
    InvalidInputError
        If the network returns anything but one tensor, cannot read images of this shape, does
        not return one row of finite logits for each, or returns others than its trace.
    """
    output = unit_map.output
    if not isinstance(output, fx.Node):
        raise InvalidInputError(
            f"the network returns a {type(output).__name__} of {len(output)} values: wrap it in a "
            "module that returns the logits alone"
        )
    sample = x[:N_TRIED].to(unit_map.device, unit_map.dtype)
    try:
        with torch.inference_mode():
            (logits,) = unit_map.run(sample)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise InvalidInputError(
            f"the network cannot read images of shape {tuple(sample.shape[1:])} ({error}): pass "
            "them in the shape it was trained on"
        ) from error
    if logits.ndim != 2 or len(logits) != len(sample):
        raise InvalidInputError(
            f"the network returns values of shape {tuple(logits.shape)} for {len(sample)} "
            "image(s): it must return logits of shape (n_images, n_classes)"
        )
    if not logits.isfinite().all():
        raise InvalidInputError(
            "the network's logits are NaN or infinite: its weights are too large for "
            f"{unit_map.dtype}, or the images are not scaled as those it was trained on"
        )
    _check_trace(unit_map, sample, logits)
    return logits.shape[1]


def check_logits(unit_map: UnitMap) -> None:
    """Refuse a network whose outputs are squashed: their softmax would not be its probabilities."""
    node = unit_map.output
    while operation_kind(node, unit_map.graph_module)[0] == "passed":
        node = node.all_input_nodes[0]
    if is_squashing(node, unit_map.graph_module):
        raise InvalidInputError(
            f"the network's outputs pass a sigmoid, tanh or the like (node {node.name!r}): return "
            "what it reads, the logits"
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
