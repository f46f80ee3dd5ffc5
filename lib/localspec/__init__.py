"""Quantify local specialization in neural networks.

networks -> units -> clustering -> lesions | visualization -> measures -> screening

A trained network is taken apart into units (neurons, or channels of convolutions). A graph joins
them, by weights or by correlations of their activations, and spectral clustering cuts it into
clusters. The part of a cluster in one layer is a subcluster: lesions ask whether it is important,
visualization whether it is coherent, each beside random sets of as many units. `screen` does all
of it for one network.

========================  ==========================================================================
room                      what it holds
========================  ==========================================================================
localspec.data            data sets: load them, derive others, check a user's own
localspec.networks        settings, architectures, training, pruning
localspec.units           a network's units, by a trace or by hooks, and what they do on images
localspec.clustering      graphs of units, spectral clustering, partitions, random counterparts
localspec.lesions         accuracies without some of the units
localspec.visualization   images that excite units: made ones, and those of a data set
localspec.statistics      p-values, their combination and correction, effect sizes
localspec.measures        importance, and class, input and output coherence (one file)
localspec.screening       all of it for a network of one's own
localspec.conventions     every choice where the method can be read in several ways (one file)
localspec.exceptions      errors and warnings (one file)
localspec.pipeline        profiles, stored results, tables and figures of the notebooks
localspec.studies         what a page beyond 01 to 05 needs, one folder a page
localspec.cli             the command ``localspec``
========================  ==========================================================================

`pipeline`, `studies` and `cli` need the extra ``book`` and are not imported from here.
"""

from localspec.clustering import (
    Partition,
    activation_graph,
    cluster,
    clusterability,
    draw_counterparts,
    ncut,
    subclusters,
    weight_graph,
)
from localspec.conventions import Conventions
from localspec.data import Dataset, load_dataset
from localspec.exceptions import (
    ArtifactError,
    DegenerateDataWarning,
    InvalidInputError,
    LocalspecError,
    LocalspecWarning,
)
from localspec.lesions import lesion_accuracies, lesion_draws
from localspec.measures import assess, coherence, importance
from localspec.networks import NetworkSettings, build_network, prune, train
from localspec.screening import Estimate, Report, estimate, screen, standardized
from localspec.units import hook_units, preflight, trace_units
from localspec.visualization import visualize

__version__ = "0.1.0"

__all__ = [
    "ArtifactError",
    "Conventions",
    "Dataset",
    "DegenerateDataWarning",
    "Estimate",
    "InvalidInputError",
    "LocalspecError",
    "LocalspecWarning",
    "NetworkSettings",
    "Partition",
    "Report",
    "activation_graph",
    "assess",
    "build_network",
    "cluster",
    "clusterability",
    "coherence",
    "draw_counterparts",
    "estimate",
    "hook_units",
    "importance",
    "lesion_accuracies",
    "lesion_draws",
    "load_dataset",
    "ncut",
    "preflight",
    "prune",
    "screen",
    "standardized",
    "subclusters",
    "trace_units",
    "train",
    "visualize",
    "weight_graph",
]
