"""Reports: kept and read back, written in three forms, drawn; what the page says."""

import json
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from helpers.gallery import finding
from helpers.html import Reader
from helpers.refusals import check_refused
from helpers.screening import CLASSES, IMAGES, SETTINGS
from torch import nn

from localspec.clustering import Partition, draw_counterparts
from localspec.exceptions import ArtifactError, InvalidInputError
from localspec.measures import MEASURES
from localspec.screening import Report, screen
from localspec.screening._evidence import group_excitations
from localspec.screening._groups import Finding
from localspec.screening._html import report_html
from localspec.screening._tables import chance_rate, lowest_p
from localspec.units import trace_units


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    return report.to_html(tmp_path_factory.mktemp("report") / "report.html").read_text()


@pytest.fixture(scope="module")
def sequential(network, labels):
    """A screening that draws on until groups are decided."""
    return screen(network, (IMAGES, labels), **SETTINGS, max_draws=30)


@pytest.mark.parametrize("name", ["report", "sequential"])
def test_a_report_that_was_kept_is_the_same(name, request, tmp_path):
    report = request.getfixturevalue(name)
    again = Report.load(report.save(tmp_path / "mine.report"))
    pd.testing.assert_frame_equal(again.table, report.table)
    pd.testing.assert_frame_equal(again.tests, report.tests)
    assert again.about == report.about
    assert again.to_html(tmp_path / "a").read_text() == report.to_html(tmp_path / "b").read_text()
    assert again.to_json(tmp_path / "a").read_text() == report.to_json(tmp_path / "b").read_text()


def test_a_damaged_file_is_no_report(report, tmp_path):
    path = report.save(tmp_path / "mine.report")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        Report.load(path)
    with pytest.raises(ArtifactError, match="cannot read"):
        Report.load(tmp_path / "nothing.report")


WRITERS = ["to_html", "to_csv", "to_json", "save"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_of_the_home_folder(writer, report, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = getattr(report, writer)(f"~/{writer}")
    assert path == tmp_path / writer
    assert path.is_file()
    if writer == "save":
        assert len(Report.load(f"~/{writer}").table) == len(report.table)


@pytest.mark.parametrize("writer", ["to_html", "to_csv", "to_json", "save", "load"])
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", ["path must be the path of a file", "not ''"]),
        (5, ["path must be the path of a file", "not 5"]),
        (None, ["path must be the path of a file", "not None"]),
        ("a\0b", ["path must be the path of a file"]),
        ("~nobody-of-that-name/x", ["'~nobody-of-that-name/x'", "name the whole path"]),
    ],
)
def test_what_is_no_path_of_a_file_is_refused(writer, path, words, report):
    check_refused(lambda: getattr(report, writer)(path), words)


@pytest.mark.parametrize("writer", WRITERS)
def test_what_cannot_be_written_is_said(writer, report, tmp_path):
    write = getattr(report, writer)
    check_refused(lambda: write(tmp_path), [str(tmp_path), "is a folder", "name a file in it"])
    with pytest.raises(ArtifactError, match="File name too long"):
        write(tmp_path / ("x" * 300))
    assert list(tmp_path.iterdir()) == []


def test_a_card_has_all_that_is_known(report):
    group = report.group(0)
    entry = report.table.iloc[0]
    partitioning = entry["partitioning"]
    index = [(part.layer, part.cluster) for part in report.draws[partitioning].subclusters].index(
        (entry["layer"], entry["cluster"])
    )
    for measure in MEASURES:
        values = report.assessments[partitioning, measure].measure.values[:, index]
        shown = group.findings[measure]
        np.testing.assert_array_equal([shown.value, *shown.draws], values)
        assert shown.p_value == entry[f"{measure}_p"]
        assert shown.stands_out == (entry[f"{measure}_p"] <= 0.05)
    # averaged over classes, what is lost is what importance lacks to the baseline
    assert group.lost.mean() == pytest.approx(report.baseline - entry["importance"])
    assert group.counts.sum() == group.random_counts.sum() == len(IMAGES)
    assert group.picture.shape == group.random_picture.shape == (1, 4, 4)


def test_json_and_csv_hold_every_number(report, tmp_path):
    text = report.to_json(tmp_path / "r.json").read_text()
    content = json.loads(text, parse_constant=pytest.fail)
    assert len(content["groups"]) == len(report.table)
    first = content["groups"][0]
    assert first["units"] == report.units(0).tolist()
    assert len(first["measures"]["importance"]["draws"]) == 4
    table = pd.read_csv(report.to_csv(tmp_path / "r.csv"))
    assert table["evidence"].tolist() == pytest.approx(report.table["evidence"].tolist())
    assert table["units"][0] == " ".join(map(str, report.units(0)))


def test_the_page_has_a_card_for_each_group_and_needs_nothing_else(page, report):
    elements = Reader(page).elements
    assert len([tag for tag, _ in elements if tag == "article"]) == len(report.table)
    loaded = [
        value
        for tag, attributes in elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action")
    ]
    assert {value[:5] for value in loaded} <= {"data:", "#grou", "#card"}
    assert all(url.startswith("data:image/") for url in re.findall(r"url\(([^)]*)", page))
    assert "@import" not in page
    assert not {tag for tag, _ in elements} & {"iframe", "object", "embed"}


def test_names_are_text_and_no_html(page):
    text = "".join(Reader(page).text)
    assert "<b>bold</b>" not in page
    assert all(name in text for name in CLASSES)


def test_the_summary_says_how_many_stand_out_and_how_many_would(report, page):
    text = " ".join("".join(Reader(page).text).split())
    n_groups = len(report.table)
    assert f"{n_groups} groups of units" in text
    for count in report.counts():
        p_values = report.table[f"{count.measure}_p"]
        assert count.n_extreme == (p_values <= 0.05).sum()
        assert count.n_groups == n_groups
        assert count.n_undefined == report.table[count.measure].isna().sum()
        assert count.by_chance == 0  # of four draws
    # four draws: p of the mid rule is 0.1 or more
    assert report.lowest_p == 0.1
    assert "Nothing can stand out" in text
    assert "p cannot fall below 0.1" in text


def test_pages_stay_small(report):
    rng = np.random.default_rng(0)  # noise: nothing is harder to make small
    pictures = rng.integers(0, 256, (80, 2, 3, 96, 96), dtype=np.uint8)
    groups = [
        replace(report.group(rank % len(report.table)), rank=rank, picture=one, random_picture=two)
        for rank, (one, two) in enumerate(pictures)
    ]
    most = 200_000
    text = report_html(groups, report.counts(), report._page(), most_bytes=most)
    in_pictures = sum(map(len, re.findall(r"url\((data:[^)]*)", text)))
    assert 0 < in_pictures < 1.5 * most
    # of 500 groups: 3 MB, and 2.4 MB of pictures
    assert len(text) - in_pictures < 6_000 * len(groups) + 30_000


@pytest.mark.parametrize(
    ("n_draws", "level", "rule", "rate", "lowest"),
    [
        (19, 0.05, "mid", 1 / 20, 0.025),  # of 20 ranks the first: 0.025
        (39, 0.05, "mid", 2 / 40, 0.0125),  # 0.0125 and 0.0375
        (9, 0.05, "mid", 1 / 10, 0.05),  # 0.05 itself: twice the level
        (8, 0.05, "mid", 0, 0.5 / 9),
        (19, 0.05, "strict", 1 / 20, 0.05),
        (18, 0.05, "conservative", 0, 1 / 19),
    ],
)
def test_how_often_chance_stands_out(n_draws, level, rule, rate, lowest):
    assert chance_rate(level, n_draws, rule) == pytest.approx(rate)
    assert lowest_p(n_draws, rule) == pytest.approx(lowest)


def test_an_accuracy_near_chance_is_in_the_page(network, labels, tmp_path):
    with pytest.warns(UserWarning, match="where chance is"):
        report = screen(network, (IMAGES, (labels + 1) % 3), measures=["importance"], **SETTINGS)
    assert "accuracy is near chance" in report.to_html(tmp_path / "r.html").read_text()


def test_cards_say_how_many_images_a_class_has(report, page):
    sizes = report.about["class_sizes"]
    assert sum(sizes) == len(IMAGES)
    text = " ".join("".join(Reader(page).text).split())
    assert f"{min(sizes)} to {max(sizes)} each" in text
    for name, size in zip(CLASSES, sizes, strict=True):
        assert f"{name} (n = {size})" in text


def test_groups_that_chance_may_have_put_first_are_called_so(report):
    words = "Chance alone may have put them here"
    groups = [replace(report.group(0), findings={"importance": finding(0.5, 0.01, 0.8)})]
    few = [replace(count, n_adjusted=0) for count in report.counts()]
    same = report.tests.assign(permutation_p=0.5)
    assert words in report_html(groups, few, report._page() | {"tests": same})
    less = same.assign(permutation_p=0.01)
    assert words not in report_html(groups, few, report._page() | {"tests": less})
    left = [replace(count, n_adjusted=1) for count in few]
    assert words not in report_html(groups, left, report._page() | {"tests": same})


@pytest.mark.parametrize("n_draws", [5, 60])
def test_draws_that_tie_but_for_rounding_are_drawn(report, n_draws):
    # one of three classes damaged: the range is three times the mean, up to rounding
    draws = np.resize([3.0, np.nextafter(3.0, 4.0)], n_draws)
    tied = Finding(value=3.0, side="high", draws=draws, p_value=0.5, effect=1.0, stands_out=False)
    group = replace(report.group(0), findings={"class_coherence": tied})
    (row,) = re.findall(
        r'<path class="d[^>]*>', report_html([group], report.counts(), report._page())
    )
    places = {float(place) for place in re.findall(r"[MH]([0-9.]+)", row)}
    assert places <= {48, 50, 52}  # the middle of 100


def test_excitations_that_tie_but_for_rounding_are_counted():
    # the last image excites both units less by one unit in the last place
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 4, bias=False), nn.ReLU(), nn.Linear(4, 2))
    network = network.double().eval()
    with torch.no_grad():
        network[1].weight.fill_(1)
    x = torch.ones(5, 1, 1, 1, dtype=torch.float64)
    x[4] = np.nextafter(1.0, 0.0)
    draws = draw_counterparts(Partition.from_labels({"1": [0, 0, 1, 1]}), 1)
    found = group_excitations(trace_units(network), x, draws)
    assert found.counts.sum(axis=1).tolist() == found.random_counts.sum(axis=1).tolist() == [5, 5]
    assert found.exciting.tolist() == [[0, 1, 2, 3]] * 2


def test_a_notebook_shows_the_summary_without_pictures(report):
    shown = report._repr_html_()
    assert "What these p-values cannot say" in shown
    assert "data:image" not in shown
    assert "<script" not in shown


def test_figures(report):
    open_before = plt.get_fignums()
    assert len(report.plot_measure("importance").axes) == 4
    assert len(report.plot_group(0).axes) == 6  # four measures, two pictures
    assert plt.get_fignums() == open_before  # a notebook would show an open one a second time
    with pytest.raises(InvalidInputError, match="measure='size'"):
        report.plot_measure("size")


def test_a_report_made_by_hand_cannot_be_written(tmp_path):
    table = pd.DataFrame({"partitioning": ["mine"]})
    with pytest.raises(InvalidInputError, match="made by hand"):
        Report(table, table, {}, {}, {}, 1.0).to_html(tmp_path / "r.html")
