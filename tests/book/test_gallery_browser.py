"""The gallery in a real browser: filters, order, keyboard, dark, phone, links, without scripts."""

import io

import pytest
from helpers.gallery import NUMBERS, made_gallery
from PIL import Image

from localspec.studies.gallery import gallery_html, gallery_table, linked_table

pytestmark = pytest.mark.book
FIRST, TWELFTH, LOCAL = NUMBERS
PHONE = 390


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Address of a file that holds a gallery and its table."""
    gallery = made_gallery()
    content = gallery_html(gallery) + linked_table(gallery_table(gallery))
    path = tmp_path_factory.mktemp("gallery") / "page.html"
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    path.write_text(
        f'<!doctype html><html lang="en"><head>{head}<title>g</title></head>'
        f"<body>{content}</body></html>",
        encoding="utf-8",
    )
    return path.as_uri()


def cards(page):
    """Return the names of the cards that are seen, in order."""
    return page.evaluate(
        "() => [...document.querySelectorAll('tbody tr[id]')]"
        ".filter(row => row.checkVisibility()).map(row => row.id)"
    )


def sorting(page, name):
    return page.locator("th", has_text=name).first.get_attribute("aria-sort")


def test_all_cards_at_first(opened):
    page = opened()
    assert cards(page) == [FIRST, TWELFTH, LOCAL]
    assert page.locator("output").inner_text() == "3 of 3 subclusters"
    assert page.evaluate("() => window.hacked") is None


def test_filters(opened):
    page = opened()
    page.get_by_label("partitioning").select_option("weights/local")
    assert cards(page) == [LOCAL]
    assert page.locator("output").inner_text() == "1 of 3 subclusters"
    page.get_by_label("layer").select_option("dense1")
    assert cards(page) == []
    page.get_by_role("button", name="show all").click()
    assert cards(page) == [FIRST, TWELFTH, LOCAL]
    assert page.get_by_label("partitioning").input_value() == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("dense1", [FIRST, TWELFTH]),
        ("DENSE1  cluster", [FIRST, TWELFTH]),
        ("dense2 2", [LOCAL]),
        ("2", [LOCAL]),  # the whole number: not dense2, not 12
        ("local", [LOCAL]),
        (TWELFTH, [TWELFTH]),
        ("dense9", []),
        ("  ", [FIRST, TWELFTH, LOCAL]),
    ],
)
def test_filter_by_text(opened, text, found):
    page = opened()
    page.get_by_label("text").fill(text)
    assert cards(page) == found


@pytest.mark.parametrize(
    ("button", "header", "once", "twice"),
    [
        ("sort by number of units", "size", [TWELFTH, LOCAL, FIRST], [FIRST, LOCAL, TWELFTH]),
        ("sort by p of importance", "importance", [FIRST, LOCAL, TWELFTH], [TWELFTH, LOCAL, FIRST]),
        # an undefined effect comes last, whichever the direction
        (
            "sort by effect of class coherence",
            "class coherence",
            [TWELFTH, LOCAL, FIRST],
            [LOCAL, TWELFTH, FIRST],
        ),
        # ties stay in the order of the list
        (
            "sort by p of output coherence",
            "output coherence",
            [TWELFTH, LOCAL, FIRST],
            [FIRST, TWELFTH, LOCAL],
        ),
    ],
)
def test_sorting(opened, button, header, once, twice):
    page = opened()
    assert sorting(page, "subcluster") == "ascending"
    page.get_by_role("button", name=button).click()
    assert cards(page) == once
    first = sorting(page, header)
    assert first == ("ascending" if " p of " in button else "descending")
    assert sorting(page, "subcluster") == "none"
    page.get_by_role("button", name=button).click()
    assert cards(page) == twice
    assert {first, sorting(page, header)} == {"ascending", "descending"}
    page.get_by_role("button", name="list order").click()
    assert cards(page) == [FIRST, TWELFTH, LOCAL]


def test_sorted_cards_stay_filtered(opened):
    page = opened()
    page.get_by_label("layer").select_option("dense1")
    page.get_by_role("button", name="sort by number of units").click()
    assert cards(page) == [TWELFTH, FIRST]


def test_with_the_keyboard_alone(opened):
    page = opened()
    names = []
    for _ in range(20):
        page.keyboard.press("Tab")
        names.append(page.evaluate("() => document.activeElement.ariaLabel"))
        if names[-1] == "sort by number of units":
            break
    page.keyboard.press("Enter")
    assert cards(page) == [TWELFTH, LOCAL, FIRST]
    page.keyboard.press("Space")
    assert cards(page) == [FIRST, LOCAL, TWELFTH]
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_every_control_has_a_name(opened):
    page = opened()
    snapshot = page.evaluate(
        "() => [...document.querySelectorAll('.lsg :is(select, input, button)')]"
        ".map(one => one.ariaLabel || one.labels?.[0]?.innerText || one.innerText)"
    )
    assert len(snapshot) == 15
    assert all(name.strip() for name in snapshot)


def test_images_have_a_size_a_text_and_pixels(opened):
    page = opened()
    sprites = page.locator(".lsg-sprite")
    assert sprites.count() == 3 * (2 + 2)
    test = page.get_by_role("img", name="test image 41, class <script>")
    assert test.count() == 1
    before = test.bounding_box()
    assert before["width"] == before["height"] == 48
    page.get_by_label("size of images").fill("30")
    assert test.bounding_box()["width"] == 60
    # the last one in a sheet of two by two: 50 of 255
    pixel = page.get_by_role("img", name="test image 50").first.screenshot()
    assert _centre(pixel) == (50, 50, 50)


def _centre(screenshot):
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    return image.getpixel((image.width // 2, image.height // 2))


def test_a_link_leads_to_its_card(opened):
    page = opened()
    page.get_by_label("layer").select_option("dense1")
    assert cards(page) == [FIRST, TWELFTH]
    page.locator(f"table.dataframe a[href='#{LOCAL}']").click()
    page.wait_for_function(f"() => document.getElementById('{LOCAL}').checkVisibility()")
    assert cards(page) == [FIRST, TWELFTH, LOCAL]
    page = opened(f"#{TWELFTH}")
    assert page.evaluate("() => document.querySelector(':target').id") == TWELFTH


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(opened, mode):
    page = opened(viewport={"width": PHONE, "height": 844}, color_scheme=mode)
    page.get_by_label("size of images").fill("88")
    width = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
    assert page.evaluate(f"() => {width}") <= PHONE


def test_dark_follows_the_page_and_else_the_system(opened):
    def colour(page):
        return page.evaluate("() => getComputedStyle(document.querySelector('caption')).color")

    light, dark = colour(opened(color_scheme="light")), opened(color_scheme="dark")
    assert colour(dark) != light
    dark.evaluate("() => { document.documentElement.dataset.theme = 'light'; }")
    assert colour(dark) == light


def test_without_scripts_all_cards_are_there(opened):
    page = opened(java_script_enabled=False)
    rows = page.locator("tbody tr[id]")
    assert [row.get_attribute("id") for row in rows.all()][:3] == [FIRST, TWELFTH, LOCAL]
    assert all(row.is_visible() for row in rows.all())
    assert not page.locator(".lsg-tools").is_visible()
    assert page.locator("thead button:visible").count() == 0
