"""Partitions: a cluster for every unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from localspec._utils.validation import (
    as_array,
    as_integers,
    check_option,
    check_type,
    require,
    shown,
)
from localspec.clustering._unit_graph import LayerRange, check_layers, layer_ranges
from localspec.exceptions import InvalidInputError

NO_CLUSTER = -1
SCOPES = ("global", "local")
PARTITIONINGS = ("weights/global", "weights/local", "activations/global", "activations/local")


def _layer_labels(name: str, values: np.ndarray) -> np.ndarray:
    """Return the labels of one layer, checked."""
    require(
        isinstance(name, str),
        f"layers are named by text, as weight_graph names them, not by {shown(name)}",
    )
    labels = as_array(values)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu":
        raise InvalidInputError(
            f"labels of layer {name!r} must be a vector of integers, one a unit, not "
            f"{shown(values)}"
        )
    low, high = int(labels.min()), int(labels.max())
    require(
        low >= NO_CLUSTER and high < np.iinfo(np.int64).max,
        f"labels of layer {name!r} must be -1 or more, -1 for units that take no part, and below "
        f"2**63, not from {low} to {high}",
    )
    return labels


def as_cluster_labels(name: str, values: object) -> np.ndarray:
    """Return the clusters of units as an array of int64; refuse numbers below -1."""
    labels = as_integers(name, values)
    require(
        not (labels < NO_CLUSTER).any(),
        f"{name} must be -1 or more, -1 for units that take no part, not "
        f"{labels.min(initial=NO_CLUSTER)}",
    )
    return labels


def check_partition(partition: Partition, name: str = "partition") -> None:
    """Refuse anything but a partition."""
    check_type(name, partition, Partition, "cluster(...) or Partition.from_labels(...) makes one")


@dataclass(frozen=True)
class Partition:
    """A cluster for every unit.

    Attributes
    ----------
    labels : numpy.ndarray of int, shape (n_units,)
        Cluster of each unit, -1 for a unit that takes no part. In a local partition each layer
        counts its clusters from 0.
    layers : tuple of LayerRange
    n_clusters : int
        Clusters asked for (of the global clustering).
    scope : {"global", "local"}
    """

    labels: np.ndarray
    layers: tuple[LayerRange, ...]
    n_clusters: int
    scope: str = "global"

    def __post_init__(self) -> None:
        labels = self.labels
        require(
            isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind in "iu",
            f"labels must be an array of whole numbers, one a unit, not {shown(labels)}: "
            "Partition.from_labels makes one of labels by layer",
        )
        require(
            not np.ma.is_masked(labels),
            "labels must not be masked in part: labels.filled(-1) where units take no part",
        )
        require(
            not (labels < NO_CLUSTER).any(),
            f"labels must be -1 or more, -1 for units that take no part, not {labels.min()}",
        )
        check_layers(self.layers, len(labels))

    @classmethod
    def from_stored(
        cls, labels: np.ndarray, layers: Sequence[Mapping], n_clusters: int, scope: str
    ) -> Partition:
        """Return a partition whose layers are given by their fields, as JSON keeps them."""
        return cls(labels, tuple(LayerRange(**layer) for layer in layers), n_clusters, scope)

    @classmethod
    def from_labels(cls, labels: Mapping[str, np.ndarray], *, scope: str = "global") -> Partition:
        """Make a partition from anybody's labels.

        Parameters
        ----------
        labels : mapping of layer name to integer array, shape (n_units of the layer,)
            -1 for units that take no part. All layers given are tested.
        scope : {"global", "local"}

        Raises
        ------
        InvalidInputError
            If a layer's labels are not a non-empty vector of integers from -1 upwards.
        """
        check_option("scope", scope, SCOPES)
        require(
            isinstance(labels, Mapping) and len(labels) > 0,
            "labels must map at least one layer to the labels of its units, such as "
            f"{{'dense1': [0, 0, 1]}}, not be {shown(labels)}",
        )
        arrays = {name: _layer_labels(name, values) for name, values in labels.items()}
        ranges = layer_ranges([(name, len(values), True) for name, values in arrays.items()])
        # each by itself: joined to others, those of uint64 would be rounded
        joined = np.concatenate([values.astype(np.int64) for values in arrays.values()])
        return cls(joined, ranges, int(joined.max()) + 1, scope)

    @property
    def tested(self) -> tuple[LayerRange, ...]:
        """Layers whose subclusters are tested."""
        return tuple(layer for layer in self.layers if layer.tested)

    def of(self, layer: LayerRange) -> np.ndarray:
        """Return the labels of one layer's units."""
        return self.labels[layer.units]
