"""Sections: the parameters of every page's notebook, one model a page.

The fields of a model are the parameters of that page's notebook, with the same names, types and
defaults. A setting of the method and its default stand in one class, which :class:`Method` and
every section that has the setting inherit.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from localspec._utils.validation import Strict, check_option, distinct
from localspec.pipeline._injected import cells_run, check_injected

Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
NClusters = Annotated[int, Field(strict=True, ge=2, le=100_000)]
NPartitions = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
NImages = Annotated[int, Field(strict=True, ge=3, le=10_000_000)]
Probability = Annotated[float, Field(strict=True, gt=0, lt=1, allow_inf_nan=False)]
Noise = Annotated[float, Field(strict=True, ge=0, le=1000, allow_inf_nan=False)]
Weight = Annotated[float, Field(strict=True, gt=0, le=1e6, allow_inf_nan=False)]
Names = Annotated[list[str], Field(min_length=1), AfterValidator(distinct)]
OneName = Annotated[list[str], Field(min_length=1, max_length=1)]
Seeds = Annotated[list[Seed], Field(min_length=1), AfterValidator(distinct)]
OneSeed = Annotated[list[Seed], Field(min_length=1, max_length=1)]
Noises = Annotated[list[Noise], Field(min_length=1), AfterValidator(distinct)]
Epochs = Annotated[
    list[Annotated[int, Field(strict=True, ge=0, le=1_000_000)]],
    Field(min_length=2),
    AfterValidator(distinct),
]
OtherNClusters = Annotated[list[NClusters], AfterValidator(distinct)]


class Clustered(Strict):
    """Units are clustered."""

    n_clusters: NClusters = 6


class Shuffled(Strict):
    """N-cuts are compared with those of networks whose weights are shuffled."""

    n_shuffles: Count = 50


class Activated(Strict):
    """Activations are recorded on training images."""

    n_images: NImages = 768


class Correlated(Activated):
    """Activations are correlated."""

    correlation: Literal["spearman", "pearson", "kendall"] = "spearman"


class Drawn(Strict):
    """Subclusters are compared with random counterparts."""

    n_draws: Count = 19


class Judged(Drawn):
    """The p-values of these comparisons are judged at a level."""

    level: Probability = 0.05


class Visualized(Strict):
    """Subclusters are visualized."""

    n_steps: Count = 64


class Interpreted(Strict):
    """The method is read as the paper describes it or as its released code does it."""

    conventions: Literal["paper", "released"] = "paper"


class Method(Clustered, Shuffled, Correlated, Judged, Visualized, Interpreted):
    """All settings of the method."""


class Parameters(Strict):
    """Parameters of a notebook; none of those that papermill was given is mistyped."""

    @model_validator(mode="after")
    def _are_all_known(self) -> Parameters:
        check_injected(cells_run())
        return self


class Section(Parameters):
    """Parameters of every section's notebook."""

    profile: str = "digits"
    networks: Names = ["mlp"]
    seeds: Seeds = [0, 1, 2]
    compute: Literal["auto", "never", "always"] = "auto"

    def method(self) -> dict[str, Any]:
        """Return the settings of the method among this section's parameters."""
        return {name: getattr(self, name) for name in Method.model_fields if hasattr(self, name)}


class TrainingSection(Section):
    """Parameters of ``01_training``."""


class ClusteringSection(Clustered, Shuffled, Correlated, Interpreted, Section):
    """Parameters of ``02_clustering``."""


class ImportanceSection(Clustered, Drawn, Interpreted, Section):
    """Parameters of ``03_importance``."""


class CoherenceSection(Clustered, Drawn, Visualized, Interpreted, Section):
    """Parameters of ``04_coherence``."""


class SynthesisSection(Clustered, Judged, Visualized, Interpreted, Section):
    """Parameters of ``05_synthesis``."""

    controls: dict[str, str] = {}


class ControlsSection(Clustered, Judged, Interpreted, Section):
    """Parameters of ``06_controls``: planted networks like one of the profile's."""

    profile: str = "digits-controls"
    networks: OneName = ["mlp"]
    seeds: Seeds = [0, 1, 2, 3, 4]
    noises: Noises = [0.0, 0.25, 0.5, 0.75, 1.0]
    n_clusters: NClusters = 2


class CalibrationSection(Clustered, Judged, Interpreted, Section):
    """Parameters of ``07_calibration``: null partitions."""

    profile: str = "digits-controls"
    seeds: Seeds = list(range(20))
    n_partitions: Count = 200


class SensitivitySection(Clustered, Correlated, Judged, Visualized, Interpreted, Section):
    """Parameters of ``08_sensitivity``: one network."""

    profile: str = "digits-controls"
    networks: OneName = ["mlp"]
    seeds: Seeds = [0, 1, 2, 3, 4]
    other_n_clusters: OtherNClusters = [4, 8]
    n_strata: Count = 4


class ForksSection(Clustered, Correlated, Judged, Visualized, Section):
    """Parameters of ``09_forks``: networks that the forks of the method concern."""

    profile: str = "digits-controls"
    networks: Names = ["mlp", "mlp-l2", "cnn", "cnn-normalized", "resnet"]


class PublishedSection(Clustered, Shuffled, Section):
    """Parameters of ``10_published``: networks and settings of the published figures."""

    profile: str = "mnist"
    seeds: Seeds = [0, 1, 2, 3, 4]
    untrained: Literal["train", "leave out"] = "train"
    n_clusters: NClusters = 12


class MoreDrawsSection(Clustered, Judged, Visualized, Interpreted, Section):
    """Parameters of ``11_more_draws``: one network, one seed."""

    profile: str = "digits-controls"
    networks: OneName = ["mlp"]
    seeds: OneSeed = [0]
    max_draws: Count = 999
    max_exceedances: Count = 10

    @model_validator(mode="after")
    def _can_stop_early(self) -> MoreDrawsSection:
        if self.max_draws < max(self.max_exceedances, self.n_draws):
            raise ValueError(
                f"max_draws = {self.max_draws} must be at least max_exceedances = "
                f"{self.max_exceedances} and n_draws = {self.n_draws}, the draws it starts with"
            )
        return self


class GallerySection(Clustered, Drawn, Visualized, Interpreted, Section):
    """Parameters of ``12_gallery``: one network, one seed."""

    profile: str = "digits-controls"
    networks: OneName = ["mlp"]
    seeds: OneSeed = [0]
    n_exciting: Count = 6
    show_images: Annotated[bool, Field(strict=True)] = False


class ImageNetSection(Clustered, Shuffled, Section):
    """Parameters of ``13_imagenet``: networks with published figures, opened and not trained."""

    profile: str = "imagenet-ncuts"
    networks: Names = ["vgg16-random"]
    seeds: Seeds = [0]
    n_clusters: NClusters = 12
    n_shuffles: Count = 10


class UntrainedSection(Clustered, Section):
    """Parameters of ``14_untrained``: networks with their initial weights, one of each seed."""

    profile: str = "untrained"
    seeds: Seeds = list(range(100))
    n_clusters: NClusters = 12


class ActivationsSection(Clustered, Shuffled, Correlated, Section):
    """Parameters of ``15_activations``: networks with published n-cuts of their activations."""

    profile: str = "activations"
    seeds: Seeds = [0, 1, 2, 3, 4]
    untrained: Literal["train", "leave out"] = "train"
    n_clusters: NClusters = 12
    n_shuffles: Count = 20
    n_images: NImages = 4992


class L2Section(Clustered, Shuffled, Section):
    """Parameters of ``16_l2``: networks trained under an L2 penalty, under both readings of it."""

    profile: str = "l2-readings"
    networks: Names = ["mnist"]
    seeds: Seeds = [0, 1, 2, 3, 4]
    n_seeds: dict[str, Count] = {}
    missing: Literal["train", "leave out"] = "train"
    n_clusters: NClusters = 12


class MeasuresSection(Clustered, Correlated, Judged, Visualized, Interpreted, Section):
    """Parameters of ``17_measures``: networks of which measures are taken in all their forms."""

    profile: str = "digits-measures"
    seeds: Seeds = [0, 1, 2, 3, 4]


class CoherenceControlsSection(Correlated, Judged, Visualized, Interpreted, Section):
    """Parameters of ``18_coherence_controls``: planted networks like one of the profile's."""

    profile: str = "digits-measures"
    networks: OneName = ["mlp-60"]
    seeds: Seeds = [0, 1, 2, 3, 4]
    noises: Noises = [0.0, 0.05, 0.1, 0.15, 0.25, 0.5]


class DoubleLesionsSection(Clustered, Judged, Section):
    """Parameters of ``19_double_lesions``."""

    profile: str = "digits-double-lesions"
    seeds: Seeds = [0, 1, 2, 3, 4]


class AblationsSection(Clustered, Judged, Section):
    """Parameters of ``20_ablations``: multilayer perceptrons."""

    profile: str = "digits-ablations"
    seeds: Seeds = [0, 1, 2, 3, 4]
    n_fit_images: Count = 1000
    n_fit_steps: Count = 128


class RankTestsSection(Clustered, Judged, Visualized, Section):
    """Parameters of ``21_rank_tests``; without null partitions, ranks are simulated only."""

    profile: str = "digits-rank-tests"
    seeds: Seeds = [0, 1, 2, 3, 4]
    n_partitions: NPartitions = 100


class PenaltySection(Clustered, Shuffled, Judged, Visualized, Section):
    """Parameters of ``22_penalty``: multilayer perceptrons that are trained further."""

    profile: str = "digits-penalty"
    seeds: Seeds = [0, 1, 2, 3, 4]
    n_shuffles: Count = 20
    n_epochs: Count = 30
    ncut_weight: Weight = 1.1
    block_weight: Weight = 3.3
    n_refresh: Count = 20


class NaturalImagesSection(Clustered, Judged, Visualized, Section):
    """Parameters of ``23_natural_images``."""

    profile: str = "digits-natural-images"
    seeds: Seeds = [0, 1, 2, 3, 4]
    n_natural: Annotated[int, Field(strict=True, ge=2, le=1000)] = 10


class LearningCurveSection(Clustered, Shuffled, Section):
    """Parameters of ``24_learning_curve``: one network, after several epochs."""

    profile: str = "digits-learning-curve"
    networks: OneName = ["mlp"]
    seeds: Seeds = [0, 1, 2, 3, 4]
    n_shuffles: Count = 20
    epochs: Epochs = [0, 1, 2, 4, 8, 16, 32, 60, 75, 90, 105, 120]


class DownstreamSection(Clustered, Shuffled, Correlated, Judged, Visualized, Section):
    """Parameters of ``25_downstream``."""

    profile: str = "digits-downstream"
    seeds: Seeds = [0, 1, 2, 3, 4]
    n_shuffles: Count = 20
    n_gradient_images: Count = 768


class YourNetworkSection(Clustered, Activated, Judged, Interpreted, Parameters):
    """Parameters of ``your_network``."""

    network_file: str = "notebooks/examples/digits_mlp.py"
    seed: Seed = 0


PAGES = {
    "01_training": TrainingSection,
    "02_clustering": ClusteringSection,
    "03_importance": ImportanceSection,
    "04_coherence": CoherenceSection,
    "05_synthesis": SynthesisSection,
    "your_network": YourNetworkSection,
}
CONTROL_PAGES = {  # of profiles such as digits-controls, never of the others
    "06_controls": ControlsSection,
    "07_calibration": CalibrationSection,
    "08_sensitivity": SensitivitySection,
    "09_forks": ForksSection,
    "10_published": PublishedSection,
    "11_more_draws": MoreDrawsSection,
    "12_gallery": GallerySection,
    "13_imagenet": ImageNetSection,
    "14_untrained": UntrainedSection,
    "15_activations": ActivationsSection,
    "16_l2": L2Section,
    "17_measures": MeasuresSection,
    "18_coherence_controls": CoherenceControlsSection,
    "19_double_lesions": DoubleLesionsSection,
    "20_ablations": AblationsSection,
    "21_rank_tests": RankTestsSection,
    "22_penalty": PenaltySection,
    "23_natural_images": NaturalImagesSection,
    "24_learning_curve": LearningCurveSection,
    "25_downstream": DownstreamSection,
}
ALL_PAGES = PAGES | CONTROL_PAGES


def section_of(page: str) -> type[Section] | type[YourNetworkSection]:
    """Return the model of a page's parameters."""
    return ALL_PAGES[check_option("page", page, ALL_PAGES)]
