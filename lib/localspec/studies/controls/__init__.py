"""Planted networks with a known right partition: pages 06_controls and 18_coherence_controls."""

from localspec.studies.controls._coherence_tables import (
    coherence_controls_table,
    coherence_power_table,
)
from localspec.studies.controls._designs import DesignedReplicate, open_designs
from localspec.studies.controls._diagnosis import clusters_table, known_halves_table
from localspec.studies.controls._planted import PlantedReplicate, open_planted
from localspec.studies.controls._plots import (
    plot_class_damage_beside_random,
    plot_coherence_power,
    plot_power,
    plot_purity_and_known_halves,
)
from localspec.studies.controls._tables import combined_control_table, control_table

__all__ = [
    "DesignedReplicate",
    "PlantedReplicate",
    "clusters_table",
    "coherence_controls_table",
    "coherence_power_table",
    "combined_control_table",
    "control_table",
    "known_halves_table",
    "open_designs",
    "open_planted",
    "plot_class_damage_beside_random",
    "plot_coherence_power",
    "plot_power",
    "plot_purity_and_known_halves",
]
