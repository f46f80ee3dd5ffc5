"""Lesions of hooked units: many at a time, each image once for every lesion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from localspec.clustering import Lesion
from localspec.lesions._options import LesionOptions
from localspec.lesions._passes import MAPS_FACTOR, MAX_VALUES
from localspec.lesions._points import LesionPoint, keep_masks, lesion_edits
from localspec.units import HookedUnits, mean_values


def hooked_predictions(
    units: HookedUnits, x: torch.Tensor, lesions: Sequence[Lesion], options: LesionOptions
) -> np.ndarray:
    """Return what :func:`localspec.lesions.lesion_predictions` does, of hooked units.

    Lesions run stacked along the batch, through the whole network: the rows of one lesion have its
    units set to zero, or to their means, where their module returns them.
    """
    names = dict.fromkeys(name for lesion in lesions for name in lesion)
    points = {name: (LesionPoint(name, 0, units.layer(name).n_units),) for name in names}
    means = {}
    if options.replacement == "mean":
        means = mean_values(units, x if options.x_mean is None else options.x_mean, tuple(names))
    at_once = (
        options.max_values
        or MAPS_FACTOR * MAX_VALUES["cpu" if units.device.type == "cpu" else "cuda"]
    )
    n_rows = max(1, at_once // max(size for _, size in units.sizes(x[:1])))
    n_images = min(options.batch_size, n_rows, len(x))
    n_lesions = max(1, n_rows // n_images)
    predicted = np.empty((len(lesions), len(x)), dtype=np.int64)
    bar = tqdm(total=predicted.size, desc="lesions", unit="image", disable=not options.progress)
    advance = bar.update if options.advance is None else options.advance
    with bar, torch.inference_mode():
        for start in range(0, len(x), n_images):
            images = slice(start, start + n_images)
            part = x[images].to(units.device, units.dtype)
            for begin in range(0, len(lesions), n_lesions):
                chunk = lesions[begin : begin + n_lesions]
                edits = lesion_edits(keep_masks(points, chunk, part), means)
                stacked = part.repeat(len(chunk), *(1,) * (part.ndim - 1))
                (logits,) = units.run(stacked, edits=edits)
                classes = logits.argmax(1).reshape(len(chunk), -1).cpu().numpy()
                predicted[begin : begin + n_lesions, images] = classes
                advance(classes.size)
    return predicted
