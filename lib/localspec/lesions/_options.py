"""Lesion options: what lesions are computed with, checked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from localspec._utils.validation import check_flag, check_integer, check_option
from localspec.conventions import Conventions, resolve
from localspec.data import check_images
from localspec.lesions._passes import BATCH_SIZE
from localspec.lesions._points import REPLACEMENTS
from localspec.units import Network, Units, check_conventions, count_logits, in_bfloat16, units_of

PRECISIONS = ("full", "bfloat16")


@dataclass(frozen=True)
class LesionOptions:
    """What lesions are computed with, checked; see :func:`localspec.lesions.lesion_predictions`."""

    conventions: Conventions
    replacement: str = "zero"
    x_mean: torch.Tensor | None = None
    batch_size: int = BATCH_SIZE
    max_values: int | None = None
    progress: bool = False
    advance: Callable[[int], object] | None = None  # told of images done, in place of a bar


def checked_options(
    network: Network,
    *,
    conventions: Conventions | str = "paper",
    replacement: str = "zero",
    x_mean: torch.Tensor | None = None,
    precision: str = "full",
    batch_size: int = BATCH_SIZE,
    max_values: int | None = None,
    progress: bool = False,
) -> tuple[Units, LesionOptions]:
    """Check the options of :func:`localspec.lesions.lesion_predictions`.

    The network returned is in the precision that lesions are computed in.
    """
    conventions = resolve(conventions)
    check_option("precision", precision, PRECISIONS)
    check_option("replacement", replacement, REPLACEMENTS)
    batch_size = check_integer("batch_size", batch_size, 1)
    check_flag("progress", progress)
    if max_values is not None:
        max_values = check_integer("max_values", max_values, 1)
    unit_map = in_bfloat16(network) if precision == "bfloat16" else units_of(network)
    check_conventions(unit_map, conventions)
    if x_mean is not None:
        check_images(x_mean, name="x_mean")
        count_logits(unit_map, x_mean)
    options = LesionOptions(
        conventions=conventions,
        replacement=replacement,
        x_mean=x_mean,
        batch_size=batch_size,
        max_values=max_values,
        progress=progress,
    )
    return unit_map, options
