"""Figures for narrow screens."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from localspec.pipeline._narrow import MOST_COLUMNS, WIDTH, narrow_figure


def places(figure):
    """Return the left ends and the bottoms of the panels, as shares of a figure."""
    figure.draw_without_rendering()
    boxes = [axis.get_position() for axis in figure.axes]
    return [box.x0 for box in boxes], [box.y0 for box in boxes]


@pytest.fixture
def grid():
    figure, axes = plt.subplots(2, 2, figsize=(9, 5), sharey=True, layout="constrained")
    for number, axis in enumerate(axes.flat):
        axis.plot([0, 1], [0, number], label="ours")
        axis.set_title(f"panel {number} " + "with a long title, " * 3, loc="left")
    axes[0, 0].set_ylabel("score")
    axes[1, 0].set_ylabel("entropy")
    figure.legend(handles=axes[0, 0].lines, loc="outside upper center", ncols=3)
    yield figure
    plt.close("all")


def test_panels_stand_below_each_other_in_their_order(grid):
    narrow = narrow_figure(grid)
    lefts, bottoms = places(narrow)
    assert np.ptp(lefts) < 0.02
    assert bottoms == sorted(bottoms, reverse=True)
    assert narrow.get_size_inches().tolist() == [WIDTH, 4 * 2.5]  # each panel as high as before
    assert [axis.get_ylabel() for axis in narrow.axes] == ["score", "score", "entropy", "entropy"]


def test_everything_lies_inside_and_titles_are_broken(grid):
    narrow = narrow_figure(grid)
    narrow.draw_without_rendering()
    box = narrow.get_tightbbox()
    assert (box.x0, box.x1) == pytest.approx((0, WIDTH), abs=0.2)
    for axis in narrow.axes:
        assert "\n" in axis.get_title("left")
    (legend,) = narrow.legends
    assert [text.get_text() for text in legend.get_texts()] == ["ours"]


def test_a_label_of_the_whole_figure_does_not_lie_under_the_legend(grid):
    grid.supxlabel("p from 19 draws")
    narrow = narrow_figure(grid)
    narrow.draw_without_rendering()
    assert [axis.get_xlabel() for axis in narrow.axes] == ["", "", "", "p from 19 draws"]
    label, (legend,) = narrow.axes[-1].xaxis.label, narrow.legends
    assert not label.get_window_extent().overlaps(legend.get_window_extent())
    assert narrow.get_supxlabel() == ""
    assert grid.get_supxlabel() == "p from 19 draws"


def test_the_figure_itself_stays_as_it_was(grid):
    lefts, bottoms = places(grid)
    numbers = plt.get_fignums()
    narrow_figure(grid)
    assert plt.get_fignums() == numbers  # or a notebook would show two figures
    assert places(grid)[0] == pytest.approx(lefts)
    assert places(grid)[1] == pytest.approx(bottoms)
    assert grid.get_size_inches().tolist() == [9, 5]
    assert len(grid.legends) == 1


def test_a_colour_bar_comes_below():
    figure, axes = plt.subplots(1, 2, layout="constrained")
    images = [axis.imshow([[0, 1]]) for axis in axes]
    figure.colorbar(images[0], ax=axes, label="weight", extend="max")
    narrow = narrow_figure(figure)
    bar = narrow.axes[-1]
    assert len(narrow.axes) == 3
    assert bar.get_xlabel() == "weight"
    _, bottoms = places(narrow)
    assert bottoms[-1] == min(bottoms)
    plt.close("all")


def test_a_colour_bar_keeps_ticks_that_were_chosen():
    figure, axis = plt.subplots(layout="constrained")
    figure.colorbar(axis.imshow([[-9, 9]]), ax=axis, ticks=(-9, 0, 5), format="%g")
    narrow = narrow_figure(figure)
    narrow.draw_without_rendering()
    labels = [label.get_text() for label in narrow.axes[-1].get_xticklabels()]
    assert labels == ["-9", "0", "5"]
    plt.close("all")


def test_a_figure_whose_texts_would_run_into_each_other_has_no_narrow_variant():
    figure, axis = plt.subplots(figsize=(12, 2), layout="constrained")
    for place in range(3):
        axis.text(place / 3, 0.5, "letters that fill a third")
    assert narrow_figure(figure) is None
    axis.texts[1].remove()
    assert narrow_figure(figure) is not None
    plt.close("all")


def test_small_multiples_have_no_narrow_variant():
    figure, _ = plt.subplots(1, MOST_COLUMNS + 1)
    assert narrow_figure(figure) is None
    plt.close("all")
