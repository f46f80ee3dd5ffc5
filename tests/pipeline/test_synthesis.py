"""The synthesis: replicates combined and corrected, by hand from p-values made up."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from helpers.tiny_profile import TINY, tiny, write_profile

from localspec.conventions import PAPER, RELEASED, Conventions
from localspec.measures import MEASURES, Measure, assess
from localspec.pipeline import PARTITIONINGS, open_replicates, synthesis_table
from localspec.studies.published import graph_difference_table

pytestmark = pytest.mark.integration

KINDS = {
    "importance": ("low", "drop"),
    "class_coherence": ("high", "range"),
    "input_coherence": ("high", "score"),
    "output_coherence": ("low", "entropy"),
}


@dataclass
class Fake:
    """A replicate whose p-values of permutation and plain Fisher are given."""

    network: str
    seed: int
    p: dict
    plain: float = 0.5
    n_draws: int = 19
    n_subclusters: int = 2
    conventions: Conventions = PAPER

    def assessment(self, name, partitioning):
        """Return an assessment of two subclusters with the p-values made up."""
        side, kind = KINDS[name]
        rng = np.random.default_rng([self.seed, *name.encode()])
        values = rng.random((self.n_draws + 1, self.n_subclusters))
        assessment = assess(
            Measure(name, side, values, kind, -values if kind == "drop" else values)
        )
        p = self.p.get((partitioning, name), self.p["other"])
        return replace(
            assessment,
            permutation=replace(assessment.permutation, pvalue=p),
            fisher=replace(assessment.fisher, pvalue=self.plain),
        )


PLANTED = ("weights/local", "class_coherence")


def pick(table, network="a", partitioning=PLANTED[0], measure=PLANTED[1]):
    chosen = (table["network"] == network) & (table["measure"] == measure)
    (row,) = table[chosen & (table["partitioning"] == partitioning)].itertuples()
    return row


def test_one_row_for_each_network_partitioning_and_measure():
    fakes = [Fake(name, seed, {"other": 0.5}) for name in "ab" for seed in (0, 1)]
    table = synthesis_table(fakes)
    rows = list(table[["network", "partitioning", "measure"]].itertuples(index=False, name=None))
    assert rows == [(n, p, m) for n in "ab" for p in PARTITIONINGS for m in MEASURES]
    assert (table["n_replicates"] == 2).all()
    assert (table["n_subclusters"] == 4).all()
    assert set(table["favourable"]) == {"above", "below"}
    assert set(table[table["favourable"] == "below"]["measure"]) == {"output_coherence"}


def test_replicates_are_combined_by_the_mean_and_corrected_over_the_table():
    # two networks of p 0.02 and 0.04: mean 0.03, Bates(2): (2 x 0.03)^2 / 2 = 0.0018;
    # the 15 others: mean 0.5, Bates 0.5
    fakes = [
        Fake("a", seed, {PLANTED: p, "other": 0.5}, plain=plain)
        for seed, p, plain in ((0, 0.02, 0.1), (1, 0.04, 0.3))
    ]
    row = pick(synthesis_table(fakes))
    assert row.p == pytest.approx(0.0018)
    assert row.plain_p == pytest.approx(0.08)  # mean 0.2: 0.4^2 / 2
    assert row.bh == pytest.approx(0.0018 * 16)
    harmonic = sum(1 / k for k in range(1, 17))
    assert row.by == pytest.approx(0.0018 * 16 * harmonic)
    assert row.verdict == "significant"
    assert row.p_floor == pytest.approx(0.005)  # mean 1/20: 0.1^2 / 2
    others = synthesis_table(fakes).query("p > 0.1")
    assert len(others) == 15
    assert others["bh"].tolist() == pytest.approx([0.5] * 15)
    assert set(others["verdict"]) == {"not significant"}


def test_the_family_is_the_whole_table():
    # with a second network the family has 32 members: 0.0018 x 32 = 0.0576
    fakes = [Fake("a", seed, {PLANTED: p, "other": 0.5}) for seed, p in ((0, 0.02), (1, 0.04))]
    fakes += [Fake("b", seed, {"other": 0.5}) for seed in (0, 1)]
    assert pick(synthesis_table(fakes)).bh == pytest.approx(0.0576)
    assert pick(synthesis_table(fakes)).verdict == "not significant"
    assert pick(synthesis_table(fakes, level=0.06)).verdict == "significant"


def test_several_small_p_values_help_each_other():
    # 8 rows of 0.0018 and 8 of 0.5: the largest of the small ones is multiplied by 16 / 8
    p = {(name, m): 0.03 for name in PARTITIONINGS[:2] for m in MEASURES}
    table = synthesis_table([Fake("a", seed, {**p, "other": 0.5}) for seed in (0, 1)])
    small = table[table["p"] < 0.1]
    assert len(small) == 8
    assert small["bh"].tolist() == pytest.approx([0.0036] * 8)


def test_a_single_replicate_is_undecidable():
    table = synthesis_table([Fake("a", 0, {"other": 0.05}, plain=1e-6)])
    assert set(table["verdict"]) == {"undecidable at 19 draws"}
    assert set(table["chain"]) == {"uncalibrated"}
    # plain Fisher stands in
    assert table["p"].tolist() == pytest.approx([1e-6] * 16)
    assert table["p_floor"].tolist() == pytest.approx([0.05] * 16)
    more = synthesis_table([Fake("a", 0, {"other": 0.05}, n_draws=99)])
    assert set(more["verdict"]) == {"undecidable at 99 draws"}


def test_independent_draws_are_marked():
    joint = [Fake("a", seed, {"other": 0.5}) for seed in (0, 1)]
    released = [Fake("b", seed, {"other": 0.5}, conventions=RELEASED) for seed in (0, 1)]
    chains = synthesis_table([*joint, *released]).groupby("network")["chain"].unique()
    assert chains["a"].tolist() == ["calibrated"]
    assert chains["b"].tolist() == ["independent draws"]


def test_a_single_replicate_does_not_decide_about_others():
    # its uncalibrated p-values, however small, must not make those of a real family significant
    family = [Fake("a", s, {PLANTED: p, "other": 0.5}) for s, p in ((0, 0.03), (1, 0.05))]
    alone = synthesis_table(family)
    beside = synthesis_table([*family, Fake("b", 0, {"other": 0.05}, plain=1e-9)])
    assert pick(beside).verdict == pick(alone).verdict
    assert pick(beside, network="b").verdict == "undecidable at 19 draws"


def test_effects_are_means_over_networks():
    fakes = [Fake("a", seed, {"other": 0.5}) for seed in (0, 1, 2)]
    row = pick(synthesis_table(fakes), measure="input_coherence")
    means = [f.assessment("input_coherence", PLANTED[0]).effects.effect.mean() for f in fakes]
    nulls = [f.assessment("input_coherence", PLANTED[0]).effects.null_effects.mean() for f in fakes]
    assert row.effect == pytest.approx(np.mean(means))
    assert row.effect_se == pytest.approx(np.std(means, ddof=1) / np.sqrt(3))
    assert row.effect_null == pytest.approx(np.mean(nulls))
    assert row.effect_ratio == pytest.approx(np.mean(means) / np.mean(nulls))


def test_real_replicates(replicates):
    table = synthesis_table(replicates)
    assert len(table) == 16
    for row in table.itertuples():
        assessments = [r.assessment(row.measure, row.partitioning) for r in replicates]
        mean = np.mean([assessment.permutation.pvalue for assessment in assessments])
        bates = (2 * mean) ** 2 / 2 if mean <= 0.5 else 1 - (2 - 2 * mean) ** 2 / 2
        assert row.p == pytest.approx(bates)
        assert row.p >= row.p_floor * (1 - 1e-12)
        assert row.p_floor == pytest.approx((2 / 8) ** 2 / 2)
    assert (table["by"] >= table["bh"] - 1e-12).all()
    assert (table["bh"] >= table["p"] - 1e-12).all()


def test_networks_without_tested_subclusters(tmp_path, section):
    # two hidden units: together they are all of the layer, apart they are single
    content = tiny(hidden=[2]) | {"method": TINY["method"] | {"n_clusters": 2}}
    narrow = section(profile=write_profile(tmp_path, content), n_clusters=2)
    table = synthesis_table(open_replicates(narrow, progress=False))
    assert set(table["n_subclusters"]) == {0}
    assert table["p"].isna().all()
    assert set(table["verdict"]) == {"no tested subcluster"}


@dataclass
class Given(Fake):
    """A replicate whose effects are given: `weights` or `activations` over a null mean."""

    weights: float = 1.0
    activations: float = 1.0
    null: float = 0.8

    def assessment(self, name, partitioning):
        """Return an assessment in which every subcluster has the effect of its graph."""
        assessment = super().assessment(name, partitioning)
        effect = np.full(2, getattr(self, partitioning.split("/")[0]) * self.null)
        null = np.full((2, self.n_draws), self.null)
        return replace(
            assessment, effects=replace(assessment.effects, effect=effect, null_effects=null)
        )


def differences(values):
    fakes = [
        Given("a", seed, {"other": 0.5}, weights=weights, activations=activations)
        for seed, (weights, activations) in enumerate(values)
    ]
    table = graph_difference_table(fakes)
    assert len(table) == 8  # two scopes, four measures
    return table.set_index(["scope", "measure"])


def test_weights_are_better_where_their_effects_are_larger_or_entropies_lower():
    table = differences([(1.5, 1.2), (1.4, 1.2), (1.5, 1.3), (1.6, 1.2), (1.5, 1.1)])
    for scope in ("global", "local"):
        for measure in ("importance", "class_coherence", "input_coherence"):
            assert table.loc[scope, measure]["difference"] == pytest.approx(0.3)
        # an entropy above its null mean is less specialized
        assert table.loc[scope, "output_coherence"]["difference"] == pytest.approx(-0.3)
    assert set(table["verdict"]) == {"different"}


def test_weights_and_activations_can_be_equivalent_or_undecidable():
    near = [(1.21, 1.2), (1.2, 1.2), (1.19, 1.2), (1.22, 1.2), (1.2, 1.21)]
    assert set(differences(near)["verdict"]) == {"equivalent"}
    assert set(differences(near[:4])["verdict"]) == {"undecidable"}  # too few replicates
    far = [(1.6, 1.2), (0.9, 1.2), (1.5, 1.2), (1.0, 1.2), (1.3, 1.2)]
    assert set(differences(far)["verdict"]) == {"undecidable"}
