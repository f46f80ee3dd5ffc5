"""Figure of the double lesions."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from localspec.exceptions import InvalidInputError
from localspec.pipeline import BLUE, ORANGE, PARTITIONINGS, Replicate
from localspec.studies.double_lesions._pairs import OTHER_LAYER, SAME_LAYER, pair_lesions


def plot_double_lesions(replicates: Sequence[Replicate]) -> Figure:
    """Draw what pairs lose together against what they lose apart: a panel for each partitioning.

    Parameters
    ----------
    replicates : sequence of Replicate
        All seeds of one network.
    """
    if not replicates:
        raise InvalidInputError("there is no replicate to draw: name a network and a seed")
    figure, axes = plt.subplots(2, 2, figsize=(9.5, 7.2), layout="constrained", sharey=True)
    for axis, partitioning in zip(axes.flat, PARTITIONINGS, strict=True):
        lost = [pair_lesions(replicate, partitioning) for replicate in replicates]
        for part in lost:
            apart, together = 100 * part.apart, 100 * part.together
            axis.scatter(apart[1:], together[1:], s=2, color="0.8", rasterized=True)
        for where, colour in ((OTHER_LAYER, BLUE), (SAME_LAYER, ORANGE)):
            apart = np.concatenate([part.apart[0, part.where == where] for part in lost])
            together = np.concatenate([part.together[0, part.where == where] for part in lost])
            axis.scatter(100 * apart, 100 * together, s=7, color=colour, label=where)
        ends = [0, max(1.0, 100 * max(float(part.apart.max(initial=0)) for part in lost))]
        axis.plot(ends, ends, color="0.3", linestyle="--", linewidth=1)
        axis.set_title(partitioning)
        axis.set_ylim(top=95)
    axes[0, 0].scatter([], [], s=7, color="0.8", label="random pairs")
    for axis in axes[:, 0]:
        axis.set_ylabel("lost together (points)")
    for axis in axes[-1]:
        axis.set_xlabel("sum of what each loses alone (points)")
    axes[0, 0].legend(loc="lower right", fontsize=9)
    figure.suptitle(replicates[0].network, x=0.01, ha="left")
    return figure
