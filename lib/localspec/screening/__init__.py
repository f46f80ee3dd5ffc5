"""Screening: one call for engineers, a network and data in, a ranked report out."""

from localspec.screening._estimate import Estimate, estimate
from localspec.screening._groups import Finding, Group, ScreenedGroup
from localspec.screening._report import Report
from localspec.screening._screen import screen
from localspec.screening._standardized import standardized

__all__ = [
    "Estimate",
    "Finding",
    "Group",
    "Report",
    "ScreenedGroup",
    "estimate",
    "screen",
    "standardized",
]
