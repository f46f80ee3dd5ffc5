"""Parameters of every section's notebook: one model each.

Its fields are the parameters of that section's notebook, with the same names, types and defaults.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from localspec.errors import choose
from localspec.settings import Strict, distinct

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
    "11_more_draws": "MoreDrawsSection",
    "12_gallery": "GallerySection",
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
        0.0,
        0.25,
        0.5,
        0.75,
        1.0,
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


class MoreDrawsSection(SynthesisSection):
    """Parameters of ``11_more_draws``: one network, one seed."""

    profile: str = "digits-controls"
    networks: Annotated[list[str], Field(min_length=1, max_length=1)] = ["mlp"]
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1)] = [0]
    max_draws: NDraws = 999
    max_exceedances: NDraws = 10

    @model_validator(mode="after")
    def _can_stop_early(self) -> MoreDrawsSection:
        if self.max_draws < max(self.max_exceedances, self.n_draws):
            raise ValueError(
                f"max_draws = {self.max_draws} must be at least max_exceedances = "
                f"{self.max_exceedances} and n_draws = {self.n_draws}, the draws it starts with"
            )
        return self


class GallerySection(CoherenceSection):
    """Parameters of ``12_gallery``: one network."""

    profile: str = "digits-controls"
    networks: Annotated[list[str], Field(min_length=1, max_length=1)] = ["mlp"]
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1)] = [0]
    n_exciting: Annotated[int, Field(strict=True, ge=1)] = 6
    show_images: Annotated[bool, Field(strict=True)] = False


class YourNetworkSection(Strict):
    """Parameters of ``your_network``."""

    network_file: str = "notebooks/examples/digits_mlp.py"
    n_clusters: NClusters = 6
    n_draws: NDraws = 19
    n_images: NImages = 768
    seed: Seed = 0
    level: Probability = 0.05
    conventions: ConventionName = "paper"


def section_of(page: str) -> type[Section] | type[YourNetworkSection]:
    """Return the model of a page's parameters."""
    return globals()[ALL_PAGES[choose("page", page, ALL_PAGES)]]
