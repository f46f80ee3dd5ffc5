"""Planted networks through the whole method, at tiny scale."""

import numpy as np
import pytest
from helpers.tiny_profile import write_profile

from localspec.pipeline import ControlsSection
from localspec.studies.controls import (
    clusters_table,
    combined_control_table,
    control_table,
    known_halves_table,
    open_planted,
    plot_class_damage_beside_random,
    plot_power,
    plot_purity_and_known_halves,
)
from localspec.studies.controls._diagnosis import EQUAL_DAMAGE, SELECTIVITY
from localspec.studies.controls._planted import PARTITIONING, TESTED_MEASURES

pytestmark = pytest.mark.integration

TINY = {
    "dtype": "float64",
    "device": "cpu",
    "networks": {"mlp": {"dataset": "digits", "hidden": [48, 48], "n_epochs": 8}},
    "seeds": [0, 1],
}


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    path = write_profile(tmp_path_factory.mktemp("profiles"), TINY, "planted")
    return ControlsSection(profile=path, seeds=[0, 1], noises=[0.0, 1.0], n_draws=7)


@pytest.fixture
def replicates(section):
    return open_planted(section, progress=False)


def test_halves_are_found_without_noise(replicates):
    assert [r.adjusted_rand() for r in replicates[:2]] == [1.0, 1.0]
    assert all(len(np.unique(r.partition(PARTITIONING).labels)) == 2 for r in replicates)


def test_order_and_names(replicates):
    names = ["noise 0", "noise 1", "shuffled copy"]
    assert [r.name for r in replicates] == [f"{n}, seed {s}" for n in names for s in (0, 1)]


def test_the_shuffled_copy_has_the_same_weights_elsewhere(replicates):
    glued, copy = replicates[0].trained.module, replicates[4].trained.module
    for name, weight in glued.state_dict().items():
        other = copy.state_dict()[name]
        assert np.allclose(np.sort(weight.ravel()), np.sort(other.ravel()))
    assert copy.state_dict()["output.weight"].shape == (10, 48)


def test_tables_and_figures(replicates):
    table = control_table(replicates)
    assert len(table) == 6
    assert table["accuracy"].between(0, 1).all()
    assert (table["accuracy"][:2] > 0.2).all()  # by chance 0.1
    combined = combined_control_table(table, n_draws=7)
    assert len(combined) == 3 * len(TESTED_MEASURES)
    assert combined["p"].dropna().between(0, 1).all()
    assert len(plot_power(table, combined).axes) == 3
    assert len(plot_class_damage_beside_random(replicates[0]).axes) == 3


def test_a_second_look_computes_nothing(section, replicates):
    never = ControlsSection(**{**section.model_dump(), "compute": "never"})
    for before, after in zip(replicates, open_planted(never, progress=False), strict=True):
        before.lesioned(PARTITIONING)
        accuracies = after.lesioned(PARTITIONING)
        assert np.array_equal(accuracies.lesioned, before.lesioned(PARTITIONING).lesioned)


def test_diagnosis(section, replicates):
    known_halves = open_planted(section, known=True, progress=False)
    assert {r.adjusted_rand() for r in known_halves} == {1.0}
    known = known_halves_table(known_halves)
    assert known["measure"].tolist() == [*TESTED_MEASURES, EQUAL_DAMAGE, SELECTIVITY] * 3
    planted = known[(known["noise"] == 0) & (known["weights"] == "planted")]
    selective = planted[planted["measure"] == SELECTIVITY].iloc[0]
    assert selective["true"] > selective["random"]
    clusters = clusters_table(replicates, (2, 4))
    assert len(clusters) == 2 * 3
    assert clusters["purity"].between(0.5, 1).all()
    assert clusters["purity"][0] == clusters["adjusted_rand"][0] == 1
    assert len(plot_purity_and_known_halves(clusters, known).axes) == 2
