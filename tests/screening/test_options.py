"""Options of a screening: parts of it are parts of the whole; draws until a decision."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.lesions import class_accuracies
from helpers.refusals import check_refused
from helpers.screening import IMAGES, SETTINGS, Branching, check_same

from localspec.clustering import draw_counterparts
from localspec.lesions import lesion_draws
from localspec.measures import importance
from localspec.screening import estimate, screen
from localspec.screening._settings import PARTITIONINGS
from localspec.units import hook_units


def test_one_partitioning_and_measure_are_those_of_the_whole(network, labels, report):
    chosen = {"partitionings": ["activations/local"], "measures": ["input_coherence"]}
    part = screen(network, (IMAGES, labels), **chosen, **SETTINGS)
    check_same(part, report, "input_coherence")
    assert "importance" not in part.table
    assert part.evidence["activations/local"].lost.shape[1] == 0


@pytest.mark.filterwarnings("ignore:partition")  # some have nothing to test there
def test_only_the_layers_asked_for_are_tested(network, labels):
    settings = SETTINGS | {"measures": ["importance"]}
    report = screen(network, (IMAGES, labels), layers=["1"], **settings)
    assert set(report.table["layer"]) == {"1"}
    # the weights graph has all layers, the activations graph that one
    sizes = {name: len(part.labels) for name, part in report.partitions.items()}
    assert sizes == dict(zip(PARTITIONINGS, [16 + 6 + 4 + 3] * 2 + [6] * 2, strict=True))


def test_draws_go_on_until_a_decision(network, labels):
    name = "weights/global"
    chosen = {"partitionings": [name], "measures": ["importance"]}
    report = screen(network, (IMAGES, labels), max_draws=30, **chosen, **SETTINGS)
    found = report.sequential[name, "importance"]
    partition = report.partitions[name]
    # 4, 4, 8 and 14 draws: all groups draw together here, and each p takes what it needs
    sizes, values = [4, 4, 8, 14], []
    for number, size in enumerate(sizes):
        seed = (1, 0, number) if number else (1, 0)
        draws = draw_counterparts(partition, size, seed=seed)
        accuracies = lesion_draws(network, IMAGES, labels, draws)
        values.append(importance(accuracies).values)
    true, drawn = values[0][0], np.concatenate([rows[1:] for rows in values])
    for column, value in enumerate(true):
        as_extreme = np.cumsum(drawn[:, column] <= value + 1e-9)
        if as_extreme[-1] >= 10:
            n_draws = int(np.searchsorted(as_extreme, 10)) + 1
            p_value = 10 / n_draws
        else:
            n_draws, p_value = 30, (as_extreme[-1] + 1) / 31
        assert found.p_values[column] == pytest.approx(p_value)
        assert found.n_draws[column] == n_draws
    assert report.lowest_p == pytest.approx(1 / 31)
    assert len(report.group(0).findings["importance"].draws) in found.n_draws


def test_lesions_in_bfloat16_and_a_copy_on_a_device(network, labels, report):
    found = screen(network, (IMAGES, labels), precision="bfloat16", device="cpu", **SETTINGS)
    assert found.about["settings"]["precision"] == "bfloat16"
    assert found.table["importance"].between(0, 1).all()
    key = ["partitioning", "layer", "cluster"]
    scores = [part.table.set_index(key)["input_coherence"].sort_index() for part in (found, report)]
    pd.testing.assert_series_equal(*scores)  # images are made in the network's own precision
    assert network[1].weight.dtype == torch.float32


def test_hooked_units_are_screened_without_weights(network, labels):
    units = hook_units(network, IMAGES[:4])
    report = screen(units, (IMAGES, labels), **SETTINGS)
    assert set(report.partitions) == {"activations/global", "activations/local"}
    assert set(report.table["layer"]) == {"1", "3"}
    assert "have no weights graph" in report._repr_html_()
    assert "is not traced" not in report._repr_html_()


def test_a_network_that_is_not_traced_is_hooked(network, labels):
    pair = IMAGES, labels
    report = screen(Branching(network).eval(), pair, **SETTINGS)
    assert report.about["hooked"]
    assert "torch.fx cannot trace Branching" in report.about["untraced"]
    assert "is not traced: torch.fx cannot trace Branching" in report._repr_html_()
    same = screen(hook_units(Branching(network).eval(), IMAGES), pair, **SETTINGS)
    pd.testing.assert_frame_equal(report.table, same.table)
    chosen = screen(Branching(network).eval(), pair, layers=["network.3"], **SETTINGS)
    assert set(chosen.table["layer"]) == {"network.3"}
    assert estimate(Branching(network).eval(), pair, **SETTINGS).n_groups > 0


class Halved(torch.nn.Module):
    """A network whose call does more than its forward pass."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def __call__(self, x):
        return super().__call__(x / 2)

    def forward(self, x):
        return self.network(x)


@pytest.mark.filterwarnings("ignore:the network's accuracy")
def test_a_network_whose_trace_computes_something_else_is_hooked(network, labels):
    module, pair = Halved(network).eval(), (IMAGES, labels)
    options = {"measures": ["importance"], **SETTINGS}
    report = screen(module, pair, **options)
    assert report.about["hooked"]
    assert "computes something else" in report.about["untraced"]
    first, index = report.table.iloc[0], report.units(0)
    with torch.no_grad():
        values = IMAGES.flatten(1) / 2
        for name, layer in network.named_children():
            values = layer(values)
            if name == first["layer"].removeprefix("network."):
                values[:, index] = 0
    assert first["importance"] == pytest.approx(sum(class_accuracies(values, labels)) / 3)
    check_refused(
        lambda: screen(module, pair, partitionings=["weights/local"], **SETTINGS),
        ["computes something else"],
    )


def test_a_network_is_hooked_where_the_first_two_images_are_the_same(network, labels):
    x = IMAGES.clone()
    x[1] = x[0]
    options = {"measures": ["importance"], "partitionings": ["activations/local"], **SETTINGS}
    report = screen(Branching(network).eval(), (x, labels), **options)
    assert report.about["hooked"]


def test_layers_of_a_network_that_is_hooked_and_standardized(network, labels):
    settings = SETTINGS | {"preprocess": ([0.0] * IMAGES.shape[1], [1.0] * IMAGES.shape[1])}
    report = screen(Branching(network).eval(), (IMAGES, labels), layers=["network.3"], **settings)
    assert report.about["layers"] == [["network.network.3", 4]]


@pytest.mark.parametrize(
    "wrapped", [torch.nn.DataParallel, pytest.param(torch.compile, marks=pytest.mark.integration)]
)
def test_what_runs_a_network_is_taken_off_before_it_is_standardized(wrapped, network, labels):
    settings = SETTINGS | {"measures": ["importance"], "preprocess": ([0.0], [1.0])}
    reports = [
        screen(module, (IMAGES, labels), **settings)
        for module in (network, wrapped(network).eval())
    ]
    pd.testing.assert_frame_equal(reports[0].table, reports[1].table)
    assert reports[1].about["network"] == "Sequential"
    assert not reports[1].about["hooked"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"partitionings": ["weights/global"]}, ["torch.fx cannot trace Branching"]),
        ({"layers": ["network.9"]}, ["no module 'network.9'", "torch.fx cannot trace"]),
        ({"conventions": "released"}, ["needs a network that can be traced"]),
    ],
)
def test_what_a_network_that_is_hooked_lacks(network, labels, options, words):
    module = Branching(network).eval()
    check_refused(lambda: screen(module, (IMAGES, labels), **SETTINGS | options), words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": ["7"]}, ["no hidden layer '7'", "1, 3"]),
        ({"layers": ["5"]}, ["no hidden layer '5'"]),  # the logits
        ({"layers": "1"}, ["layers must be a list"]),
        ({"layers": []}, ["layers must be a list"]),
        ({"layers": ["1"], "conventions": "released"}, ["weights/local", "leave layers out"]),
        ({"partitionings": ["weights"]}, ["partitionings='weights' is not known"]),
        ({"partitionings": []}, ["at least one"]),
        ({"measures": ["size"]}, ["measures='size' is not known"]),
        ({"measures": []}, ["at least one"]),
        ({"max_draws": 4}, ["max_draws must be a whole number of at least 5"]),
        ({"class_names": ["a"]}, ["a name for each of the 3 logits", "not 1"]),
        ({"class_names": "abc"}, ["list of text"]),
        ({"precision": "half"}, ["precision='half'", "'full', 'bfloat16'"]),
        ({"device": "gpu"}, ["device 'gpu' cannot be used"]),
        ({"device": "meta"}, ["holds no values"]),
        ({"max_memory": -1}, ["max_memory", "at least 0"]),
        ({"folder": 3}, ["folder must be the path of a folder", "not 3"]),
        ({"folder": "~nobody-of-that-name/x"}, ["folder", "name the whole path"]),
        ({"folder": "a\0b"}, ["path of a folder"]),
        ({"folder": "x" * 300}, ["cannot be made", "File name too long"]),
        ({"folder": __file__}, ["is a file"]),
    ],
)
def test_options_that_are_refused(options, words, network, labels):
    check_refused(lambda: screen(network, (IMAGES, labels), **(SETTINGS | options)), words)
