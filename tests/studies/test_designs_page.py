"""Controls of coherence through the whole method, at tiny scale."""

import numpy as np
import pytest
from helpers.tiny_profile import tiny, write_profile

from localspec.exceptions import InvalidInputError
from localspec.pipeline import CoherenceControlsSection, form_assessment
from localspec.statistics import combine_replicates
from localspec.studies.controls import (
    coherence_controls_table,
    coherence_power_table,
    open_designs,
    plot_coherence_power,
)
from localspec.studies.controls._coherence_tables import TESTED_FORMS
from localspec.studies.controls._designs import DESIGNS, design_of, recovery
from localspec.studies.controls._planted import PARTITIONING

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def replicates(tmp_path_factory):
    content = tiny(hidden=[40, 20], n_epochs=15, batch_size=16)
    path = write_profile(tmp_path_factory.mktemp("profiles"), content, "designs")
    section = CoherenceControlsSection(
        profile=path,
        networks=["mlp"],
        seeds=[0, 1],
        noises=[0.0, 0.5],
        n_draws=5,
        n_images=150,
        n_steps=3,
    )
    return open_designs(section, progress=False)


def of(replicates, design):
    return next(each for each in replicates if design_of(each) == design)


def test_order(replicates):
    names = ["noise 0", "noise 0.5", "shuffled copy"]
    expected = [(d, f"{n}, seed {s}") for d in DESIGNS for n in names for s in (0, 1)]
    assert [(design_of(each), each.name) for each in replicates] == expected


@pytest.mark.parametrize("design", DESIGNS)
def test_parts_are_tested_and_joined_by_no_weight(replicates, design):
    replicate = of(replicates, design)
    partition = replicate.partition(PARTITIONING)
    assert len(replicate.draws(PARTITIONING).subclusters) == 2 * replicate.n_parts
    adjacency = np.asarray(replicate.graph("weights").adjacency.todense())
    live = partition.labels >= 0
    between = partition.labels[:, np.newaxis] != partition.labels
    assert not adjacency[np.ix_(live, live)][between[np.ix_(live, live)]].any()


def test_halves_of_pixels_see_their_half(replicates):
    replicate = of(replicates, "halves of pixels")
    weights = replicate.trained.module.dense1.weight.detach().reshape(40, 8, 8)
    assert not weights[:20, :, 4:].any()
    assert not weights[20:, :, :4].any()
    assert recovery(replicate) == 1.0


def test_parts_serve_their_class_alone(replicates):
    replicate = of(replicates, "one class each")
    # a lesion of one part in the last layer costs no other class anything
    accuracies = replicate.lesioned(PARTITIONING)
    change = accuracies.lesioned[0, -10:] - accuracies.baseline
    assert (change[~np.eye(10, dtype=bool)] >= 0).all()
    assert change.diagonal().min() < -0.3


def test_the_tables(replicates):
    table = coherence_controls_table(replicates)
    assert len(table) == len(DESIGNS) * 3 * len(TESTED_FORMS)
    group = [each for each in replicates if design_of(each) == "halves of pixels"][2:4]
    own = [
        form_assessment(each, "input_coherence", "matched draws", PARTITIONING).permutation.pvalue
        for each in group
    ]
    row = table.query("design == 'halves of pixels' and noise == 0.5 and form == 'matched draws'")
    assert row["p"].item() == pytest.approx(combine_replicates(own).pvalue, nan_ok=True)
    assert table["adjusted_rand"].isna().equals(table["weights"] == "shuffled")
    power = coherence_power_table(table)
    assert len(power) == len(DESIGNS) * len(TESTED_FORMS)
    assert plot_coherence_power(table).axes


def test_without_networks_there_is_no_table():
    with pytest.raises(InvalidInputError, match="no planted network"):
        coherence_controls_table([])
