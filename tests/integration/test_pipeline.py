"""The stages of a replicate: computed once, loaded after, and equal to direct calls."""

import json

import numpy as np
import pytest
import torch

from localspec import (
    clusterability,
    clustering,
    embedding,
    feature_visualization,
    lesions,
    training,
)
from localspec.correlations import activation_graph
from localspec.data import load_dataset
from localspec.errors import ArtifactError, InvalidInputError
from localspec.graphs import weight_graph
from localspec.measures import MEASURES
from localspec.pipeline import PARTITIONINGS, open_replicates
from localspec.profiles import TrainingSection
from localspec.subclusters import draw_counterparts
from localspec.tables import network_test_table, subcluster_table

pytestmark = pytest.mark.integration


def everything(replicate):
    """Return all that a replicate computes, as arrays by name."""
    found = {"weights": replicate.trained.module[1].weight.numpy()}
    found |= {f"history {k}": v for k, v in replicate.trained.history.items()}
    found["ncut"] = np.append(replicate.clusterability().null, replicate.clusterability().statistic)
    for name in PARTITIONINGS:
        found[f"{name} labels"] = replicate.partition(name).labels
        found[f"{name} lesions"] = replicate.lesioned(name).lesioned
        found[f"{name} images"] = replicate.visualizations(name).images
        found[f"{name} entropies"] = replicate.visualizations(name).entropies
        for measure in MEASURES:
            found[f"{name} {measure} p"] = replicate.assessment(measure, name).p_values
    return found


@pytest.fixture
def no_computing(monkeypatch):
    """Let every computation of a stage fail."""

    def fail(*arguments, **options):
        pytest.fail("nothing should be computed here")

    monkeypatch.setattr(training, "train", fail)
    monkeypatch.setattr(clusterability, "clusterability", fail)
    monkeypatch.setattr(clustering, "cluster", fail)
    monkeypatch.setattr(lesions, "lesion_draws", fail)
    monkeypatch.setattr(feature_visualization, "visualize", fail)


def test_weak_units_are_named_in_keys_where_there_are_any(first, monkeypatch):
    def keys():
        fresh = type(first)(first.profile, first.network, first.seed)
        return {kind: fresh._graph_key(kind) for kind in ("weights", "activations")}

    plain = keys()
    monkeypatch.setattr(embedding, "WEAK", 1.0)  # then every unit is weak
    weak = keys()
    assert weak["weights"] != plain["weights"]
    assert weak["activations"] == plain["activations"]


def test_what_counts_as_constant_is_named_in_single_precision_only(first):
    single = first.profile.model_copy(update={"dtype": "float32"})
    parameters = []

    def record(stage, version, given, inputs=()):
        parameters.append(given)
        return "key"

    for profile in (first.profile, single):
        fresh = type(first)(profile, first.network, first.seed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("localspec.pipeline.stage_key", record)
            fresh._graph_key("activations")
    assert [given.get("constant") for given in parameters] == [None, "rounding"]


@pytest.fixture(scope="module")
def first(replicates):
    """The first replicate."""
    return replicates[0]


def test_replicates_are_networks_times_seeds(replicates):
    assert [replicate.name for replicate in replicates] == ["mlp, seed 0", "mlp, seed 1"]
    assert replicates[0].settings.hidden == (14, 12)


def test_nothing_is_computed_twice(section, replicates, no_computing_after):
    before = everything(replicates[0])
    no_computing_after()
    for compute in ("auto", "never"):
        again = open_replicates(section(compute=compute), progress=False)[0]
        after = everything(again)
        assert set(before) == set(after)
        for name, array in before.items():
            assert np.array_equal(array, after[name], equal_nan=True), name


@pytest.fixture
def no_computing_after(request):
    """Return a function after whose call every computation fails."""
    return lambda: request.getfixturevalue("no_computing")


def test_never_names_what_is_missing(section, tmp_path, monkeypatch, no_computing):
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    replicate = open_replicates(section(compute="never"), progress=False)[0]
    with pytest.raises(
        ArtifactError, match=r"stage 'training' has not been computed .*\"seed\": 0"
    ):
        replicate.assessment("importance", "weights/global")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_other_draws_leave_training_and_clustering_alone(section, first, monkeypatch):
    everything(first)

    def fail(*arguments, **options):
        pytest.fail("nothing should be computed here")

    monkeypatch.setattr(training, "train", fail)
    monkeypatch.setattr(clustering, "cluster", fail)
    more = open_replicates(section(n_draws=3), progress=False)[0]
    assert more.lesioned("weights/global").lesioned.shape[0] == 4
    kept = first.lesioned("weights/global").lesioned
    assert np.array_equal(more.lesioned("weights/global").lesioned[0], kept[0])


def test_always_computes_the_same_again(section, first, monkeypatch):
    before = first.partition("weights/local").labels
    calls = []
    original = training.train

    def counted(*arguments, **options):
        calls.append(1)
        return original(*arguments, **options)

    monkeypatch.setattr(training, "train", counted)
    again = open_replicates(section(compute="always"), progress=False)[0]
    assert again.partition("weights/local").labels.tolist() == before.tolist()
    assert len(calls) == 1  # within one run, once


def test_the_record_names_the_stages(section, first, tmp_path, monkeypatch):
    everything(first)
    path = tmp_path / "record.jsonl"
    monkeypatch.setenv("LOCALSPEC_RECORD", str(path))
    everything(open_replicates(section(), progress=False)[0])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {line["stage"] for line in lines} == {
        "training",
        "graph",
        "clustering",
        "clusterability",
        "draws",
        "lesions",
        "feature_visualization",
    }
    keys = {stage: {li["key"] for li in lines if li["stage"] == stage} for stage in ("training",)}
    assert len(keys["training"]) == 1
    assert len({line["key"] for line in lines if line["stage"] == "clustering"}) == 4


# --- each stage against a direct call ---


def test_the_stored_network_is_the_trained_one(first):
    data = load_dataset("digits", dtype="float64")
    direct = training.train(first.settings, data, seed=0, dtype="float64", device="cpu")
    assert torch.equal(first.trained.module(data.x_test), direct.module(data.x_test))
    for name, values in direct.history.items():
        assert first.trained.history[name] == pytest.approx(values)


def test_partitions(first):
    weights = weight_graph(first.trained)
    for scope in ("global", "local"):
        expected = clustering.cluster(weights, 3, scope=scope, seed=0)
        found = first.partition(f"weights/{scope}")
        assert found.labels.tolist() == expected.labels.tolist()
        assert (found.layers, found.scope, found.n_clusters) == (expected.layers, scope, 3)
    assert [layer.name for layer in first.partition("activations/global").layers] == [
        "dense1",
        "dense2",
    ]


def test_correlations_use_random_training_images(first):
    # the units' values determine the images: with all 898 images the graph is another one,
    # and so it is with the first 150
    x = first.dataset.x_train
    graph = first.graph("activations").adjacency
    assert graph.shape == (26, 26)
    for images in (x, x[:150]):
        assert np.abs(graph - activation_graph(first.trained, images).adjacency).max() > 1e-3
    # but nearly the same: squared correlations of 150 images
    assert np.abs(graph - activation_graph(first.trained, x).adjacency).mean() < 0.05


def test_draws_differ_between_partitionings_and_seeds(replicates):
    for replicate in replicates:
        for index, name in enumerate(PARTITIONINGS):
            found = replicate.draws(name)
            expected = draw_counterparts(replicate.partition(name), 7, seed=(replicate.seed, index))
            assert found.n_draws == 7
            for rows, same in zip(found.units, expected.units, strict=True):
                assert rows.tolist() == same.tolist()


def test_the_baseline_is_the_test_accuracy(first):
    found = first.lesioned("weights/global")
    sizes = found.class_sizes
    assert sizes.sum() == 899
    accuracy = (found.baseline * sizes).sum() / 899
    assert accuracy == pytest.approx(first.trained.history["test_accuracy"][-1])


@pytest.mark.parametrize("partitioning", PARTITIONINGS)
def test_shapes_of_measures(first, partitioning):
    n = len(first.draws(partitioning).subclusters)
    assert n
    for name in MEASURES:
        assessment = first.assessment(name, partitioning)
        assert assessment.measure.name == name
        assert assessment.measure.values.shape == (8, n)
        assert ((assessment.p_values > 0) & (assessment.p_values <= 1)).all()
        assert 1 / 8 <= assessment.permutation.pvalue <= 1


def test_visualizations_are_arranged_by_draw(first):
    found = first.visualizations("weights/global")
    draws = first.draws("weights/global")
    n = len(draws.subclusters)
    assert found.images.shape == (8, n, 1, 8, 8)
    # the last draw of the last subcluster, alone
    target = {draws.subclusters[-1].layer: draws.units[-1][-1]}
    alone = feature_visualization.visualize(first.trained, [target], (1, 8, 8), n_steps=4, seed=0)
    assert found.scores[-1, -1] == pytest.approx(alone.scores[0], rel=1e-9)
    assert found.images[-1, -1] == pytest.approx(alone.images[0], abs=1e-9)


def test_seeds_make_different_networks(replicates):
    one, other = (replicate.trained.module[1].weight for replicate in replicates)
    assert not torch.equal(one, other)


# --- parameters ---


def test_unknown_network(tiny_profile):
    with pytest.raises(InvalidInputError, match="network='cnn' is not known; choose one of 'mlp'"):
        open_replicates(TrainingSection(profile=str(tiny_profile), networks=["cnn"]))


def test_the_released_reading_is_another_computation(section, first, tmp_path, monkeypatch):
    def stages(replicate):
        path = tmp_path / f"{id(replicate)}.jsonl"
        monkeypatch.setenv("LOCALSPEC_RECORD", str(path))
        replicate.assessment("class_coherence", "weights/local")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return {line["stage"]: line["key"] for line in lines}

    paper = stages(open_replicates(section(), progress=False)[0])
    released = open_replicates(section(conventions="released"), progress=False)[0]
    other = stages(released)
    assert set(paper) == set(other)
    assert all(paper[stage] != other[stage] for stage in paper)
    assert released.assessment("class_coherence", "weights/local").fisher.shift > 0


def test_three_channels_train_another_network(section):
    replicate = open_replicates(section(), progress=False)[0]
    assert replicate.visualized is replicate
    released = open_replicates(section(conventions="released"), progress=False)[0]
    other = released.visualized
    assert other.network == "mlp in three channels"
    assert other.dataset.image_shape == (3, 8, 8)
    assert other.visualized is other
    assert released.trained.module[1].in_features == 64
    assert other.trained.module[1].in_features == 3 * 64
    # images, their measures and the rows of tables speak of the other network
    found = released.visualizations("weights/global")
    n_subclusters = len(other.draws("weights/global").subclusters)
    assert found.images.shape == (8, n_subclusters, 3, 8, 8)
    assert len(released.assessment("input_coherence", "weights/global").p_values) == n_subclusters
    table = subcluster_table([released], partitionings=["weights/global"])
    assert (table["network"] == "mlp in three channels").sum() == n_subclusters
    assert table.loc[table["network"] == "mlp", "input_coherence"].isna().all()
    tests = network_test_table([released], partitionings=["weights/global"])
    assert tests["network"].tolist() == ["mlp"] * 2 + ["mlp in three channels"] * 2
