"""Published figures: what they are, and when ours agree."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest

from localspec.exceptions import InvalidInputError
from localspec.studies.published._compare import compare, published_rows
from localspec.studies.published._data import TABLES, load_published

SUMS = {  # beginnings of the SHA-256 sums
    "activations_ncut": "bfd71c884894fa34",
    "clusterability": "1212502d7aa00930",
    "feature_visualization": "f1f80a1148e06850",
    "lesions": "1eed34f24c8def88",
    "paper_claims": "aa5c2dd0fc0f09a8",
    "untrained_ncut": "3e969cbf4b3c857d",
}


@pytest.mark.parametrize("name", TABLES)
def test_nobody_edited_a_published_figure(name):
    content = files("localspec.studies.published").joinpath("data", f"{name}.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith(SUMS[name])
    assert len(load_published(name)) == content.count(b"\n") - 1


def test_facts_known_from_elsewhere():
    # k = 12, five replicates, 50 shuffles; the floor of p is 1/51
    rows = published_rows("MNIST", pruned=False)
    assert len(rows) == 5
    assert set(rows["n_clusters"]) == {12}
    assert rows["p_value"].min() == pytest.approx(1 / 51, abs=1e-6)
    assert rows["ncut"].between(10.0, 10.05).all()
    # pruned networks are more clusterable
    assert published_rows("MNIST", pruned=True)["ncut"].max() < rows["ncut"].min()


def test_the_range_is_widened_by_the_sample_standard_deviation():
    # published 1, 2, 3: standard deviation 1, so that ours may lie from 0 to 4
    published = np.array([1.0, 2.0, 3.0])
    comparison = compare(np.array([3.9, 4.1]), published)
    assert (comparison.low, comparison.high) == (0.0, 4.0)
    assert comparison.verdict == "holds"
    assert compare(np.array([4.0, 4.2]), published).verdict == "differs"
    assert compare(np.array([-0.2, 0.1]), published).verdict == "differs"
    assert compare(np.array([4.0, 4.2]), published, least_margin=1.5).verdict == "holds"
    assert compare(np.array([3.9, 4.1]), published, least_margin=0.5).high == 4.0


def test_the_standardised_difference_by_hand():
    # means 5 and 2, both variances 1, n = m = 3: d = 3, times 1 - 3 / (4 * 6 - 9) = 0.8
    comparison = compare(np.array([4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    assert comparison.difference == pytest.approx(2.4)
    error = 1.959964 * np.sqrt(2 / 3 + 2.4**2 / 12)
    assert comparison.interval == pytest.approx((2.4 - error, 2.4 + error), abs=1e-6)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(800):
        comparison = compare(rng.normal(1.0, 1.0, 5), rng.normal(0.0, 1.0, 5))
        covered.append(comparison.interval[0] <= 1.0 <= comparison.interval[1])
    assert 0.92 < np.mean(covered) < 0.99


def test_bad_values():
    with pytest.raises(InvalidInputError, match="two or more finite values"):
        compare(np.array([1.0]), np.array([1.0, 2.0]))
    with pytest.raises(InvalidInputError, match="published must be"):
        compare(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    with pytest.raises(InvalidInputError, match="pruned model='POLY' is not known"):
        published_rows("POLY", pruned=True)  # only unpruned ones are published
    with pytest.raises(InvalidInputError, match="published unpruned model='MNISTT' is not known"):
        published_rows("MNISTT", pruned=False)
    with pytest.raises(InvalidInputError, match="choose one of 'activations_ncut'"):
        load_published("cluster")
