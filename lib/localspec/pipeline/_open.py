"""Opener: the replicates that a notebook's parameters name, and their order by network."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from localspec._utils.validation import check_flag, check_type
from localspec.networks import NetworkSettings, TorchvisionSettings
from localspec.pipeline._choices import PROFILE_CHOICES, Choices
from localspec.pipeline._opened_replicate import OpenedReplicate
from localspec.pipeline._profile import Profile, load_profile
from localspec.pipeline._replicate import Replicate
from localspec.pipeline._sections import Section


def by_network(replicates: Sequence[Replicate]) -> list[list[Replicate]]:
    """Return the replicates of each network, in the order in which networks come."""
    groups: dict[str, list[Replicate]] = {}
    for replicate in replicates:
        groups.setdefault(replicate.network, []).append(replicate)
    return list(groups.values())


def open_replicate(
    profile: Profile,
    network: str,
    seed: int,
    choices: Choices = PROFILE_CHOICES,
    *,
    compute: str = "auto",
    progress: bool = True,
) -> Replicate:
    """Return one replicate, whatever the origin of its weights; see :class:`Replicate`."""
    check_type("profile", profile, Profile, "load_profile(name) returns one")
    opened = isinstance(profile.networks.get(network), TorchvisionSettings)
    kind = OpenedReplicate if opened else Replicate
    return kind(profile, network, seed, choices, compute=compute, progress=progress)


def open_replicates(
    section: Section,
    *,
    only: Callable[[NetworkSettings], bool] | None = None,
    choices: Choices = PROFILE_CHOICES,
    progress: bool = True,
) -> list[Replicate]:
    """Return the replicates that a notebook's parameters name.

    Parameters
    ----------
    section : Section
        Its values take precedence over the profile's. ``untrained="leave out"``, where a section
        has it, leaves out networks that are not stored for every seed.
    only : callable, optional
        Takes the settings of a network and returns whether it is wanted.
    choices : Choices, optional
    progress : bool, optional

    Returns
    -------
    list of Replicate
        Networks x seeds.

    Raises
    ------
    InvalidInputError
        If the profile, one of its networks or data sets, or its device does not exist, or more
        clusters are asked for than a network has units.
    """
    check_type("section", section, Section, "such as TrainingSection(profile='digits')")
    check_type("choices", choices, Choices, "such as Choices(n_clusters=4)")
    check_flag("progress", progress)
    profile = load_profile(section.profile).select(section)
    if "n_clusters" in type(section).model_fields:
        profile.check_clusters(choices.n_clusters or profile.method.n_clusters)
    compute = section.compute
    if compute == "auto":  # a run, whose other jobs compute, lets pages only load
        compute = os.environ.get("LOCALSPEC_COMPUTE", compute)
    groups = [
        [
            open_replicate(profile, network, seed, choices, compute=compute, progress=progress)
            for seed in profile.seeds
        ]
        for network in profile.networks
    ]
    if only is not None:
        groups = [group for group in groups if only(group[0].settings)]
    if getattr(section, "untrained", "train") == "leave out":
        groups = [group for group in groups if all(each.stored_path for each in group)]
    return [replicate for group in groups for replicate in group]
