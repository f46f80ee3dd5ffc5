"""Tables of the forks: change one option at a time, and compare with the plain reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from localspec._utils.validation import check_real
from localspec.clustering import partition_agreement
from localspec.conventions import Conventions
from localspec.measures import VISUALIZED
from localspec.networks import NetworkSettings
from localspec.pipeline import (
    PAPER_CHOICES,
    PARTITIONINGS,
    SIGNIFICANT,
    ForksSection,
    Reading,
    Replicate,
    by_network,
    combined_rows,
    corrected_table,
    load_profile,
    open_replicates,
    readings,
)

CHANNELS = "visualization_channels"
# the order in which forks are shown: that of the options, and channels behind what lesions do
ORDER = list(Conventions.model_fields)
ORDER.insert(ORDER.index("lesion_point") + 1, CHANNELS)
Forks = dict[str, dict[Reading | None, list[Replicate]]]


class ChannelsReading(Reading):
    """Visualizations of another network, trained on the same grey images in three channels."""

    @property
    def is_released(self) -> bool:
        """Whether this is what the released code does."""
        return self.value == "squeezed"


def networks_in_three_channels(
    networks: Mapping[str, NetworkSettings], name: str
) -> dict[Reading, str]:
    """Return the networks that are trained on the images of another one in three channels.

    They have the settings of the network of grey images `name`, but for ``image_channels`` and
    ``n_epochs``.

    Examples
    --------
    >>> grey = NetworkSettings(dataset="digits", hidden=(8,))
    >>> copies = grey.model_copy(update={"image_channels": "copies", "n_epochs": 30})
    >>> list(networks_in_three_channels({"mlp": grey, "mlp-copies": copies}, "mlp").values())
    ['mlp-copies']
    """
    differing = {"image_channels", "n_epochs"}
    shared = networks[name].model_dump(exclude=differing)
    if networks[name].image_channels != "own":
        return {}
    return {
        ChannelsReading(CHANNELS, settings.image_channels): other
        for other, settings in networks.items()
        if settings.image_channels != "own" and settings.model_dump(exclude=differing) == shared
    }


def fork_replicates(section: ForksSection, *, progress: bool = True) -> Forks:
    """Return the replicates of every network under the plain reading (None) and each other one.

    Parameters
    ----------
    section : ForksSection
    progress : bool, optional

    Returns
    -------
    dict of str to dict
        By network and reading. Where visualizations can be made of another network, that is what
        the reading has: see :func:`networks_in_three_channels`.

    Raises
    ------
    InvalidInputError
        If the profile, one of its networks or data sets, or its device does not exist, or more
        clusters are asked for than a network has units.
    """
    networks = load_profile(section.profile).networks
    opened: Forks = {}
    for group in by_network(open_replicates(section, choices=PAPER_CHOICES, progress=progress)):
        name = group[0].network
        read = {
            reading: [replicate.with_choices(**reading.changes) for replicate in group]
            for reading in readings(group[0].settings)
        }
        for reading, other in networks_in_three_channels(networks, name).items():
            one_network = section.model_copy(update={"networks": [other]})
            read[reading] = open_replicates(one_network, choices=PAPER_CHOICES, progress=progress)
        redrawn, *others = read
        ordered = sorted(others, key=lambda reading: ORDER.index(reading.option))
        opened[name] = {None: group}
        opened[name] |= {reading: read[reading] for reading in (redrawn, *ordered)}
    return opened


def _n_subclusters(replicates: Sequence[Replicate]) -> int:
    return sum(
        len(replicate.draws(partitioning).subclusters)
        for replicate in replicates
        for partitioning in PARTITIONINGS
    )


def _mean_ncut(replicates: Sequence[Replicate]) -> float:
    return float(np.mean([replicate.ncut() for replicate in replicates]))


def fork_test_table(opened: Forks, *, level: float = 0.05) -> pd.DataFrame:
    """Return every test under every reading.

    Parameters
    ----------
    opened : dict
        From :func:`fork_replicates`.
    level : float, optional
        False discovery rate of the family of one network under one reading.

    Returns
    -------
    pandas.DataFrame
        One row a network, reading, partitioning and measure: ``p`` and ``verdict`` as on the
        synthesis page, ``effect``, and the same under the plain reading. Where visualizations are
        made of another network, only their two measures speak of it.
    """
    check_real("level", level, 0, 1)
    columns = ["network", "partitioning", "measure", "p", "verdict", "effect"]
    tables = []
    for name, by_reading in opened.items():
        own_rows = combined_rows(by_reading[None])
        plain = corrected_table(own_rows, level=level)[columns]
        for reading, group in by_reading.items():
            if reading is None:
                continue
            if reading.option == CHANNELS:
                shown = {
                    (row["partitioning"], row["measure"]): {**row, "network": name}
                    for row in combined_rows(group, VISUALIZED)
                }
                rows = [shown.get((row["partitioning"], row["measure"]), row) for row in own_rows]
            else:
                rows = combined_rows(group)
            table = corrected_table(rows, level=level)[columns]
            joined = table.merge(plain, on=columns[:3], suffixes=("", "_plain"))
            joined.insert(1, "option", reading.option)
            joined.insert(2, "reading", reading.value)
            tables.append(joined)
    return pd.concat(tables, ignore_index=True)


def fork_table(opened: Forks, tests: pd.DataFrame) -> pd.DataFrame:
    """Return what each fork changes: one row a network and reading.

    Parameters
    ----------
    opened : dict
        From :func:`fork_replicates`.
    tests : pandas.DataFrame
        From :func:`fork_test_table`.

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
        n_subclusters_plain, ncut_plain = _n_subclusters(plain), _mean_ncut(plain)
        for reading, group in by_reading.items():
            if reading is None:
                continue
            if reading.option == CHANNELS:  # partitions are those of the network itself
                group = plain
            part = tests[
                (tests["network"] == name)
                & (tests["option"] == reading.option)
                & (tests["reading"] == reading.value)
            ]
            change = (part["p"] - part["p_plain"]).abs()
            largest = part.loc[change.fillna(0.0).idxmax()]
            where = f"{largest['measure']}, {largest['partitioning']}" if change.max() > 0 else ""
            tested = part["p"].notna(), part["p_plain"].notna()
            scores = [
                partition_agreement(
                    plain_replicate.partition(partitioning), replicate.partition(partitioning)
                )
                for plain_replicate, replicate in zip(plain, group, strict=True)
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
                    "adjusted_rand": float(np.mean(scores)),
                    "n_subclusters": _n_subclusters(group),
                    "n_subclusters_plain": n_subclusters_plain,
                    "ncut": _mean_ncut(group),
                    "ncut_plain": ncut_plain,
                }
            )
    return pd.DataFrame(rows)
