"""Other values in place of lesioned units: by hand, beside the lesion engine, and the page."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.networks import dense, random_mlp, stack
from torch import nn

from localspec.clustering import Draws, Partition, Subcluster, draw_counterparts
from localspec.exceptions import InvalidInputError
from localspec.lesions import lesion_draws
from localspec.measures import importance
from localspec.pipeline import (
    FOUND,
    OTHER_SIDE,
    PAPER_CHOICES,
    PARTITIONINGS,
    AblationsSection,
    open_replicates,
)
from localspec.statistics import combine_replicates
from localspec.studies.ablations import (
    WAYS,
    ablations_table,
    agreement_table,
    damage_table,
    other_images,
    plot_ablations,
    replaced_accuracies,
    way_accuracies,
    way_assessment,
)


def test_other_images_are_one_cycle():
    others = other_images(9, 4)
    place, visited = 0, []
    for _ in range(9):
        place = int(others[place])
        visited.append(place)
    assert sorted(visited) == list(range(9))
    assert not np.array_equal(others, other_images(9, 5))


def one_set(units):
    """One subcluster of the first layer, with one counterpart."""
    part = Subcluster("0", 0, np.array(units[0]))
    return Draws((part,), (np.array([units[1]]),))


def test_the_three_ways_by_hand():
    # both hidden units hand on their pixel; the output is class 0 where the first is larger
    network = stack(dense([[1, 0], [0, 1]]), nn.ReLU(), dense([[1, 0], [0, 1]]))
    x = torch.tensor([[4, 1], [6, 3], [1, 2], [1, 10]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1])
    draws = one_set([[0], [1]])

    def accuracies(replacement):
        found = replaced_accuracies(network, x, y, draws, replacement, n_classes=2)
        assert found.baseline.tolist() == [1, 1]
        return found.lesioned[:, 0].tolist()

    # the first unit gives 0: all images are of class 1; the second gives 0: of class 0
    assert accuracies(torch.zeros_like) == [[0, 1], [1, 0]]
    # the first gives 3 (its mean), against 1, 3, 2, 10; a tie is class 0. The second gives 4.
    assert accuracies(lambda value: value.mean(dim=0).expand_as(value)) == [[1, 0.5], [1, 1]]
    # the first gives 6, 1, 1, 4 against 1, 3, 2, 10; the second 3, 2, 10, 1 against 4, 6, 1, 1
    others = torch.tensor([1, 2, 3, 0])
    assert accuracies(lambda value: value[others]) == [[0.5, 1], [1, 0.5]]


SIZES = (6, 8, 7, 3)


def case(seed):
    rng = np.random.default_rng(seed)
    x, y = torch.from_numpy(3 * rng.normal(size=(60, 6))), torch.from_numpy(np.arange(60) % 3)
    labels = {"0": np.arange(8) % 3, "2": np.arange(7) % 2}
    draws = draw_counterparts(Partition.from_labels(labels), 4, seed=seed)
    return random_mlp(SIZES, seed=seed), x, y, draws


@pytest.mark.parametrize("seed", range(4))
def test_zero_and_mean_are_those_of_the_lesion_engine(seed):
    network, x, y, draws = case(seed)
    replacements = {
        "zero": torch.zeros_like,
        "mean": lambda value: value.mean(dim=0).expand_as(value),
    }
    for way, replacement in replacements.items():
        found = replaced_accuracies(network, x, y, draws, replacement, n_classes=3)
        expected = lesion_draws(network, x, y, draws, replacement=way)
        assert found.lesioned == pytest.approx(expected.lesioned)
        assert found.baseline == pytest.approx(expected.baseline)
        assert found.class_sizes.tolist() == [20, 20, 20]


@pytest.mark.parametrize("seed", range(4))
def test_resampled_is_a_plain_hook(seed):
    network, x, y, draws = case(seed)
    others = other_images(len(x), seed)
    found = replaced_accuracies(network, x, y, draws, lambda value: value[others], n_classes=3)
    differing = 0
    for column, part in enumerate(draws.subclusters):
        for row, units in enumerate([part.units, *draws.units[column]]):

            def hook(_module, _inputs, output, units=units):
                changed = output.clone()
                for image in range(len(output)):
                    changed[image, units] = output[others[image], units]
                return changed

            handle = network[int(part.layer) + 1].register_forward_hook(hook)
            right = (network(x).argmax(1) == y).numpy()
            handle.remove()
            expected = [right[label::3].mean() for label in range(3)]
            assert found.lesioned[row, column] == pytest.approx(expected)
            differing += found.lesioned[row, column].tolist() != found.baseline.tolist()
    assert differing > 0


@pytest.fixture(scope="module")
def opened(tiny_profile):
    section = AblationsSection(
        profile=str(tiny_profile), seeds=[0, 1], n_clusters=3, n_draws=7, level=0.05
    )
    return open_replicates(section, choices=PAPER_CHOICES, progress=False)


@pytest.mark.integration
def test_ways_of_a_replicate(opened):
    replicate = opened[0]
    x, y = replicate.lesion_images()
    draws = replicate.draws("weights/local")
    train = replicate.dataset.x_train
    module = replicate.trained.module
    others = other_images(len(x), replicate.seed)
    part = draws.subclusters[0]
    layers = list(module.children())
    place = [name for name, _ in module.named_children()].index(part.layer) + 1
    with torch.no_grad():
        before = nn.Sequential(*layers[: place + 1])
        after = nn.Sequential(*layers[place + 1 :])
        value, mean = before(x), before(train).mean(dim=0)
        put = {"zero": 0.0, "mean": mean[part.units], "resampled": value[others][:, part.units]}
        for way in WAYS:
            changed = value.clone()
            changed[:, part.units] = torch.as_tensor(put[way], dtype=value.dtype)
            right = (after(changed).argmax(1) == y).numpy()
            expected = [right[y.numpy() == label].mean() for label in range(10)]
            found = way_accuracies(replicate, "weights/local", way)
            assert found.lesioned[0, 0] == pytest.approx(expected)


@pytest.mark.integration
def test_tables_and_figure(opened):
    table = ablations_table(opened)
    assert len(table) == len(PARTITIONINGS) * 2 * len(WAYS)
    cell = table[
        (table["partitioning"] == "weights/local")
        & (table["measure"] == "importance")
        & (table["way"] == "resampled")
    ].iloc[0]
    own = [way_assessment(each, "importance", "weights/local", "resampled") for each in opened]
    p_values = [each.permutation.pvalue for each in own]
    assert cell["p"] == combine_replicates(p_values).pvalue
    assert cell["n_subclusters"] == sum(len(each.p_values) for each in own)
    assert (table["bh"] >= table["p"] - 1e-12).all()
    zero = table[table["way"] == "zero"]
    assert (zero["finding"] == zero["finding_zero"]).all()
    merged = table.merge(
        zero[["partitioning", "measure", "finding"]], on=["partitioning", "measure"]
    )
    assert (merged["finding_y"] == merged["finding_zero"]).all()

    agreement = agreement_table(opened)
    assert len(agreement) == len(PARTITIONINGS) * 2 * (len(WAYS) - 1)
    assert (agreement["both"] <= agreement["either"]).all()
    assert agreement["spearman"].dropna().between(-1, 1).all()

    damage = damage_table(opened).set_index(["partitioning", "way"])
    found = [way_accuracies(each, "activations/local", "mean") for each in opened]
    lost = np.concatenate([-importance(each).effect_values[0] for each in found])
    assert damage.loc[("activations/local", "mean"), "loss"] == pytest.approx(lost.mean())
    assert plot_ablations(table).axes


def test_significance_on_the_wrong_side_is_no_filled_mark():
    rows = [
        {"network": "mlp", "partitioning": partitioning, "measure": measure, "way": way}
        for partitioning in PARTITIONINGS
        for measure in ("importance", "class_coherence")
        for way in WAYS
    ]
    table = pd.DataFrame(rows).assign(effect_ratio=1.2, finding="not found")
    table.loc[0, ["effect_ratio", "finding"]] = [0.8, OTHER_SIDE]
    table.loc[2, "finding"] = FOUND
    marks = [each for each in plot_ablations(table).axes[0].collections if len(each.get_offsets())]
    filled = [each for each in marks if len(each.get_facecolor())]
    assert [each.get_offsets()[0].tolist()[0] for each in filled] == [1.2]


@pytest.mark.parametrize("make", [ablations_table, agreement_table, damage_table])
def test_without_replicates_there_is_nothing(make):
    with pytest.raises(InvalidInputError, match="no replicate"):
        make([])


def test_an_unknown_way_is_refused(opened):
    with pytest.raises(InvalidInputError, match="way='noise' is not known"):
        way_accuracies(opened[0], "weights/local", "noise")
