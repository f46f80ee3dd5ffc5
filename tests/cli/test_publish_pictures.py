"""Which pictures a publication leaves as they were."""

import pytest

from localspec.cli._publish import keep_pictures, share_of_pixels


def shown(notebook):
    return notebook.cells[0].outputs[1].data["image/png"]


@pytest.mark.parametrize(
    ("n_changed", "stays"),
    [(0, True), (1, True), (9, True), (10, False), (500, False)],  # of 10,000: below 0.1 % is kept
)
def test_a_picture_that_differs_in_few_pixels_is_kept(picture, notebook_with, n_changed, stays):
    old, new = notebook_with(picture()), notebook_with(picture(n_changed))
    before, after = shown(old), shown(new)
    keep_pictures(new, old)
    assert shown(new) == (before if stays else after)


@pytest.mark.parametrize("change", [{"source": "plot(2)"}, {"printed": "ncut 5.2\n"}])
def test_a_picture_is_not_kept_under_another_text(picture, notebook_with, change):
    old, new = notebook_with(picture()), notebook_with(picture(1), **change)
    after = shown(new)
    keep_pictures(new, old)
    assert shown(new) == after


def test_an_execution_count_is_no_text(picture, notebook_with):
    old, new = notebook_with(picture(), count=1), notebook_with(picture(1), count=2)
    keep_pictures(new, old)
    assert shown(new) == shown(old)
    assert new.cells[0].execution_count == 2


def test_another_cell_keeps_its_own_picture(picture, notebook_with):
    old, new = notebook_with(picture()), notebook_with(picture(1))
    old.cells[0].id = "another-cell"
    after = shown(new)
    keep_pictures(new, old)
    assert shown(new) == after


def test_share_of_pixels_of_other_shapes_and_of_what_is_no_picture(picture):
    assert share_of_pixels(picture(), picture(100)) == pytest.approx(0.01)
    assert share_of_pixels(picture(), picture(size=99)) == 1
    assert share_of_pixels(picture(), "bm8gcGljdHVyZQ==") == 1
