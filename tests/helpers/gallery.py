"""A gallery written down by hand: three subclusters of two layers, three classes, two pixels."""

import numpy as np

from localspec.measures import MEASURES
from localspec.screening import Finding
from localspec.statistics import at_most
from localspec.studies.gallery._records import Gallery, GalleryRecord

NAN = float("nan")
CLASSES = ("cat", "<script>window.hacked = 1</script>", "a \"b\" & 'c'")
# p and effect of the four measures
NUMBERS = {
    "weights-global-dense1-0": ([0.025, 0.5, 0.3, 0.9], [1.5, NAN, 1.0, 0.9]),
    "weights-global-dense1-12": ([0.975, 0.1, 0.2, 0.4], [0.2, 1.2, 1.1, 1.9]),
    "weights-local-dense2-2": ([0.525, 0.9, 0.1, 0.4], [1.1, 0.8, 1.2, 0.3]),
}
UNITS = [[0, 3], [1, 2, 4, 5], [7, 8, 9]]
WHERE = [("weights/global", "dense1", 0), ("weights/global", "dense1", 12)]
WHERE += [("weights/local", "dense2", 2)]
LOST = [[0.5, -0.25, 0.0], [0.125, 0.0, 0.0], [0.0, 1.0, 0.25]]


def finding(value, p_value, effect):
    """Return what was found of one measure, with a random mean of 1."""
    return Finding(
        value=value,
        side="low",
        draws=np.array([0.5, 1.5]),
        p_value=p_value,
        effect=effect,
        stands_out=bool(at_most(p_value, 0.05)),
    )


def record(index, **changes):
    """Return one of the three records, with some of its fields changed."""
    anchor = list(NUMBERS)[index]
    findings = {
        name: finding(10 * p, p, effect)
        for name, p, effect in zip(MEASURES, *NUMBERS[anchor], strict=True)
    }
    partitioning, layer, cluster = WHERE[index]
    fields = {
        "anchor": anchor,
        "network": "mlp",
        "partitioning": partitioning,
        "layer": layer,
        "cluster": cluster,
        "units": np.array(UNITS[index]),
        "findings": findings,
        "lost": np.array(LOST[index]),
        "random_lost": np.array([0.1, 0.2, -0.1]),
        "picture": np.full((1, 2, 2), 0.2 * index),
        "random_picture": np.ones((1, 2, 2)),
        "score": 3.0,
        "random_score": 2.0,
        "exciting": np.array([40 + index, 50]),
        "exciting_scores": np.array([9.0, 8.0]),
    }
    return GalleryRecord(**{**fields, **changes})


def made_gallery(records=None, *, shown=True):
    """Return the gallery of the three records, or of others; test images are all grey."""
    records = tuple(map(record, range(3))) if records is None else tuple(records)
    labels = {40: 0, 41: 1, 42: 2, 50: 0}
    images = {index: np.full((1, 2, 2), index / 255) for index in labels} if shown else {}
    return Gallery(
        name="mlp, seed 0",
        class_names=CLASSES,
        records=records,
        labels=labels,
        test_images=images,
    )
