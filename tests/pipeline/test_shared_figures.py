"""Kinds of axes that several pages share."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.tiny_profile import TINY, write_profile

from localspec.measures import MEASURES
from localspec.pipeline import (
    Replicate,
    annotated_heatmap,
    load_profile,
    plot_against_uniform,
    plot_class_damage,
    plot_measure_against_draws,
    plot_p_values_against_uniform,
    plot_visualization_pairs,
)


@pytest.fixture
def axis():
    figure, axis = plt.subplots()
    yield axis
    plt.close(figure)


def test_texts_of_a_heat_map_stand_out(axis):
    values = [[0.5, 3.9, np.nan], [2.2, 2.3, 0.0]]
    texts = [["a", "b", ""], ["c", "d", "0"]]
    bold = [[True, False, False], [False, False, False]]
    image = annotated_heatmap(axis, values, texts, limit=4, bold=bold)
    by_text = {text.get_text(): text for text in axis.texts}
    places = {"a": (0, 0), "b": (1, 0), "c": (0, 1), "d": (1, 1), "0": (2, 1)}
    assert {name: text.get_position() for name, text in by_text.items()} == places
    dark = {name for name, text in by_text.items() if text.get_color() == "white"}
    assert dark == {"b", "d"}  # beyond 0.55 of the limit
    assert [name for name, text in by_text.items() if text.get_weight() == "bold"] == ["a"]
    assert (image.norm.vmin, image.norm.vmax) == (0, 4)


def test_a_diverging_heat_map_is_dark_at_both_ends(axis):
    image = annotated_heatmap(axis, [[-9, 0, 9]], [["-", "0", "+"]], limit=10, diverging=True)
    assert [text.get_color() for text in axis.texts] == ["white", "black", "white"]
    assert (image.norm.vmin, image.norm.vmax) == (-10, 10)


def test_a_logarithmic_heat_map_tells_small_values_and_large_ones(axis):
    values, texts = [[-90, -3, 0, 3, 90]], [["a", "b", "c", "d", "e"]]
    image = annotated_heatmap(axis, values, texts, limit=100, diverging=True, linear_up_to=1)
    dark = [text.get_text() for text in axis.texts if text.get_color() == "white"]
    assert dark == ["a", "e"]
    colours = image.norm(np.array([-100, -3, 0, 3, 100])).tolist()
    assert colours == pytest.approx([0, 1 - colours[3], 0.5, colours[3], 1])
    assert colours[3] > 0.6  # on a linear scale 0.515, which is white


def test_p_values_against_uniform(axis):
    samples = {"a": np.array([[0.9, 0.1]]), "b": np.array([0.5])}
    plot_against_uniform(axis, samples, colours={"a": "red", "b": "blue"}, lowest=1e-4)
    diagonal, first, second = axis.lines
    assert diagonal.get_xydata().tolist() == [[1e-4, 1e-4], [1, 1]]
    assert first.get_xdata().tolist() == [0.25, 0.75]  # halves of the unit interval
    assert first.get_ydata().tolist() == [0.1, 0.9]
    assert (second.get_color(), second.get_label()) == ("blue", "b")


@pytest.mark.integration
def test_pages_of_a_network_of_which_nothing_is_tested(tmp_path):
    small = {"dataset": "digits", "hidden": [2, 2], "n_epochs": 1}
    path = write_profile(tmp_path, TINY | {"networks": {"mlp": small}, "seeds": [0]})
    replicate = Replicate(load_profile(path), "mlp", 0)
    assert replicate.draws("weights/global").subclusters == ()
    figures = [plot_measure_against_draws([replicate], name) for name in MEASURES]
    figures.append(plot_p_values_against_uniform([replicate]))
    for plot in (plot_class_damage, plot_visualization_pairs):
        figures.append(plot(replicate, "weights/global"))
        texts = [text.get_text() for text in figures[-1].axes[0].texts]
        assert texts == ["no subcluster is tested"]
    for figure in figures:
        figure.canvas.draw()
        plt.close(figure)


@pytest.mark.integration
def test_subclusters_beyond_all_draws_lie_over_everything_else(replicates):
    figure = plot_measure_against_draws(replicates[:1], "importance")
    marks = {points.get_label(): points for points in figure.axes[0].collections}
    order = ["random counterpart", "subcluster", "subcluster beyond all its draws"]
    assert sorted(marks, key=lambda label: marks[label].get_zorder()) == order
    n_points = {label: len(marks[label].get_offsets()) for label in order}
    draws = replicates[0].draws("weights/global")
    n_own = n_points["subcluster"] + n_points["subcluster beyond all its draws"]
    assert n_own == len(draws.subclusters)
    assert n_points["random counterpart"] == n_own * draws.n_draws
    beyond = n_points["subcluster beyond all its draws"]
    title = figure.axes[0].get_title() or figure.axes[0].get_title("left")
    assert title.endswith(f"{beyond} of {n_own} beyond all draws")
    plt.close(figure)


@pytest.mark.integration
def test_colours_of_class_damage_are_the_same_for_every_network(replicates):
    figure = plot_class_damage(replicates[0], "weights/global")
    panel, bar = figure.axes
    (image,) = panel.images
    assert (image.norm.vmin, image.norm.vmax, image.norm.linthresh) == (-100, 100, 1)
    assert bar.get_ylabel() == "change of accuracy (points), linear from -1 to 1"
    assert list(bar.get_yticks()) == [-100, -10, -1, 0, 1, 10, 100]
    plt.close(figure)
