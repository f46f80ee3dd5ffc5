"""Planted networks with a known right partition: page 06_controls."""

from localspec.studies.controls._diagnosis import clusters_table, known_halves_table
from localspec.studies.controls._planted import PlantedReplicate, open_planted
from localspec.studies.controls._plots import (
    plot_class_damage_beside_random,
    plot_power,
    plot_purity_and_known_halves,
)
from localspec.studies.controls._tables import combined_control_table, control_table

__all__ = [
    "PlantedReplicate",
    "clusters_table",
    "combined_control_table",
    "control_table",
    "known_halves_table",
    "open_planted",
    "plot_class_damage_beside_random",
    "plot_power",
    "plot_purity_and_known_halves",
]
