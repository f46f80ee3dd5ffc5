"""Units: find a network's units, by a trace or by hooks, what they do on images and to logits."""

from localspec.units._checks import (
    check_classes,
    check_gradients,
    check_labels,
    check_logits,
    check_n_clusters,
    count_logits,
)
from localspec.units._fast_convolutions import fast_convolutions, is_channels_last
from localspec.units._gradients import logit_gradients
from localspec.units._hooked import Units, check_conventions, hook_units, units_of
from localspec.units._hooked_units import HookedLayer, HookedUnits
from localspec.units._layers import BatchNormScale, ChannelNorm, Reader, UnitLayer
from localspec.units._modules import checked_module
from localspec.units._operations import Scaling
from localspec.units._preflight import LayerCheck, Preflight, preflight
from localspec.units._trace import Network, in_bfloat16, trace_units
from localspec.units._unit_map import MAX_VALUES, UnitMap
from localspec.units._values import (
    ACTIVATION_VALUES,
    STRATA,
    mean_values,
    precise,
    spatial_means,
    unit_strengths,
    unit_values,
    unit_values_traced,
)
from localspec.units._workspace import Workspace

__all__ = [
    "ACTIVATION_VALUES",
    "MAX_VALUES",
    "STRATA",
    "BatchNormScale",
    "ChannelNorm",
    "HookedLayer",
    "HookedUnits",
    "LayerCheck",
    "Network",
    "Preflight",
    "Reader",
    "Scaling",
    "UnitLayer",
    "UnitMap",
    "Units",
    "Workspace",
    "check_classes",
    "check_conventions",
    "check_gradients",
    "check_labels",
    "check_logits",
    "check_n_clusters",
    "checked_module",
    "count_logits",
    "fast_convolutions",
    "hook_units",
    "in_bfloat16",
    "is_channels_last",
    "logit_gradients",
    "mean_values",
    "precise",
    "preflight",
    "spatial_means",
    "trace_units",
    "unit_strengths",
    "unit_values",
    "unit_values_traced",
    "units_of",
]
