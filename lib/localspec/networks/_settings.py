"""Settings: say of one network its data, its architecture, and how it is trained."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from localspec._utils.validation import Strict

Rate = Annotated[float, Field(strict=True, ge=0, lt=1, allow_inf_nan=False)]
Step = Annotated[float, Field(strict=True, gt=0, le=10, allow_inf_nan=False)]
Penalty = Annotated[float, Field(strict=True, ge=0, le=10, allow_inf_nan=False)]
Angle = Annotated[float, Field(strict=True, ge=0, le=180, allow_inf_nan=False)]  # degrees
Distance = Annotated[float, Field(strict=True, gt=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
CountOrNone = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
NImages = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
NThreads = Annotated[int, Field(strict=True, ge=1, le=1024)]
Width = Annotated[int, Field(strict=True, ge=1, le=65_536)]  # units of one layer
Channels = Annotated[int, Field(strict=True, ge=1, le=8192)]
Deep = Field(max_length=1000)  # layers
MOST_UNITS = 100_000  # of a network of torchvision
MOST_WEIGHTS = 500_000_000  # from one layer to the next

TorchvisionName = Literal[
    "squeezenet1_1", "vgg16", "vgg19", "resnet18", "resnet34", "resnet50", "inception_v3"
]

# what the trained weights do not depend on: of pruning, of lesions, and of pages
NOT_OF_TRAINING = {
    "n_pruning_epochs",
    "pruning_penalties",
    "n_lesion_images",
    "lesion_precision",
    "published",
    "diagnoses",
}


class NetworkSettings(Strict):
    """One network: its data, its architecture, and how it is trained.

    An ``mlp`` has the dense layers `hidden`; a ``cnn`` has the convolutions `channels` before
    them, 3 x 3 with "same" padding, where ``"pool"`` stands for 2 x 2 max pooling. A ``vgg`` is a
    ``cnn`` with batch normalization after activation and pooling everywhere but behind the last
    hidden dense layer. A ``resnet`` has one convolution and then residual blocks, as many
    `channels` in each as given, batch normalization, a mean over space and no hidden dense layer.
    """

    dataset: str
    architecture: Literal["mlp", "cnn", "vgg", "resnet"] = "mlp"
    channels: Annotated[tuple[Channels | Literal["pool"], ...], Deep] = ()
    hidden: Annotated[tuple[Width, ...], Deep] = ()
    batch_norm: Literal["none", "before", "after"] = "none"  # of the activation
    dropout: Rate = 0.0  # after each hidden dense layer
    conv_dropout: Rate = 0.0  # after each convolution
    dropouts: tuple[Rate, ...] = ()  # one for each hidden dense layer, in place of dropout
    conv_dropouts: tuple[Rate, ...] = ()  # one for each convolution, in place of conv_dropout
    n_epochs: Count = 20
    n_pruning_epochs: CountOrNone = 0  # after those, to 90 % sparsity
    batch_size: Count = 128
    pruning_penalties: bool = True  # l1 and l2 go on while weights are pruned
    learning_rate: Step = 1e-3
    l1: Penalty = 0.0
    l2: Penalty = 0.0
    initialisation: Literal["glorot", "he"] = "glorot"  # of kernels; both uniform
    # d of clusterable initialisation, see _initialisation.py: weights between modules times d
    module_distance: Distance | None = None
    max_rotation: Angle = 0.0  # degrees, of training
    max_shift: Rate = 0.0  # images; share of their width and height
    flip: bool = False  # mirror half of the training images, left to right
    precision: Literal["full", "bfloat16"] = "full"  # of activations in training; weights: dtype
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"  # in training
    n_threads: NThreads | None = None  # in training; None: torch's
    image_channels: Literal["own", "copies", "squeezed"] = "own"  # three channels of a grey image
    # test images that lesions are tried on, chosen by the seed; None: all
    n_lesion_images: NImages | None = None
    lesion_precision: Literal["full", "bfloat16"] = "full"  # of what lesions compute
    published: str | None = None  # its model in the table of published figures
    # the network with published figures that this one differs from in one thing, to see what moves
    diagnoses: str | None = None

    def training_key(self) -> dict[str, Any]:
        """Return all settings that the trained weights depend on."""
        return self.model_dump(mode="json", exclude=NOT_OF_TRAINING)

    @property
    def n_convolutions(self) -> int:
        """Convolutions of a cnn or vgg."""
        return sum(item != "pool" for item in self.channels)

    @property
    def augmentation(self) -> dict[str, float | bool]:
        """Options of augmentation; empty where it changes nothing."""
        options = self.model_dump(include={"max_rotation", "max_shift", "flip"})
        return options if any(options.values()) else {}

    @property
    def branches(self) -> bool:
        """Whether a tensor can have several readers."""
        return self.architecture == "resnet"

    @property
    def n_tested_units(self) -> int:
        """Units in the layers whose subclusters are tested."""
        if self.architecture == "resnet":  # of every block both convolutions, and the stem
            return sum(self.channels) + sum(self.channels[1:])
        if self.architecture in ("cnn", "vgg"):
            return sum(int(item) for item in self.channels if item != "pool")
        return sum(self.hidden)

    @model_validator(mode="after")
    def _architecture_fits(self) -> NetworkSettings:
        self._check_architecture()
        return self

    def _check_architecture(self) -> None:
        if (self.architecture == "mlp") == any(item != "pool" for item in self.channels):
            raise ValueError(
                "channels must name at least one convolution for a cnn, vgg or resnet and none for "
                "an mlp"
            )
        if any(pair == ("pool", "pool") for pair in pairwise(("pool", *self.channels))):
            raise ValueError(
                f"channels = {list(self.channels)}: 'pool' stands behind a convolution, neither "
                "first nor twice in a row; take it away there"
            )
        if (self.architecture == "resnet") == bool(self.hidden):
            raise ValueError(
                f"hidden = {list(self.hidden)}: name at least one dense layer for an mlp, cnn "
                "or vgg and none for a resnet"
            )
        if self.architecture == "resnet":
            self._check_resnet()
        if self.architecture == "vgg" and self.batch_norm != "none":
            raise ValueError(
                f"batch_norm = {self.batch_norm!r} is no option of a vgg, which always has it "
                "after activation and pooling: leave it out"
            )

    @model_validator(mode="after")
    def _weights_fit(self) -> NetworkSettings:
        layers = [int(item) for item in self.channels if item != "pool"]
        n_weights = [9 * before * after for before, after in pairwise(layers)]  # 3 x 3
        n_weights += [before * after for before, after in pairwise(self.hidden)]
        if max(n_weights, default=0) > MOST_WEIGHTS:
            raise ValueError(
                f"two layers are joined by {max(n_weights):,} weights: take fewer channels or "
                f"hidden units, for at most {MOST_WEIGHTS:,}"
            )
        return self

    @model_validator(mode="after")
    def _dropouts_fit(self) -> NetworkSettings:
        self._check_dropouts("dropout", self.dropout, self.dropouts, len(self.hidden))
        self._check_dropouts(
            "conv_dropout", self.conv_dropout, self.conv_dropouts, self.n_convolutions
        )
        return self

    def _check_dropouts(
        self, name: str, rate: float, rates: tuple[float, ...], n_layers: int
    ) -> None:
        if rates and (len(rates) != n_layers or self.architecture == "resnet"):
            raise ValueError(
                f"{name}s = {list(rates)}: give one rate for each of the {n_layers} layers, or "
                "leave it out (a resnet has none)"
            )
        if rates and rate:
            raise ValueError(f"give {name} or {name}s, not both")

    @model_validator(mode="after")
    def _initialisation_fits(self) -> NetworkSettings:
        if self.module_distance is not None and self.architecture == "resnet":
            raise ValueError("module_distance is no option of a resnet, only of chains of layers")
        if self.memory_format == "channels_last" and self.architecture == "mlp":
            raise ValueError("memory_format = 'channels_last' is for convolutions, not for an mlp")
        return self

    def _check_resnet(self) -> None:
        if "pool" in self.channels or len(self.channels) < 2:
            raise ValueError(
                f"channels of a resnet are those of its first convolution and of one or more "
                f"blocks, without 'pool', not {list(self.channels)}"
            )
        if self.batch_norm != "none" or self.dropout or self.conv_dropout:
            raise ValueError(
                "batch_norm, dropout and conv_dropout are no options of a resnet: it always has "
                "batch normalization and never dropout"
            )


class TorchvisionSettings(NetworkSettings):
    """A network of torchvision with 1,000 outputs, which is read and not trained.

    Its weights are those of a file in the folder ``weights`` of the folder for data sets, under
    torchvision's names; without a file they are random, as torchvision draws them.
    """

    architecture: TorchvisionName  # of its function in torchvision.models
    weights: Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}\.(safetensors|pth)$")] | None = None

    @property
    def branches(self) -> bool:
        """Whether a tensor can have several readers."""
        return not self.architecture.startswith("vgg")

    @property
    def n_tested_units(self) -> int:
        """More than the tested layers have; spectral clustering counts the units that there are."""
        return MOST_UNITS

    def _check_architecture(self) -> None:
        own = {"dataset", "architecture", "weights", "n_lesion_images", "lesion_precision"}
        others = sorted(self.model_fields_set - own - {"published"})
        if others:
            raise ValueError(
                f"{others[0]} is no option of {self.architecture}, which torchvision builds and "
                "which is not trained here: leave it out"
            )
