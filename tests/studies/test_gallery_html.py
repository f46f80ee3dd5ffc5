"""The gallery's HTML: what stands in it, what is escaped, what cards are sorted by."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.gallery import CLASSES, NAN, NUMBERS, finding, made_gallery, record
from helpers.html import Reader
from PIL import Image

from localspec._utils.sprites import sprite_sheet
from localspec.exceptions import InvalidInputError
from localspec.studies.gallery import gallery_html, gallery_table, linked_table
from localspec.studies.gallery._records import card_anchor


def sort_keys(record):
    """Return what the card of a record can be sorted by, by the names of the buttons."""
    reader = Reader(gallery_html(made_gallery([record])))
    keys = [button["data-key"] for button in reader.all("button") if "data-key" in button]
    (row,) = [row for row in reader.all("tr") if "id" in row]
    return {key: row[f"data-{key}"] for key in keys if key != "order"}


def unpacked(sheet):
    return np.asarray(Image.open(io.BytesIO(sheet.file)))


@pytest.fixture(scope="module")
def content():
    return gallery_html(made_gallery())


def test_a_card_for_every_record_in_order(content):
    rows = [row for row in Reader(content).all("tr") if "id" in row]
    assert [row["id"] for row in rows] == list(NUMBERS)
    assert [row["data-order"] for row in rows] == ["0", "1", "2"]
    assert [row["data-units"] for row in rows] == ["2", "4", "3"]
    assert [row["data-layer"] for row in rows] == ["dense1", "dense1", "dense2"]


def test_names_of_classes_are_text_and_nothing_else(content):
    reader = Reader(content)
    assert "&amp;lt;" not in content  # escaped once
    assert len(reader.all("script")) == 1
    assert "window.hacked" not in content.split("<script>")[-1]
    assert sum(text == CLASSES[1] for text in reader.text) == 4  # three bars, one test image
    assert sum(text == CLASSES[2] for text in reader.text) == 4
    labels = [row["aria-label"] for row in reader.all("span") if "aria-label" in row]
    assert f"test image 42, class {CLASSES[2]}, score 9" in labels


def test_names_of_networks_and_layers_are_escaped_too():
    odd = record(0, layer='<b>"x"</b>', network="<i>")
    reader = Reader(gallery_html(made_gallery([odd])))
    (row,) = [row for row in reader.all("tr") if "id" in row]
    assert row["data-layer"] == '<b>"x"</b>'
    assert row["data-text"].startswith('<i> weights/global <b>"x"</b> cluster 0')
    assert '<b>"x"</b>' in reader.text  # the option of the filter


def test_nothing_is_loaded_from_anywhere(content):
    reader = Reader(content)
    assert not [attributes for _, attributes in reader.elements if "src" in attributes]
    assert all(link["href"].startswith("#") for link in reader.all("a"))
    assert not re.search(r"https?:|@import|url\((?!data:)", content)


def test_sort_keys_are_the_numbers_and_empty_where_undefined():
    keys = sort_keys(record(0))
    assert list(keys)[:3] == ["units", "importance-p", "importance-effect"]
    assert len(keys) == 9
    assert (keys["importance-p"], keys["importance-effect"]) == ("0.025", "1.5")
    assert (keys["class-coherence-p"], keys["class-coherence-effect"]) == ("0.5", "")
    assert keys["output-coherence-effect"] == "0.9"


def test_rounding_decides_no_order():
    importance = record(0).findings["importance"]
    other = replace(importance, effect=importance.effect * (1 + 1e-13))
    noisy = record(0, findings={**record(0).findings, "importance": other})
    assert sort_keys(noisy) == sort_keys(record(0))


def test_every_sort_button_has_its_key_in_every_card(content):
    reader = Reader(content)
    keys = [row["data-key"] for row in reader.all("button") if "data-key" in row]
    assert len(keys) == 10
    for row in reader.all("tr")[1:]:
        assert {f"data-{key}" for key in keys} <= row.keys()


def test_damage_bars(content):
    bars = [row["style"] for row in Reader(content).all("li") if "lost-by" in row.get("style", "")]
    # the longest stands for 1.0; random means below 0 are drawn at 0
    assert bars[0] == "--lost-by:50;--random:10"
    assert bars[1] == "--lost-by:25;--random:20"
    assert bars[2] == "--lost-by:0;--random:0"
    assert bars[7] == "--lost-by:100;--random:20"
    assert content.count('class="lsg-gained"') == 1
    assert "<b>50.0</b>" in content
    assert "<b>\u221225.0</b>" in content


def test_of_many_classes_those_that_change_most():
    lost = np.arange(30) / 100
    lost[3] = -0.9
    many = record(0, lost=lost, random_lost=np.zeros(30))
    names = tuple(f"name{i}" for i in range(30))
    gallery = replace(made_gallery([many], shown=False), class_names=names)
    named = re.findall(r'<span title="(name\d+)">', gallery_html(gallery))
    assert named == ["name3", *(f"name{i}" for i in range(11, 30))]
    assert "20 of 30" in gallery_html(gallery)


def test_where_photographs_are_not_shown_numbers_and_classes_are():
    content = gallery_html(made_gallery(shown=False))
    assert 'class="lsg-text">41 (&lt;script&gt;' in content
    assert 'class="lsg-sprite lsg-test"' not in content
    assert content.count("data:image/png") == 1  # the visualizations


def test_small_p_is_bold_and_undefined_is_said_so(content):
    assert content.count('<abbr title="undefined">') == 1
    assert re.findall(r"<strong>(.*)</strong>", content) == ["0.025"]


def test_an_undefined_p_is_not_bold():
    findings = {**record(0).findings, "importance": finding(NAN, NAN, 1.0)}
    content = gallery_html(made_gallery([record(0, findings=findings)]))
    assert content.count('<abbr title="undefined">') == 3  # p, value; of class coherence effect
    assert "<strong>" not in content


def test_anchors():
    assert card_anchor("weights/local", "dense2", 3) == "weights-local-dense2-3"
    assert card_anchor("activations/global", "layer1.0->conv2", 0) == (
        "activations-global-layer1.0-conv2-0"
    )


def test_a_table_is_escaped_once():
    table = pd.DataFrame({"id": ["a-0"], "layer": [CLASSES[2]], "p": [0.123456], "effect": [NAN]})
    content = linked_table(table)
    reader = Reader(content)
    assert [text for text in reader.text if text.strip()][4:] == ["a-0", CLASSES[2], "0.1235"]
    assert "<script" not in linked_table(table.assign(layer=CLASSES[1]))


def test_table_links_to_cards():
    table = gallery_table(made_gallery())
    assert table["id"].tolist() == list(NUMBERS)
    assert table["n_units"].tolist() == [2, 4, 3]
    assert table["importance_p"].tolist() == [0.025, 0.975, 0.525]
    assert np.isnan(table["class_coherence_effect"][0])
    assert table["most_damaged_class"].tolist() == [CLASSES[0], CLASSES[0], CLASSES[1]]
    assert table["exciting"].tolist() == ["40 50", "41 50", "42 50"]
    reader = Reader(linked_table(table))
    assert [row["href"] for row in reader.all("a")] == [f"#{name}" for name in NUMBERS]
    assert reader.all("script") == []


def test_no_class_is_most_damaged_where_none_is():
    undamaged = record(0, lost=np.array([0.0, -0.1, 0.0]))
    assert gallery_table(made_gallery([undamaged]))["most_damaged_class"].tolist() == [""]


def test_an_empty_gallery_is_refused():
    for make in (gallery_html, gallery_table):
        with pytest.raises(InvalidInputError, match="no subcluster of mlp, seed 0 was tested"):
            make(made_gallery([]))


def test_a_gallery_of_256_cards_of_mnist_size_stays_below_three_megabytes():
    rng = np.random.default_rng(0)
    noise = rng.random((512, 1, 28, 28))
    records = [
        record(
            0,
            anchor=f"card-{i}",
            picture=noise[2 * i],
            random_picture=noise[2 * i + 1],
            units=np.arange(100, 164),
            exciting=np.arange(6 * i, 6 * i + 6),
            exciting_scores=np.full(6, 123.4567),
            lost=rng.random(10),
            random_lost=rng.random(10),
        )
        for i in range(256)
    ]
    labels = {i: i % 10 for i in range(1536)}
    # a third of the pixels drawn, in ten levels: about as much to compress as in Fashion-MNIST
    tests = {i: np.round(noise[i % 512], 1) * (noise[i % 512] > 0.7) for i in labels}
    classes = ("T-shirt/top",) * 10
    gallery = replace(made_gallery(records), class_names=classes, labels=labels, test_images=tests)
    assert len(gallery_html(gallery)) < 3e6


def test_a_sheet_holds_every_image():
    images = np.random.default_rng(1).random((5, 1, 3, 4))
    sheet = sprite_sheet(list(images))
    assert (sheet.n_rows, sheet.n_columns, sheet.height, sheet.width) == (2, 3, 3, 4)
    pixels = unpacked(sheet)
    assert pixels.shape == (6, 12)
    for index, image in enumerate(images):
        row, column = sheet.position(index)
        part = pixels[3 * row : 3 * row + 3, 4 * column : 4 * column + 4]
        np.testing.assert_array_equal(part, np.round(255 * image[0]))
    assert not pixels[3:, 8:].any()  # the place that is left over


def test_a_sheet_in_colour():
    image = np.zeros((3, 1, 2))
    image[:, 0, 0], image[:, 0, 1] = [1, 0.5, 0], [-0.1, 0.2, 1.1]
    assert unpacked(sprite_sheet([image])).tolist() == [[[255, 128, 0], [0, 51, 255]]]


def test_a_data_uri_holds_the_file():
    sheet = sprite_sheet([np.ones((1, 2, 2))])
    kind, data = sheet.data_uri.split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == sheet.file


@pytest.mark.parametrize(
    "images",
    [
        [],
        [np.ones((1, 2, 2)), np.ones((1, 2, 3))],
        [np.ones((2, 2, 2))],
        [np.ones((2, 2))],
        [np.ones((1, 0, 2))],
    ],
)
def test_what_is_no_sheet(images):
    with pytest.raises(InvalidInputError, match="must share one shape"):
        sprite_sheet(images)
