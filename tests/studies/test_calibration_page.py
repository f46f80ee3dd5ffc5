"""Null partitions of a trained network, from end to end."""

import numpy as np
import pytest

from localspec.lesions import lesion_draws
from localspec.pipeline import CalibrationSection, open_replicates
from localspec.pipeline._null_partitions import PARTITIONING, null_draws
from localspec.studies.calibration import (
    all_p_values,
    calibration_table,
    sample_table,
    stored_evidence,
    ties_table,
)
from localspec.visualization import visualize

N_PARTITIONS = 12


@pytest.fixture(scope="module")
def replicates(tiny_profile):
    section = CalibrationSection(
        profile=tiny_profile, seeds=[0, 1], n_clusters=3, n_draws=7, n_partitions=N_PARTITIONS
    )
    return open_replicates(section, progress=False)


@pytest.fixture(scope="module")
def evidence(replicates):
    return [stored_evidence(replicate, N_PARTITIONS) for replicate in replicates]


def test_values_are_those_of_the_ordinary_measures(replicates, evidence):
    replicate, null = replicates[0], evidence[0]
    draws = null_draws(replicate.partition(PARTITIONING), N_PARTITIONS, 7, seed=0)[5]
    data = replicate.dataset
    plain = lesion_draws(replicate.trained, data.x_test, data.y_test, draws, n_classes=10)
    np.testing.assert_allclose(null.lesioned[5], plain.lesioned, rtol=0, atol=1e-12)
    np.testing.assert_allclose(null.baseline, plain.baseline, rtol=0, atol=1e-12)
    images = visualize(replicate.trained, draws.lesions(), data.image_shape, n_steps=4, seed=0)
    np.testing.assert_allclose(null.scores[5], images.arranged(draws).scores, rtol=1e-9)
    np.testing.assert_allclose(null.entropies[5], images.arranged(draws).entropies, rtol=1e-7)


def test_tables_count_networks_and_tests(evidence):
    p_values = all_p_values(evidence, [0, 1])
    rates = calibration_table(p_values).set_index(["measure", "test", "rule"])
    assert not rates.index.duplicated().any()
    assert set(rates["n_networks"]) == {2}  # too few for groups of 3
    row = rates.loc[("class_coherence", "permutation Fisher", "mid")]
    assert row["n_tests"] == 2 * N_PARTITIONS
    assert (rates["low"] <= rates["rate"]).all()
    assert (rates["rate"] <= rates["high"]).all()
    ties = ties_table(evidence, p_values)
    shares = ties[["tied_draws", "tied_subclusters", "undefined", "mean_p", "rate"]]
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)


def test_the_sample_of_a_shorter_run_is_the_same(replicates, evidence):
    short = stored_evidence(replicates[0], 2)
    long = sample_table(replicates[0], evidence[0], n_shown=2)
    numbers = long.select_dtypes("number").columns
    np.testing.assert_allclose(
        sample_table(replicates[0], short, n_shown=2)[numbers], long[numbers], rtol=1e-7, atol=1e-12
    )
