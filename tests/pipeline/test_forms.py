"""Forms of the measures on a tiny network."""

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from localspec.clustering import draw_matched, layer_correlations
from localspec.exceptions import InvalidInputError
from localspec.pipeline import FORMS, PARTITIONINGS, form_assessment, form_row, matched_scores
from localspec.statistics import combine_replicates
from localspec.visualization import visualize

pytestmark = pytest.mark.integration


@pytest.fixture
def replicate(replicates):
    return replicates[0]


@pytest.mark.parametrize("partitioning", PARTITIONINGS)
def test_the_papers_form_is_that_of_the_other_pages(replicate, partitioning):
    for name in FORMS:
        own = replicate.assessment(name, partitioning)
        form = form_assessment(replicate, name, "paper's", partitioning)
        assert np.array_equal(own.p_values, form.p_values)


def test_log_entropies_are_those_of_stored_entropies(replicate):
    entropies = replicate.visualizations("weights/local").entropies
    log = form_assessment(replicate, "output_coherence", "log-entropy", "weights/local")
    assert np.allclose(10.0**-log.measure.values * np.log(10), entropies)
    paper = form_assessment(replicate, "output_coherence", "paper's", "weights/local")
    assert np.array_equal(paper.p_values, log.p_values)
    assert paper.permutation.pvalue == log.permutation.pvalue


def test_logits_are_those_of_a_plain_pass(replicate):
    images = replicate.visualizations("weights/local").images
    logits = replicate.image_logits("weights/local")
    assert logits.shape == (*images.shape[:2], 10)
    with torch.no_grad():
        expected = replicate.trained.module(torch.from_numpy(images[3]))
    assert np.allclose(logits[3], expected)


def test_a_draw_that_is_the_subcluster_has_its_logits(replicate):
    draws, logits = replicate.draws("weights/local"), replicate.image_logits("weights/local")
    for draw, part in np.argwhere(draws.are_true):
        assert np.array_equal(logits[draw + 1, part], logits[0, part])


def test_matched_scores_of_a_network(replicate):
    found = matched_scores(replicate, "activations/local")
    parts = replicate.draws("activations/local").subclusters
    assert found.scores.shape == found.correlations.shape == (8, len(parts))
    assert not np.isnan(found.scores[0]).any()
    paper = replicate.visualizations("activations/local").scores[0]
    assert found.scores[0] == pytest.approx(paper)
    assert np.array_equal(np.isnan(found.scores[1:]), np.isnan(found.overlaps))
    near = np.abs(found.correlations[1:] - found.correlations[0])
    assert np.nanmax(near) <= 0.01 + 1e-9
    # the oracle correlates the true units pair by pair
    chosen = np.random.default_rng(0).permutation(len(replicate.dataset.x_train))
    x = replicate.dataset.x_train[np.sort(chosen[: replicate.profile.method.n_images])].flatten(1)
    with torch.no_grad():
        values = replicate.trained.module.dense1(x).numpy()
    for column, part in enumerate(parts):
        if part.layer == "dense1":
            pairs = combinations(part.units.tolist(), 2)
            magnitudes = [
                abs(stats.spearmanr(values[:, i], values[:, j]).statistic) for i, j in pairs
            ]
            assert found.correlations[0, column] == pytest.approx(np.mean(magnitudes))


def test_matched_scores_are_those_of_their_sets(replicate):
    partition = replicate.partition("weights/local")
    correlations = layer_correlations(replicate.graph("activations"))
    found = draw_matched(partition, correlations, 7, seed=PARTITIONINGS.index("weights/local"))
    stored = matched_scores(replicate, "weights/local")
    draw, column = np.argwhere(found.matched)[-1]
    part = found.draws.subclusters[column]
    alone = visualize(
        replicate.trained,
        [{part.layer: found.draws.units[column][draw]}],
        (1, 8, 8),
        n_steps=replicate.profile.method.n_steps,
        seed=replicate.seed,
    )
    assert stored.scores[draw + 1, column] == pytest.approx(float(alone.scores[0]))
    assert np.isnan(stored.scores[1:][~found.matched]).all()


def test_a_row_combines_replicates(replicates):
    row = form_row(replicates, "output_coherence", "logit margin", "weights/local")
    own = [
        form_assessment(each, "output_coherence", "logit margin", "weights/local")
        for each in replicates
    ]
    assert row["p"] == combine_replicates([each.permutation.pvalue for each in own]).pvalue
    assert (row["n_networks"], row["favourable"], row["undefined_draws"]) == (2, "above", 0.0)


def test_forms_are_those_of_their_measure(replicate):
    with pytest.raises(InvalidInputError, match="form='logit margin'"):
        form_assessment(replicate, "importance", "logit margin", "weights/local")
    with pytest.raises(InvalidInputError, match="partitioning"):
        matched_scores(replicate, "weights")
