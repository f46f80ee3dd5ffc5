"""The stages of a replicate: computed once, loaded after, and equal to direct calls."""

import json

import numpy as np
import pytest
import torch

from localspec.clustering import activation_graph, cluster, draw_counterparts, weight_graph
from localspec.conventions import PAPER
from localspec.data import load_dataset
from localspec.measures import MEASURES
from localspec.networks import train
from localspec.pipeline import PARTITIONINGS, checked_coherence, open_replicates
from localspec.visualization import visualize

pytestmark = pytest.mark.integration


def everything(replicate):
    """Return all that a replicate computes, as arrays by name."""
    results = {"weights": replicate.trained.module[1].weight.numpy()}
    results |= {f"history {k}": v for k, v in replicate.trained.history.items()}
    results["ncut"] = np.append(
        replicate.clusterability().null, replicate.clusterability().statistic
    )
    for name in PARTITIONINGS:
        results[f"{name} labels"] = replicate.partition(name).labels
        results[f"{name} lesions"] = replicate.lesioned(name).lesioned
        results[f"{name} images"] = replicate.visualizations(name).images
        results[f"{name} entropies"] = replicate.visualizations(name).entropies
        for measure in MEASURES:
            results[f"{name} {measure} p"] = replicate.assessment(measure, name).p_values
    return results


def stored_files(results, stage="*"):
    """Return when each stored artifact was written, by its path."""
    paths = (results / "artifacts").glob(f"{stage}/*.safetensors")
    return {path: path.stat().st_mtime_ns for path in paths}


@pytest.fixture(scope="module")
def first(replicates):
    return replicates[0]


def test_replicates_are_networks_times_seeds(replicates):
    assert [replicate.name for replicate in replicates] == ["mlp, seed 0", "mlp, seed 1"]
    assert replicates[0].settings.hidden == (14, 12)


def test_nothing_is_computed_twice(section, replicates, results):
    before = everything(replicates[0])
    files = stored_files(results)
    for compute in ("auto", "never"):
        again = open_replicates(section(compute=compute), progress=False)[0]
        after = everything(again)
        assert set(before) == set(after)
        for name, array in before.items():
            assert np.array_equal(array, after[name], equal_nan=True), name
    assert stored_files(results) == files


def test_other_draws_leave_training_and_clustering_alone(section, first, results):
    everything(first)
    earlier = {**stored_files(results, "training"), **stored_files(results, "clustering")}
    more = open_replicates(section(n_draws=3), progress=False)[0]
    assert more.lesioned("weights/global").lesioned.shape[0] == 4
    fewer = first.lesioned("weights/global").lesioned
    assert np.array_equal(more.lesioned("weights/global").lesioned[0], fewer[0])
    later = {**stored_files(results, "training"), **stored_files(results, "clustering")}
    assert later == earlier


def test_always_computes_the_same_again(section, first, tmp_path, monkeypatch):
    before = first.partition("weights/local").labels
    monkeypatch.setenv("LOCALSPEC_RESULTS", str(tmp_path))
    first_time, second_time = (
        open_replicates(section(compute="always"), progress=False)[0] for _ in range(2)
    )
    assert first_time.partition("weights/local").labels.tolist() == before.tolist()
    (earlier,) = stored_files(tmp_path, "training").values()
    _ = first_time.trained, first_time.with_choices(draws_seed=1).trained
    assert list(stored_files(tmp_path, "training").values()) == [earlier]  # within one run, once
    assert second_time.partition("weights/local").labels.tolist() == before.tolist()
    (later,) = stored_files(tmp_path, "training").values()
    assert later > earlier


def test_other_choices_change_what_they_name(first):
    conventions = PAPER.model_copy(update={"min_units": "three"})
    other = first.with_choices(conventions=conventions, draws_seed=5)
    assert (other.conventions, other.reading) == (conventions, "min_units: three")
    assert (first.conventions, first.reading) == (PAPER, "paper")
    assert other.trained is first.trained
    fewer = first.with_choices(n_clusters=2)
    assert (fewer.n_clusters, first.n_clusters) == (2, 3)
    assert len(np.unique(fewer.partition("weights/global").labels)) == 2
    draws, redrawn = (
        replicate.draws("weights/local") for replicate in (first, first.with_choices(draws_seed=5))
    )
    expected = draw_counterparts(first.partition("weights/local"), 7, seed=(5, 1))
    pairs = zip(redrawn.units, expected.units, strict=True)
    assert all(np.array_equal(rows, same) for rows, same in pairs)
    pairs = zip(redrawn.units, draws.units, strict=True)
    assert not all(np.array_equal(rows, same) for rows, same in pairs)


def test_class_coherence_is_checked_where_that_is_chosen(first):
    checked = first.with_choices(check="defined")
    assessment = checked.assessment("class_coherence", "weights/global")
    expected = checked_coherence(first, "defined", "weights/global")
    assert np.array_equal(assessment.p_values, expected.p_values, equal_nan=True)
    other = checked.assessment("importance", "weights/global").p_values
    assert np.array_equal(other, first.assessment("importance", "weights/global").p_values)


def test_only_wanted_networks_are_opened(section):
    assert open_replicates(section(), only=lambda settings: settings.l1 > 0) == []
    wanted = open_replicates(section(), only=lambda settings: settings.hidden == (14, 12))
    assert [replicate.seed for replicate in wanted] == [0, 1]


def test_the_record_names_the_stages(section, first, tmp_path, monkeypatch):
    everything(first)
    path = tmp_path / "record.jsonl"
    monkeypatch.setenv("LOCALSPEC_RECORD", str(path))
    everything(open_replicates(section(), progress=False)[0])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    stages = {"training", "graph", "clustering", "clusterability", "draws", "lesions"}
    assert {line["stage"] for line in lines} == {*stages, "feature_visualization"}
    assert len({line["key"] for line in lines if line["stage"] == "training"}) == 1
    assert len({line["key"] for line in lines if line["stage"] == "clustering"}) == 4


def test_the_stored_network_is_the_trained_one(first):
    data = load_dataset("digits", dtype="float64")
    direct = train(first.settings, data, seed=0, dtype="float64", device="cpu")
    assert torch.equal(first.trained.module(data.x_test), direct.module(data.x_test))
    for name, values in direct.history.items():
        assert first.trained.history[name] == pytest.approx(values)


def test_partitions(first):
    weights = weight_graph(first.trained)
    for scope in ("global", "local"):
        expected = cluster(weights, 3, scope=scope, seed=0)
        partition = first.partition(f"weights/{scope}")
        assert partition.labels.tolist() == expected.labels.tolist()
        assert partition.layers == expected.layers
        assert (partition.scope, partition.n_clusters) == (scope, 3)
    layers = first.partition("activations/global").layers
    assert [layer.name for layer in layers] == ["dense1", "dense2"]


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
            draws = replicate.draws(name)
            expected = draw_counterparts(replicate.partition(name), 7, seed=(replicate.seed, index))
            assert draws.n_draws == 7
            for rows, same in zip(draws.units, expected.units, strict=True):
                assert rows.tolist() == same.tolist()


def test_the_baseline_is_the_test_accuracy(first):
    lesioned = first.lesioned("weights/global")
    sizes = lesioned.class_sizes
    assert sizes.sum() == 899
    accuracy = (lesioned.baseline * sizes).sum() / 899
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
    visualizations = first.visualizations("weights/global")
    draws = first.draws("weights/global")
    n = len(draws.subclusters)
    assert visualizations.images.shape == (8, n, 1, 8, 8)
    # the last draw of the last subcluster, alone
    target = {draws.subclusters[-1].layer: draws.units[-1][-1]}
    alone = visualize(first.trained, [target], (1, 8, 8), n_steps=4, seed=0)
    assert visualizations.scores[-1, -1] == pytest.approx(alone.scores[0], rel=1e-9)
    assert visualizations.images[-1, -1] == pytest.approx(alone.images[0], abs=1e-9)


def test_seeds_make_different_networks(replicates):
    first, other = (replicate.trained.module[1].weight for replicate in replicates)
    assert not torch.equal(first, other)


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
