"""Penalties: by hand, by finite differences, beside a plain implementation, and the page."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.networks import lesioned_accuracies
from scipy import stats
from torch.nn import functional as F

from localspec.exceptions import InvalidInputError
from localspec.measures import MEASURES
from localspec.pipeline import FOUND, OTHER_SIDE, PenaltySection, load_profile, project_root
from localspec.statistics import combine_replicates
from localspec.studies.penalty import (
    BLOCKS,
    NCUT,
    NO_PENALTY,
    WAYS,
    block_penalty,
    differences_table,
    eigenvalue_penalty,
    eigenvalue_sum,
    inside_masks,
    leading_vectors,
    networks_table,
    open_penalized,
    penalty_effects_table,
    plot_penalty,
    share_between,
    ways_table,
    weights_table,
)

SIZES = (9, 7, 6, 5, 4)


def random_kernels(seed, sizes=SIZES):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(after, before, generator=generator, dtype=torch.float64).requires_grad_(True)
        for before, after in itertools.pairwise(sizes)
    ]


def laplacian(kernels):
    """The whole normalized Laplacian, entry by entry."""
    sizes = [kernels[0].shape[1], *(len(kernel) for kernel in kernels)]
    starts = np.cumsum([0, *sizes])
    adjacency = torch.zeros(starts[-1], starts[-1], dtype=torch.float64)
    for layer, kernel in enumerate(kernels):
        rows = slice(starts[layer], starts[layer + 1])
        columns = slice(starts[layer + 1], starts[layer + 2])
        adjacency[rows, columns] = kernel.abs().T
        adjacency[columns, rows] = kernel.abs()
    scale = torch.diag(adjacency.sum(dim=1).rsqrt())
    return torch.eye(starts[-1], dtype=torch.float64) - scale @ adjacency @ scale


def test_eigenvalues_of_a_square_by_hand():
    # two pixels, two units: degrees are 4, and B = [[3, 1], [1, 3]] / 4 has singular values 1, 1/2
    kernel = torch.tensor([[3.0, 1.0], [-1.0, 3.0]], dtype=torch.float64)
    vectors = leading_vectors([kernel], 2)
    assert float(eigenvalue_sum([kernel], vectors)) == pytest.approx(0.5)
    # the second vector is (1, -1) on both sides, of length 1 on each
    for side in vectors:
        assert side.abs().flatten().tolist() == pytest.approx([0.5**0.5] * 2)
        assert float(side.sum()) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("sizes", [SIZES, (4, 6, 5), (3, 8)])
@pytest.mark.parametrize("n_clusters", [2, 3])
def test_sum_and_gradient_are_those_of_a_plain_eigenvalue_routine(sizes, n_clusters):
    kernels = random_kernels(1, sizes)
    value = eigenvalue_sum(kernels, leading_vectors(kernels, n_clusters))
    plain = torch.linalg.eigvalsh(laplacian(kernels))[1:n_clusters].sum()
    torch.testing.assert_close(value, plain)
    own, other = torch.autograd.grad(value, kernels), torch.autograd.grad(plain, kernels)
    for gradient, expected in zip(own, other, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-8, atol=1e-10)


def test_gradient_is_that_of_finite_differences():
    kernels, step = random_kernels(2), 1e-6
    gradients = torch.autograd.grad(eigenvalue_sum(kernels, leading_vectors(kernels, 4)), kernels)
    for kernel, gradient in zip(kernels, gradients, strict=True):
        for place in [(0, 0), (1, 2), (3, 1)]:
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    kernel[place] += sign * step
                    values.append(float(torch.linalg.eigvalsh(laplacian(kernels))[1:4].sum()))
                    kernel[place] -= sign * step
            expected = (values[0] - values[1]) / (2 * step)
            assert float(gradient[place]) == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_vectors_are_held_between_refreshes():
    kernels, others = random_kernels(3), random_kernels(4)
    penalty = eigenvalue_penalty(3, 2)
    first, exact = penalty(kernels, 0), torch.linalg.eigvalsh(laplacian(others))[1:3].sum()
    held = penalty(others, 1)
    assert float(first) == pytest.approx(
        float(torch.linalg.eigvalsh(laplacian(kernels))[1:3].sum())
    )
    assert float(held) == pytest.approx(float(eigenvalue_sum(others, leading_vectors(kernels, 3))))
    assert float(held) > float(exact)
    assert float(penalty(others, 2)) == pytest.approx(float(exact))


def test_a_unit_without_edges_changes_nothing():
    kernels = random_kernels(5)
    value = eigenvalue_sum(kernels, leading_vectors(kernels, 3))
    with torch.no_grad():
        wider = [torch.cat([kernels[0], torch.zeros(len(kernels[0]), 1)], dim=1), *kernels[1:]]
    wider[0].requires_grad_(True)
    other = eigenvalue_sum(wider, leading_vectors(wider, 3))
    assert float(other) == pytest.approx(float(value))
    assert torch.autograd.grad(other, wider)[0].isfinite().all()


@pytest.mark.parametrize("n_clusters", [1, 5])
def test_too_many_or_too_few_eigenvalues_are_refused(n_clusters):
    with pytest.raises(InvalidInputError, match="must be from 2 to 4"):
        leading_vectors(random_kernels(1, (6, 4)), n_clusters)


def test_share_between_blocks_by_hand_and_by_loops():
    # squares 1, 4 and 25, 9: within blocks are 1 (units 0, 0) and 9 (1, 1); unit -1 is in none
    kernel = torch.tensor([[1.0, 2.0, 5.0], [0.0, 3.0, 0.0]])
    masks = inside_masks([np.array([0, 1, -1]), np.array([0, 1])])
    assert float(share_between([kernel], masks)) == pytest.approx(1 - 10 / 39)

    kernels, rng = random_kernels(6), np.random.default_rng(6)
    blocks = [rng.integers(-1, 3, size) for size in SIZES]
    inside = total = 0.0
    for layer, kernel in enumerate(kernels):
        for after, row in enumerate(kernel.tolist()):
            for before, weight in enumerate(row):
                total += weight**2
                block = blocks[layer][before]
                inside += weight**2 * (block >= 0 and block == blocks[layer + 1][after])
    assert float(block_penalty(blocks)(kernels, 7)) == pytest.approx(1 - inside / total)


@pytest.fixture(scope="module")
def opened(tiny_profile):
    section = PenaltySection(
        profile=tiny_profile,
        seeds=[0, 1],
        n_clusters=3,
        n_shuffles=4,
        n_draws=7,
        n_steps=4,
        n_epochs=2,
        ncut_weight=0.5,
        block_weight=2.0,
        n_refresh=1,
    )
    return open_penalized(section, progress=False)


@pytest.fixture(scope="module")
def tables(opened):
    return networks_table(opened), penalty_effects_table(opened)


def kernels_of(parameters):
    return [value for value in parameters if value.ndim == 2]


def plain_penalty(replicate, parameters):
    kernels = kernels_of(parameters)
    if replicate.way == NCUT:
        return 0.5 * torch.linalg.eigvalsh(laplacian(kernels))[1:3].sum()
    if replicate.way == BLOCKS:
        partition = replicate.start.partition("weights/global")
        blocks = [partition.of(layer) for layer in partition.layers]
        inside = sum(
            (kernel[after == block][:, before == block] ** 2).sum()
            for kernel, before, after in zip(kernels, blocks[:-1], blocks[1:], strict=True)
            for block in range(3)
        )
        return 2.0 * (1 - inside / sum((kernel**2).sum() for kernel in kernels))
    return 0.0


@pytest.mark.integration
@pytest.mark.parametrize("index", range(len(WAYS)))
def test_further_training_is_that_of_a_plain_loop(opened, index):
    replicate = opened[index]
    assert (replicate.way, replicate.seed) == (WAYS[index], 0)
    data = replicate.dataset
    start = replicate.start.trained.module.state_dict()
    parameters = [value.clone().requires_grad_(True) for value in start.values()]
    moments = [[torch.zeros_like(value), torch.zeros_like(value)] for value in parameters]
    generator, n_steps = torch.Generator().manual_seed(0), 0
    for _ in range(2):
        order = torch.randperm(len(data.y_train), generator=generator)
        for batch in order.split(32):
            hidden = data.x_train[batch].flatten(1)
            for layer in range(3):
                hidden = hidden @ parameters[2 * layer].T + parameters[2 * layer + 1]
                hidden = hidden.relu() if layer < 2 else hidden
            loss = F.cross_entropy(hidden, data.y_train[batch].long())
            loss = loss + plain_penalty(replicate, parameters)
            n_steps += 1
            rate = 1e-3 * (1 - 0.999**n_steps) ** 0.5 / (1 - 0.9**n_steps)
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for value, gradient, pair in zip(parameters, gradients, moments, strict=True):
                    pair[0] = 0.9 * pair[0] + 0.1 * gradient
                    pair[1] = 0.999 * pair[1] + 0.001 * gradient**2
                    value -= rate * pair[0] / (pair[1].sqrt() + 1e-7)
    trained = replicate.trained.module.state_dict()
    for value, expected in zip(trained.values(), parameters, strict=True):
        torch.testing.assert_close(value, expected.detach(), rtol=1e-6, atol=1e-8)
    # the start is as it was
    assert all(torch.equal(value, start[name]) for name, value in start.items())
    assert not torch.equal(trained["output.weight"], start["output.weight"])


@pytest.mark.integration
def test_tables_and_figure(opened, tables):
    networks, effects = tables
    assert list(networks["way"]) == [*WAYS, *WAYS]
    shares = networks.groupby("way")["share_inside"].mean()
    assert shares[BLOCKS] > shares[NO_PENALTY]
    each = opened[4]  # seed 1, n-cut
    row = networks[(networks["seed"] == 1) & (networks["way"] == NCUT)].iloc[0]
    right = each.trained.module(each.dataset.x_test).argmax(1) == each.dataset.y_test
    assert row["test_accuracy"] == pytest.approx(float(right.double().mean()))
    assert row["ncut"] == pytest.approx(each.ncut())

    cell = effects[(effects["way"] == NCUT) & (effects["measure"] == "importance")].iloc[0]
    own = [opened[index].assessment("importance", "weights/global") for index in (1, 4)]
    assert cell["p"] == combine_replicates([one.permutation.pvalue for one in own]).pvalue
    assert len(effects) == len(MEASURES) * len(WAYS)

    ways = ways_table(networks).set_index("way")
    of_way = networks[networks["way"] == NCUT]
    assert ways.loc[NCUT, "z_score"] == pytest.approx(of_way["z_score"].mean())
    below = sum(
        opened[index].clusterability().null.min() > of_way["ncut"].iloc[place]
        for place, index in enumerate((1, 4))
    )
    assert ways.loc[NCUT, "below_shuffles"] == f"{below} of 2"
    assert plot_penalty(networks, effects).axes


@pytest.mark.integration
def test_weights_beside_the_rule(opened):
    weights = weights_table(opened).set_index("way")
    norms, losses = [], []
    for start in (opened[0].start, opened[3].start):
        module, data = start.trained.module.requires_grad_(True), start.dataset
        order = torch.randperm(
            len(data.y_train), generator=torch.Generator().manual_seed(start.seed)
        )
        lengths = []
        for batch in order.split(32):
            module.zero_grad()
            F.cross_entropy(module(data.x_train[batch]), data.y_train[batch].long()).backward()
            squares = [float((one.grad**2).sum()) for one in kernels_of(module.parameters())]
            lengths.append(sum(squares) ** 0.5)
        losses.append(np.mean(lengths))
        module.zero_grad()
        torch.linalg.eigvalsh(laplacian(kernels_of(module.parameters())))[1:3].sum().backward()
        squares = [float((one.grad**2).sum()) for one in kernels_of(module.parameters())]
        norms.append(sum(squares) ** 0.5)
        module.requires_grad_(False)
    assert weights.loc[NCUT, "cross_entropy"] == pytest.approx(np.mean(losses))
    assert weights.loc[NCUT, "gradient"] == pytest.approx(np.mean(norms))
    assert weights.loc[NCUT, "by_rule"] == pytest.approx(np.mean(losses) / np.mean(norms))
    assert weights["weight"].tolist() == [0.5, 2.0]


def made_up_networks(change):
    """Three seeds; with a penalty every number is higher by `change`, seed by seed."""
    rows = []
    for seed in range(3):
        for way in WAYS:
            value = 1.0 + 0.1 * seed + (0.0 if way == NO_PENALTY else change[seed])
            names = ("test_accuracy", "share_inside", "ncut", "z_score", *MEASURES)
            row = {"network": "mlp", "seed": seed, "way": way, **dict.fromkeys(names, value)}
            rows.append(row | {f"undefined_{name}": 0.0 for name in MEASURES})
    return pd.DataFrame(rows)


def test_readings_of_differences():
    up = differences_table(made_up_networks([0.1, 0.2, 0.3]))
    # mean 0.2 and standard error 0.1 / sqrt(3); 4.303 is the quantile with two degrees of freedom
    assert up["difference"].tolist() == pytest.approx([0.2] * len(up))
    assert up["low"].tolist() == pytest.approx([0.2 - 4.303 * 0.1 / 3**0.5] * len(up), abs=1e-4)
    assert set(up["reading"]) == {"not told apart"}
    clear = differences_table(made_up_networks([0.19, 0.2, 0.21])).set_index(["quantity", "way"])
    assert clear.loc[("importance", NCUT), "reading"] == "more specialized"
    assert clear.loc[("output_coherence", NCUT), "reading"] == "less specialized"
    assert clear.loc[("ncut", BLOCKS), "reading"] == "higher"
    down = differences_table(made_up_networks([-0.19, -0.2, -0.21])).set_index("quantity")
    assert set(down.loc["importance", "reading"]) == {"less specialized"}
    assert set(down.loc["output_coherence", "reading"]) == {"more specialized"}
    assert set(down.loc["z_score", "reading"]) == {"lower"}
    networks = made_up_networks([0.19, 0.2, 0.21])
    networks.loc[networks["way"] == NCUT, "undefined_class_coherence"] = 0.6
    undefined = differences_table(networks).set_index(["quantity", "way"])["reading"]
    assert undefined[("class_coherence", NCUT)] == "undefined"
    assert undefined[("class_coherence", BLOCKS)] == "more specialized"


def test_one_seed_has_no_interval():
    networks = made_up_networks([0.1, 0.2, 0.3])
    table = differences_table(networks[networks["seed"] == 0])
    assert set(table["reading"]) == {"undefined"}


def test_marks_of_the_figure():
    networks = made_up_networks([0.1, 0.2, 0.3])
    rows = [{"measure": name, "way": way} for name in MEASURES for way in WAYS]
    effects = pd.DataFrame(rows).assign(effect_ratio=1.2, finding="not found", favourable="above")
    effects.loc[0, "finding"] = FOUND
    effects.loc[1, ["effect_ratio", "finding"]] = [0.8, OTHER_SIDE]
    marks = plot_penalty(networks, effects).axes[0].collections
    filled = [mark.get_offsets()[0].tolist() for mark in marks if len(mark.get_facecolor())]
    assert filled == [[1.2, 0.0]]


FOLDER = project_root() / "book" / "runs" / "digits-penalty"


def published_by_seed(name):
    """The effects of a measure in the published figure, (n_seeds, n_ways)."""
    drawn = pd.read_csv(FOLDER / "figures" / "penalty.csv")
    lines = drawn[drawn["title"].str.startswith(name) & (drawn["kind"] == "line")]
    return lines["x"].to_numpy()[2:].reshape(-1, len(WAYS))  # after the dashed line


@pytest.mark.parametrize("name", MEASURES)
def test_published_differences_are_those_of_the_published_networks(name):
    printed = pd.read_csv(FOLDER / "tables" / "penalty_differences.csv")
    printed = printed.set_index(["quantity", "way"])
    by_seed = published_by_seed(name.replace("_", " "))
    assert by_seed.shape == (5, 3)
    for column, way in enumerate(WAYS[1:], 1):
        test = stats.ttest_rel(by_seed[:, column], by_seed[:, 0])
        interval = test.confidence_interval(0.95)
        row = printed.loc[(name, way)]
        assert row["low"] == pytest.approx(interval.low, abs=1e-3)
        assert row["high"] == pytest.approx(interval.high, abs=1e-3)
        assert (row["reading"] == "not told apart") == (test.pvalue >= 0.05)


@pytest.mark.integration
def test_a_published_effect_is_that_of_plain_lesions():
    parameters = load_profile("digits-penalty").parameters("22_penalty")
    section = PenaltySection(**{**parameters, "seeds": [0]})
    replicate = open_penalized(section, progress=False)[WAYS.index(BLOCKS)]
    x, y = replicate.dataset.x_test, replicate.dataset.y_test
    draws = replicate.draws("weights/global")

    def accuracy(lesion):
        return lesioned_accuracies(replicate.trained.module, x, y, lesion).mean()

    whole = accuracy({})
    effects = []
    for part, rows in zip(draws.subclusters, draws.units, strict=True):
        drops = [whole - accuracy({part.layer: units}) for units in [part.units, *rows]]
        one = []
        for place, drop in enumerate(drops):
            others = np.mean(drops[:place] + drops[place + 1 :])
            one.append(2 * drop / (drop + others) if min(drop, others) > 1e-9 else 0.0)
        effects.append(one)
    true, null = np.mean(effects, axis=0)[0], np.mean(effects, axis=0)[1:].mean()
    assert published_by_seed("importance")[0, WAYS.index(BLOCKS)] == pytest.approx(
        true / null, abs=1e-3
    )


@pytest.mark.integration
def test_a_network_with_convolutions_is_refused():
    section = PenaltySection(profile="digits", networks=["cnn"], seeds=[0])
    with pytest.raises(InvalidInputError, match="multilayer perceptrons without batch"):
        open_penalized(section, progress=False)
