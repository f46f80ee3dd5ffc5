"""Readings: every fork of the method that can concern a network, read otherwise than plainly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from localspec.conventions import PAPER, RELEASED, Conventions
from localspec.networks import NetworkSettings

OTHER_SEED = 1000  # far from any training seed


def _has_channels(network: NetworkSettings) -> bool:
    return network.architecture != "mlp"


def _branches(network: NetworkSettings) -> bool:
    return network.branches


def _is_normalized(network: NetworkSettings) -> bool:
    return network.batch_norm != "none" or network.branches


# Which networks a fork can concern; the others are left out of the tables.
CONCERNS: dict[str, Callable[[NetworkSettings], bool]] = {
    "kernel_norm": _has_channels,
    "spatial_norm": _has_channels,
    "local_triples": lambda network: network.architecture in ("cnn", "vgg"),
    "batch_norm_edges": _is_normalized,
    "lesion_point": _is_normalized,
    "residual_units": _branches,
    "lesion_readers": _branches,
    "l2_first_layer": lambda network: network.architecture == "mlp" and network.l2 > 0,
    "dropped_weights": lambda network: network.n_pruning_epochs > 0,
}


@dataclass(frozen=True)
class Reading:
    """One fork read otherwise: an option and its value; or `REDRAWN`, which is no fork."""

    option: str
    value: str

    def __str__(self) -> str:
        return f"{self.option}: {self.value}"

    @property
    def conventions(self) -> Conventions:
        """The plain reading but for this option."""
        if self == REDRAWN:
            return PAPER
        return PAPER.model_copy(update={self.option: self.value})

    @property
    def changes(self) -> dict[str, Any]:
        """What to choose otherwise, see :meth:`localspec.pipeline.Replicate.with_choices`."""
        if self == REDRAWN:
            return {"draws_seed": OTHER_SEED}
        return {"conventions": self.conventions}

    @property
    def is_released(self) -> bool:
        """Whether this is what the released code does."""
        return getattr(RELEASED, self.option) == self.value


# the plain reading with other random counterparts: what chance moves without any fork
REDRAWN = Reading("draws", "other seed")


def readings(network: NetworkSettings) -> list[Reading]:
    """Return the control and every other reading of every fork that can concern a network."""
    others = [
        Reading(option, value)
        for option, field in Conventions.model_fields.items()
        if CONCERNS.get(option, lambda _: True)(network)
        for value in get_args(field.annotation)
        if value != getattr(PAPER, option)
    ]
    return [REDRAWN, *others]
