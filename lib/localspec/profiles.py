"""Profiles: which networks, which seeds, and the settings of every section.

A profile is a YAML file in ``notebooks/profiles``. Each section of the book has one model in
:mod:`localspec.sections`. Unknown keys, wrong types and values out of range are refused before any
work starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from localspec.artifacts import project_root
from localspec.errors import InvalidInputError, choose
from localspec.sections import (
    ALL_PAGES,
    CONTROL_PAGES,
    PAGES,
    CalibrationSection,
    ClusteringSection,
    CoherenceSection,
    ControlsSection,
    ForksSection,
    GallerySection,
    ImportanceSection,
    Method,
    MoreDrawsSection,
    Names,
    PublishedSection,
    Section,
    Seeds,
    SensitivitySection,
    SynthesisSection,
    TrainingSection,
    YourNetworkSection,
    section_of,
)
from localspec.settings import NetworkSettings, Strict

__all__ = [
    "ALL_PAGES",
    "CONTROL_PAGES",
    "PAGES",
    "CalibrationSection",
    "ClusteringSection",
    "CoherenceSection",
    "ControlsSection",
    "ForksSection",
    "GallerySection",
    "ImportanceSection",
    "Method",
    "MoreDrawsSection",
    "NetworkSettings",
    "Profile",
    "PublishedSection",
    "Section",
    "SensitivitySection",
    "SynthesisSection",
    "TrainingSection",
    "YourNetworkSection",
    "load_profile",
    "section_of",
]


class Profile(Strict):
    """Networks x seeds x the settings of the method."""

    name: str
    dtype: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    grain: Literal["section"] = "section"
    pages: Names = list(PAGES)
    networks: Annotated[dict[str, NetworkSettings], Field(min_length=1)]
    seeds: Seeds
    method: Method = Method()
    sections: dict[str, dict[str, Any]] = {}  # page -> its own values, above all others
    published_networks: list[str] = []  # whose weights are published beside the pages
    published_seeds: Seeds | None = None  # of these networks; all unless given
    your_network: YourNetworkSection = YourNetworkSection()

    @model_validator(mode="after")
    def _pages_exist(self) -> Profile:
        for page in self.pages:
            choose("page", page, ALL_PAGES)
        for page in self.sections:
            choose("page of sections", page, [name for name in ALL_PAGES if name[0].isdigit()])
            self.parameters(page)
        return self

    @model_validator(mode="after")
    def _published_networks_exist(self) -> Profile:
        for name in self.published_networks:
            choose("network of published_networks", name, self.networks)
        for seed in self.published_seeds or ():
            choose("seed of published_seeds", seed, self.seeds)
        return self

    @model_validator(mode="after")
    def _diagnosed_networks_exist(self) -> Profile:
        published = [name for name, one in self.networks.items() if one.published is not None]
        for name, network in self.networks.items():
            if network.diagnoses is not None:
                choose(f"network that {name} diagnoses", network.diagnoses, published)
        return self

    @model_validator(mode="after")
    def _clusters_fit(self) -> Profile:
        if set(self.pages) - {"01_training"}:
            self.check_clusters(self.method.n_clusters)
        return self

    @model_validator(mode="after")
    def _precision_fits(self) -> Profile:
        for name, network in self.networks.items():
            if network.precision == "bfloat16" and self.dtype == "float64":
                raise ValueError(
                    f"precision 'bfloat16' of network {name!r} has no effect on float64: use "
                    "dtype 'float32' or precision 'full'"
                )
        return self

    def check_clusters(self, n_clusters: int) -> None:
        """Refuse more clusters than the tested layers of one of the networks have units."""
        for name, network in self.networks.items():
            if n_clusters > network.n_tested_units:
                raise InvalidInputError(
                    f"n_clusters = {n_clusters}, but network {name!r} has {network.n_tested_units} "
                    "units in its tested layers: ask for at most so many"
                )

    def parameters(self, page: str) -> dict[str, Any]:
        """Return the parameters that this profile gives to the notebook of `page`.

        Raises
        ------
        InvalidInputError
            If there is no such page.
        """
        section = section_of(page)
        if section is YourNetworkSection:
            return self.your_network.model_dump(mode="json")
        shared = {"profile": self.name, "networks": list(self.networks), "seeds": self.seeds}
        method = self.method.model_dump()
        fields = {name: method[name] for name in section.model_fields if name in method}
        own = self.sections.get(page, {})
        return section(**{**shared, **fields, **own}).model_dump(mode="json")

    def select(self, section: Section) -> Profile:
        """Return this profile with the choices of one notebook's parameters.

        Raises
        ------
        InvalidInputError
            If the notebook names a network that the profile does not have.
        """
        networks = {
            name: self.networks[choose("network", name, self.networks)] for name in section.networks
        }
        method = Method(**{**self.method.model_dump(), **section.method()})
        chosen = {"networks": networks, "seeds": section.seeds, "method": method}
        return self.model_copy(update=chosen)


def load_profile(name: str | Path) -> Profile:
    """Load a profile.

    Parameters
    ----------
    name : str or Path
        Name of a file in ``notebooks/profiles`` without its ending, or a path to a YAML file.

    Raises
    ------
    InvalidInputError
        If there is no such profile, or its content is not allowed; the message lists what is.
    """
    path = Path(name)
    if path.suffix not in (".yml", ".yaml"):
        folder = project_root() / "notebooks" / "profiles"
        available = sorted(file.stem for file in folder.glob("*.yml"))
        path = folder / f"{choose('profile', str(name), available)}.yml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInputError(f"cannot read the profile {path}: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"{path} must hold a mapping of settings, not {content!r}")
    try:
        return Profile(**{"name": path.stem, **content})
    except InvalidInputError as error:
        raise InvalidInputError(f"profile {path}: {error}") from error
