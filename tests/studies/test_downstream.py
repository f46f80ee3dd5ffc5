"""Clusters by what units do to the logits: replicates, tables, figure, and planted networks."""

import numpy as np
import pandas as pd
import pytest
from helpers.tiny_profile import TINY
from scipy import stats

from localspec.clustering import SCOPES, cluster, downstream_graph, label_agreement
from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import (
    FOUND,
    OTHER_SIDE,
    PAPER_CHOICES,
    DownstreamSection,
    form_columns,
    load_profile,
    open_replicates,
    project_root,
)
from localspec.statistics import summarize_effects
from localspec.studies.controls import PlantedReplicate
from localspec.studies.downstream import (
    GRAPHS,
    DownstreamReplicate,
    by_graph,
    downstream_differences_table,
    downstream_effects_table,
    graphs_table,
    plot_downstream,
)

pytestmark = pytest.mark.integration
N_IMAGES = 40


@pytest.fixture(scope="module")
def opened(tiny_profile):
    section = DownstreamSection(profile=tiny_profile, seeds=[0, 1], **TINY["method"])
    starts = open_replicates(section, choices=PAPER_CHOICES, progress=False)
    return [DownstreamReplicate(start, N_IMAGES) for start in starts]


def test_only_the_edges_are_other_ones(opened):
    each = opened[1]
    images = each.training_images(N_IMAGES)
    chosen = np.sort(np.random.default_rng(1).permutation(len(each.dataset.x_train))[:N_IMAGES])
    assert images.equal(each.dataset.x_train[chosen.tolist()])
    graph = downstream_graph(each.start.trained, images)
    np.testing.assert_array_equal(each.graph("activations").adjacency, graph.adjacency)
    for scope in SCOPES:
        owner, partitioning = by_graph(each, "downstream", scope)
        labels = cluster(graph, 3, scope=scope, seed=1).labels
        assert owner.partition(partitioning).labels.tolist() == labels.tolist()
        assert by_graph(each, "weights", scope) == (each.start, f"weights/{scope}")
    assert each.stored_network().key == each.start.stored_network().key
    assert each.graph_key("weights") == each.start.graph_key("weights")
    assert each.clusterability().statistic == each.start.clusterability().statistic


def test_every_setting_is_in_the_keys(opened):
    start = opened[0].start
    pearson = start.profile.model_copy(
        update={"method": start.profile.method.model_copy(update={"correlation": "pearson"})}
    )
    other = type(start)(pearson, "mlp", 0, PAPER_CHOICES, progress=False)
    keys = {
        each.stored_partition("activations/global").key
        for each in (
            start,
            opened[0],
            opened[1],
            DownstreamReplicate(start, N_IMAGES - 1),
            DownstreamReplicate(other, N_IMAGES),
        )
    }
    assert len(keys) == 5
    again = DownstreamReplicate(start, N_IMAGES).stored_partition("activations/global").key
    assert again in keys


def test_planted_halves_are_recovered(opened, tiny_profile):
    profile = load_profile(tiny_profile)
    profile = profile.model_copy(
        update={"method": profile.method.model_copy(update={"n_clusters": 2})}
    )
    scores = []
    for seed in range(2):
        planted = PlantedReplicate(profile, "mlp", seed, PAPER_CHOICES, progress=False)
        partition = DownstreamReplicate(planted, 300).partition("activations/global")
        scores.append(label_agreement(partition.labels, planted.planted_labels(), units="all"))
    assert min(scores) > 0.8


def test_tables_and_figure(opened):
    effects = downstream_effects_table(opened)
    assert len(effects) == len(MEASURES) * len(SCOPES) * len(GRAPHS)
    cell = effects.set_index(["measure", "scope", "graph"]).loc[
        ("importance", "local", "downstream")
    ]
    own = [each.assessment("importance", "activations/local") for each in opened]
    assert cell["p"] == form_columns(own)["p"]
    np.testing.assert_allclose(effects["bh"], stats.false_discovery_control(effects["p"]))

    differences = downstream_differences_table(opened).set_index(["measure", "scope", "beside"])
    row = differences.loc[("input_coherence", "global", "weights")]
    ratios = [
        [
            summarize_effects([owner.assessment("input_coherence", partitioning).effects]).ratio
            for owner, partitioning in (by_graph(each, graph, "global") for each in opened)
        ]
        for graph in ("downstream", "weights")
    ]
    interval = stats.ttest_rel(ratios[0], ratios[1]).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(np.mean(ratios[0]) - np.mean(ratios[1]))
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))

    graphs = graphs_table(opened).set_index(["scope", "graph"])
    for scope in SCOPES:
        matrix = graphs.loc[scope][[f"with_{graph}" for graph in GRAPHS]].to_numpy()
        np.testing.assert_allclose(matrix, matrix.T)
    scores = []
    for each in opened:
        first, second = each.partition("activations/global"), each.start.partition("weights/global")
        pairs = zip(first.tested, second.tested, strict=True)
        scores.append([label_agreement(first.of(one), second.of(two)) for one, two in pairs])
    assert graphs.loc[("global", "downstream"), "with_weights"] == pytest.approx(np.mean(scores))
    cuts = [each.clusterability("activations") for each in opened]
    assert graphs.loc[("global", "downstream"), "z_score"] == pytest.approx(
        np.mean([cut.z_score for cut in cuts])
    )
    assert np.isnan(graphs.loc[("local", "downstream"), "ncut"])
    assert len(plot_downstream(effects).axes) == len(MEASURES)


def test_marks_of_the_figure():
    names = ["measure", "scope", "graph"]
    cells = pd.MultiIndex.from_product([MEASURES, SCOPES, GRAPHS], names=names)
    effects = cells.to_frame(index=False).assign(
        network="mlp", effect_ratio=1.1, finding="not found", favourable="above"
    )
    effects.loc[2, ["effect_ratio", "finding"]] = [1.2, FOUND]  # importance, downstream/global
    effects.loc[3, ["effect_ratio", "finding"]] = [0.8, OTHER_SIDE]  # weights/local
    marks = plot_downstream(effects).axes[0].collections
    filled = [mark for mark in marks if mark.get_facecolor()[0, :3].min() < 0.99]
    assert [mark.get_offsets()[0].tolist() for mark in filled] == [[1.2, 2.0]]
    shapes = [len(mark.get_paths()[0].vertices) for mark in marks]
    assert shapes.count(shapes[3]) == 1, "the cross is the only other shape"


def test_refusals(opened):
    with pytest.raises(InvalidInputError, match="n_images"):
        DownstreamReplicate(opened[0].start, 0)
    with pytest.raises(InvalidInputError, match="start"):
        DownstreamReplicate("mlp", 10)
    with pytest.raises(ValueError, match="n_gradient_images"):
        DownstreamSection(n_gradient_images=0)


@pytest.mark.parametrize("profile", ["digits-downstream", "mnist-downstream"])
def test_published_findings_follow_from_the_published_numbers(profile):
    table = pd.read_csv(
        project_root() / "book" / "runs" / profile / "tables" / "downstream_effects.csv"
    )
    bh = stats.false_discovery_control(table["p"])
    np.testing.assert_allclose(table["bh"], bh, rtol=2e-3)
    is_above = table["effect_ratio"] > 1
    right = is_above == (table["favourable"] == "above")
    undefined = table["undefined_draws"] > 0.5
    expected = np.select(
        [undefined, bh > 0.05, right], ["undefined", "not found", "found"], "wrong side"
    )
    assert table["finding"].tolist() == expected.tolist()
