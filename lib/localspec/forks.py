"""What each fork of the method changes: one option at a time, everything else as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from localspec.conventions import PAPER, RELEASED, Conventions
from localspec.partitions import NO_CLUSTER, Partition
from localspec.pipeline import PARTITIONINGS, Replicate
from localspec.profiles import Profile, load_profile
from localspec.sections import ForksSection
from localspec.sensitivity import OTHER_SEED
from localspec.settings import NetworkSettings
from localspec.spectral import ncut
from localspec.synthesis import synthesis_table

SIGNIFICANT = "significant"


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
    """One fork read otherwise: an option and its value; or `YARDSTICK`, which is no fork."""

    option: str
    value: str

    def __str__(self) -> str:
        return f"{self.option}: {self.value}"

    @property
    def conventions(self) -> Conventions:
        """The plain reading but for this option."""
        if self == YARDSTICK:
            return PAPER
        return PAPER.model_copy(update={self.option: self.value})

    @property
    def is_released(self) -> bool:
        """Whether this is what the released code does."""
        return getattr(RELEASED, self.option) == self.value


# the plain reading with other random counterparts: what chance moves without any fork
YARDSTICK = Reading("draws", "other seed")


def readings(network: NetworkSettings) -> list[Reading]:
    """Return the yardstick and every other reading of every fork that can concern a network."""
    others = [
        Reading(option, value)
        for option, field in Conventions.model_fields.items()
        if CONCERNS.get(option, lambda _: True)(network)
        for value in get_args(field.annotation)
        if value != getattr(PAPER, option)
    ]
    return [YARDSTICK, *others]


class ForkReplicate(Replicate):
    """A replicate under conventions that are no preset.

    Parameters
    ----------
    profile : Profile
    network : str
    seed : int
    chosen : Conventions
    compute, progress
        As in :class:`localspec.pipeline.Replicate`.
    """

    def __init__(
        self, profile: Profile, network: str, seed: int, chosen: Conventions = PAPER, **shared
    ) -> None:
        super().__init__(profile, network, seed, **shared)
        self.chosen = chosen

    @property
    def conventions(self) -> Conventions:
        """The reading of the method."""
        return self.chosen

    @property
    def reading(self) -> str:
        """What is read otherwise than plainly; ``"paper"`` if nothing is."""
        chosen = self.chosen.model_dump().items()
        other = [f"{name}: {value}" for name, value in chosen if value != getattr(PAPER, name)]
        return ", ".join(other) or "paper"

    def like(self, profile: Profile, network: str) -> ForkReplicate:
        """Return the replicate of another profile's network that is like this one otherwise."""
        shared = {"compute": self.compute, "progress": self.progress}
        return type(self)(profile, network, self.seed, self.chosen, **shared)

    def under(self, chosen: Conventions) -> ForkReplicate:
        """Return the same replicate under other conventions."""
        shared = {"compute": self.compute, "progress": self.progress}
        return type(self)(self.profile, self.network, self.seed, chosen, **shared)

    @cached_property
    def ncut(self) -> float:
        """The n-cut of the weights graph."""
        partition = self.partition("weights/global")
        return ncut(self.graph("weights").adjacency, partition.labels)


class RedrawnReplicate(ForkReplicate):
    """A replicate with other random counterparts."""

    @property
    def draws_seed(self) -> int:
        """Seed of random counterparts, far from that of any other replicate."""
        return self.seed + OTHER_SEED


def open_forks(
    section: ForksSection, *, progress: bool = True
) -> dict[str, dict[Reading | None, list[ForkReplicate]]]:
    """Return the replicates of every network under the plain reading (None) and each other one.

    Raises
    ------
    InvalidInputError
        If the profile, one of its networks or data sets, or its device does not exist, or more
        clusters are asked for than a network has units.
    """
    profile = load_profile(section.profile).select(section)
    profile.check_clusters(profile.method.n_clusters)
    shared = {"compute": section.compute, "progress": progress}
    return {
        name: {
            reading: [
                _opened(reading)(
                    profile,
                    name,
                    seed,
                    PAPER if reading is None else reading.conventions,
                    **shared,
                )
                for seed in profile.seeds
            ]
            for reading in (None, *readings(network))
        }
        for name, network in profile.networks.items()
    }


def _opened(reading: Reading | None) -> type[ForkReplicate]:
    return RedrawnReplicate if reading == YARDSTICK else ForkReplicate


def _labels_alike(one: Partition, other: Partition) -> float:
    """Return the adjusted Rand score over tested units live in both; NaN if units differ."""
    if [vars(layer) for layer in one.layers] != [vars(layer) for layer in other.layers]:
        return float("nan")
    tested = np.concatenate([np.arange(layer.start, layer.stop) for layer in one.tested])
    pair = [partition.labels[tested] for partition in (one, other)]
    live = (pair[0] != NO_CLUSTER) & (pair[1] != NO_CLUSTER)
    return float(adjusted_rand_score(pair[0][live], pair[1][live]))


def _n_subclusters(replicates: Sequence[ForkReplicate]) -> int:
    return sum(len(one.draws(name).subclusters) for one in replicates for name in PARTITIONINGS)


def fork_tests(
    opened: dict[str, dict[Reading | None, list[ForkReplicate]]], *, level: float = 0.05
) -> pd.DataFrame:
    """Return every test under every reading.

    Parameters
    ----------
    opened : dict
        From :func:`open_forks`.
    level : float, optional
        False discovery rate of the family of one network under one reading.

    Returns
    -------
    pandas.DataFrame
        One row a network, reading, partitioning and measure: ``p`` and ``verdict`` as on the
        synthesis page, ``effect``, and the same under the plain reading.
    """
    tables = []
    for by_reading in opened.values():
        columns = ["network", "partitioning", "measure", "p", "verdict", "effect"]
        found = {
            reading: synthesis_table(group, level=level)[columns]
            for reading, group in by_reading.items()
        }
        plain = found.pop(None)
        for reading, table in found.items():
            joined = table.merge(plain, on=columns[:3], suffixes=("", "_plain"))
            joined.insert(1, "option", reading.option)
            joined.insert(2, "reading", reading.value)
            tables.append(joined)
    return pd.concat(tables, ignore_index=True)


def fork_table(
    opened: dict[str, dict[Reading | None, list[ForkReplicate]]], tests: pd.DataFrame
) -> pd.DataFrame:
    """Return what each fork changes: one row a network and reading.

    Parameters
    ----------
    opened : dict
        From :func:`open_forks`.
    tests : pandas.DataFrame
        From :func:`fork_tests`.

    Returns
    -------
    pandas.DataFrame
        ``verdicts_changed`` of 16; ``largest_change_of_p`` over partitionings and measures, and
        which test it is; ``tests_gained`` and ``tests_lost``: tests that have a p under one of the
        two readings only; ``mean_change_of_effect`` of magnitudes; ``adjusted_rand``: agreement of
        partitions with those of the plain reading, a mean over partitionings and replicates (empty
        where the units are others); ``n_subclusters`` tested in all, and ``ncut`` of
        weights/global, mean over replicates, each beside that of the plain reading.
    """
    rows = []
    for name, by_reading in opened.items():
        plain = by_reading[None]
        for reading, group in by_reading.items():
            if reading is None:
                continue
            part = tests[
                (tests["network"] == name)
                & (tests["option"] == reading.option)
                & (tests["reading"] == reading.value)
            ]
            change = (part["p"] - part["p_plain"]).abs()
            largest = part.loc[change.fillna(0.0).idxmax()]
            where = f"{largest['measure']}, {largest['partitioning']}" if change.max() > 0 else ""
            tested = part["p"].notna(), part["p_plain"].notna()
            alike = [
                _labels_alike(one.partition(partitioning), other.partition(partitioning))
                for one, other in zip(plain, group, strict=True)
                for partitioning in PARTITIONINGS
            ]
            verdicts = part["verdict"].eq(SIGNIFICANT) != part["verdict_plain"].eq(SIGNIFICANT)
            rows.append(
                {
                    "network": name,
                    "option": reading.option,
                    "reading": reading.value,
                    "released": "yes" if reading.is_released else "no",
                    "verdicts_changed": f"{int(verdicts.sum())} of {len(part)}",
                    "largest_change_of_p": float(change.max()),
                    "where": where,
                    "tests_gained": int((tested[0] & ~tested[1]).sum()),
                    "tests_lost": int((tested[1] & ~tested[0]).sum()),
                    "mean_change_of_effect": float(
                        (part["effect"] - part["effect_plain"]).abs().mean()
                    ),
                    "adjusted_rand": float(np.mean(alike)),
                    "n_subclusters": _n_subclusters(group),
                    "n_subclusters_plain": _n_subclusters(plain),
                    "ncut": float(np.mean([one.ncut for one in group])),
                    "ncut_plain": float(np.mean([one.ncut for one in plain])),
                }
            )
    return pd.DataFrame(rows)
