"""Variations of one tiny network through the whole method."""

import numpy as np
import pytest

from localspec.pipeline import PARTITIONINGS, SensitivitySection, open_replicates
from localspec.studies.sensitivity import (
    BASELINE,
    eigengap_table,
    plot_stability_and_eigengaps,
    plot_survival_map,
    sensitivity_table,
    stability_table,
    survival_table,
    variation_effects_table,
    variations,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def varied(tiny_profile):
    small = {"n_clusters": 3, "other_n_clusters": [4], "n_strata": 2, "n_draws": 5, "n_steps": 2}
    section = SensitivitySection(profile=tiny_profile, seeds=[0, 1], n_images=150, **small)
    return {
        variation: open_replicates(section, choices=variation.choices, progress=False)
        for variation in variations(section.other_n_clusters, section.n_strata)
    }


def test_only_what_is_varied_changes(varied):
    by_name = {variation.name: group[0] for variation, group in varied.items()}
    first = by_name.pop(BASELINE.name)
    for name, other in by_name.items():
        partition, mine = other.partition("weights/global"), first.partition("weights/global")
        same = np.array_equal(partition.labels, mine.labels)
        assert same or name in ("k = 4", "other k-means seed")
        rows, own = other.draws("weights/global").units, first.draws("weights/global").units
        if "matched" in name:
            assert not all(np.array_equal(a, b) for a, b in zip(rows, own, strict=True))
    lesioned = by_name["mean in place of zero"].lesioned("weights/global")
    assert np.allclose(lesioned.baseline, first.lesioned("weights/global").baseline)
    assert not np.allclose(lesioned.lesioned, first.lesioned("weights/global").lesioned)


def test_matched_draws_keep_strata(varied):
    for variation, (replicate, _) in varied.items():
        if variation.choices.strata is None:
            continue
        strata = replicate.strata()
        draws = replicate.draws("activations/global")
        for part, rows in zip(draws.subclusters, draws.units, strict=True):
            mine = np.sort(strata[part.layer][part.units])
            assert (np.sort(strata[part.layer][rows], axis=1) == mine).all()


def test_tables_and_figures(varied):
    tests = sensitivity_table(varied)
    # 5 variations concern all four measures, mean ablation two, two class coherence
    assert len(tests) == len(PARTITIONINGS) * (5 * 4 + 2 + 2)
    survival = survival_table(tests)
    assert len(survival) == 16
    assert (survival["same_verdict"].str.match(r"^\d of [4-7]$")).all()
    stability = stability_table(varied, n_seeds=2)
    assert set(stability["over"]) == {"k-means seeds", "k = 4", "training seeds"}
    assert len(stability) == len(PARTITIONINGS) * (2 * 2 + 2 + 1)
    gaps = eigengap_table(varied[BASELINE], k_max=5)
    assert gaps.groupby(["seed", "graph"])["chosen"].sum().eq(1).all()
    effects = variation_effects_table(varied)
    assert len(effects) == len(tests)
    row = effects.iloc[0]
    summaries = [
        replicate.assessment(row["measure"], row["partitioning"]).effects
        for replicate in varied[BASELINE]
    ]
    means = [np.nanmean(each.effect) for each in summaries]
    null_means = [each.null_effects.mean() for each in summaries]
    assert row["effect_ratio"] == pytest.approx(np.mean(means) / np.mean(null_means))
    # whatever is on the wrong side has no colour, and no star
    tests["significant"] = True
    effects["effect_ratio"], effects["favourable"] = 1.2, "above"
    effects.loc[0, "effect_ratio"] = 0.8
    axis, _ = plot_survival_map(tests, effects).axes
    texts = {text.get_position(): text.get_text() for text in axis.texts}
    first = PARTITIONINGS.index(effects.loc[0, "partitioning"])
    assert texts.pop((0, first)).endswith("†")
    assert all(text.endswith("*") for text in texts.values())
    assert np.isnan(np.ma.filled(axis.images[0].get_array(), np.nan)[first, 0])
    assert plot_stability_and_eigengaps(stability, gaps, k=3).axes
