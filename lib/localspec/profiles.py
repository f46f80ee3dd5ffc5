"""Profiles: which networks, which seeds, and the settings of every section.

A profile is a YAML file in ``notebooks/profiles``. Each section of the book has one model here;
its fields are the parameters of that section's notebook, with the same names, types and defaults.
Unknown keys, wrong types and values out of range are refused before any work starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from localspec.artifacts import project_root
from localspec.errors import InvalidInputError, choose

PAGES = {
    "01_training": "TrainingSection",
    "02_clustering": "ClusteringSection",
    "03_importance": "ImportanceSection",
    "04_coherence": "CoherenceSection",
    "05_synthesis": "SynthesisSection",
    "your_network": "YourNetworkSection",
}

Seed = Annotated[int, Field(ge=0, lt=2**31)]
NClusters = Annotated[int, Field(ge=2)]
NDraws = Annotated[int, Field(ge=1)]
NImages = Annotated[int, Field(ge=3)]
Probability = Annotated[float, Field(gt=0, lt=1)]
Compute = Literal["auto", "never", "always"]
ConventionName = Literal["paper", "released"]
Correlation = Literal["spearman", "pearson", "kendall"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidInputError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """Turn a pydantic error into one sentence a value: where, what was given, what is allowed."""
    problems = []
    for problem in error.errors(include_url=False):
        where = ".".join(map(str, problem["loc"])) or error.title
        if problem["type"] == "extra_forbidden":
            problems.append(f"{where} is not a setting of {error.title}")
        elif problem["type"] == "missing":
            problems.append(f"{where} is missing in {error.title}")
        else:
            problems.append(f"{where} = {problem['input']!r}: {problem['msg']}")
    return "; ".join(problems)


class NetworkSettings(_Strict):
    """One network: its data, its architecture, and how it is trained.

    An ``mlp`` has the dense layers `hidden`; a ``cnn`` has the convolutions `channels` before
    them, 3 x 3 with "same" padding, where ``"pool"`` stands for 2 x 2 max pooling.
    """

    dataset: str
    architecture: Literal["mlp", "cnn"] = "mlp"
    channels: tuple[Annotated[int, Field(ge=1)] | Literal["pool"], ...] = ()
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
    batch_norm: Literal["none", "before", "after"] = "none"  # of the activation
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # after each hidden dense layer
    conv_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # after each convolution
    n_epochs: Annotated[int, Field(ge=1)] = 20
    n_pruning_epochs: Annotated[int, Field(ge=0)] = 0  # after those, to 90 % sparsity
    batch_size: Annotated[int, Field(ge=1)] = 128
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    l1: Annotated[float, Field(ge=0)] = 0.0
    l2: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _architecture_fits(self) -> NetworkSettings:
        if (self.architecture == "cnn") != any(item != "pool" for item in self.channels):
            raise ValueError(
                "channels must name at least one convolution for a cnn and none for an mlp"
            )
        return self


class Method(_Strict):
    """The settings of the method, shared by the sections."""

    n_clusters: NClusters = 6
    n_shuffles: NDraws = 50
    correlation: Correlation = "spearman"
    n_images: NImages = 768
    n_draws: NDraws = 19
    n_steps: Annotated[int, Field(ge=1)] = 64
    level: Probability = 0.05
    conventions: ConventionName = "paper"


class Section(_Strict):
    """What every section's notebook takes."""

    profile: str = "digits"
    networks: Annotated[list[str], Field(min_length=1)] = ["mlp"]
    seeds: Annotated[list[Seed], Field(min_length=1)] = [0, 1, 2]
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

    n_steps: Annotated[int, Field(ge=1)] = 64


class SynthesisSection(CoherenceSection):
    """Parameters of ``05_synthesis``."""

    level: Probability = 0.05


class YourNetworkSection(_Strict):
    """Parameters of ``your_network``."""

    network_file: str = "notebooks/examples/digits_mlp.py"
    n_clusters: NClusters = 6
    n_draws: NDraws = 19
    n_images: NImages = 768
    seed: Seed = 0
    level: Probability = 0.05
    conventions: ConventionName = "paper"


class Profile(_Strict):
    """Networks x seeds x the settings of the method."""

    name: str
    dtype: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    grain: Literal["section"] = "section"
    pages: Annotated[list[str], Field(min_length=1)] = list(PAGES)
    networks: Annotated[dict[str, NetworkSettings], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    method: Method = Method()
    your_network: YourNetworkSection = YourNetworkSection()

    @model_validator(mode="after")
    def _pages_exist(self) -> Profile:
        for page in self.pages:
            choose("page", page, PAGES)
        return self

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
        return section(**shared, **fields).model_dump(mode="json")

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
    return globals()[PAGES[choose("page", page, PAGES)]]


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
