"""Checks: ask with a few images, before any long work, whether they and a network go together."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import fx, nn

from localspec._utils.hardware import check_autocast
from localspec.exceptions import InvalidInputError
from localspec.units._hooked_units import HookedUnits
from localspec.units._modules import check_evaluation
from localspec.units._operations import is_squashing, operation_kind
from localspec.units._unit_map import UnitMap

N_TRIED = 2  # images


def _outputs(module: nn.Module, x: torch.Tensor) -> object:
    """Return what a network itself computes, without time for compiling it."""
    compiled = any(part._compiled_call_impl is not None for part in module.modules())
    with torch.compiler.set_stance("force_eager") if compiled else nullcontext(), torch.no_grad():
        # laid out in memory as it was trained on: a network's own views may refuse another order
        return module(x.clone(memory_format=torch.contiguous_format))


def _check_trace(unit_map: UnitMap, sample: torch.Tensor, logits: torch.Tensor) -> None:
    """Refuse a network whose trace computes something else than the network itself."""
    try:
        outputs = _outputs(unit_map.module, sample)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise InvalidInputError(
            f"the network fails on images of shape {tuple(sample.shape[1:])} ({error}): pass them "
            "in the shape it was trained on"
        ) from error
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


def count_logits(unit_map: UnitMap | HookedUnits, x: torch.Tensor) -> int:
    """Try a network on two images and return how many logits it has.

    Parameters
    ----------
    unit_map : UnitMap or HookedUnits
    x : torch.Tensor, shape (n_images, ...)
        Of which the first two are tried.

    Returns
    -------
    int

    Raises
    ------
    InvalidInputError
        If the network is in training mode again, ``torch.autocast`` is on, the network returns
        anything but one tensor, cannot read images of this shape, does not return one row of finite
        logits for each, or returns others than its trace.
    """
    check_evaluation(unit_map.module)  # units that were found before share its modules
    check_autocast(unit_map.device)
    output, is_traced = unit_map.output, isinstance(unit_map, UnitMap)
    if is_traced and not isinstance(output, fx.Node):
        raise InvalidInputError(
            f"the network returns a {type(output).__name__.removeprefix('immutable_')} of "
            f"{len(output)} values: wrap it in a module that returns the logits alone"
        )
    sample = x[:N_TRIED].to(unit_map.device, unit_map.dtype)
    try:
        with torch.inference_mode():
            (logits,) = unit_map.run(sample)
    except InvalidInputError:
        raise
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
    if is_traced:
        _check_trace(unit_map, sample, logits)
    return logits.shape[1]


def check_gradients(unit_map: UnitMap | HookedUnits) -> None:
    """Refuse a network whose weights no gradient can pass."""
    tensors = (*unit_map.module.parameters(), *unit_map.module.buffers())
    if any(tensor.is_inference() for tensor in tensors):
        raise InvalidInputError(
            "the network was made under torch.inference_mode, so that no gradients can be taken "
            "through it: outside of that block make it anew, or pass copy.deepcopy(network)"
        )


def check_logits(unit_map: UnitMap | HookedUnits) -> None:
    """Refuse a network whose outputs are squashed: their softmax would not be its probabilities."""
    if isinstance(unit_map, HookedUnits):
        if unit_map.is_squashed:
            raise InvalidInputError(
                "the network's outputs pass a softmax, sigmoid or tanh or the like: return what "
                "it reads, the logits"
            )
        return
    node = unit_map.output
    while operation_kind(node, unit_map.graph_module)[0] == "passed":
        node = node.all_input_nodes[0]
    if is_squashing(node, unit_map.graph_module):
        raise InvalidInputError(
            f"the network's outputs pass a sigmoid or tanh or the like (node {node.name!r}): "
            "return what it reads, the logits"
        )


def check_classes(n_logits: int) -> None:
    """Refuse a network of one logit, which predicts one class alone.

    Parameters
    ----------
    n_logits : int
        From :func:`count_logits`.

    Raises
    ------
    InvalidInputError
        If there are not two or more.
    """
    if n_logits < 2:
        raise InvalidInputError(
            f"the network returns {n_logits} logit, of which the softmax is 1 whatever it is: "
            "return two logits, as torch.nn.Linear(n, 2) with the weights of the one and zeros, "
            "classes 1 and 0"
        )


def check_labels(y: torch.Tensor, n_logits: int) -> None:
    """Refuse labels that a network has no logit for, and a network of one logit.

    Parameters
    ----------
    y : torch.Tensor of int, shape (n_images,)
    n_logits : int
        From :func:`count_logits`.

    Raises
    ------
    InvalidInputError
        If a label is too high, or there is one logit.
    """
    check_classes(n_logits)
    highest = int(y.max())
    if highest >= n_logits:
        raise InvalidInputError(
            f"label {highest} does not fit a network of {n_logits} logits: labels must be from 0 "
            f"to {n_logits - 1}"
        )


def check_n_clusters(unit_map: UnitMap | HookedUnits, n_clusters: int) -> None:
    """Refuse more clusters than the tested layers have units.

    Parameters
    ----------
    unit_map : UnitMap or HookedUnits
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
