"""N-cut while training: by hand, beside separate trainings and plain implementations, the page."""

import itertools

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.graphs import plain_ncut
from helpers.tiny_profile import tiny, write_profile
from safetensors.numpy import load_file
from scipy import stats

from localspec.data import Dataset
from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.networks import NetworkSettings, build_network, prune, train
from localspec.pipeline import LearningCurveSection, load_profile, project_root
from localspec.studies.learning_curve import (
    curve_table,
    networks_by_epoch,
    open_epochs,
    plot_ncut_by_epoch,
    stability_table,
    trained_by_epoch,
)
from localspec.studies.learning_curve._tables import published_curve

SETTINGS = NetworkSettings(
    dataset="made up", hidden=(6, 5), batch_size=8, n_epochs=3, n_pruning_epochs=2, dropout=0.2
)


def made_up():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(40, 1, 2, 5, generator=generator, dtype=torch.float64)
    y = torch.arange(40) % 3
    return Dataset("made up", x, y, x, y, ("a", "b", "c"))


def by_epoch(epochs, settings=SETTINGS):
    states = trained_by_epoch(
        settings, made_up(), epochs, seed=4, dtype="float64", device="cpu", conventions="paper"
    )
    return {epoch: each.module.state_dict() for epoch, each in states.items()}


def assert_same(state, other):
    assert state.keys() == other.keys()
    for name, value in state.items():
        assert torch.equal(value, other[name])


def test_weights_are_those_of_separate_trainings():
    states = by_epoch([5, 0, 2, 3])
    assert sorted(states) == [0, 2, 3, 5]
    own = {"seed": 4, "dtype": "float64", "device": "cpu"}
    initial = build_network(SETTINGS, (1, 2, 5), 3, seed=4, dtype="float64")
    assert_same(states[0], initial.state_dict())
    for n_epochs in (2, 3):
        shorter = SETTINGS.model_copy(update={"n_epochs": n_epochs})
        trained = train(shorter, made_up(), **own)
        assert_same(states[n_epochs], trained.module.state_dict())
    pruned = prune(trained, SETTINGS, made_up(), seed=4, device="cpu")
    assert_same(states[5], pruned.module.state_dict())


def test_shares_of_zeros_are_those_of_the_schedule():
    # ten steps of pruning; masks are chosen at steps 0 and 10, for 50 % and for 90 % zeros
    states = by_epoch([3, 4, 5])
    for index, size in enumerate((60, 30)):  # 6 x 10 and 5 x 6 weights
        kernels = [[v for v in states[e].values() if v.ndim == 2][index] for e in (3, 4, 5)]
        n_zeros = [int((kernel == 0).sum()) for kernel in kernels]
        assert n_zeros == [0, size // 2, size * 9 // 10]


def test_no_epoch_after_the_last_is_there():
    with pytest.raises(InvalidInputError, match="epochs"):
        by_epoch([6])
    with pytest.raises(InvalidInputError, match="epochs"):
        by_epoch([4], SETTINGS.model_copy(update={"n_pruning_epochs": 0}))


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    content = tiny(hidden=[10, 8], n_epochs=2, n_pruning_epochs=2)
    content["pages"] = ["24_learning_curve"]
    return write_profile(tmp_path_factory.mktemp("learning_curve"), content)


def opened(profile, **changes):
    options = {"seeds": [0, 1], "n_clusters": 3, "n_shuffles": 4, "epochs": [2, 0, 1, 4]}
    section = LearningCurveSection(profile=profile, **{**options, **changes})
    return open_epochs(section, progress=False)


@pytest.fixture(scope="module")
def replicates(profile):
    return opened(profile)


@pytest.fixture(scope="module")
def networks(replicates):
    return networks_by_epoch(replicates)


def graph_of(kernels):
    """The weights graph as networkx has it, nodes named by layer and unit."""
    graph = networkx.Graph()
    for layer, kernel in enumerate(kernels):
        for after, before in itertools.product(*map(range, kernel.shape)):
            if kernel[after, before] != 0:
                weight = abs(float(kernel[after, before]))
                graph.add_edge((layer, before), (layer + 1, after), weight=weight)
    return graph


def plain_rand(first, second):
    """The adjusted Rand score, pair by pair."""
    pairs = list(itertools.combinations(range(len(first)), 2))
    same = [[labels[i] == labels[j] for i, j in pairs] for labels in (first, second)]
    both = sum(a and b for a, b in zip(*same, strict=True))
    n_first, n_second = sum(same[0]), sum(same[1])
    expected = n_first * n_second / len(pairs)
    highest = (n_first + n_second) / 2
    return (both - expected) / (highest - expected) if highest != expected else 1.0


@pytest.mark.integration
def test_table_by_plain_implementations(replicates, networks):
    assert list(networks["epoch"]) == [0, 1, 2, 4] * 2
    assert list(networks["phase"]) == ["training", "training", "training", "pruning"] * 2
    ends = {each.seed: each for each in replicates if each.epoch == 2}
    for each, (_, row) in zip(replicates, networks.iterrows(), strict=True):
        state = each.trained.module.state_dict()
        kernels = [value.numpy() for value in state.values() if value.ndim == 2]
        values = each.dataset.x_test.flatten(1).numpy()
        biases = [value.numpy() for value in state.values() if value.ndim == 1]
        for kernel, bias in zip(kernels, biases, strict=True):
            values = np.maximum(values, 0) @ kernel.T + bias
        right = values.argmax(1) == each.dataset.y_test.numpy()
        assert row["test_accuracy"] == pytest.approx(right.mean())
        weights = np.concatenate([kernel.ravel() for kernel in kernels])
        assert row["zeros"] == pytest.approx((weights == 0).mean())

        partition = each.partition("weights/global")
        graph, clusters = graph_of(kernels), {}
        for layer, part in enumerate(partition.layers):
            for unit, label in enumerate(partition.of(part)):
                if label >= 0:
                    clusters.setdefault(label, set()).add((layer, unit))
        cut = sum(
            networkx.cut_size(graph, nodes, weight="weight")
            / networkx.volume(graph, nodes, weight="weight")
            for nodes in clusters.values()
        )
        assert row["ncut"] == pytest.approx(cut, rel=1e-6)

        end = ends[each.seed].partition("weights/global")
        scores = []
        for part in partition.tested:
            first, second = partition.of(part), end.of(part)
            live = (first >= 0) & (second >= 0)
            scores.append(plain_rand(first[live], second[live]))
        assert row["agreement"] == pytest.approx(np.mean(scores))
    assert list(networks.loc[networks["epoch"] == 2, "agreement"]) == [1.0, 1.0]


@pytest.mark.integration
def test_weights_are_stored_by_epoch_and_loaded(profile):
    first = opened(profile, seeds=[0])
    states = [each.trained.module.state_dict() for each in first]
    again = opened(profile, seeds=[0], compute="never")
    for state, other in zip(states, again, strict=True):
        assert_same(state, other.trained.module.state_dict())
    assert len({each.stored_network().key for each in first}) == 4
    missing = opened(profile, seeds=[0], compute="never", epochs=[2, 3])[1]
    with pytest.raises(ArtifactError, match='"epoch": 3'):
        missing.stored_network()


@pytest.mark.integration
def test_zeros_stay_where_they_are_in_the_second_shuffle(replicates):
    pruned = next(each for each in replicates if each.epoch == 4)
    trained = next(each for each in replicates if each.epoch == 2)
    both = [
        (each.clusterability(), each.clusterability(null="permute_nonzero"))
        for each in (pruned, trained)
    ]
    for first, second in both:
        assert first.statistic == pytest.approx(second.statistic)
    assert not np.allclose(both[0][0].null, both[0][1].null)
    assert both[1][0].null == pytest.approx(both[1][1].null)  # no weight is zero


@pytest.mark.integration
def test_stability_goes_by_the_highest_bar(replicates):
    table = stability_table(replicates)
    assert list(table["after"]) == ["training", "pruning", "pruning"]
    assert list(table["shuffle"]) == ["all weights", "all weights", "weights other than zero"]
    expected = []
    for epoch, null in ((2, "permute"), (4, "permute"), (4, "permute_nonzero")):
        cuts = [each.clusterability(null=null) for each in replicates if each.epoch == epoch]
        expected.append(sum(all(cut.statistic < value for value in cut.null) for cut in cuts))
    assert list(table["below_shuffles"]) == [f"{n} of 2" for n in expected]
    assert list(table["is_stable"]) == [n == 2 for n in expected]
    assert len(stability_table([each for each in replicates if each.epoch <= 2])) == 1


def made_up_networks():
    """Two seeds, two epochs of training and one of pruning."""
    rows = []
    for seed in (0, 1):
        for epoch, ncut in ((0, 2.0), (3, 1.6 + 0.2 * seed), (5, 1.0 + 0.2 * seed)):
            row = {"network": "mlp", "seed": seed, "epoch": epoch, "ncut": ncut}
            row |= {"phase": "pruning" if epoch == 5 else "training", "shuffled_ncut": 2.0}
            names = ("zeros", "test_accuracy", "z_score", "agreement", "restarts")
            rows.append(row | dict.fromkeys(names, 0.5 + 0.1 * seed))
    return pd.DataFrame(rows)


def test_curve_by_hand():
    table = curve_table(made_up_networks()).set_index("epoch")
    assert table["ncut"].tolist() == pytest.approx([2.0, 1.7, 1.1])
    assert table["agreement"].tolist() == pytest.approx([0.55] * 3)
    # ratios 1, then 0.8 and 0.9, then 0.5 and 0.6
    assert table["ncut_ratio"].tolist() == pytest.approx([1.0, 0.85, 0.55])
    assert table["change"].tolist() == pytest.approx([0.0, -0.15, -0.45])
    # standard error 0.05 and 12.706, the quantile with one degree of freedom
    assert table.loc[3, "low"] == pytest.approx(-0.15 - 12.706 * 0.05, abs=1e-4)
    assert table.loc[5, "high"] == pytest.approx(-0.45 + 12.706 * 0.05, abs=1e-4)


def test_lines_of_the_figure():
    networks = made_up_networks()
    axes = plot_ncut_by_epoch(networks).axes
    assert len(axes) == 2
    line = axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 1, 2]
    assert line.get_ydata().tolist() == pytest.approx([2.0, 1.7, 1.1])
    assert [text.get_text() for text in axes[0].get_xticklabels()] == ["0", "3", "5"]
    assert list(axes[0].lines[-1].get_xdata()) == [1.5, 1.5]  # where pruning begins
    networks["ncut_as_published"] = networks["ncut"].where(networks["epoch"] > 0)
    networks["published_ncut"] = networks["epoch"].map({3: 1.5, 5: 1.25})
    axis = plot_ncut_by_epoch(networks).axes[2]
    assert list(axis.lines[0].get_xdata()) == [1, 2]
    published = next(line for line in axis.lines if line.get_marker() == "D")
    assert list(published.get_xdata()) == [1, 2]
    assert list(published.get_ydata()) == [1.5, 1.25]


def test_the_published_curve():
    curve = published_curve("MNIST")
    assert curve["epoch"].tolist() == list(range(5, 45, 5))
    assert set(curve["n_clusters"]) == {4}
    assert curve["ncut"].iloc[[0, 3, 7]].tolist() == [2.50397, 2.437871, 1.999817]
    assert len(published_curve(None)) == len(published_curve("FASHION")) == 0


def test_other_epochs_are_refused(profile):
    with pytest.raises(InvalidInputError, match="the last one of training, 2"):
        opened(profile, epochs=[0, 1])
    with pytest.raises(InvalidInputError, match="none after 4"):
        opened(profile, epochs=[2, 5])
    with pytest.raises(ValueError, match="stands twice"):
        LearningCurveSection(epochs=[0, 0])


RUNS = project_root() / "book" / "runs"


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_published_table_is_that_of_the_published_figure(name):
    folder = RUNS / f"{name}-learning-curve"
    table = pd.read_csv(folder / "tables" / "ncut_by_epoch.csv")
    profile = load_profile(f"{name}-learning-curve")
    assert table["epoch"].tolist() == profile.parameters("24_learning_curve")["epochs"]
    drawn = pd.read_csv(folder / "figures" / "ncut_by_epoch.csv")
    lines = drawn[(drawn["title"] == "n-cut") & (drawn["kind"] == "line")]
    assert lines["y"].to_numpy()[: len(table)] == pytest.approx(table["ncut"].to_numpy(), rel=1e-3)
    # with n seeds the interval of a change and its mean are a paired t-test against no change
    n = len(profile.seeds)
    error = (table["high"] - table["change"]) / stats.t.ppf(0.975, n - 1)
    assert (error.iloc[1:] > 0).all()
    assert table["low"].to_numpy() == pytest.approx(2 * table["change"] - table["high"], abs=1e-3)


@pytest.mark.integration
def test_published_row_after_training_is_near_that_of_stored_networks():
    # trained anew on another processor, in single precision: other networks of the same kind
    table = pd.read_csv(RUNS / "mnist-learning-curve" / "tables" / "ncut_by_epoch.csv")
    row = table[table["epoch"] == 20].iloc[0]
    networks = [
        load_file(RUNS / "mnist" / "networks" / f"mlp-seed{seed}.safetensors") for seed in range(3)
    ]
    accuracies = [network["history.test_accuracy"][-1] for network in networks]
    assert row["test_accuracy"] == pytest.approx(np.mean(accuracies), abs=2e-3)
    ncuts = [
        plain_ncut([v.astype(float) for k, v in network.items() if k.endswith("weight")])
        for network in networks
    ]
    assert row["ncut"] == pytest.approx(np.mean(ncuts), rel=2e-3)  # k-means from another start
