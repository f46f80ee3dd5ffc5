"""Profiles: which networks, which seeds, and the settings of every section.

A profile is a YAML file in ``notebooks/profiles``. Each section of the book has one model here;
its fields are the parameters of that section's notebook, with the same names, types and defaults.
Unknown keys, wrong types and values out of range are refused before any work starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, model_validator

from localspec.artifacts import project_root
from localspec.errors import InvalidInputError, choose
from localspec.settings import NetworkSettings, Strict, distinct

PAGES = {
    "01_training": "TrainingSection",
    "02_clustering": "ClusteringSection",
    "03_importance": "ImportanceSection",
    "04_coherence": "CoherenceSection",
    "05_synthesis": "SynthesisSection",
    "your_network": "YourNetworkSection",
}
CONTROL_PAGES = {  # of profiles such as digits-controls, never of the others
    "06_controls": "ControlsSection",
    "07_calibration": "CalibrationSection",
    "08_sensitivity": "SensitivitySection",
    "09_forks": "ForksSection",
    "10_published": "PublishedSection",
}
ALL_PAGES = PAGES | CONTROL_PAGES

Seed = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Names = Annotated[list[str], Field(min_length=1)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(distinct)]
NClusters = Annotated[int, Field(strict=True, ge=2)]
NDraws = Annotated[int, Field(strict=True, ge=1)]
NImages = Annotated[int, Field(strict=True, ge=3)]
Probability = Annotated[float, Field(strict=True, gt=0, lt=1)]
Compute = Literal["auto", "never", "always"]
ConventionName = Literal["paper", "released"]
Correlation = Literal["spearman", "pearson", "kendall"]


class Method(Strict):
    """The settings of the method, shared by the sections."""

    n_clusters: NClusters = 6
    n_shuffles: NDraws = 50
    correlation: Correlation = "spearman"
    n_images: NImages = 768
    n_draws: NDraws = 19
    n_steps: Annotated[int, Field(strict=True, ge=1)] = 64
    level: Probability = 0.05
    conventions: ConventionName = "paper"


class Section(Strict):
    """What every section's notebook takes."""

    profile: str = "digits"
    networks: Names = ["mlp"]
    seeds: Seeds = [0, 1, 2]
    compute: Compute = "auto"

    def method(self) -> dict[str, Any]:
        """Return the settings of the method among this section's parameters."""
        return {name: getattr(self, name) for name in Method.model_fields if hasattr(self, name)}


class TrainingSection(Section):
    """Parameters of ``01_training``."""


class ClusteringSection(Section):
    """Parameters of ``02_clustering``."""

    n_clusters: NClusters = 6
    n_shuffles: NDraws = 50
    correlation: Correlation = "spearman"
    n_images: NImages = 768
    conventions: ConventionName = "paper"


class ImportanceSection(Section):
    """Parameters of ``03_importance``."""

    n_clusters: NClusters = 6
    n_draws: NDraws = 19
    conventions: ConventionName = "paper"


class CoherenceSection(ImportanceSection):
    """Parameters of ``04_coherence``."""

    n_steps: Annotated[int, Field(strict=True, ge=1)] = 64


class SynthesisSection(CoherenceSection):
    """Parameters of ``05_synthesis``."""

    level: Probability = 0.05


class ControlsSection(Section):
    """Parameters of ``06_controls``: planted networks like one of the profile's."""

    profile: str = "digits-controls"
    networks: Annotated[list[str], Field(min_length=1, max_length=1)] = ["mlp"]
    seeds: Seeds = [0, 1, 2, 3, 4]
    noises: Annotated[list[Annotated[float, Field(strict=True, ge=0)]], Field(min_length=1)] = [
        *(0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    n_clusters: NClusters = 2
    n_draws: NDraws = 19
    level: Probability = 0.05
    conventions: ConventionName = "paper"


class CalibrationSection(Section):
    """Parameters of ``07_calibration``: null partitions."""

    profile: str = "digits-controls"
    seeds: Seeds = list(range(20))
    n_clusters: NClusters = 6
    n_draws: NDraws = 19
    n_partitions: Annotated[int, Field(strict=True, ge=1)] = 200
    level: Probability = 0.05
    conventions: ConventionName = "paper"


class SensitivitySection(Section):
    """Parameters of ``08_sensitivity``: one network."""

    profile: str = "digits-controls"
    networks: Annotated[list[str], Field(min_length=1, max_length=1)] = ["mlp"]
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0, 1, 2, 3, 4]
    n_clusters: NClusters = 6
    other_n_clusters: list[NClusters] = [4, 8]
    n_strata: Annotated[int, Field(ge=1)] = 4
    n_draws: NDraws = 19
    correlation: Correlation = "spearman"
    n_images: NImages = 768
    n_steps: Annotated[int, Field(ge=1)] = 64
    level: Probability = 0.05
    conventions: ConventionName = "paper"


class ForksSection(Section):
    """Parameters of ``09_forks``: networks that the forks of the method concern."""

    profile: str = "digits-controls"
    networks: Names = ["mlp", "mlp-l2", "cnn", "cnn-normalized", "resnet"]
    n_clusters: NClusters = 6
    n_draws: NDraws = 19
    correlation: Correlation = "spearman"
    n_images: NImages = 768
    n_steps: Annotated[int, Field(strict=True, ge=1)] = 64
    level: Probability = 0.05


class PublishedSection(Section):
    """Parameters of ``10_published``: networks and settings of the published figures."""

    profile: str = "mnist"
    networks: Names = ["mlp"]
    seeds: Seeds = [0, 1, 2, 3, 4]
    untrained: Literal["train", "leave out"] = "train"
    n_clusters: NClusters = 12
    n_shuffles: NDraws = 50


class YourNetworkSection(Strict):
    """Parameters of ``your_network``."""

    network_file: str = "notebooks/examples/digits_mlp.py"
    n_clusters: NClusters = 6
    n_draws: NDraws = 19
    n_images: NImages = 768
    seed: Seed = 0
    level: Probability = 0.05
    conventions: ConventionName = "paper"


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


def section_of(page: str) -> type[Section] | type[YourNetworkSection]:
    """Return the model of a page's parameters."""
    return globals()[ALL_PAGES[choose("page", page, ALL_PAGES)]]


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
