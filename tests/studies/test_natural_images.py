"""Visualizations beside natural images: by hand, beside plain loops, and the page's tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.networks import layer_values
from scipy.stats import spearmanr

from localspec.exceptions import InvalidInputError
from localspec.pipeline import (
    PAPER_CHOICES,
    PARTITIONINGS,
    NaturalImagesSection,
    form_columns,
    load_profile,
    open_replicates,
)
from localspec.studies.natural_images import (
    natural_assessment,
    natural_images_of,
    natural_scores_table,
    plot_similarities,
    set_similarities,
    similarity_table,
)

ROOT = Path(__file__).parents[2]


def test_similarities_by_hand():
    # ranks 123, 132 and 321: first and second correlate at 1/2, with the third at -1 and -1/2
    values = np.array([[1.0, 2.0, 3.0], [0.0, 9.0, 5.0], [3.0, 2.0, 1.0]])
    visualized = np.array([[10.0, 30.0, 20.0], [3.0, 2.0, 1.0]])
    similarities = set_similarities(visualized, values, np.array([[0, 1], [0, 1]]))
    assert similarities.visualization == pytest.approx([(0.5 + 1) / 2, (-1 - 0.5) / 2])
    assert similarities.natural == pytest.approx([0.5, 0.5])
    assert similarities.other == pytest.approx([-0.75, -0.75])


def test_similarities_beside_a_plain_loop():
    rng = np.random.default_rng(0)
    values, visualized = rng.normal(size=(12, 7)), rng.normal(size=(3, 7)).round(1)
    chosen = np.array([[0, 3, 5], [11, 2, 7], [4, 5, 6]])
    similarities = set_similarities(visualized, values, chosen)

    def rho(a, b):
        return spearmanr(a, b).statistic

    for row, images in enumerate(chosen):
        others = np.setdiff1d(np.arange(12), images)
        with_them = [rho(visualized[row], values[image]) for image in images]
        each_other = [rho(values[a], values[b]) for a in images for b in images if a < b]
        with_others = [rho(values[a], values[b]) for a in images for b in others]
        assert similarities.visualization[row] == pytest.approx(np.mean(with_them))
        assert similarities.natural[row] == pytest.approx(np.mean(each_other))
        assert similarities.other[row] == pytest.approx(np.mean(with_others))


def test_values_that_do_not_differ_have_no_rank():
    values = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 3.0]])
    similarities = set_similarities(np.array([[4.0, 4.0]]), values, np.array([[0, 2]]))
    assert np.isnan(similarities.visualization).all()
    assert similarities.natural == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("n_units", "chosen", "words"),
    [(4, [[0, 1]], "1 x 5, not"), (5, [[0]], "2 to 5 .* not 1"), (5, [[*range(6)]], "not 6")],
)
def test_what_does_not_fit_is_refused(n_units, chosen, words):
    with pytest.raises(InvalidInputError, match=words):
        set_similarities(np.ones((1, n_units)), np.eye(6, 5), np.array(chosen))


def dense_values(module, x):
    """Return by name of a dense layer what it gives, before the activation."""
    values = layer_values(module, x)
    return {
        name: values[name].double().numpy()
        for name, part in module.named_children()
        if isinstance(part, torch.nn.Linear)
    }


def plain_means(replicate, partitioning, n_natural, distance):
    """Return the three mean similarities of true subclusters, one pair of images after another."""
    x = replicate.dataset.x_test
    draws, images = replicate.draws(partitioning), replicate.visualizations(partitioning).images[0]
    natural = dense_values(replicate.trained.module, x)
    made = dense_values(replicate.trained.module, torch.from_numpy(images).to(x))
    layers = list(natural)
    sums = {"visualization": [], "natural": [], "other": []}
    for row, part in enumerate(draws.subclusters):
        place = layers.index(part.layer) + distance
        if not 0 <= place < len(layers) - 1:  # the last gives logits
            continue
        own = np.abs(natural[part.layer][:, part.units]).sum(axis=1)
        exciting = np.argsort(-own, kind="stable")[:n_natural]
        values = natural[layers[place]]
        rho = spearmanr(np.vstack([values[exciting], made[layers[place]][row]]), axis=1).statistic
        ranks = pd.DataFrame(values).rank(axis=1).to_numpy()
        others = np.delete(ranks, exciting, axis=0)
        across = np.corrcoef(ranks[exciting], others)
        sums["visualization"].append(rho[-1, :-1].mean())
        sums["natural"].append(rho[:-1, :-1][np.triu_indices(n_natural, 1)].mean())
        sums["other"].append(across[:n_natural, n_natural:].mean())
    return {name: np.array(values) for name, values in sums.items()}


@pytest.fixture(scope="module")
def opened(tiny_profile):
    section = NaturalImagesSection(
        profile=tiny_profile, seeds=[0, 1], n_clusters=3, n_draws=7, n_steps=4, level=0.05
    )
    return open_replicates(section, choices=PAPER_CHOICES, progress=False)


@pytest.mark.integration
def test_the_similarity_table_beside_plain_loops(opened):
    table = similarity_table(opened, 5)
    assert list(table["partitioning"].unique()) == list(PARTITIONINGS)
    checked = 0
    rows = table[table["partitioning"] == "activations/local"].set_index("distance")
    for distance, row in rows.iterrows():
        seeds = [plain_means(each, "activations/local", 5, distance) for each in opened]
        for name in ("visualization", "natural", "other"):
            expected = np.concatenate([each[name] for each in seeds]).mean()
            assert row[name] == pytest.approx(expected, abs=1e-9)
        shares = []
        for each in seeds:
            v, e, o = (each[name].mean() for name in ("visualization", "natural", "other"))
            shares.append((v - o) / (e - o))
        assert row["share"] == pytest.approx(np.mean(shares))
        assert row["n_sets"] == sum(len(each["natural"]) for each in seeds)
        checked += 1
    assert checked > 2
    figure = plot_similarities(table)
    assert [axis.get_title() for axis in figure.axes] == list(PARTITIONINGS)


@pytest.mark.integration
def test_the_table_of_natural_scores_beside_plain_sums(opened):
    table = natural_scores_table(opened, 5).set_index("partitioning")
    assert list(table.index) == list(PARTITIONINGS)
    replicate = opened[0]
    assessment = natural_assessment(replicate, "activations/local", 5)
    draws = replicate.draws("activations/local")
    natural = dense_values(replicate.trained.module, replicate.dataset.x_test)
    for column, part in enumerate(draws.subclusters):
        for row, units in enumerate([part.units, *draws.units[column]]):
            sums = np.sort(np.abs(natural[part.layer][:, units]).sum(axis=1))[-5:]
            assert assessment.measure.values[row, column] == pytest.approx(sums.mean())
    by_seed = [natural_assessment(each, "activations/local", 5) for each in opened]
    columns = form_columns(by_seed)
    assert table.loc["activations/local", "natural_effect"] == columns["effect_ratio"]
    assert table.loc["activations/local", "natural_p"] == columns["p"]
    own = [replicate.assessment("input_coherence", "activations/local") for replicate in opened]
    rho = [
        spearmanr(a.effects.effect, b.effects.effect)[0] for a, b in zip(own, by_seed, strict=True)
    ]
    assert table.loc["activations/local", "spearman"] == pytest.approx(np.mean(rho))


@pytest.mark.integration
def test_more_images_than_there_are_are_refused(opened):
    with pytest.raises(InvalidInputError, match="ask for at most so many"):
        natural_images_of(opened[0], "weights/global", 10**6)


@pytest.mark.notebook
def test_a_published_row_from_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    profile = load_profile(ROOT / "notebooks" / "profiles" / "digits-natural-images.yml")
    parameters = profile.parameters("23_natural_images")
    replicates = open_replicates(NaturalImagesSection(**parameters), choices=PAPER_CHOICES)
    seeds = [plain_means(each, "weights/global", 10, 0) for each in replicates]
    tables = ROOT / "book" / "runs" / "digits-natural-images" / "tables"
    published = pd.read_csv(tables / "similarities.csv")
    chosen = (published["partitioning"] == "weights/global") & (published["distance"] == 0)
    (row,) = published[chosen].to_dict(orient="records")
    for name in ("visualization", "natural", "other"):
        mean = np.concatenate([each[name] for each in seeds]).mean()
        assert row[name] == pytest.approx(mean, rel=1e-3)
