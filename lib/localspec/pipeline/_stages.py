"""Stages: the version of each. Raise a stage's version when the values that it computes change."""

from __future__ import annotations

STAGES = {
    "training": 1,
    "pruning": 2,
    "opening": 1,  # of a network of torchvision
    "graph": 1,
    "clustering": 1,
    "clusterability": 2,
    "draws": 1,
    "lesions": 1,
    "feature_visualization": 1,
    "planted": 1,
    "calibration": 1,
    "more_draws": 1,
    "matched_draws": 1,
    "double_lesions": 1,
    "ablations": 1,
    "penalty": 1,
    "learning_curve": 1,
    "downstream_graph": 1,
    "untrained": 1,
    "activations_ncuts": 1,
}
# Null calibration and further draws repeat the work of these stages, so that their keys hold the
# versions of these, too.
REPEATED_STAGES = {name: STAGES[name] for name in ("draws", "lesions", "feature_visualization")}
