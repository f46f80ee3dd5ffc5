"""Networks: settings, architectures, initialisation, training and pruning."""

from localspec.networks._architectures import build_network
from localspec.networks._pruning import prune
from localspec.networks._settings import NetworkSettings
from localspec.networks._training import HISTORY, TrainedNetwork, train
from localspec.networks._user_file import open_network_file

__all__ = [
    "HISTORY",
    "NetworkSettings",
    "TrainedNetwork",
    "build_network",
    "open_network_file",
    "prune",
    "train",
]
