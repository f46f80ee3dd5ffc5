"""Class coherence at equal damage: the range of changes against what as much damage makes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from localspec.lesions import LesionedAccuracies
from localspec.measures import TOLERANCE, Measure, mean_changes, range_of_changes


def conditioned_ranges(accuracies: LesionedAccuracies, layers: Sequence[str]) -> Measure:
    """Measure class coherence at equal damage.

    Parameters
    ----------
    accuracies : LesionedAccuracies
    layers : sequence of str, length n_subclusters
        Layer of each subcluster.

    Returns
    -------
    Measure
        The range of changes over classes, over the range that a lesion of that layer with as
        much damage would have. NaN where class coherence is undefined, and left out there: such
        a lesion does less damage, not as much.

    Notes
    -----
    What a lesion would have is a line through log range against log of the mean change's
    magnitude, fitted by least squares to all lesions of the layer. True subclusters take part in
    the fit like their draws, so that under the null hypothesis all rows remain exchangeable.

    References
    ----------
    Hod et al., arXiv:2110.08058, "Class coherence"; the condition is this project's.

    Examples
    --------
    Ranges that are proportional to the damage are as wide as expected: all ratios are 1.

    >>> lesioned = np.array([[[0.8, 0.6]], [[0.6, 0.2]], [[0.9, 0.8]]])
    >>> accuracies = LesionedAccuracies(np.ones(2), lesioned, np.array([50, 50]))
    >>> conditioned_ranges(accuracies, ["a"]).values.round(6).ravel().tolist()
    [1.0, 1.0, 1.0]
    """
    damage, spread = np.abs(mean_changes(accuracies)), range_of_changes(accuracies)
    one_image = 1 / accuracies.class_sizes
    defined = damage >= one_image.mean() * (1 - TOLERANCE)
    ratios = np.full(damage.shape, np.nan)
    for layer in dict.fromkeys(layers):
        chosen = defined & (np.asarray(layers) == layer)
        if chosen.any():
            x = np.log(damage[chosen])
            y = np.log(np.maximum(spread[chosen], one_image.min()))  # the least there is to see
            varies = np.ptp(x) > TOLERANCE
            line = np.polynomial.Polynomial.fit(x, y, 1 if varies else 0)
            ratios[chosen] = np.exp(y - line(x))
    return Measure("class_coherence", "high", ratios, "range", ratios, "left_out")
