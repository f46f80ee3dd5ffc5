"""Networks: settings, architectures, initialisation, training and pruning."""

from localspec.networks._architectures import build_network
from localspec.networks._pruning import prune
from localspec.networks._settings import NetworkSettings, TorchvisionSettings
from localspec.networks._torchvision import open_torchvision, weights_path, weights_sum
from localspec.networks._training import HISTORY, TrainedNetwork, train, train_further
from localspec.networks._user_file import open_network_file

__all__ = [
    "HISTORY",
    "NetworkSettings",
    "TorchvisionSettings",
    "TrainedNetwork",
    "build_network",
    "open_network_file",
    "open_torchvision",
    "prune",
    "train",
    "train_further",
    "weights_path",
    "weights_sum",
]
