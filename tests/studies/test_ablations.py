"""Other values in place of lesioned units: by hand, beside the lesion engine, and the page."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.lesions import class_accuracies
from helpers.networks import conv, dense, random_mlp, stack
from scipy.optimize import minimize, minimize_scalar
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
    Fit,
    ablations_table,
    agreement_table,
    constant_accuracies,
    damage_table,
    fit_images,
    fit_table,
    optimal_constants,
    optimal_lesions,
    other_images,
    plot_ablations,
    refined_loss,
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


def test_the_three_ways_by_hand():
    # both hidden units hand on their pixel; the output is class 0 where the first is larger
    network = stack(dense([[1, 0], [0, 1]]), nn.ReLU(), dense([[1, 0], [0, 1]]))
    x = torch.tensor([[4, 1], [6, 3], [1, 2], [1, 10]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1])
    draws = Draws((Subcluster("0", 0, np.array([0])),), (np.array([[1]]),))

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


def hooked_logits(network, x, layer, units, values):
    """Return the logits where a hook puts values into units, behind the ReLU of their layer."""

    def hook(_module, _inputs, output):
        changed = output.clone()
        changed[:, units] = torch.as_tensor(values(output), dtype=output.dtype)
        return changed

    handle = network[int(layer) + 1].register_forward_hook(hook)
    with torch.no_grad():
        logits = network(x)
    handle.remove()
    return logits


@pytest.mark.parametrize("seed", range(4))
def test_resampled_is_a_plain_hook(seed):
    network, x, y, draws = case(seed)
    others = other_images(len(x), seed)
    found = replaced_accuracies(network, x, y, draws, lambda value: value[others], n_classes=3)
    differing = 0
    for column, part in enumerate(draws.subclusters):
        for row, units in enumerate([part.units, *draws.units[column]]):

            def resampled(output, units=units):
                return torch.stack([output[other][units] for other in others])

            logits = hooked_logits(network, x, part.layer, units, resampled)
            assert found.lesioned[row, column] == pytest.approx(class_accuracies(logits, y))
            differing += found.lesioned[row, column].tolist() != found.baseline.tolist()
    assert differing > 0


def one_unit():
    """Return a network of one unit, images, labels, and the loss of the best constant."""
    # without its one unit the network gives all images the same; best is what each class's share is
    network = stack(dense([[1]]), nn.ReLU(), dense([[1], [-1]]))
    x = torch.tensor([[1], [2], [3], [4]], dtype=torch.float64)
    entropy = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    return network, x, torch.tensor([0, 0, 0, 1]), entropy


def test_optimal_constant_in_closed_form():
    network, x, y, entropy = one_unit()
    found = optimal_constants(network, x, y, [{"0": [0]}], n_steps=300)
    assert found.constants[0] == pytest.approx([np.log(3) / 2], abs=1e-4)  # 2 c = ln(3/4 : 1/4)
    assert found.losses == pytest.approx([entropy], abs=1e-7)
    # zero: ln 2; the mean, 2.5: logits 2.5 and -2.5
    mean = np.log1p(np.exp(-5)) + 0.25 * 5
    assert found.start_losses == pytest.approx([min(np.log(2), mean)])
    # where all images are of class 0, the mean is the better start
    start = optimal_constants(network, x, torch.zeros(4, dtype=int), [{"0": [0]}], n_steps=1)
    assert start.start_losses == pytest.approx([np.log1p(np.exp(-5))])
    assert start.losses[0] < start.start_losses[0]


def plain_loss(network, x, y, layer, units, constants):
    """Mean cross-entropy where a hook puts constants, without any of the library."""
    logits = hooked_logits(network, x, layer, units, lambda _: np.asarray(constants)).numpy()
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return -np.log((shares / shares.sum(axis=1, keepdims=True))[np.arange(len(y)), y]).mean()


@pytest.mark.parametrize("seed", range(2))
def test_optimal_constants_beside_one_set_at_a_time(seed):
    network, x, y, draws = case(seed)
    lesions = draws.lesions()
    found = optimal_constants(network, x, y, lesions, n_steps=200)
    assert (found.losses <= found.start_losses).all()
    blocks = optimal_constants(network, x, y, lesions, n_steps=200, max_values=1)
    assert found.losses == pytest.approx(blocks.losses, rel=1e-9)
    gained = 0
    for row in range(0, len(lesions), 6):
        ((layer, units),) = lesions[row].items()

        def loss(constants, layer=layer, units=units):
            return plain_loss(network, x, y, layer, units, constants)

        with torch.no_grad():
            means = network[: int(layer) + 2](x).mean(dim=0)[units].numpy()
        start = min(loss(np.zeros(len(units))), loss(means))
        assert found.start_losses[row] == pytest.approx(start)
        assert found.losses[row] == pytest.approx(loss(found.constants[row]))
        simplex = minimize(loss, found.constants[row], method="Nelder-Mead")
        assert found.losses[row] - simplex.fun <= 0.05 * (start - simplex.fun) + 1e-9
        gained += found.losses[row] < start - 1e-3
    assert gained > 2


@pytest.mark.parametrize("seed", range(3))
def test_one_constant_before_the_output_is_the_minimum_of_a_curve(seed):
    network, x, y, _ = case(seed)
    found = optimal_constants(
        network, x, y, [{"2": np.array([unit])} for unit in range(7)], n_steps=300
    )
    for unit in range(7):  # the loss is convex in them
        best = minimize_scalar(
            lambda value, unit=unit: plain_loss(network, x, y, "2", [unit], [value])
        )
        assert best.fun - 1e-9 <= found.losses[unit] <= best.fun + 1e-3


def test_order_of_units_and_repeated_sets():
    network, x, y, _ = case(3)
    sets = [{"0": np.array(units)} for units in ([5, 2, 6], [2, 5, 6], [1], [5, 2, 6])]
    found = optimal_constants(network, x, y, sets, n_steps=30)
    first, second, _, again = found.constants
    assert first.tolist() == again.tolist() == second[[1, 0, 2]].tolist()
    assert found.losses[0] == found.losses[1] == found.losses[3]
    alone = optimal_constants(network, x, y, sets[2:3], n_steps=30)
    assert found.losses[2] == pytest.approx(alone.losses[0], rel=1e-9)


def test_refinement_never_loses_and_finds_the_closed_form():
    network, x, y, entropy = one_unit()
    assert refined_loss(network, x, y, {"0": [0]}, np.zeros(1)) == pytest.approx(entropy, abs=1e-8)
    best = np.array([np.log(3) / 2])
    assert refined_loss(network, x, y, {"0": [0]}, best) == pytest.approx(entropy, abs=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_constant_accuracies_change_the_units_of_the_set_alone(seed):
    network, x, y, draws = case(seed)
    rng = np.random.default_rng(seed)
    constants = [rng.normal(size=len(units)) for each in draws.lesions() for units in each.values()]
    found = constant_accuracies(network, x, y, draws, constants, n_classes=3)
    rows = iter(constants)
    for column, part in enumerate(draws.subclusters):
        for row, units in enumerate([part.units, *draws.units[column]]):
            values = next(rows)
            if row and draws.are_true[row - 1, column]:
                continue  # it takes the subcluster's own value
            logits = hooked_logits(network, x, part.layer, units, lambda _, values=values: values)
            assert found.lesioned[row, column] == pytest.approx(class_accuracies(logits, y))
    with pytest.raises(InvalidInputError, match="as many constants for each set"):
        constant_accuracies(network, x, y, draws, constants[:-1], n_classes=3)
    with pytest.raises(InvalidInputError, match="as many constants for each set"):
        constant_accuracies(network, x, y, draws, [each[:-1] for each in constants], n_classes=3)


def test_what_cannot_be_fitted_is_refused():
    network, x, y, _ = case(0)
    lesion = [{"0": np.array([0])}]
    with pytest.raises(InvalidInputError, match="n_steps"):
        optimal_constants(network, x, y, lesion, n_steps=0)
    with pytest.raises(InvalidInputError, match="max_values"):
        optimal_constants(network, x, y, lesion, n_steps=1, max_values=0)
    with pytest.raises(InvalidInputError, match="60 images, 59 labels"):
        optimal_constants(network, x, y[:-1], lesion, n_steps=1)
    with pytest.raises(InvalidInputError, match="a label for each image"):
        optimal_constants(network, x[:0], y[:0], lesion, n_steps=1)
    maps = stack(conv(np.ones((2, 1, 3, 3))), nn.ReLU(), nn.Flatten(), dense(np.ones((3, 8))))
    images = torch.zeros(3, 1, 4, 4, dtype=torch.float64)
    with pytest.raises(InvalidInputError, match="not in '0'"):
        optimal_constants(maps, images, y[:3], lesion, n_steps=1)
    for name in ("n_images", "n_steps"):
        with pytest.raises(InvalidInputError, match=name):
            Fit(**({"n_images": 10, "n_steps": 10} | {name: 0}))


FIT = Fit(n_images=50, n_steps=20)


@pytest.fixture(scope="module")
def opened(tiny_profile):
    section = AblationsSection(profile=tiny_profile, seeds=[0, 1], n_clusters=3, n_draws=7)
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
    chosen = np.random.default_rng(replicate.seed).permutation(len(train))[:50]
    x_fit, y_fit = fit_images(replicate, 50)
    assert torch.equal(x_fit, train[chosen])
    assert torch.equal(y_fit, replicate.dataset.y_train[chosen])
    lesions = draws.lesions()
    fitted = optimal_constants(replicate.trained, x_fit, y_fit, lesions, n_steps=20)
    stored = optimal_lesions(replicate, "weights/local", FIT)
    assert stored["losses"] == pytest.approx(draws.arrange(fitted.losses))
    assert (stored["losses"] <= stored["start_losses"]).all()
    refined = stored["refined_losses"]
    by_layer = {}
    for spot, each in enumerate(draws.subclusters):
        by_layer.setdefault(each.layer, []).append(spot)
    for places in by_layer.values():
        (largest,) = [each for each in places if not np.isnan(refined[each])]
        sizes = [len(draws.subclusters[each].units) for each in places]
        assert len(draws.subclusters[largest].units) == max(sizes)
        assert refined[largest] <= stored["losses"][0, largest] + 1e-9
    with torch.no_grad():
        before = nn.Sequential(*layers[: place + 1])
        after = nn.Sequential(*layers[place + 1 :])
        value, mean = before(x), before(train).mean(dim=0)
        put = {"zero": 0.0, "mean": mean[part.units], "resampled": value[others][:, part.units]}
        put["optimal"] = fitted.constants[0]
        for way in WAYS:
            changed = value.clone()
            changed[:, part.units] = torch.as_tensor(put[way], dtype=value.dtype)
            found = way_accuracies(replicate, "weights/local", way, FIT)
            assert found.lesioned[0, 0] == pytest.approx(class_accuracies(after(changed), y))


@pytest.mark.integration
def test_tables_and_figure(opened):
    table = ablations_table(opened, fit=FIT)
    assert len(table) == len(PARTITIONINGS) * 2 * len(WAYS)
    cell = table.set_index(["partitioning", "measure", "way"]).loc[
        ("weights/local", "importance", "resampled")
    ]
    own = [way_assessment(each, "importance", "weights/local", "resampled", FIT) for each in opened]
    p_values = [each.permutation.pvalue for each in own]
    assert cell["p"] == combine_replicates(p_values).pvalue
    assert cell["n_subclusters"] == sum(len(each.p_values) for each in own)
    assert (table["bh"] >= table["p"] - 1e-12).all()
    zero = table[table["way"] == "zero"]
    merged = table.merge(
        zero[["partitioning", "measure", "finding"]], on=["partitioning", "measure"]
    )
    assert (merged["finding_y"] == merged["finding_zero"]).all()

    agreement = agreement_table(opened, fit=FIT)
    assert len(agreement) == len(PARTITIONINGS) * 2 * (len(WAYS) - 1)
    assert (agreement["both"] <= agreement["either"]).all()
    assert agreement["spearman"].dropna().between(-1, 1).all()

    damage = damage_table(opened, fit=FIT).set_index(["partitioning", "way"])
    found = [way_accuracies(each, "activations/local", "mean", FIT) for each in opened]
    lost = np.concatenate([-importance(each).effect_values[0] for each in found])
    assert damage.loc[("activations/local", "mean"), "loss"] == pytest.approx(lost.mean())
    assert plot_ablations(table).axes

    fits = fit_table(opened, fit=FIT).set_index("partitioning")
    assert (fits["fitted"] <= fits["start"]).all()
    own = [optimal_lesions(each, "weights/global", FIT) for each in opened]
    random = np.concatenate([each["losses"][1:].ravel() for each in own])
    assert fits.loc["weights/global", "fitted_random"] == pytest.approx(random.mean())
    assert fits["gained"].between(0, 1).all()


def test_significance_on_the_wrong_side_is_no_filled_mark():
    cells = pd.MultiIndex.from_product(
        [PARTITIONINGS, ("importance", "class_coherence"), WAYS],
        names=["partitioning", "measure", "way"],
    ).to_frame(index=False)
    table = cells.assign(network="mlp", effect_ratio=1.2, finding="not found")
    table.loc[0, ["effect_ratio", "finding"]] = [0.8, OTHER_SIDE]
    table.loc[2, "finding"] = FOUND
    marks = [each for each in plot_ablations(table).axes[0].collections if len(each.get_offsets())]
    filled = [each for each in marks if len(each.get_facecolor())]
    assert [each.get_offsets()[0].tolist()[0] for each in filled] == [1.2]


def test_an_unknown_way_is_refused(opened):
    with pytest.raises(InvalidInputError, match="way='noise' is not known"):
        way_accuracies(opened[0], "weights/local", "noise", FIT)
