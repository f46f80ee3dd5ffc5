"""Null partitions of a trained network, from end to end."""

import numpy as np
import pytest

from localspec.calibration import null_draws
from localspec.false_positives import all_p_values
from localspec.feature_visualization import visualize
from localspec.lesions import lesion_draws
from localspec.null_replicates import PARTITIONING, open_null_replicates
from localspec.sections import CalibrationSection
from localspec.tables_calibration import calibration_table, sample_table, ties_table

N_PARTITIONS = 12


@pytest.fixture(scope="module")
def nulls(tiny_profile):
    """Both networks of the tiny profile."""
    section = CalibrationSection(
        profile=str(tiny_profile), seeds=[0, 1], n_clusters=3, n_draws=7, n_partitions=N_PARTITIONS
    )
    return open_null_replicates(section, progress=False)


def test_values_are_those_of_the_ordinary_measures(nulls):
    replicate = nulls[0]
    found = replicate.evidence()
    one = null_draws(replicate.partition(PARTITIONING), N_PARTITIONS, 7, seed=0)[5]
    data = replicate.dataset
    plain = lesion_draws(replicate.trained, data.x_test, data.y_test, one, n_classes=10)
    np.testing.assert_allclose(found.lesioned[5], plain.lesioned, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.baseline, plain.baseline, rtol=0, atol=1e-12)
    images = visualize(replicate.trained, one.lesions(), data.image_shape, n_steps=4, seed=0)
    np.testing.assert_allclose(found.scores[5], images.arranged(one).scores, rtol=1e-9)
    np.testing.assert_allclose(found.entropies[5], images.arranged(one).entropies, rtol=1e-7)


def test_tables_count_networks_and_tests(nulls):
    p_values = all_p_values(nulls)
    rates = calibration_table(p_values).set_index(["measure", "test", "rule"])
    assert not rates.index.duplicated().any()
    assert set(rates["n_networks"]) == {2}  # too few for groups of 3
    row = rates.loc[("class_coherence", "permutation Fisher", "mid")]
    assert row["n_tests"] == 2 * N_PARTITIONS
    assert (rates["low"] <= rates["rate"]).all()
    assert (rates["rate"] <= rates["high"]).all()
    ties = ties_table(nulls, p_values)
    shares = ties[["tied_draws", "tied_subclusters", "undefined", "mean_p", "rate"]]
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)


def test_the_sample_of_a_shorter_run_is_the_same(nulls, tiny_profile):
    section = CalibrationSection(
        profile=str(tiny_profile), seeds=[0], n_clusters=3, n_draws=7, n_partitions=2
    )
    (short,) = open_null_replicates(section, progress=False)
    long = sample_table(nulls[0], n_shown=2)
    numbers = long.select_dtypes("number").columns
    np.testing.assert_allclose(
        sample_table(short, n_shown=2)[numbers], long[numbers], rtol=1e-7, atol=1e-12
    )
